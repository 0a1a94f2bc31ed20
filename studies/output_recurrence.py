"""Is recurrence from the output alone weaker than from the hidden state, and is it easier to train?

"Recurrence from the output" is two networks, with the same U, V, b, c and H beside the hidden one:

* hidden    a_t = b + W h_(t-1) + U y_(t-1)
* vector    a_t = b + W o_(t-1) + U y_(t-1)     o = c + V h: the past passes through k numbers
* symbol    a_t = b + U y_(t-1)                 the past passes through one symbol; all steps are computed at once

Each is the one above it with less: W o = W c + (W V) h has rank k, and without W nothing is left. So their laws are
nested, symbol < vector < hidden, and no output recurrence can do more than the hidden one. How much less it does is a
number of nats, and it depends on the process. The symbol-fed law is a Markov chain of order 1, so its number is exact:
its best KL is sum_t [H(y_2 | y_1) - H(y_t | y_<t)]. What k numbers carry has no formula, and is measured: k - 1 of them
are spoken for, since they say what comes next, and one, which the softmax does not see, is free to remember with.

The book gives one reason for each half of the claim: o must carry the past, and steps that are told the true y need not
wait for each other. The first is about the vector, the second about the symbol. So both are asked both questions.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure as Drawing

from pgm_rnn import fit, score, stepwise
from pgm_rnn.experiment.intervals import Interval, t_interval
from pgm_rnn.experiment.measuring import arrival, even_in_logarithm, training_record
from pgm_rnn.experiment.parts import STATES, VERDICTS, together, told
from pgm_rnn.experiment.shortage import too_few
from pgm_rnn.experiment.study import Cell, Figure, Study, Verdict
from pgm_rnn.gradient_flow import gradient_by_lag
from pgm_rnn.graphs import graph_edges
from pgm_rnn.models import Recurrent
from pgm_rnn.processes import PROCESSES, Process, random_markov
from pgm_rnn.report import recurrences
from pgm_rnn.report.graphs import side_by_side

# --------------------------------------------------------------------------------------------------------------------
# The grid. Networks are trained on the exact tree of the process, where only the network and its training can fail. The
# seeds are those of the initial weights, each with one start: the best of several would hide how easy training is.

FORMS: dict[str, dict[str, Any]] = {
    "hidden": {},
    "vector": {"recurrence": "output", "feedback": "vector"},
    "symbol": {"recurrence": "output", "feedback": "symbol"},
}
OUTPUT = ("symbol", "vector")
REMEMBER = ("even", "rrxor", "mess3", "simple-nonunifilar")  # no finite order: what came before y_(t-1) matters
FORGET = ("golden-mean", "order-1 chain")  # y_(t-1) is all that matters
SOURCES = {name: PROCESSES[name] for name in (*REMEMBER, "golden-mean")}
SOURCES["order-1 chain"] = partial(random_markov, k=3, order=1)


class Scale(NamedTuple):
    processes: tuple[str, ...]
    durations: dict[int, int]  # T by alphabet size
    hidden: tuple[int, ...]
    seeds: int
    budget: int  # evaluations of the gradient


SCALES = {
    "smoke": Scale(("even", "golden-mean"), {2: 5}, (4,), 2, 100),
    "standard": Scale((*REMEMBER, *FORGET), {2: 8, 3: 6}, (4, 16), 10, 3_000),
    "full": Scale((*REMEMBER, *FORGET), {2: 10, 3: 7}, (4, 16, 32), 20, 10_000),
}


def grid(scale: str) -> list[Cell]:
    s = SCALES[scale]
    cells = []
    for process in s.processes:
        T = s.durations[SOURCES[process]().alphabet_size]
        for H in s.hidden:
            spec = {"process": process, "T": T, "H": H, "seeds": list(range(s.seeds)), "budget": s.budget}
            cells += [Cell({**spec, "form": form}) for form in FORMS]
    return cells


# --------------------------------------------------------------------------------------------------------------------
# The measurement. On the exact tree the training loss minus the entropy is the KL, after every evaluation.

TOLERANCE = 1e-2  # nats per word


def measure(spec: Mapping[str, Any], device: torch.device) -> list[dict[str, Any]]:
    process, T, seeds = SOURCES[spec["process"]](), spec["T"], spec["seeds"]
    k, form = process.alphabet_size, spec["form"]
    untrained = Recurrent(k, spec["H"], replicates=len(seeds), **FORMS[form])
    untrained.reset_parameters(seeds)
    fitted = fit(untrained, process(T), seed=seeds[0], restarts=1, max_steps=spec["budget"], device=device)
    trained = fitted.model.double().cpu()
    curves = (fitted.losses.cpu().double() - process.block_entropy(T)).numpy()  # KL (seeds, evaluations)
    chain = order_one_floor(process, T)
    own = chain if form == "symbol" else max(0.0, float(curves[:, -1].min()))
    floors, (stored, free) = {"own": own, "order1": chain}, trained.parameter_count(T)
    common = {"order1_floor_nats": chain, "own_floor_nats": own, "stored_parameters": stored, "free_parameters": free}
    common |= {"seconds_per_evaluation": fitted.seconds / curves.size}
    shown = np.array(even_in_logarithm(curves.shape[1], 1.12))  # evaluations
    kl = score(trained, process, T).divergence
    gradients = {name: gradient_by_lag(m, process, T) for name, m in (("untrained", untrained), ("trained", trained))}
    return [
        common
        | {"kl_nats_per_word": float(kl[r])}
        | {f"evaluations_to_{name}_floor": arrival(curve, floor + TOLERANCE) for name, floor in floors.items()}
        | {"curve_evaluations": json.dumps(shown.tolist()), "curve_kl_nats": json.dumps(curve[shown - 1].tolist())}
        | {f"gradient_{name}_nats_per_unit": json.dumps(norms[r].tolist()) for name, norms in gradients.items()}
        | training_record(fitted, r)
        for r, curve in enumerate(curves)
    ]


def order_one_floor(process: Process, T: int) -> float:
    """The KL of the best Markov chain of order 1, sum_(t >= 2) [H(y_2 | y_1) - H(y_t | y_<t)], in nats per word."""
    h = process.conditional_entropies(T)
    return float((h[1] - h[1:]).clamp_min(0.0).sum())  # no term is negative, but for rounding


# --------------------------------------------------------------------------------------------------------------------
# The decision. It stood here before the first standard run. What had been seen were pilot fits of all three networks on
# the six processes (five seeds, 1500 evaluations; some at H = 4; rrxor again with eight seeds and 6000), and a smoke
# run. On rrxor the vector network was still learning when it was cut off, the best of the eight at 0.013 nats, which is
# why such fits cannot prove a network weak. After the first standard run words were changed (that nesting is an
# identity is now said), and it was added that the hidden fits must have converged for another network to match them:
# that changed no outcome.

RULE = (
    "At the largest H, for each output recurrence (symbol, vector) against the hidden one, with seeds paired.\n"
    "Strictly less powerful. That laws are nested is an identity; asked is whether it costs nats. On each process "
    "d = KL(output) - KL(hidden), nats per word. The output network is as powerful if its best fit comes within 0.01 "
    "nats of the best hidden one, and four fifths of the hidden fits converged; less powerful if the 95 % t-interval "
    "of d lies above 0.01 and four fifths of its own fits converged; else open. The half holds if it is less powerful "
    "on at least one of the four processes with hidden memory and as powerful on the two without. It fails if it is as "
    "powerful on all six, or less powerful where there is nothing to remember.\n"
    "Easier to train. The ratio of evaluations of the gradient, hidden / output, until a fit is within 0.01 nats of "
    "its own floor; a fit that does not get there counts with its whole budget. The half holds if the t-interval of "
    "the ratio's geometric mean over the six processes lies above 1, and fails if it lies below 1. The own floor of "
    "the symbol network is exact; of the others it is the lowest KL of all their fits on that process.\n"
    "Supported: both halves hold for both forms. Refuted: a half fails for a form. Inconclusive: anything else, and "
    "fewer than the six processes or than five seeds.\n"
    "The number is the ratio of evaluations of the form for which it is lower."
)
MIN_SEEDS, MIN_CONVERGED = 5, 0.8


class Contest(NamedTuple):
    """An output recurrence against the hidden one on one process; pairs by seed."""

    process: str
    d: Interval  # nats per word
    gap: float  # between the best fits, nats per word
    converged: float  # share of the output network's fits
    opponent_converged: float
    log_ratio: pd.Series  # of evaluations to the own floor, hidden / output, by seed

    @property
    def power(self) -> str:
        if self.gap <= TOLERANCE and self.opponent_converged >= MIN_CONVERGED:
            return "as powerful"
        return "less powerful" if self.d.low > TOLERANCE and self.converged >= MIN_CONVERGED else "open"


class Form(NamedTuple):
    """Both halves of the claim for one output recurrence."""

    name: str
    contests: list[Contest]

    @property
    def less_powerful(self) -> str:
        power = {contest.process: contest.power for contest in self.contests}
        if set(power.values()) == {"as powerful"} or "less powerful" in [power[process] for process in FORGET]:
            return "fails"
        remembered = [power[process] for process in REMEMBER]
        nothing_lost = all(power[process] == "as powerful" for process in FORGET)
        return "holds" if "less powerful" in remembered and nothing_lost else "open"

    @property
    def ratio(self) -> Interval:
        return geometric_mean([contest.log_ratio for contest in self.contests])

    @property
    def easier(self) -> str:
        return self.ratio.against(1.0, above="holds", below="fails")

    @property
    def outcome(self) -> str:
        return together([self.less_powerful, self.easier])

    def __str__(self) -> str:
        power = told((contest.power, f"{contest.process} ({contest.d.mean:+.2g})") for contest in self.contests)
        return (
            f"{self.name}: 'strictly less powerful' {STATES[self.less_powerful]}: {power}, in nats per word. 'Easier "
            f"to train' {STATES[self.easier]}: the hidden network takes {self.ratio:.3g} times as many evaluations."
        )


UNIT = "evaluations of the hidden network for each of the output network"


def decide(frame: pd.DataFrame) -> Verdict:
    rows = largest(frame)
    if missing := what_is_missing(rows):
        return Verdict("inconclusive", math.nan, -math.inf, math.inf, UNIT, RULE, missing)
    forms = [Form(form, [hold(rows, process, form) for process in SOURCES]) for form in OUTPUT]
    verdict = VERDICTS[together(form.outcome for form in forms)]
    reason = "The two halves together: " + ", ".join(f"{STATES[form.outcome]} for {form.name}" for form in forms) + "."
    same_goal = geometric_mean([log_ratio(rows, process, "symbol", goal="order1") for process in SOURCES])
    ambition = (
        "Easier because it asks for less? To the loss at which the symbol network ends, the hidden one takes "
        f"{same_goal:.3g} times as many evaluations as the symbol network itself."
    )
    text = "\n".join([reason, *map(str, forms), ambition])
    return Verdict(verdict, *min((form.ratio for form in forms), key=lambda ratio: ratio.mean), UNIT, RULE, text)


def what_is_missing(rows: pd.DataFrame) -> str:
    """Why the rule cannot decide, or nothing."""
    measured = rows.groupby("process")["form"].nunique()
    complete = [process for process in SOURCES if measured.get(process, 0) == len(FORMS)]
    seeds = rows.groupby(["process", "form"])["seed"].nunique()
    missing = too_few(len(complete), len(SOURCES), "of the six processes were measured")
    return missing or too_few(int(seeds.min()), MIN_SEEDS, "seeds")


def hold(rows: pd.DataFrame, process: str, form: str) -> Contest:
    output, hidden = side(rows, process, form), side(rows, process, "hidden")
    converged, opponent = (float(fits["converged"].astype(bool).mean()) for fits in (output, hidden))
    theirs, ours = output["kl_nats_per_word"], hidden["kl_nats_per_word"]
    d, gap = t_interval((theirs - ours).dropna()), float(theirs.min() - ours.min())
    return Contest(process, d, gap, converged, opponent, log_ratio(rows, process, form, goal="own"))


def side(rows: pd.DataFrame, process: str, form: str) -> pd.DataFrame:
    """The fits of one network on one process, by seed."""
    return rows[(rows["process"] == process) & (rows["form"] == form)].set_index("seed")


def log_ratio(rows: pd.DataFrame, process: str, form: str, goal: str) -> pd.Series:
    """Logarithm of the hidden network's evaluations to a goal over the output network's to its own floor, by seed."""
    hidden = recurrences.evaluations(side(rows, process, "hidden"), goal)
    return (hidden / recurrences.evaluations(side(rows, process, form), "own")).map(math.log)


def geometric_mean(log_ratios: Sequence[pd.Series]) -> Interval:
    """Over processes for every seed, and its t-interval over seeds on the logarithmic scale."""
    return Interval(*(math.exp(limit) for limit in t_interval(pd.concat(log_ratios, axis=1).mean(axis=1))))


# --------------------------------------------------------------------------------------------------------------------
# The figures and tables.


def largest(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows that the claim is judged on."""
    return frame[frame["H"] == frame["H"].max()]


