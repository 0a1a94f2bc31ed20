"""Which unit drives which: the network of a Turing machine, unit by unit, before it is written as matrices.

Four layers in a ring, so four steps of the network are one step of the machine (``docs/turing.md`` derives it):

* *hold*: ``is q``, and the two halves of the tape as the numbers of stacks, ``L`` and ``R``, R's top under the head;
* *read*: ``sees q j``: the state is q and R's top has at least code j; ``under j`` does the same for L's top;
* *decide*: ``due q j``: the transition of q on j comes next, one unit for each line of the machine's table;
* *act*: the next state, and what becomes of L and R if the head moves left, right or not at all.

The layers take turns: what one of them holds, all others being 0, moves on to the next. All zeros stay zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from pgm_rnn.checks import check_budget
from pgm_rnn.turing.code import Code
from pgm_rnn.turing.machine import Machine, Transition

STEPS = 4
"""Steps of the network for one step of the machine."""

LOADING = "loading"
"""The unit that is 1 while the input is read, in each layer."""

MAX_UNITS = 4096
"""Larger networks are refused before anything is allocated."""

Weights = Mapping[str, Fraction | int]


@dataclass
class Wiring:
    """Units in their order, and what drives each of them.

    ``analog`` units carry the number of a stack, all others are 0 or 1. Inhibition is kept apart from what else drives
    a unit: each inhibiting source counts ``-strength``, which is more than anything can drive the other way.
    """

    strength: int
    units: list[str] = field(default_factory=list)
    analog: set[str] = field(default_factory=set)
    drive: dict[str, Weights] = field(default_factory=dict)
    bias: dict[str, Fraction] = field(default_factory=dict)
    inhibitors: dict[str, list[str]] = field(default_factory=dict)

    def add(self, name: str, drive: Weights, bias: Fraction | int = 0, unless: Iterable[str] = ()) -> None:
        self.units.append(name)
        self.drive[name], self.bias[name], self.inhibitors[name] = drive, Fraction(bias), list(unless)

    def add_number(self, name: str, drive: Weights, unless: Iterable[str] = ()) -> None:
        """A unit that carries the number of a stack."""
        self.add(name, drive, unless=unless)
        self.analog.add(name)


def wire(machine: Machine) -> Wiring:
    """The wiring of a machine.

    Raises:
        InputError: for a machine with more than :data:`MAX_UNITS` units.

    Example:
        >>> from pgm_rnn.turing.machine import INCREMENT, parse_machine
        >>> wiring = wire(parse_machine(INCREMENT))
        >>> wiring.drive["due right 1"]
        {'sees right 1': 1, 'sees right 2': -1}
    """
    check_budget("machine", size(machine), MAX_UNITS, "units", "use fewer states or symbols")
    code = Code(machine.alphabet, machine.bits)
    wiring = Wiring(strength=code.base)
    hold(wiring, machine)
    read(wiring, machine, code)
    decide(wiring, machine)
    act(wiring, machine, code)
    return wiring


def size(machine: Machine) -> int:
    """The number N of units, from the numbers of states and of symbols: ``2 Q k + 2 Q + 2 k + 21``."""
    Q, k = len(machine.states), len(machine.alphabet)
    return 2 * Q * k + 2 * Q + 2 * k + 21


def hold(wiring: Wiring, machine: Machine) -> None:
    for q in machine.states:
        wiring.add(f"is {q}", {f"next {q}": 1})
    wiring.add(f"hold {LOADING}", {f"act {LOADING}": 1})
    wiring.add_number("L", dict.fromkeys(("L push", "L written", "L pop", "L keep"), 1))
    wiring.add_number("R", dict.fromkeys(("R push", "R carried", "R pop", "R keep", "R written"), 1))


def read(wiring: Wiring, machine: Machine, code: Code) -> None:
    """A number of a stack is at least ``v_j`` if its top has code j or more, else at most ``v_j - 4^-m``."""
    some, *thresholds = [1 - code.base * value for value in code.values]
    now = [f"is {q}" for q in machine.states]
    for q in machine.states:
        others = [unit for unit in (*now, f"hold {LOADING}") if unit != f"is {q}"]
        wiring.add(f"sees {q}", {f"is {q}": 1})
        for j, threshold in enumerate(thresholds, 1):
            wiring.add(f"sees {q} {j}", {"R": code.base}, threshold, unless=others)
    for j, threshold in enumerate(thresholds, 1):
        wiring.add(f"under {j}", {"L": code.base}, threshold)
    wiring.add(f"read {LOADING}", {f"hold {LOADING}": 1})
    for side in "LR":
        wiring.add(f"some {side}", {side: code.base}, some)
        wiring.add_number(f"{side} read", {side: 1})


def decide(wiring: Wiring, machine: Machine) -> None:
    last = len(machine.alphabet) - 1
    for q in machine.states:
        for j in range(last + 1):
            at_least, more = (f"sees {q} {j}" if j else f"sees {q}"), f"sees {q} {j + 1}"
            wiring.add(f"due {q} {j}", {at_least: 1, more: -1} if j < last else {at_least: 1})
    for j in range(1, last + 1):
        wiring.add(f"top {j}", {f"under {j}": 1, f"under {j + 1}": -1} if j < last else {f"under {j}": 1})
    wiring.add(f"decide {LOADING}", {f"read {LOADING}": 1})
    for side in "LR":
        wiring.add(f"no {side}", {f"some {side}": -1}, 1)
        wiring.add_number(f"{side} due", {f"{side} read": 1})


def act(wiring: Wiring, machine: Machine, code: Code) -> None:
    due = {f"due {q} {j}": machine.transition(q, a) for q in machine.states for j, a in enumerate(machine.alphabet)}
    blank, push, pop = code.values[0], Fraction(1, code.base), code.base

    def total(value: Callable[[Transition], Fraction | int]) -> Weights:
        """Weights of the transitions whose sum is the value of the one that is due."""
        return {unit: weight for unit, done in due.items() if (weight := value(done))}

    def unless(move: str, *more: str) -> list[str]:
        return [*(unit for unit, done in due.items() if done.move != move), *more]

    def written(move: str) -> Weights:
        return total(lambda done: code.value(done.write) if done.move == move else 0)

    # Without its top symbol, whose code is in the name of what is due; L's top is a blank unless a unit says more.
    rest: Weights = {"R due": 1, **{unit: -code.values[int(unit.split()[-1])] for unit in due}}
    more = {f"top {j}": value - blank for j, value in enumerate(code.values) if j}
    below: Weights = {"L due": 1, **total(lambda done: -blank if done.move == "L" else 0), **times(-1, more)}
    carried = total(lambda done: blank + push * code.value(done.write) if done.move == "L" else 0)

    for q in machine.states:
        wiring.add(f"next {q}", {unit: 1 for unit, done in due.items() if done.next == q})
    wiring.add(f"act {LOADING}", {f"decide {LOADING}": 1})
    wiring.add_number("L push", {"L due": push}, unless("R"))
    wiring.add_number("L written", written("R"))
    wiring.add_number("L pop", times(pop, below), unless("L", "no L"))
    wiring.add_number("L keep", {"L due": 1}, unless("S"))
    wiring.add_number("R push", times(push, rest), unless("L", "no R"))
    wiring.add_number("R carried", {**carried, **more}, unless("L"))
    wiring.add_number("R pop", times(pop, rest), unless("R", "no R", f"decide {LOADING}"))
    wiring.add_number("R keep", rest, unless("S", "no R", f"decide {LOADING}"))
    wiring.add_number("R written", written("S"))


def times(weight: Fraction | int, sources: Weights) -> Weights:
    return {source: weight * w for source, w in sources.items()}
