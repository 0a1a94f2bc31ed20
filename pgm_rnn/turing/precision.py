r"""How far a network's arithmetic carries: the first inexact step and the first wrong symbol, predicted and measured.

Floating point with p bits holds the number of a stack exactly as long as it has at most p significant bits. While all
readings are right, every sum in the network but ``L`` and ``R`` is exact in any order of summation, and these are sums
of two numbers: one rounding a step of the machine is all that happens, so both moments follow from the machine alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from itertools import islice
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pgm_rnn.turing.code import Code
from pgm_rnn.turing.compiler import Layout, compile_machine
from pgm_rnn.turing.machine import Machine
from pgm_rnn.turing.net import exact_run, float_run
from pgm_rnn.turing.stacks import Stack, Stacks, stack_run
from pgm_rnn.turing.wiring import STEPS

PRECISIONS = {"float32": 24, "float64": 53}
"""Significant bits p of floating-point numbers."""


class Boundary(NamedTuple):
    """When arithmetic lets a network down, in the network's steps t; None where it does not during the run.

    ``inexact``: the first state with a unit that is not exactly what it should be. ``wrong``: the first state in which
    a unit that reads a symbol is not exactly the 0 or 1 it should be.
    """

    inexact: int | None
    wrong: int | None


def predict(machine: Machine, word: str, bits: int, max_steps: int) -> Boundary:
    """The boundary of p-bit arithmetic, without running any network.

    Inexact: from the depth of the stacks and the symbols on top. Wrong: from the two numbers of the stacks, rounded to
    p bits at every push, half to even.

    Example:
        >>> from pgm_rnn.turing.catalogue import find_machine
        >>> machine = find_machine("palindrome")
        >>> predict(machine, "1" * 7, PRECISIONS["float32"], 100), predict(machine, "1" * 6, PRECISIONS["float32"], 100)
        (Boundary(inexact=28, wrong=57), Boundary(inexact=72, wrong=None))
    """
    code = Code(machine.alphabet, machine.bits)
    run = enumerate(shortened(machine, word, max_steps))
    deep = (STEPS * i for i, stacks in run if any(significant_bits(code, stack) > bits for stack in stacks))
    return Boundary(next(deep, None), first_wrong(machine, word, max_steps, lambda q: rounded(q, bits)))


def first_wrong(machine: Machine, word: str, max_steps: int, keep: Callable[[Fraction], Fraction]) -> int | None:
    """The first wrong reading of a network whose ``L`` and ``R`` are what ``keep`` leaves of them."""
    code, numbers = Code(machine.alphabet, machine.bits), [Fraction(0), Fraction(0)]
    for i, stacks in enumerate(shortened(machine, word, max_steps)):
        numbers = [keep(changed(code, q, stack)) for q, stack in zip(numbers, stacks, strict=True)]
        right = (readings(code, code.number(stack.symbols)) for stack in stacks)
        if [readings(code, q) for q in numbers] != [*right]:
            return STEPS * i + 1
    return None


def earliest_wrong(machine: Machine, word: str, bits: int, max_steps: int) -> int | None:
    """No reading before this step can be wrong in p-bit arithmetic: a bound from the depth of the stacks alone.

    A push leaves as many symbols intact as have their last bit among the first p. What lies deeper is lost, and a
    reading may be wrong once a symbol that was lost is back on top.
    """
    code, intact = Code(machine.alphabet, machine.bits), [0, 0]
    for i, stacks in enumerate(shortened(machine, word, max_steps)):
        for side, stack in enumerate(stacks):
            kept = max(intact[side] - len(stack.popped or ""), 0) + len(stack.pushed)
            room = max((d for d in range(kept + 1) if code.significant_bits(d, stack.symbols[:1]) <= bits), default=0)
            intact[side] = min(kept, room)
            if stack.symbols and not intact[side]:
                return STEPS * i + 1
    return None


def measure(machine: Machine, word: str, dtype: npt.DTypeLike, max_steps: int) -> Boundary:
    """The boundary of a network that runs in floating point, beside the same network in exact numbers.

    Example:
        >>> from pgm_rnn.turing.catalogue import find_machine
        >>> measure(find_machine("palindrome"), "1" * 7, np.float32, 100)
        Boundary(inexact=28, wrong=57)
    """
    run = float_run(compile_machine(machine), Layout(machine).inputs(word), dtype)
    return compare(machine, word, run, max_steps)


def compare(
    machine: Machine, word: str, approximate: Iterable[np.ndarray], max_steps: int, tolerance: float = 0.0
) -> Boundary:
    """The boundary of any run, state by state beside the exact one; a reading is wrong beyond the tolerance."""
    layout, inexact = Layout(machine), None
    exact = exact_run(compile_machine(machine), layout.inputs(word))
    last = STEPS * (sum(1 for _ in shortened(machine, word, max_steps)) - 1) + 1
    for t, (s, other) in enumerate(islice(zip(exact, approximate, strict=False), last + 1)):
        distance = abs(s - np.array([Fraction(float(value)) for value in other]))
        if inexact is None and distance.any():
            inexact = t
        if (distance[layout.reading] > tolerance).any():
            return Boundary(inexact, t)
    return Boundary(inexact, None)


def shortened(machine: Machine, word: str, max_steps: int) -> Iterator[Stacks]:
    """The stacks until the machine halts, or has done ``max_steps`` steps."""
    return islice(stack_run(machine, word), max(len(word), 1) + max_steps + 1)


def significant_bits(code: Code, stack: Stack) -> int:
    """Bits that the number of a stack needs."""
    return code.significant_bits(len(stack.symbols), stack.symbols[:1])


def changed(code: Code, q: Fraction, stack: Stack) -> Fraction:
    """The number of a stack after its last change, from the number before."""
    if stack.popped is not None:
        q = max(code.base * (q - code.value(stack.popped)), Fraction(0)) if stack.popped else Fraction(0)
    for symbol in stack.pushed:
        q = q / code.base + code.value(symbol)
    return q


def readings(code: Code, q: Fraction) -> list[Fraction]:
    """What the units make of a stack's top that compare it with the code of every symbol."""
    return [min(max(code.base * (q - value) + 1, Fraction(0)), Fraction(1)) for value in code.values]


def rounded(q: Fraction, bits: int) -> Fraction:
    """``q``, at least 0, rounded to so many significant bits, half to even.

    >>> rounded(Fraction(11, 16), 3)
    Fraction(3, 4)
    """
    if not q:
        return q
    shift = bits - (q.numerator.bit_length() - q.denominator.bit_length() + 1)
    unit = Fraction(2) ** shift
    if q * unit < 2 ** (bits - 1):
        unit *= 2
    elif q * unit >= 2**bits:
        unit /= 2
    return Fraction(round(q * unit)) / unit
