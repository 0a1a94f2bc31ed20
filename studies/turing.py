"""A recurrent network that runs a Turing machine: what it can compute, and what its digits let it compute.

The lecture's strongest claim: "a recurrent network of finite size can compute any function that a Turing machine can".
Siegelmann and Sontag proved it with a trick that fits on a page. Half of the tape is a stack, a stack is a number in
base 4 with the digits 1 and 3, and pushing, popping and reading the top are linear maps and clamps. Here the trick is a
compiler (``pgm_rnn/turing``; ``docs/turing.md`` derives it): a machine goes in, and out come A, B, c and a state to
begin with, of the network  s_(t+1) = sigma(A s_t + B u_t + c)  with  sigma(z) = min(max(z, 0), 1).

Three things are done with it.

* In exact rational numbers it runs beside the machine itself, and every step is compared. That is an identity: it
  follows from the construction, and no data could change it. The comparison is a check of the construction.
* In floating point the same weights compute only what their digits hold. When that ends is *predicted* first, from the
  machine alone, and measured then. The same with tanh units, whose gain takes the part of the digits.
* The other half of the claim: a network whose only recurrence is from its output cannot do it. For each machine, two
  moments that show the same output and go on differently.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

import pandas as pd
import torch
from matplotlib.figure import Figure as Drawing

from pgm_rnn.experiment.intervals import share_interval
from pgm_rnn.experiment.machines import ONE_TANH, boundary_record, lockstep_record
from pgm_rnn.experiment.study import Cell, Figure, Study, Verdict
from pgm_rnn.report import turing as report
from pgm_rnn.report.figures import OKABE_ITO
from pgm_rnn.turing import MACHINES, Machine, find_machine, lockstep
from pgm_rnn.turing.drawn import draw_machine, draw_palindrome
from pgm_rnn.turing.precision import PRECISIONS
from pgm_rnn.turing.wiring import STEPS

# --------------------------------------------------------------------------------------------------------------------
# The problems: machines that come with the package on words that grow, and machines drawn at random.

WORDS = {
    "increment": ("", "1011", "1" * 12, "1" * 40),
    "addition": ("1+1", "1011+110", "11111111+1", "1010101010+1100110011"),
    "multiplication": ("1*1=", "111*11=", "1111*1111="),
    "palindrome": ("", "10101", "0110110", "110100100001001011"),
    "brackets": ("", "(()())", "(()", "((((()))))()(())"),
    "busy-beaver": ("",),
    "copy": ("1", "1101", "0110100110010110"),
    "universal": ("1101011100000100110011yyAyyAyy", "1100100101101100000100011yAyAy"),  # one halts; 3 by Collatz's rule
}
DRAWN = "drawn"

# --------------------------------------------------------------------------------------------------------------------
# The grid. "lockstep" compares every step in exact numbers; "examples" and "palindromes" look for the boundary of an
# arithmetic. Seeds are those of drawn machines and of random palindromes. (A first standard run drew them with
# neighbouring seeds that began alike, so that many palindromes were the same; the rule was not touched.)

ARITHMETICS = ("float32", "float64", *(f"tanh-{exponent}" for exponent in range(2, 21, 2)))  # the gain is 2^exponent
GAINS = (0.5, 1.0, 2.0, 4.0, 16.0, 256.0)  # of the network with a single tanh for every unit

SCALES: dict[str, dict[str, Any]] = {
    "smoke": {"names": ("increment", "palindrome", "busy-beaver"), "drawn": 10, "lengths": (2, 6, 8), "seeds": 2},
    "standard": {"names": MACHINES, "drawn": 200, "lengths": tuple(range(1, 25)), "seeds": 5},
    "full": {"names": MACHINES, "drawn": 2_000, "lengths": tuple(range(1, 49)), "seeds": 20},
}
MAX_STEPS = {DRAWN: 100, "universal": 2_000}
ENOUGH = 1_000  # steps, for all others
BATCH = 50  # drawn machines in a cell


def grid(scale: str) -> list[Cell]:
    s = SCALES[scale]
    cells = [Cell({"kind": "lockstep", "machine": name, "words": WORDS[name]}) for name in s["names"]]
    batches = [list(range(first, min(first + BATCH, s["drawn"]))) for first in range(0, s["drawn"], BATCH)]
    cells += [Cell({"kind": "lockstep", "machine": DRAWN, "seeds": seeds}) for seeds in batches]
    for arithmetic in ("float32", "float64"):
        both = {"kind": "examples", "arithmetic": arithmetic}
        cells += [Cell({**both, "machine": name, "words": WORDS[name]}) for name in s["names"]]
        cells += [Cell({**both, "machine": DRAWN, "seeds": seeds}) for seeds in batches]
    for length in s["lengths"]:
        for arithmetic in ARITHMETICS if scale != "smoke" else ("float32", "float64", "tanh-4", "tanh-8"):
            spec = {"kind": "palindromes", "machine": "palindrome", "length": length, "arithmetic": arithmetic}
            cells.append(Cell({**spec, "seeds": list(range(s["seeds"]))}))
    return [*cells, Cell({"kind": "palindromes", "machine": "palindrome", "arithmetic": ONE_TANH, "gains": GAINS})]


def problems(spec: Mapping[str, Any]) -> list[tuple[Machine, str]]:
    """The machines and words of a cell, one for each row."""
    if spec["machine"] == DRAWN:
        return [draw_machine(seed) for seed in spec["seeds"]]
    machine = find_machine(spec["machine"])
    if "length" in spec:
        return [(machine, draw_palindrome(spec["length"], seed)) for seed in spec["seeds"]]
    return [(machine, word) for word in spec.get("words", [machine.example])]


def limit(spec: Mapping[str, Any]) -> int:
    return MAX_STEPS.get(spec["machine"], ENOUGH)


# --------------------------------------------------------------------------------------------------------------------
# The measurements.


def measure_cell(spec: Mapping[str, Any], _: torch.device) -> list[dict[str, Any]]:
    if spec["kind"] == "lockstep":
        return [lockstep_record(machine, word, limit(spec)) for machine, word in problems(spec)]
    if spec["arithmetic"] == ONE_TANH:
        ((machine, word),) = problems(spec)
        return [boundary_record(machine, word, f"{ONE_TANH}, gain {gain:g}", limit(spec)) for gain in spec["gains"]]
    return [boundary_record(machine, word, spec["arithmetic"], limit(spec)) for machine, word in problems(spec)]


# --------------------------------------------------------------------------------------------------------------------
# The decision, which stood here before the first standard run.

RULE = (
    "Exact: machine and network are compared at every step of every run, state and tape. Boundary: the first wrong "
    "symbol of each arithmetic, and for floating point the first inexact step, predicted from the machine alone and "
    "then measured. Output: two moments of a run that show the same state and symbol and are followed by different "
    "ones.\n"
    "Refuted: a single step differs in exact numbers, a machine's network is not of one size for all words, or the "
    "universal machine is never confused by its output. Supported: none of that, and predictions equal measurements in "
    "every run of floating point and in at least 95 % of those with two tanh units. Inconclusive: anything else; not "
    "all eight machines, fewer than 100 drawn ones, or fewer than 100 runs for the boundary.\n"
    "The number is the share of drawn machines that the network follows without a difference, with Wilson's interval."
)

MIN_DRAWN, MIN_RUNS, MIN_AGREEMENT = 100, 100, 0.95


def decide(frame: pd.DataFrame) -> Verdict:
    followed, looked = frame[frame["kind"] == "lockstep"], compared(frame)
    drawn, machines = followed[followed["machine"] == DRAWN], set(followed["machine"]) - {DRAWN}
    floats, agree = looked["arithmetic"].isin([*PRECISIONS]), agreement(looked)
    broken = what_is_broken(followed)
    missing = ""
    if machines < set(MACHINES) or len(drawn) < MIN_DRAWN or len(looked) < MIN_RUNS:
        missing = f"Only {len(machines)} machines, {len(drawn)} drawn ones, {len(looked)} runs for the boundary."
    elif not agree[floats].all() or agree[~floats].mean() < MIN_AGREEMENT:
        missing = "Not every boundary was where it was predicted."
    verdict = "refuted" if broken else "inconclusive" if missing else "supported"
    lines = [
        broken or missing,
        f"In exact numbers {int(followed['differing_steps'].sum())} of {int(followed['machine_steps'].sum()):,} steps "
        f"differ; {STEPS} steps of the network are one of the machine. This half is an identity: the construction "
        "proves it, the comparison checks it.",
        f"The boundary is where it was predicted in {agree[floats].mean():.0%} of {int(floats.sum()):,} runs in "
        f"floating point and {agree[~floats].mean():.0%} of {int((~floats).sum()):,} with two tanh units.",
    ]
    value, low, high = share_interval(int((drawn["differing_steps"] == 0).sum()), len(drawn))
    return Verdict(
        verdict, value, low, high, "share of drawn machines", RULE, "\n".join(line for line in lines if line)
    )


def compared(frame: pd.DataFrame) -> pd.DataFrame:
    """The runs whose boundary was predicted."""
    looked = frame[frame["kind"] != "lockstep"]
    return looked[~looked["arithmetic"].str.startswith(ONE_TANH)]


def agreement(looked: pd.DataFrame) -> pd.Series:
    """Whether predictions were met, run by run; what never came counts as such."""
    never = -1.0
    wrong = looked["predicted_wrong"].fillna(never) == looked["measured_wrong"].fillna(never)
    inexact = looked["predicted_inexact"].fillna(never) == looked["measured_inexact"].fillna(never)
    return wrong & (inexact | ~looked["arithmetic"].isin([*PRECISIONS]))


def what_is_broken(followed: pd.DataFrame) -> str:
    """What refutes the claim, or nothing."""
    differing = followed[followed["differing_steps"] > 0]
    if len(differing):
        return (
            f"Machine and network differ on {len(differing)} runs, the first of them of {differing['machine'].iloc[0]}."
        )
    sizes = followed[followed["machine"] != DRAWN].groupby("machine")["units"].nunique()
    if (sizes > 1).any():
        return f"The network of {sizes.idxmax()} is not of one size for all words."
    universal = followed[followed["machine"] == "universal"]
    if len(universal) and not universal["confused"].any():
        return "The universal machine's output tells its moments apart."
    return ""


# --------------------------------------------------------------------------------------------------------------------
# The figures and tables.

COLOURS = {
    "float64": OKABE_ITO["blue"],
    "float32": OKABE_ITO["vermillion"],
    "tanh-16": OKABE_ITO["green"],
    "tanh-8": OKABE_ITO["purple"],
}
LABELS = {"float64": "float64", "float32": "float32", "tanh-16": "tanh, g = 2¹⁶", "tanh-8": "tanh, g = 2⁸"}
SHOWN = ("busy-beaver", "palindrome", "multiplication", "addition", "copy", "universal")
ROWS = 400  # moments of a run that a picture shows


def draw_boundary(frame: pd.DataFrame) -> Drawing:
    rows = frame[(frame["kind"] == "palindromes") & ~frame["arithmetic"].str.startswith(ONE_TANH, na=False)]
    present = {name: colour for name, colour in COLOURS.items() if name in set(rows["arithmetic"])}
    return report.boundary(rows, present, LABELS)


def draw_space_time(_: pd.DataFrame) -> Drawing:
    """Read off the networks, step by step."""
    runs = []
    for name in SHOWN:
        machine = find_machine(name)
        moments = islice(lockstep(machine, machine.example), ROWS)
        runs.append((name, machine, [moment.net for moment in moments]))
    return report.space_time(runs)


def draw_units(_: pd.DataFrame) -> Drawing:
    """All units of one small network, step by step."""
    return report.unit_states(find_machine("increment"), "11")


FIGURES = {
    "boundary": Figure(
        "Where “computes everything” ends. Left: steps that the palindrome machine's network does right before it "
        "reads a first wrong symbol, on random palindromes, against their length on the stack (two bits a symbol). "
        "Black: exact numbers, which do all steps. Lines: predicted from the machine alone; dots: measured on the "
        "network; means over seeds. Right: the longest word up to which every run is right; a doubling of the gain "
        "holds one bit more, until it would meet float64, in which the tanh network runs too.",
        draw_boundary,
    ),
    "space-time": Figure(
        "The tape over time, read off the network, at most 400 steps of it: a row is a moment, a colour a symbol, the "
        "head a black dot. Each picture is the machine's own, at every step.",
        draw_space_time,
    ),
    "units": Figure(
        "The whole state of one network, adding 1 to binary 11: all it has are these numbers between 0 (white) and 1. "
        "Four layers take turns: hold, read, decide, act. First the input is loaded, its last symbol first.",
        draw_units,
    ),
}


def tables(frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    looked, named = compared(frame), frame[frame["machine"] != DRAWN]
    followed = named[named["kind"] == "lockstep"]
    return [
        (
            "The machines and their networks, which are of one size for all words. Weights: entries of A that are not "
            "zero. Net steps are four times the machine's; differing steps are those whose tape or state is not equal.",
            report.size_table(followed),
        ),
        (
            "By arithmetic: runs whose boundary was predicted, how many of them went wrong, in how many the prediction "
            "was met, and the longest word up to which every palindrome is decided without a wrong symbol.",
            report.agreement_table(looked.assign(met=agreement(looked))),
        ),
        (
            "Runs of these machines that are not exact in floating point: the first inexact state, and the first state "
            "with a wrong symbol, in steps of the network; empty where that does not happen. Earliest: a bound "
            "from the depth of the stacks alone.",
            report.precision_table(named[named["kind"] == "examples"]),
        ),
        (
            "One tanh for every unit, (1 + tanh(g (2z - 1))) / 2 in place of the clamp: where it is straight it does "
            "not silence, and where it silences it is not straight. The first wrong symbol comes while the word is "
            "loaded or soon after.",
            report.one_tanh_table(frame[frame["arithmetic"].str.startswith(ONE_TANH, na=False)]),
        ),
        (
            "What a network whose only recurrence is from its output cannot do. Two configurations of a run, at these "
            "steps of the machine, show the same state and symbol (in brackets); what they show next differs, so no "
            "function of the output gives both. Last: the share of next outputs that the best such function gets "
            "right on that run.",
            report.confusion_table(followed),
        ),
    ]


STUDY = Study(
    name="turing",
    claim=11,
    title="A recurrent network that runs a Turing machine",
    statement="A recurrent network of finite size can compute whatever a Turing machine can; one with recurrence from "
    "its output alone cannot.",
    question="Can a network of fixed size run any Turing machine, step by step, how far do floating-point digits carry "
    "it, and what is lost where only the output is fed back?",
    grid=grid,
    measure=measure_cell,
    decide=decide,
    figures=FIGURES,
    tables=tables,
    notes=(
        "Four steps of the network are one step of the machine: hold, read, decide, act; four load a symbol of input.",
        "A machine with Q states and k symbols takes 2Qk + 2Q + 2k + 21 units with rational weights for every input.",
        "In exact numbers the network's state is the machine's configuration, step for step.",
        "p bits hold a stack of n bits exactly if 2n ≤ p, or 2n - 1 ≤ p where the top bit is 0: 26 ones in float64.",
        "In a run that halts no configuration comes twice: of m + 1 moments, two show the same of m possible outputs.",
        "The claim is about outputs from a finite alphabet. An output vector of real numbers could carry both stacks.",
    ),
)
