"""Why feeding back the output alone is not enough: two moments of a machine that show the same and then differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from pgm_rnn.turing.machine import Machine
from pgm_rnn.turing.simulator import Configuration


class Output(NamedTuple):
    """What a machine shows of itself: its state and the symbol under its head."""

    state: str
    symbol: str


class Confusion(NamedTuple):
    """Two moments with the same output, at these steps of the machine, and the different outputs that follow."""

    steps: tuple[int, int]
    configurations: tuple[Configuration, Configuration]
    output: Output
    following: tuple[Output, Output]


def show(machine: Machine, configuration: Configuration) -> Output:
    """The output at one moment."""
    return Output(configuration.state, configuration.right[:1] or machine.blank)


def first_confusion(machine: Machine, run: Sequence[Configuration]) -> Confusion | None:
    """The first two moments of a run that no function of the output can tell apart although it would have to.

    A network whose only recurrence is from its output computes the next output as a function of the last one.

    Example:
        >>> from pgm_rnn.turing.catalogue import find_machine
        >>> from pgm_rnn.turing.simulator import simulate
        >>> machine = find_machine("increment")
        >>> found = first_confusion(machine, list(simulate(machine, "1011")))
        >>> found.steps, found.output, [output.symbol for output in found.following]
        ((0, 2), Output(state='right', symbol='1'), ['0', '1'])
    """
    seen: dict[Output, int] = {}
    outputs = [show(machine, configuration) for configuration in run]
    for t, (output, following) in enumerate(pairwise(outputs)):
        s = seen.setdefault(output, t)
        if outputs[s + 1] != following:
            return Confusion((s, t), (run[s], run[t]), output, (outputs[s + 1], following))
    return None


def best_share(machine: Machine, run: Sequence[Configuration]) -> float:
    """The share of next outputs that a function of the last output can get right at most, over one run.

    Example:
        >>> from pgm_rnn.turing.catalogue import find_machine
        >>> from pgm_rnn.turing.simulator import simulate
        >>> machine = find_machine("increment")
        >>> best_share(machine, list(simulate(machine, "1011")))
        0.625
    """
    outputs = [show(machine, configuration) for configuration in run]
    counts = Counter(pairwise(outputs))
    best = {output: max(n for (before, _), n in counts.items() if before == output) for output, _ in counts}
    return sum(best.values()) / max(counts.total(), 1)
