"""Unfolding: one transition f for every step, in place of a function g_t of the whole past for each.

    h(t) = g_t(y(t-1), ..., y(1)) = f(h(t-1), y(t-1))                                      (Deep Learning, section 10.1)

A graphical model of T symbols needs the left side: T functions, each with a longer argument than the one before. The
right side is one function of an argument of fixed size. So the same U, W, V, b, c make a law over words of any
duration, and a network that was trained on short words can be asked about long ones.

That it *runs* there is no finding. Whether it is *right* there is one, and this study measures it: networks are trained
on words of T = 8 symbols and scored at every position up to 256 against the exact truth. Nothing in the training asks f
to be right beyond the states that words of 8 symbols reach. So beside the loss we look at the states: how far does h_t
get from everything that training visited?

Training is on the exact tree of the process, as if on infinitely many words, so that what goes wrong at unseen lengths
is not for want of data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd
import torch

from pgm_rnn import checks, fit, naming
from pgm_rnn.experiment.counting import parameter_records
from pgm_rnn.experiment.extrapolation import excess_records, network_records
from pgm_rnn.experiment.intervals import Interval, t_interval
from pgm_rnn.experiment.measuring import training_record
from pgm_rnn.experiment.shortage import too_few
from pgm_rnn.experiment.study import Cell, Figure, Study, Verdict
from pgm_rnn.family import Family
from pgm_rnn.models import Markov, Recurrent, Tabular
from pgm_rnn.processes import PROCESSES
from pgm_rnn.report import unseen as report
from pgm_rnn.report.comparison import Contestant
from pgm_rnn.report.figures import OKABE_ITO
from pgm_rnn.report.graphs import fold_beside
from pgm_rnn.report.losses import losses_over_floors
from pgm_rnn.report.parameters import parameters_of_two_symbols

# --------------------------------------------------------------------------------------------------------------------
# Three ways to go on beyond T = 8. The network repeats f. The window is what one can do with a table and no f: its last
# rows, P(y_8 | y_1 .. y_7), are slid along, which makes it a Markov chain of order 7. The table itself ends: it has no
# row for a context of 8 symbols.

TRAINED, LONGEST = 8, 256  # symbols: the words that the verdict's networks are trained on, and those that are scored

RNN, WINDOW, TABLE = "rnn-16", "window", "table"
CONTESTANTS = {
    RNN: Contestant("RNN, H = 16", OKABE_ITO["blue"]),
    WINDOW: Contestant("window of 7", OKABE_ITO["green"], dashed=True),
    TABLE: Contestant("table ends", OKABE_ITO["vermillion"]),
}
COUNTED = {  # and what their parameters are
    TABLE: Contestant("a function g per step", OKABE_ITO["vermillion"]),
    RNN: Contestant("one f, H = 16", OKABE_ITO["blue"]),
}


def build(name: str, k: int, T: int, replicates: int | None) -> Family:
    """The untrained model of that name, for words of T symbols."""
    match checks.check_name("model", name, CONTESTANTS):
        case "window":
            return Markov(k, order=T - 1, replicates=replicates)
        case "table":
            return Tabular(k, T, replicates=replicates)
    return Recurrent(k, hidden_dim=16, replicates=replicates)


# --------------------------------------------------------------------------------------------------------------------
# The grid. A cell is one model on one process; its seeds, those of the initial weights, are trained together.
#
# Some processes forget (golden mean), some stay synchronised once they are (even, nemo), some blur for ever (mess3,
# simple nonunifilar), some keep a clock of period 3 or so (rrxor, zero-one-random, noisy-random-phase-slip). In
# even(p=0.1) runs of ones last for 20 symbols on average: their parity has to be kept far longer than in any word of 8.
#
# The networks are also trained on shorter and longer words, which has no say in the verdict: it tells whether what
# fails at T = 8 fails for good.

SOURCES = (
    "golden-mean", "even", "even(p=0.1)", "mess3", "simple-nonunifilar", "nemo", "rrxor", "zero-one-random",
    "noisy-random-phase-slip",
)  # fmt: skip


class Scale(NamedTuple):
    processes: tuple[str, ...]
    seeds: int
    other: dict[int, int]  # seeds at other lengths of the training words
    words: int  # sampled, beyond the exact range
    settings: dict[str, int]  # of fit


SCALES = {
    "smoke": Scale(("golden-mean", "rrxor"), 2, {4: 1}, 64, {"max_steps": 100, "restarts": 1}),
    "standard": Scale(SOURCES, 10, {4: 5, 6: 5, 10: 5, 12: 5}, 4096, {"max_steps": 4000, "restarts": 1}),
    "full": Scale(SOURCES, 30, {4: 10, 6: 10, 10: 10, 12: 10, 14: 5}, 16384, {"max_steps": 20000, "restarts": 1}),
}
TERNARY = "mess3"  # its exact tree is small enough up to T = 8
COUNTED_T = tuple(2**i for i in range(9))  # 1 .. 256
KEPT = (*range(1, 17), *range(20, 33, 4), *range(40, 65, 8), *range(80, 129, 16), *range(160, 257, 32))  # positions


def grid(scale: str) -> list[Cell]:
    s = SCALES[scale]
    cells = [Cell({"kind": "counting", "model": name, "T": COUNTED_T}) for name in COUNTED]
    for process in s.processes:
        lengths = {T: n for T, n in s.other.items() if process != TERNARY or T < TRAINED}
        cells += [learning(s, process, name, TRAINED, s.seeds if name == RNN else 1) for name in CONTESTANTS]
        cells += [learning(s, process, RNN, T, seeds) for T, seeds in lengths.items()]
    return cells


def learning(s: Scale, process: str, model: str, T: int, seeds: int) -> Cell:
    """The cell of one model; what is counted in closed form needs one seed."""
    spec = {"kind": "unseen", "process": process, "model": model, "T": T, "seeds": list(range(seeds))}
    return Cell({**spec, "words": s.words, "settings": s.settings})


# --------------------------------------------------------------------------------------------------------------------
# The measurement: a specification and a device in, rows out, one per seed.


def measure(spec: Mapping[str, Any], device: torch.device) -> list[dict[str, Any]]:
    return count(spec) if spec["kind"] == "counting" else extrapolate(spec, device)


def count(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Free parameters against T, of the model that is made for that T; those of a table beyond memory are predicted."""
    with torch.device("meta"):  # the shapes of all parameters, without their memory
        records = parameter_records(lambda T: build(spec["model"], 2, T, None), 2, spec["T"])
    return [{name: record[name] for name in ("T", "free_parameters")} for record in records]


