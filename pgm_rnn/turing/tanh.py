r"""The same networks with tanh units, which have no corner and no straight part: what a finite gain can hold.

A unit that is 0 or 1 becomes one steep unit, :math:`(1 + \tanh(K (2z - 1))) / 2`, whose error :math:`e^{-2K}` is beyond
float64. A unit that carries the number of a stack needs the straight middle of tanh, where a single unit cannot be
silenced. So it becomes two, with drive x, inhibition I and gain g:

.. math:: g \, [\tanh(x / g - K I) + \tanh(K I)] = x - x^3 / (3 g^2) + \dots \ (I = 0), \quad \approx 0 \ (I \ge 1).

What bends the number of a stack is the cubic term, of relative size :math:`1/g^2`; n bits on a stack need
:math:`4^{-n}`. So a gain g holds about :math:`\log_2 g` bits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from pgm_rnn.checks import check_number
from pgm_rnn.turing.code import Code
from pgm_rnn.turing.compiler import Layout, compile_machine, input_weights
from pgm_rnn.turing.machine import Machine
from pgm_rnn.turing.net import Net
from pgm_rnn.turing.precision import Boundary, compare, shortened
from pgm_rnn.turing.stacks import Stack
from pgm_rnn.turing.wiring import LOADING, STEPS, wire

STEEP = 1024.0
"""K: how steep the units are that are 0 or 1."""


@dataclass(frozen=True)
class TanhNet:
    r""":math:`h_{t+1} = \tanh(W h_t + U u_t + F d + b)` with W = F C, where :math:`s = C h + d` is what h stands for.

    F ``(M, N)``, U ``(M, K)``, b and initial ``(M,)``, C ``(N, M)``, d ``(N,)``, all float64. W is kept as two factors,
    and F d apart: halves of K must cancel to the last bit before a small number is added to them.
    """

    F: np.ndarray
    U: np.ndarray
    b: np.ndarray
    initial: np.ndarray
    C: np.ndarray
    d: np.ndarray


def compile_tanh(machine: Machine, gain: float) -> TanhNet:
    """The tanh network of a machine, with two units for each unit that carries a number.

    Example:
        >>> from pgm_rnn.turing.catalogue import find_machine
        >>> compile_tanh(find_machine("increment"), gain=2.0**10).F.shape
        (66, 51)
    """
    check_number("gain", gain, 1, 2**60)
    wiring, net = wire(machine), compile_machine(machine)
    number = {unit: i for i, unit in enumerate(wiring.units)}
    analog = np.array([unit in wiring.analog for unit in wiring.units])
    inhibition = np.zeros((len(number), len(number)))
    for unit, sources in wiring.inhibitors.items():
        inhibition[number[unit], [number[source] for source in sources]] = 1.0
    A, B = net.A.astype(float), input_weights(machine, wiring).astype(float)
    drive = A + wiring.strength * inhibition

    binary, pairs = np.flatnonzero(~analog), np.flatnonzero(analog)
    identity = np.eye(len(number))
    C = np.hstack([identity[:, binary] / 2, identity[:, pairs] * gain, identity[:, pairs] * gain])
    d = np.where(analog, 0.0, 0.5)
    silence = STEEP * inhibition[pairs]
    from_state = np.vstack([2 * STEEP * A[binary], drive[pairs] / gain - silence, silence])
    from_input = np.vstack([2 * STEEP * B[binary], B[pairs] / gain, np.zeros((len(pairs), B.shape[1]))])
    threshold = np.concatenate([STEEP * (2 * net.c.astype(float)[binary] - 1), np.zeros(2 * len(pairs))])
    initial = np.where(np.arange(len(threshold)) < len(binary), -1.0, 0.0)
    initial[np.flatnonzero(binary == number[f"hold {LOADING}"])] = 1.0
    return TanhNet(from_state, from_input, threshold, initial, C, d)


def tanh_run(net: TanhNet, inputs: Iterable[Iterable[int]]) -> Iterator[np.ndarray]:
    """What stands for ``s_0, s_1, ...``, in float64."""
    h = net.initial
    yield (s := net.C @ h + net.d)
    for u in inputs:
        h = np.tanh(net.F @ s + net.U @ np.array([*u], dtype=float) + net.b)
        yield (s := net.C @ h + net.d)


def measure_tanh(machine: Machine, word: str, gain: float, max_steps: int) -> int | None:
    """The first step at which a unit that reads a symbol is nearer to the wrong value, or None."""
    run = tanh_run(compile_tanh(machine, gain), Layout(machine).inputs(word))
    return compare(machine, word, run, max_steps, tolerance=0.5).wrong


def predict_tanh(machine: Machine, word: str, gain: float, max_steps: int) -> int | None:
    """The same without a network: from two numbers, bent by ``g tanh(x / g)`` four times a step of the machine."""
    code, numbers = Code(machine.alphabet, machine.bits), [0.0, 0.0]
    for i, stacks in enumerate(shortened(machine, word, max_steps)):
        loading = i <= len(word)
        numbers = [bent(code, q, stack, gain, loading) for q, stack in zip(numbers, stacks, strict=True)]
        for q, stack in zip(numbers, stacks, strict=True):
            exact = code.number(stack.symbols)
            if any((code.base * float(q - value) > -0.5) is not (exact >= value) for value in code.values):
                return STEPS * i + 1
    return None


def bent(code: Code, q: float, stack: Stack, gain: float, loading: bool) -> float:
    """The number of a stack after its last change: bent when read, when decided, when acted on, and when held."""

    def bend(x: float) -> float:
        return gain * math.tanh(x / gain)

    q = bend(bend(q))
    if stack.popped is not None:
        q = code.base * (q - float(code.value(stack.popped))) if stack.popped else 0.0
    pushed = float(code.number(stack.pushed[::-1]))
    return bend(bend(q / code.base ** len(stack.pushed)) + (pushed if loading else bend(pushed)))


def one_tanh_run(net: Net, inputs: Iterable[Iterable[int]], gain: float) -> Iterator[np.ndarray]:
    r"""The saturated-linear network with :math:`(1 + \tanh(g (2z - 1))) / 2` for every :math:`\sigma(z)`."""
    A, B, c, s = (array.astype(float) for array in (net.A, net.B, net.c, net.initial))
    yield s
    for u in inputs:
        s = (1 + np.tanh(gain * (2 * (A @ s + B @ np.array([*u], dtype=float) + c) - 1))) / 2
        yield s


def measure_one_tanh(machine: Machine, word: str, gain: float, max_steps: int) -> Boundary:
    """The boundary of that network; a reading is wrong where it is nearer to the wrong value."""
    run = one_tanh_run(compile_machine(machine), Layout(machine).inputs(word), gain)
    return compare(machine, word, run, max_steps, tolerance=0.5)