def draw_forms(_: pd.DataFrame) -> Drawing:
    """The three graphs of the traced programs."""
    titles = {"hidden": "hidden: H numbers pass", "vector": "vector: k numbers pass", "symbol": "symbol: only y passes"}
    graphs = {form: graph_edges(stepwise, Recurrent(2, 3, **FORMS[form]), duration=4, mediators=True) for form in FORMS}
    return side_by_side([(titles[form], graph) for form, graph in graphs.items()])


FIGURES = {
    "halves": Figure(
        "The two halves of the claim at the largest H, trained on the exact tree. Left: KL from the truth; black: the "
        "exact least of any law of order 1, below which the symbol network cannot go. Right: evaluations of the "
        "gradient until a fit is within 0.01 nats of its own network's floor; hollow: not within the budget. A dot per "
        "seed, a bar at the median. What is below 10⁻⁶ nats is drawn on the left edge.",
        lambda frame: recurrences.power_and_ease(largest(frame)),
    ),
    "training": Figure(
        "Training on the exact tree: KL against evaluations of the gradient, a line per seed. Dashed: the exact floor "
        "of order 1, which the symbol network cannot pass.",
        lambda frame: recurrences.training_curves(largest(frame)),
    ),
    "gradient-against-lag": Figure(
        "The expected norm of the last loss's gradient in the state some steps before it, exact sums over all words, "
        "means over seeds. Solid: trained; dotted: random weights. In the symbol network it is zero beyond lag 0.",
        lambda frame: recurrences.gradients_against_lag(largest(frame)),
    ),
    "graphs": Figure(
        "The graphs of the traced programs. Hidden and vector have the same arrows: that o_t = c + V h_t stands in "
        "between narrows the arrow from h_t to the next from H numbers to k, which no independence shows.",
        draw_forms,
    ),
}