def extrapolate(spec: Mapping[str, Any], device: torch.device) -> list[dict[str, Any]]:
    """Train on words of T symbols, score every position of words of 256, and follow the states there."""
    process, seeds, T = naming.build("process", spec["process"], PROCESSES), spec["seeds"], spec["T"]
    untrained = build(spec["model"], process.alphabet_size, T, len(seeds))
    fitted = fit(untrained, process(T), seed=seeds[0], device=device, **spec["settings"])
    rows = excess_records(fitted.model.double().cpu(), process, T, KEPT, spec["words"])
    if spec["model"] == RNN:
        rows = [row | more for row, more in zip(rows, network_records(fitted, process, T, KEPT), strict=True)]
    return [row | training_record(fitted, r) for r, row in enumerate(rows)]


# --------------------------------------------------------------------------------------------------------------------
# The decision. A rule stood here before the first standard run; when its two thresholds were chosen a pilot with five
# seeds on even, rrxor and mess3 had been seen. It was changed once after that run, against the claim: it had averaged
# over positions 129 to 256 alone, and so held on even(p=0.1), whose loss is above the tolerance at positions 17 to 64
# and falls again. Now the worst octave counts. And the number was the mean over processes, which rrxor alone decides.
# Together with the rule max_steps went from 6000 to 4000, and the other training lengths were added, which have no say.

TOLERANCE, LEARNED = 0.01, 0.001  # nats per symbol
MIN_SEEDS, MIN_LEARNED = 5, 0.8
HOLDS, REFUTED = "holds", "refuted for this process"

RULE = (
    f"Networks with H = 16 are trained at T = {TRAINED} on the exact tree of each of nine processes. Their loss above "
    "the exact floor, nats per symbol, is averaged over octaves of unseen positions (9 to 16, 17 to 32, ..., 129 to "
    "256). Of every seed the worst octave counts, with a 95 % t-interval over seeds, widened by two Monte Carlo "
    f"standard errors. The claim holds on a process if the interval lies below {TOLERANCE}, is refuted for this "
    f"process if it lies above {TOLERANCE}, and is open otherwise. Seeds must have learned the process first: at "
    f"least four fifths of them lose less than {LEARNED} at positions 1 to {TRAINED}.\n"
    "Supported: it holds on at least two thirds of the nine, and the network has as many parameters at every T. "
    "Refuted: it is refuted for at least half of the nine, or the counts differ. Inconclusive: anything else; fewer "
    "than nine processes learned, or fewer than five seeds.\n"
    "The number is how many of the nine it holds on; the upper end adds those that are open."
)


