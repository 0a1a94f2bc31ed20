"""Backpropagation through time: are the lecture's gradients right, what do they cost, and must the steps wait?

The lecture says of the unfolded network that the forward pass takes O(T) time and is inherently sequential, that memory
is O(T) because the states are kept for the backward pass; and it writes the gradients down. Three kinds of cells:

* `check`: the formulas, coded as written, against autograd and against central differences, node by node.
* `cost`: time and peak memory against T, with the states kept, dropped, and recomputed in segments.
* `newton`: all states at once by Newton's method, which needs few dependent steps where the network forgets.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any, NamedTuple

import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from torch import Tensor

from pgm_rnn import fit
from pgm_rnn.experiment.costs import Step, fewest_seconds, growth_exponent, peak_bytes
from pgm_rnn.experiment.intervals import Interval, t_interval
from pgm_rnn.experiment.study import Cell, Figure, Study, Verdict
from pgm_rnn.family import Family
from pgm_rnn.inference.gradient_check import gradient_differences
from pgm_rnn.inference.newton import dependent_steps, lyapunov_exponent, newton_states, scan_depth
from pgm_rnn.inference.segments import loss_along, loss_in_segments
from pgm_rnn.models import Recurrent
from pgm_rnn.processes import PROCESSES
from pgm_rnn.report.figures import OKABE_ITO, line_with_band, log_axis, panels
from pgm_rnn.report.labels import Label, label_ends
from pgm_rnn.summaries import trajectory

# --------------------------------------------------------------------------------------------------------------------
# The grid. `seeds` lists a seed for every row: it decides the network's weights and the words that it reads.
#
# Two things were changed after the first standard run, neither of them the rule or the verdict. Costs were seconds of
# the clock, which other programs on the machine had lengthened at will (the exponent's interval was 0.88 .. 1.2); and
# the inner T of Newton were others.

GAINS = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
TRAINED = ("even", "mess3", "rrxor")
NEWTON_T = (8, 16, 64, 256, 1024, 4096)


class Scale(NamedTuple):
    seeds: int
    cost_durations: tuple[int, ...]
    rounds: int  # turns of every way to compute; the fastest counts
    newton_durations: tuple[int, ...]
    gains: tuple[float, ...]
    processes: tuple[str, ...]


SCALES = {
    "smoke": Scale(2, (64, 256), 2, (8, 64, 256), (0.5, 2.0), ()),
    "standard": Scale(5, (64, 256, 1024, 4096), 3, NEWTON_T, GAINS, TRAINED),
    "full": Scale(10, (64, 128, 256, 512, 1024, 2048, 4096), 5, NEWTON_T, GAINS, TRAINED),
}


def grid(scale: str) -> list[Cell]:
    s = SCALES[scale]
    seeds = range(s.seeds)
    cells = [Cell({"kind": "check", "seeds": [seed] * len(FORMULAS)}) for seed in seeds]
    cost = {"kind": "cost", "durations": s.cost_durations, "rounds": s.rounds}
    cells += [Cell({**cost, "seeds": [seed] * len(WAYS) * len(s.cost_durations)}) for seed in seeds]
    newton = {"kind": "newton", "durations": s.newton_durations, "seeds": [*seeds] * len(s.newton_durations)}
    cells += [Cell({**newton, "gain": gain}) for gain in s.gains]
    return cells + [Cell({**newton, "process": process}) for process in s.processes]


def measure(spec: Mapping[str, Any], device: torch.device) -> list[dict[str, Any]]:
    return {"check": check, "cost": cost, "newton": newton}[spec["kind"]](spec, device)


def network(k: int, H: int, seed: int) -> tuple[Recurrent, torch.Generator]:
    """Weights as training would start from, in float64, and the generator of what else the seed decides."""
    model = Recurrent(k, H).double()
    model.reset_parameters([seed])
    return model, torch.Generator().manual_seed(seed)


# --------------------------------------------------------------------------------------------------------------------
# The check: small networks and few words, for every entry of every node is moved on its own.

FORMULAS = {
    "L": ("(N, T)", "1"),
    "yhat": ("(N, T, k)", "-1(i = y_t) / ŷ_(t,i)"),
    "o": ("(N, T, k)", "ŷ_(t,i) - 1(i = y_t)"),
    "h": ("(N, T, H)", "Wᵀ diag(1 - h²_(t+1)) dh_(t+1) + Vᵀ do_t"),
    "a": ("(N, T, H)", "diag(1 - h²_t) dh_t"),
    "c": ("(k,)", "Σ_t do_t"),
    "V": ("(k, H)", "Σ_t do_t h_tᵀ"),
    "b": ("(H,)", "Σ_t diag(1 - h²_t) dh_t"),
    "W": ("(H, H)", "Σ_t diag(1 - h²_t) dh_t h_(t-1)ᵀ"),
    "U": ("(H, k)", "Σ_t diag(1 - h²_t) dh_t x_tᵀ"),
    "W_t": ("(T, H, H)", "diag(1 - h²_t) dh_t h_(t-1)ᵀ"),
    "U_t": ("(T, H, k)", "diag(1 - h²_t) dh_t x_tᵀ"),
}


def check(spec: Mapping[str, Any], device: torch.device) -> list[dict[str, Any]]:
    """The lecture's formulas against autograd and central differences: a row per node, for one network."""
    model, generator = network(3, 4, spec["seeds"][0])
    words = torch.randint(3, (3, 12), generator=generator)
    return [
        {"node": node, "autograd_relative_difference": gap.autograd, "central_relative_difference": gap.central}
        for node, gap in gradient_differences(model.to(device), words.to(device)).items()
    ]


