"""From a Turing machine to a recurrent network, and how its inputs are written and its states are read."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import islice, repeat

import numpy as np

from pgm_rnn.turing.code import Code
from pgm_rnn.turing.machine import Machine
from pgm_rnn.turing.net import Net, exact_run
from pgm_rnn.turing.simulator import Configuration
from pgm_rnn.turing.wiring import LOADING, STEPS, Wiring, wire


def compile_machine(machine: Machine) -> Net:
    """The network that runs a machine, four of its steps for one step of the machine.

    It is as large as :func:`~pgm_rnn.turing.wiring.size` says, whatever the input.

    Example:
        >>> from pgm_rnn.turing.machine import INCREMENT, parse_machine
        >>> net = compile_machine(parse_machine(INCREMENT))
        >>> net.A.shape, net.B.shape
        ((51, 51), (51, 4))
    """
    wiring = wire(machine)
    number = {unit: i for i, unit in enumerate(wiring.units)}
    N = len(number)
    A = zeros(N, N)
    for unit, row in number.items():
        for source, weight in wiring.drive[unit].items():
            A[row, number[source]] = Fraction(weight)
        for source in wiring.inhibitors[unit]:
            A[row, number[source]] -= wiring.strength
    B, initial = input_weights(machine, wiring), zeros(N)
    initial[number[f"hold {LOADING}"]] = Fraction(1)
    return Net(A, B, np.array([wiring.bias[unit] for unit in wiring.units], dtype=object), initial)


def input_weights(machine: Machine, wiring: Wiring) -> np.ndarray:
    """B, ``(N, k + 1)``: an input line for each symbol, which pushes it onto R, and one that starts the machine."""
    B, row = zeros(len(wiring.units), len(machine.alphabet) + 1), wiring.units.index
    B[row("R"), :-1] = Code(machine.alphabet, machine.bits).values
    B[row(f"is {machine.start}"), -1], B[row(f"hold {LOADING}"), -1] = Fraction(1), Fraction(-1)
    return B


def zeros(*shape: int) -> np.ndarray:
    return np.full(shape, Fraction(0), dtype=object)


class Layout:
    """What the units of a machine's network mean: the only place that looks from outside into its state.

    Example:
        >>> from pgm_rnn.turing.machine import INCREMENT, parse_machine
        >>> layout = Layout(parse_machine(INCREMENT))
        >>> inputs = layout.inputs("10")  # for blank, 0, 1, and the signal
        >>> [next(inputs) for _ in range(8)][3::4]
        [(0, 1, 0, 0), (0, 0, 1, 1)]
    """

    def __init__(self, machine: Machine) -> None:
        wiring = wire(machine)
        self.machine, self.code = machine, Code(machine.alphabet, machine.bits)
        self.units = wiring.units
        self.number = {unit: i for i, unit in enumerate(self.units)}
        self.reading = [i for unit, i in self.number.items() if unit.startswith(("sees", "under", "some"))]

    def inputs(self, word: str) -> Iterator[tuple[int, ...]]:
        """Inputs u_0, u_1, ... without end: the word's symbols one-hot, its last one first, every fourth step, and with
        the last of them the signal to start; then zeros."""
        alphabet, symbols = self.machine.alphabet, [*reversed(self.machine.check_word(word))] or [""]
        silence = (0,) * (len(alphabet) + 1)
        for place, symbol in enumerate(symbols, 1):
            yield from repeat(silence, STEPS - 1)
            yield (*(int(symbol == other) for other in alphabet), int(place == len(symbols)))
        yield from repeat(silence)

    def loaded(self, word: str) -> int:
        """The step t at which s_t holds the machine's first configuration."""
        return STEPS * max(len(word), 1)

    def state(self, s: np.ndarray) -> str:
        """The state of the machine that s holds."""
        (state,) = [q for q in self.machine.states if s[self.number[f"is {q}"]] == 1]
        return state

    def configuration(self, s: np.ndarray) -> Configuration:
        """The configuration that s holds."""
        left, right = (self.code.word(s[self.number[unit]]) for unit in ("L", "R"))
        blank = self.machine.blank
        return Configuration(self.state(s), left[::-1].lstrip(blank), right.rstrip(blank))


def run_net(machine: Machine, word: str) -> Iterator[np.ndarray]:
    """The network's exact states at the steps of the machine, from its first configuration on and without end."""
    layout = Layout(machine)
    states = exact_run(compile_machine(machine), layout.inputs(word))
    return islice(states, layout.loaded(word), None, STEPS)