class Trial(NamedTuple):
    """One process: what its networks lose at unseen positions, by seed, and what they lost where they learned."""

    process: str
    unseen: pd.Series  # nats per symbol in the worst octave, by seed
    interval: Interval
    trained: float  # nats per symbol
    learned: float  # share of seeds
    converged: float  # share of seeds

    @property
    def outcome(self) -> str:
        if self.learned < MIN_LEARNED:
            return "not learned"
        return self.interval.against(TOLERANCE, above=REFUTED, below=HOLDS)

    def __str__(self) -> str:
        return f"{self.process}: {self.outcome}, {self.interval:.2g}, in training {self.trained:.1g}"


def decide(frame: pd.DataFrame) -> Verdict:
    trials = hold_trials(frame)
    outcomes = [trial.outcome for trial in trials]
    holds, refuted, unlearned = (outcomes.count(outcome) for outcome in (HOLDS, REFUTED, "not learned"))
    seeds = min((len(trial.unseen) for trial in trials), default=0)
    missing = too_few(len(trials) - unlearned, len(SOURCES), "of the nine processes were learned")
    missing = missing or too_few(seeds, MIN_SEEDS, "seeds")
    reason = f"It holds on {holds} of {len(SOURCES)} processes and is refuted for {refuted}; nats per symbol:"
    counts = frame.loc[(frame["kind"] == "counting") & (frame["model"] == RNN), "free_parameters"]
    if counts.empty:
        verdict, reason = "inconclusive", "No parameters were counted."
    elif counts.nunique() != 1:
        verdict, reason = "refuted", "The network has not as many parameters at every T."
    elif missing:
        verdict, reason = "inconclusive", missing
    else:
        enough, half = 3 * holds >= 2 * len(SOURCES), 2 * refuted >= len(SOURCES)
        verdict = "supported" if enough else "refuted" if half else "inconclusive"
    reasons = "\n".join([reason, *map(str, trials), at_other_lengths(frame)])
    return Verdict(verdict, holds, holds, holds + outcomes.count("open"), f"of {len(SOURCES)} processes", RULE, reasons)


def at_other_lengths(frame: pd.DataFrame) -> str:
    """How many processes are above the tolerance by the length of the words trained on: a verdict holds for its own."""
    mean = of_networks(frame).groupby(["T", "process"])["excess_unseen_nats_per_symbol"].mean()
    above = [f"{(part > TOLERANCE).sum()} of {len(part)} at T = {T}" for T, part in mean.groupby("T")]
    return "Mean over seeds above the tolerance, by training length: " + ", ".join(above) + "."


def hold_trials(frame: pd.DataFrame) -> list[Trial]:
    """The trial of every process that networks were trained on."""
    rows = deciding(frame)
    return [hold_trial(process, rows[rows["process"] == process]) for process in rows["process"].unique()]


def hold_trial(process: str, rows: pd.DataFrame) -> Trial:
    unseen = rows.set_index("seed")["excess_unseen_nats_per_symbol"].dropna()
    trained = rows["excess_trained_nats_per_symbol"]
    mean, low, high = t_interval(unseen)
    sampling = 2 * float(rows["standard_error_unseen_nats_per_symbol"].mean())  # all seeds have the same words
    interval = Interval(mean, low - sampling, high + sampling)
    learned_it, converged = float((trained < LEARNED).mean()), float(rows["converged"].mean())
    return Trial(process, unseen, interval, float(trained.mean()), learned_it, converged)


def learned(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["kind"] == "unseen"]