# --------------------------------------------------------------------------------------------------------------------
# The costs. All ways take the same steps, one after the other; they differ in what is kept.

WORDS, WIDTH = 16, 32
WAYS = {
    "dropped": ("forward, states dropped", OKABE_ITO["grey"]),
    "forward": ("forward, states kept", OKABE_ITO["sky"]),
    "backward": ("forward + backward", OKABE_ITO["vermillion"]),
    "segments": ("the same in √T segments", OKABE_ITO["green"]),
}


def cost(spec: Mapping[str, Any], device: torch.device) -> list[dict[str, Any]]:
    """Seconds and peak memory: a row for every T and way. The ways take turns, and the fastest turn counts."""
    model, generator = network(2, WIDTH, spec["seeds"][0])
    rows = []
    for T in spec["durations"]:
        steps = ways(model.to(device), torch.randint(2, (WORDS, T), generator=generator).to(device))
        steps["backward"]()  # from now on gradients are there, to be added to
        seconds = fewest_seconds(steps, spec["rounds"], device)
        memory = {way: peak_bytes(step, device) for way, step in steps.items()}
        rows += [{"T": T, "way": way, "seconds": seconds[way], "peak_bytes": memory[way]} for way in WAYS]
    return rows


def ways(model: Recurrent, words: Tensor) -> dict[str, Step]:
    """What is timed and weighed, by name."""

    def start() -> tuple[Any, Tensor, Tensor]:
        law = model(words.shape[1])
        return law, law.initial_state((len(words),)), words

    return {
        "dropped": torch.no_grad()(lambda: loss_along(*start())),
        "forward": lambda: loss_along(*start()),
        "backward": lambda: loss_along(*start())[0].backward(),
        "segments": lambda: loss_in_segments(*start()).backward(),
    }


# --------------------------------------------------------------------------------------------------------------------
# Newton. In random networks W has independent normal entries of variance g²/H; without input, large ones become chaotic
# beyond g = 1 (Sompolinsky, Crisanti and Sommers 1988). Trained networks stand beside them. Each reads one long word,
# and its beginnings are the shorter ones.

UNITS = 16
CAP = 200  # iterations; by then Newton has more dependent steps than the sequential pass, at every T of the grid
REACHED = 1e-10  # largest difference to the sequential states


def newton(spec: Mapping[str, Any], device: torch.device) -> list[dict[str, Any]]:
    """Newton against the sequential pass: a row for every T and network."""
    seeds, longest = sorted(set(spec["seeds"])), max(spec["durations"])
    if "gain" in spec:
        net, made = f"g = {spec['gain']}", random_networks(spec["gain"], seeds, longest)
    else:
        net, made = f"trained: {spec['process']}", trained_networks(spec["process"], seeds, longest)
    pairs = dict(zip(seeds, made, strict=True))
    rows = []
    for T, seed in product(spec["durations"], seeds):
        model, word = pairs[seed]
        rows.append({"net": net, "T": T, **solve(model.to(device), word[:, :T].to(device))})
    return rows