def tables(frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return [
        ("The output networks against the hidden one, process by process, at the largest H.", halves(largest(frame))),
        ("What each network loses, over seeds of the initial weights.", recurrences.power_table(frame)),
        (
            "How long each takes to within 0.01 nats of a floor: medians over seeds. One that never gets there counts "
            "with its budget. Seconds are those of one seed among all of a cell, which train together.",
            recurrences.ease_table(frame),
        ),
    ]


def halves(rows: pd.DataFrame) -> pd.DataFrame:
    """What the rule saw on every process."""
    lines = []
    for process, form in itertools.product(rows["process"].unique(), OUTPUT):
        contest = hold(rows, process, form)
        line = {"process": process, "recurrence": form, "d (nats/word) [95 %]": f"{contest.d:.3g}"}
        ratio = f"{geometric_mean([contest.log_ratio]):.3g}"
        lines.append(line | {"power": contest.power, "evaluations, hidden / output [95 %]": ratio})
    return pd.DataFrame(lines)


STUDY = Study(
    name="output-recurrence",
    claim=3,
    title="Recurrence from the output alone",
    statement="Recurrence only from the output into the next hidden state is strictly less powerful than "
    "hidden-to-hidden recurrence, because the output must carry all of the past; it is easier to train.",
    question="What does a network lose whose past passes through its output, as a symbol or as a vector, and does it "
    "train more easily?",
    grid=grid,
    measure=measure,
    decide=decide,
    figures=FIGURES,
    tables=tables,
    notes=(
        "Laws are nested: the symbol-fed network is a vector-fed one with W = 0, and that is a hidden one with W V in "
        "the place of W, of rank k at most. Where H > k both have fewer free parameters, so the inclusions are strict.",
        "The symbol-fed law is a Markov chain of order 1: its loss is at least H(y_1) + (T - 1) H(y_2 | y_1), its KL "
        "at least sum_t [H(y_2 | y_1) - H(y_t | y_<t)], which is 0 for golden-mean and for chains of order 1.",
        "Where the symbol alone is fed back, dL_T/dh_t = 0 for every t < T.",
        "Without the symbol, a_t = b + W o_(t-1), no y_t acts on a later one and the law would be the product of its "
        "one-step laws: refused.",
    ),
)