def of_networks(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[(frame["kind"] == "unseen") & (frame["model"] == RNN)]


def deciding(frame: pd.DataFrame) -> pd.DataFrame:
    """Networks trained on words of the length that the verdict is about."""
    rows = of_networks(frame)
    return rows[rows["T"] == TRAINED]


# --------------------------------------------------------------------------------------------------------------------
# The figures and tables.

COLOURS = {HOLDS: "blue", REFUTED: "vermillion", "open": "purple", "not learned": "grey"}


def colours(frame: pd.DataFrame) -> dict[str, str]:
    """Those of the processes, by what the rule says of them."""
    return {trial.process: OKABE_ITO[COLOURS[trial.outcome]] for trial in hold_trials(frame)}


FIGURES = {
    "excess-by-position": Figure(
        f"Loss above the exact floor H(y_t | y_<t), by position, after training on words of {TRAINED} symbols. Bands: "
        "lowest to highest seed. Dotted: the tolerance of the rule. Dashed: the table's last rows, slid along as a "
        "window of 7 symbols. Cross: here the table ends. What is below 10⁻⁹ is drawn on the lower edge.",
        lambda frame: report.excess_by_position(learned(frame).query(f"T == {TRAINED}"), CONTESTANTS, TOLERANCE),
    ),
    "graphs": Figure(
        "One program, drawn twice. Left: the recurrent graph; a black square delays by one step. It is the traced "
        "program folded, which works because all its steps have the same parents. Middle: unfolded, as traced at T = "
        "4. Right: the full table, where every step has more parents than the one before, so that nothing folds.",
        lambda _: fold_beside(Recurrent(2, 4), Tabular(2, 4), duration=4),
    ),
    "drift": Figure(
        "Left: distance from h_t to the nearest state of any shorter prefix that training visited, in units of the "
        "spread of those states; mean over seeds. Right: the largest such distance at unseen positions against the "
        "loss above the floor in the worst octave, a point per seed. Blue: holds. Vermillion: refuted. Purple: open.",
        lambda frame: report.drift_and_cost(deciding(frame), colours(frame), TRAINED, TOLERANCE),
    ),
    "training-length": Figure(
        "Loss above the floor in the worst octave of unseen positions, against the length T of the training words; "
        f"mean over seeds. What decides is T = {TRAINED}; what fails there need not fail for good. Colours as before.",
        lambda frame: report.excess_against_training_length(of_networks(frame), colours(frame), TOLERANCE),
    ),
    "losses": Figure(
        f"Training loss on the exact tree of words of {TRAINED} symbols, a line per seed, over the floor H({TRAINED}) "
        "that no model gets below. Step 1 is the untrained network.",
        lambda frame: losses_over_floors(deciding(frame)),
    ),
    "parameters-against-t": Figure(
        "Free parameters against T. A function for every step costs 2^T - 1 numbers and meets the memory wall (1 GiB) "
        "before T = 32. One shared function costs the same at every T.",
        lambda frame: parameters_of_two_symbols(frame[frame["kind"] == "counting"], COUNTED),
    ),
}


def tables(frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    rows = learned(frame)
    window = rows[rows["model"] == WINDOW].set_index("process")["excess_unseen_nats_per_symbol"]
    outcomes = [
        {
            "process": trial.process,
            "claim": trial.outcome,
            "trained positions": trial.trained,
            "unseen positions": trial.interval.mean,
            "low": trial.interval.low,
            "high": trial.interval.high,
            "seeds above tolerance": f"{int((trial.unseen > TOLERANCE).sum())} of {len(trial.unseen)}",
            "window of 7, unseen": window[trial.process],
            "converged": f"{trial.converged:.0%}",
        }
        for trial in hold_trials(frame)
    ]
    refusals = rows.loc[rows["model"] == TABLE, ["refusal"]].drop_duplicates()
    return [
        (
            "Loss above the floor, nats per symbol, mean over seeds; of unseen positions the worst octave. Where the "
            "network is above the window, repeating f is worse than forgetting all but the last 7 symbols.",
            pd.DataFrame(outcomes),
        ),
        (f"What the table for T = {TRAINED} says to words of {LONGEST} symbols.", refusals),
    ]


STUDY = Study(
    name="unfolding",
    claim=1,
    title="One shared transition against a function for every step",
    statement="h(t) = g_t(x_t, ..., x_1) = f(h(t-1), x_t): one shared transition replaces a different function g_t of "
    "the whole past for every t. The input size is fixed, the same f serves every step, and the model runs at lengths "
    "never seen in training.",
    question="Trained on words of 8 symbols, is the shared transition still right at position 256, and where do its "
    "states go?",
    grid=grid,
    measure=measure,
    decide=decide,
    figures=FIGURES,
    tables=tables,
    notes=(
        "The recurrent and the unfolded graph give the same numbers, to 10⁻¹² in float64: f repeated, and g_t written "
        "out as nested functions of the whole past.",
        "The network has H² + 2kH + H + k parameters at every T; the table k + k² + … + k^T.",
        "The traced program folds into the recurrent graph: all steps have the same parents. The table's does not.",
        "The window of 7 loses exactly H(y_8 | y_<8) - H(y_t | y_<t) at position t.",
    ),
)