def random_networks(gain: float, seeds: list[int], T: int) -> Iterator[tuple[Family, Tensor]]:
    """Random networks, each with a random word."""
    for seed in seeds:
        model, generator = network(2, UNITS, seed)
        entries = torch.randn(UNITS, UNITS, generator=generator, dtype=torch.double)
        model.W.data = gain * entries / math.sqrt(UNITS)
        yield model, torch.randint(2, (1, T), generator=generator)


def trained_networks(name: str, seeds: list[int], T: int) -> Iterator[tuple[Family, Tensor]]:
    """Networks trained on the process up to T = 8, each with a word of the process."""
    process = PROCESSES[name]()
    untrained = Recurrent(process.alphabet_size, UNITS, replicates=len(seeds))
    model = fit(untrained, process(8), seed=seeds[0], restarts=1).model.double().cpu()
    for r, seed in enumerate(seeds):
        yield model.replicate(r), process(T).sample((1,), generator=torch.Generator().manual_seed(seed))


def solve(model: Recurrent, word: Tensor) -> dict[str, Any]:
    """Both ways to the states of one word, timed."""
    T = word.shape[1]
    found: dict[str, Any] = {}
    steps: dict[str, Step] = {
        "newton": lambda: found.update(newton=newton_states(model, word, max_iterations=min(T, CAP))),
        "sequential": lambda: found.update(states=trajectory(model, word[:, :-1]).detach()),
    }
    seconds = fewest_seconds(steps, 1, word.device)
    solution, difference = found["newton"], float((found["newton"].states - found["states"]).abs().max())
    return {
        "lyapunov_nats_per_step": float(lyapunov_exponent(model, word)),
        "iterations": solution.iterations,
        "dependent_steps": dependent_steps(solution.iterations, T),
        "residual": solution.residual,
        "difference": difference,
        "reached": solution.converged and difference <= REACHED,
        **{f"{name}_seconds": value for name, value in seconds.items()},
    }


# --------------------------------------------------------------------------------------------------------------------
# The decision. It stood here before the first standard run. The claim has three parts, and falls if any of them does.

RULE = (
    "Formulas: refuted if any gradient of any network differs from autograd's by more than 1e-10, or from central "
    "differences by more than 1e-6, relative to the node's largest entry; else supported.\n"
    "Cost: exponents in T of time and peak memory, fitted for each repeat, up to at least T = 1024. Supported if the "
    "95 % t-intervals over repeats lie within 0.8 .. 1.2 for forward + backward, time and memory; below 0.2 for the "
    "memory of a forward pass that drops its states; and below 0.75 for that of recomputing in segments: then it is "
    "the kept states that cost O(T). Refuted if any of the four intervals lies outside its range. Else open.\n"
    "Inherently sequential: random networks with gain g of at most 1, at the longest T, which is at least 1024. For "
    "each seed s = dependent steps of Newton / T, averaged over these g. Refuted if Newton reaches the sequential "
    "states of all these networks to 1e-10 and the 95 % t-interval of s lies below 1; supported if it reaches at most "
    "half of them, or the interval lies above 1. Else open.\n"
    "A part is open with fewer than five seeds. The claim is refuted if any part is, supported if all are, and "
    "inconclusive otherwise. The number is s."
)

EXACT, CENTRAL = 1e-10, 1e-6
RANGES = {  # of exponents, by way and column
    ("backward", "seconds"): (0.8, 1.2),
    ("backward", "peak_bytes"): (0.8, 1.2),
    ("dropped", "peak_bytes"): (-math.inf, 0.2),
    ("segments", "peak_bytes"): (-math.inf, 0.75),
}
MIN_SEEDS, LONG, CONTRACTING = 5, 1024, 1.0


class Part(NamedTuple):
    """One part of the claim: supported, refuted or open, and why."""

    outcome: str
    reason: str


def decide(frame: pd.DataFrame) -> Verdict:
    parts = {"Formulas": judge_formulas, "Cost": judge_cost, "Inherently sequential": judge_sequential}
    judged = {name: judge(frame) for name, judge in parts.items()}
    outcomes = {part.outcome for part in judged.values()}
    verdict = "refuted" if "refuted" in outcomes else "supported" if outcomes == {"supported"} else "inconclusive"
    lines = [f"{name}: {part.outcome}. {part.reason}" for name, part in judged.items()]
    share = t_interval(shares(contracting(frame)))
    unit = "dependent steps of Newton for one of the sequential pass"
    return Verdict(verdict, *share, unit, RULE, "\n".join([*lines, where_it_holds(final(frame))]))


