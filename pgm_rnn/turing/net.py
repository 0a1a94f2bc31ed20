"""A first-order recurrent network of saturated-linear units, run in exact rational numbers or in floating point."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Net:
    r"""The network :math:`s_{t+1} = \sigma(A s_t + B u_t + c)` with :math:`\sigma(z) = \min(\max(z, 0), 1)`.

    That is all there is: three arrays of rational numbers (``Fraction``) and the state to begin with.

    Args:
        A: ``(N, N)``, weights between units.
        B: ``(N, K)``, weights from inputs.
        c: ``(N,)``, biases.
        initial: ``(N,)``, the state :math:`s_0`.

    Example: one unit that keeps the half of what it was and of what comes in.
        >>> half = np.array([[Fraction(1, 2)]])
        >>> net = Net(half, half, np.array([Fraction(0)]), np.array([Fraction(1)]))
        >>> [str(s[0]) for s in exact_run(net, [[0], [1], [3]])]
        ['1', '1/2', '3/4', '1']
    """

    A: np.ndarray
    B: np.ndarray
    c: np.ndarray
    initial: np.ndarray


def exact_run(net: Net, inputs: Iterable[Iterable[int]]) -> Iterator[np.ndarray]:
    """The states ``s_0, s_1, ...`` as arrays of fractions, one more than there are inputs.

    All numbers of a step have one common denominator, so a step is a product of integers: of the entries of [A B c]
    that are not zero (and all of c, so that no row is empty) with the state, the input and the denominator.
    """
    weights = np.hstack([net.A, net.B, net.c[:, None]])
    kept = weights != 0
    kept[:, -1] = True
    rows, columns = kept.nonzero()
    starts = np.searchsorted(rows, np.arange(len(net.c)))
    scale = math.lcm(*(weight.denominator for weight in weights[kept]))
    integers = np.array([int(weight * scale) for weight in weights[kept]], dtype=object)

    denominator = math.lcm(*(value.denominator for value in net.initial))
    state = np.array([int(value * denominator) for value in net.initial], dtype=object)
    yield net.initial
    for u in inputs:
        joint = np.concatenate([state, np.array([*u, 1], dtype=object) * denominator])
        z = np.add.reduceat(integers * joint[columns], starts)
        denominator *= scale
        state = np.clip(z, 0, denominator)
        common = math.gcd(denominator, *state)
        state, denominator = state // common, denominator // common
        yield np.array([Fraction(value, denominator) for value in state], dtype=object)


def float_run(net: Net, inputs: Iterable[Iterable[int]], dtype: npt.DTypeLike) -> Iterator[np.ndarray]:
    """The same states in floating point: weights, products and sums are rounded as ``dtype`` rounds."""
    A, B, c, state = (array.astype(dtype) for array in (net.A, net.B, net.c, net.initial))
    yield state
    for u in inputs:
        state = np.clip(A @ state + B @ np.array([*u], dtype=dtype) + c, 0, 1)
        yield state