def judge_formulas(frame: pd.DataFrame) -> Part:
    rows = kind(frame, "check")
    if len(set(rows["seed"])) < MIN_SEEDS:
        return Part("open", f"Only {len(set(rows['seed']))} seeds.")
    exact, central = (rows[f"{name}_relative_difference"].max() for name in ("autograd", "central"))
    right = exact <= EXACT and central <= CENTRAL and set(rows["node"]) == set(FORMULAS)
    reason = f"Relative differences are at most {exact:.1g} to autograd and {central:.1g} to central differences."
    return Part("supported" if right else "refuted", reason)


def judge_cost(frame: pd.DataFrame) -> Part:
    rows = kind(frame, "cost")
    if reason := too_little(rows):
        return Part("open", reason)
    fitted = {what: exponent(rows, *what) for what in RANGES}
    inside = [low <= fitted[what].low and fitted[what].high <= high for what, (low, high) in RANGES.items()]
    outside = [fitted[what].high < low or fitted[what].low > high for what, (low, high) in RANGES.items()]
    time, memory, dropped, segments = map(brief, fitted.values())
    reason = f"Exponents in T: time {time}, memory {memory}; memory with the states dropped {dropped}, "
    reason += f"recomputed in segments {segments}."
    return Part("refuted" if any(outside) else "supported" if all(inside) else "open", reason)


def judge_sequential(frame: pd.DataFrame) -> Part:
    rows = contracting(frame)
    if reason := too_little(rows):
        return Part("open", reason)
    reached, share = rows["reached"].astype(bool), t_interval(shares(rows))
    reason = (
        f"Where g is at most 1, Newton reaches {reached.sum()} of {len(rows)} networks at T = {rows['T'].max():,.0f}"
    )
    reason += f", with {brief(share)} dependent steps for one of the sequential pass."
    if reached.all() and share.high < 1:
        return Part("refuted", reason)
    return Part("supported" if reached.mean() <= 0.5 or share.low > 1 else "open", reason)


def too_little(rows: pd.DataFrame) -> str:
    """Why a part stays open whatever its rows say, or nothing."""
    if len(set(rows["seed"])) < MIN_SEEDS:
        return f"Only {len(set(rows['seed']))} seeds."
    return f"Only up to T = {rows['T'].max():.0f}." if rows["T"].max() < LONG else ""


def where_it_holds(rows: pd.DataFrame) -> str:
    """How many networks Newton reaches, by the sign of their exponent."""
    chaotic, reached = rows["lyapunov_nats_per_step"] > 0, rows["reached"].astype(bool)
    below, above = (f"{(reached & which).sum()} of {which.sum()}" for which in (~chaotic, chaotic))
    return (
        f"Of all networks at the longest T, trained ones among them, Newton reaches {below} with a Lyapunov exponent "
        f"below 0 and {above} with one above 0; for the others nothing here is faster than one step after the other."
    )


def kind(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    return frame[frame["kind"] == name]


def final(frame: pd.DataFrame) -> pd.DataFrame:
    """What Newton did at the longest T."""
    rows = kind(frame, "newton")
    return rows[rows["T"] == rows["T"].max()]


def contracting(frame: pd.DataFrame) -> pd.DataFrame:
    rows = final(frame)
    return rows[rows["gain"] <= CONTRACTING]


def shares(rows: pd.DataFrame) -> pd.Series:
    """Dependent steps of Newton for one of the sequential pass, by seed."""
    return (rows["dependent_steps"] / rows["T"]).groupby(rows["seed"]).mean()


def exponent(rows: pd.DataFrame, way: str, column: str) -> Interval:
    """The exponent in T of a cost, with its interval over repeats."""
    mine = rows[rows["way"] == way]
    return t_interval(growth_exponent(own["T"].tolist(), own[column].tolist()) for _, own in mine.groupby("seed"))


def brief(interval: Interval) -> str:
    mean, low, high = (f"{round(x, 2) + 0.0:.2f}" for x in interval)  # no -0.00
    return f"{mean} [{low}, {high}]"


# --------------------------------------------------------------------------------------------------------------------
# The figures and tables.

NETS = {
    "g = 0.5": OKABE_ITO["green"],
    "g = 1.0": OKABE_ITO["sky"],
    "g = 1.5": OKABE_ITO["blue"],
    "g = 2.0": OKABE_ITO["orange"],
    "g = 2.5": OKABE_ITO["vermillion"],
    "g = 3.0": OKABE_ITO["purple"],
    "trained: even": OKABE_ITO["green"],
    "trained: mess3": OKABE_ITO["blue"],
    "trained: rrxor": OKABE_ITO["vermillion"],
}


def draw_costs(frame: pd.DataFrame) -> Drawing:
    """Time and peak memory against T, each line with its exponent."""
    rows = kind(frame, "cost")
    rows = rows.assign(ms=1e3 * rows["seconds"], kB=rows["peak_bytes"] / 1e3)
    figure, grid = panels(["Time", "Peak memory"], size=(2.6, 2.9), margin=2.6)
    for axes, column, title in zip(grid, ("ms", "kB"), ("time (ms)", "peak memory (kB)"), strict=True):
        labels = []
        for way, (label, colour) in WAYS.items():
            mine = rows[rows["way"] == way]
            line_with_band(axes, mine, "T", column, colour)
            slope = brief(exponent(rows, way, column)).split()[0]
            labels.append(end_label(mine, column, f"{label}: T^{slope}", colour))
        duration_axis(axes, rows["T"])
        log_axis(axes, "y", rows[column].min() / 2, rows[column].max() * 2)
        axes.set_ylabel(title)
        label_ends(axes, labels)
    return figure


def duration_axis(axes: Axes, T: pd.Series) -> None:
    """Logarithmic, with the shortest T, the longest, and each fourfold one between."""
    log_axis(axes, "x", T.min(), T.max())
    ticks = [int(t) for t in sorted(set(T)) if math.log(T.max() / t, 4) % 1 == 0]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.set_xlabel("duration T (symbols)")


def end_label(rows: pd.DataFrame, column: str, text: str, colour: str) -> Label:
    """A label at the end of the line of means."""
    last = rows[rows["T"] == rows["T"].max()]
    return Label(text, float(last["T"].max()), float(last[column].mean()), colour)


def draw_newton(frame: pd.DataFrame) -> Drawing:
    """Iterations against T, and at the longest T against the Lyapunov exponent."""
    rows = kind(frame, "newton")
    figure, grid = panels(["Random networks", "Trained networks", "All, at the longest T"], size=(2.3, 2.9), margin=1.1)
    for axes, part in zip(grid, (rows[rows["gain"].notna()], rows[rows["gain"].isna()]), strict=False):
        draw_iterations(axes, part)
    grid[0].set_ylabel("Newton iterations")
    for (net, reached), mine in final(frame).groupby(["net", "reached"], sort=False):
        marker = "x" if not reached else "D" if mine["gain"].isna().all() else "o"
        x, y = mine["lyapunov_nats_per_step"], mine["iterations"]
        grid[2].plot(x, y, linestyle="", marker=marker, color=NETS[str(net)])
    grid[2].axvline(0, color=OKABE_ITO["black"], linewidth=0.9)
    log_axis(grid[2], "y", 1, 1.3 * CAP)
    grid[2].set_xlabel("Lyapunov exponent (nats/step)")
    return figure


def draw_iterations(axes: Axes, rows: pd.DataFrame) -> None:
    """A line for each kind of network, and the iterations at which Newton has as many dependent steps as T."""
    labels = []
    for net, mine in rows.groupby("net", sort=False):
        line_with_band(axes, mine, "T", "iterations", NETS[str(net)])
        labels.append(end_label(mine, "iterations", str(net).removeprefix("trained: "), NETS[str(net)]))
    even = [(T - 1) / (1 + scan_depth(T)) for T in NEWTON_T]
    axes.plot(NEWTON_T, even, color=OKABE_ITO["black"], linestyle=(0, (5, 2)), linewidth=0.9)
    labels.append(Label("break-even", NEWTON_T[-1], even[-1], OKABE_ITO["black"]))
    duration_axis(axes, pd.Series(NEWTON_T))
    log_axis(axes, "y", 1, 1.3 * CAP)
    axes.set_ylabel("")
    label_ends(axes, labels)


FIGURES = {
    "newton": Figure(
        "Newton iterations until all states are there. Lines: mean over networks; bands: fewest to most. Below the "
        "dashed line Newton has fewer dependent steps than the sequential pass. Right: every network against its "
        f"largest Lyapunov exponent; diamonds: trained; crosses: not reached within {CAP} iterations.",
        draw_newton,
    ),
    "costs": Figure(
        "Time and peak memory against T, with the fitted exponents. Lines: mean over repeats; bands: lowest to "
        f"highest. {WORDS} words, H = {WIDTH}, float64, one thread, whose time on the processor counts.",
        draw_costs,
    ),
}


def gradient_table(frame: pd.DataFrame) -> pd.DataFrame:
    worst = kind(frame, "check").groupby("node")[["autograd_relative_difference", "central_relative_difference"]].max()
    lines = []
    for node, (shape, formula) in FORMULAS.items():
        autograd, central = worst.loc[node]
        line = {"gradient": f"d{node}", "shape": shape, "formula": formula}
        lines.append(line | {"from autograd": autograd, "from central differences": central})
    return pd.DataFrame(lines)


def cost_table(frame: pd.DataFrame) -> pd.DataFrame:
    rows = kind(frame, "cost")
    longest = rows[rows["T"] == rows["T"].max()].groupby("way")[["seconds", "peak_bytes"]].mean()
    lines = []
    for way, (label, _) in WAYS.items():
        line = {"way": label, "exponent of time [95 %]": brief(exponent(rows, way, "seconds"))}
        line |= {"exponent of memory [95 %]": brief(exponent(rows, way, "peak_bytes"))}
        seconds, memory = longest.loc[way]
        line |= {"time (ms)": 1e3 * seconds, "memory (kB)": memory / 1e3}
        lines.append(line | {"time / forward + backward": seconds / longest.loc["backward", "seconds"]})
    return pd.DataFrame(lines)


def newton_table(frame: pd.DataFrame) -> pd.DataFrame:
    lines = []
    for net, mine in final(frame).groupby("net", sort=False):
        line = {"network": net, "Lyapunov exponent (nats/step)": mine["lyapunov_nats_per_step"].mean()}
        line |= {
            "reached": f"{mine['reached'].astype(bool).sum()} of {len(mine)}",
            "iterations": mine["iterations"].mean(),
        }
        line |= {"dependent steps / T": shares(mine).mean()}
        line |= {"other orbits": int(((mine["residual"] <= REACHED) & (mine["difference"] > REACHED)).sum())}
        lines.append(line | {"time / sequential": (mine["newton_seconds"] / mine["sequential_seconds"]).mean()})
    return pd.DataFrame(lines)


def tables(frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return [
        (
            "The gradient check in float64: k = 3, H = 4, three words of 12 steps. Largest difference over entries "
            "and networks, relative to the node's largest entry. W_t and U_t are copies that serve step t alone.",
            gradient_table(frame),
        ),
        ("What it costs; the last three columns at the longest T, means over repeats.", cost_table(frame)),
        (
            f"Newton at the longest T, H = {UNITS}, float64, means over networks; those not reached count with what "
            "was spent on them. Other orbits: each step holds to 1e-10, yet the states are not those of the sequential "
            "pass, because chaos blows up the rounding errors of both. Times are on one thread, which does all of "
            "Newton's work by itself.",
            newton_table(frame),
        ),
    ]


STUDY = Study(
    name="bptt",
    claim=2,
    title="Backpropagation through time: the gradients, their cost, and whether the steps must wait",
    statement="Forward is O(T) and inherently sequential, memory is O(T) because states are kept for the backward "
    "pass; the gradients are the lecture's formulas.",
    question="Are the lecture's gradients right, how do time and memory grow with T, and must each step wait for the "
    "one before?",
    grid=grid,
    measure=measure,
    decide=decide,
    figures=FIGURES,
    tables=tables,
    notes=(
        "The formulas give the gradient of every node and parameter as autograd does, to 10⁻¹⁰ in float64; dW and dU "
        "are the sums over t of dW_t and dU_t, the gradients of copies that serve one step each.",
        "Erratum: on the slide the recursion reads Wᵀ dh_(t+1) diag(1 - h²_(t+1)), a column times a matrix, which does "
        "not conform; the last two factors belong the other way round.",
        "The engine of training has the same gradient, on words and on the prefix tree.",
        "Each Newton iteration makes at least one more state right, so T of them always suffice in exact arithmetic.",
    ),
)
