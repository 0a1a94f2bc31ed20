"""Entropy rate, excess entropy and statistical complexity of an edge-labelled chain ``joint (k, S, S)``, in nats."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor

from pgm_rnn.checks import InputError, check_number, reject
from pgm_rnn.processes.chains import is_unifilar, lump, recurrent_classes, stationary_distribution
from pgm_rnn.processes.mixed_states import MixedStates, entropies, presentation

MAX_STEPS = 10_000
"""Symbols after which a bracket that has not closed is given up."""

MAX_BELIEFS = 2**22
"""Beliefs that a bracket follows on its way, all symbols together."""

WINDOW = 16
"""Values of a sequence that its extrapolation looks at."""


def conditional_entropies(joint: Tensor, duration: int) -> Tensor:
    r""":math:`h_t = H(y_t \mid y_{<t})` for ``t = 1..T``, ``(T,)``."""
    joint = lump(joint)
    seen, values = MixedStates.unaware(joint), []
    for t in range(duration):
        seen = seen.advance(joint) if t else seen
        values.append(seen.symbol_entropy(joint))
    return torch.tensor(values, dtype=joint.dtype, device=joint.device)


def rate_bracket(joint: Tensor, duration: int) -> tuple[float, float]:
    r""":math:`H(y_T \mid y_{<T}, s_1) \le h \le H(y_T \mid y_{<T})`, monotone in T from both sides."""
    joint = lump(joint)
    told, seen = MixedStates.synchronised(joint), MixedStates.unaware(joint)
    for _ in range(duration - 1):
        told, seen = told.advance(joint), seen.advance(joint)
    return told.symbol_entropy(joint), seen.symbol_entropy(joint)


def entropy_rate(joint: Tensor, tolerance: float) -> float:
    r"""The entropy rate: in closed form if unifilar, else from the bracket as soon as it is known to ``tolerance``.

    That is when the bracket has closed, or when its two ends, each extrapolated by Wynn's epsilon algorithm, agree
    with each other and with their values one symbol before, inside the bracket.
    """
    check_number("tolerance", tolerance, 0, 1, open_ends=True)
    joint = lump(joint)
    if is_unifilar(joint):
        return float(stationary_distribution(joint.sum(0)) @ entropies(joint.sum(-1).mT))
    low, high, limits = list[float](), list[float](), [0.0, 1.0]
    for told, seen in both_observers(joint):
        low.append(told.symbol_entropy(joint))
        high.append(seen.symbol_entropy(joint))
        limits = [*limits[-2:], extrapolate(low[-WINDOW:]), extrapolate(high[-WINDOW:])]
        if high[-1] - low[-1] <= tolerance:
            return (low[-1] + high[-1]) / 2
        inside = low[-1] <= min(limits) and max(limits) <= high[-1]
        if inside and len(low) > 4 and max(limits) - min(limits) <= tolerance:
            return (limits[-1] + limits[-2]) / 2
    raise not_closed("entropy rate", tolerance, high[-1] - low[-1], len(low), len(seen.weights))


def both_observers(joint: Tensor) -> Iterator[tuple[MixedStates, MixedStates]]:
    """The beliefs of who was told the first state and of who was not, symbol by symbol, as far as the budget goes."""
    told, seen = MixedStates.synchronised(joint), MixedStates.unaware(joint)
    followed = 0
    for _ in range(MAX_STEPS):
        yield told, seen
        followed += len(told.weights) + len(seen.weights)
        if followed > MAX_BELIEFS:
            return
        try:
            told, seen = told.advance(joint), seen.advance(joint)
        except InputError:
            return


def extrapolate(sequence: list[float]) -> float:
    """The limit of a sequence of geometric terms, by Wynn's epsilon algorithm.

    Source: Wynn (1956), *On a device for computing the e_m(S_n) transformation*.

    >>> round(extrapolate([1 + 0.5**n + 0.3**n for n in range(5)]), 9)
    1.0
    """
    before, column = [0.0] * (len(sequence) + 1), sequence
    limit = column[-1]
    for order in range(1, len(sequence)):
        gaps = [later - earlier for earlier, later in pairwise(column)]
        if min(map(abs, gaps)) < 1e-15:
            break
        before, column = column, [value + 1 / gap for value, gap in zip(before[1:], gaps, strict=False)]
        limit = limit if order % 2 else column[-1]
    return limit


def excess_entropy(joint: Tensor, tolerance: float) -> float:
    r"""The mutual information of past and future, :math:`E = \sum_t (h_t - h)`.

    What is missing after T symbols is :math:`I(\text{past}; \text{future} \mid y_1 \ldots y_T)`, at most
    :math:`H(s_{T+1} \mid y_1 \ldots y_T) - H(s_{T+1} \mid y_1 \ldots y_T, s_1)`: the sum ends when that is below the
    tolerance.
    """
    check_number("tolerance", tolerance, 0, 1, open_ends=True)
    joint, entropy = lump(joint), list[float]()
    for told, seen in both_observers(joint):
        missing = seen.state_entropy() - told.state_entropy()
        if missing <= tolerance:
            h = entropy_rate(joint, max(tolerance / (len(entropy) + 1), 1e-13))
            return math.fsum(value - h for value in entropy)
        entropy.append(seen.symbol_entropy(joint))
    raise not_closed("excess entropy", tolerance, missing, len(entropy), len(seen.weights))


def statistical_complexity(joint: Tensor) -> float:
    """The entropy of the causal states: of the lumped states if unifilar, else of the lumped mixed states."""
    joint = lump(joint)
    if not is_unifilar(joint):
        joint = lump(presentation(joint))
        (recurrent,) = recurrent_classes(joint.sum(0))
        joint = joint[:, recurrent][:, :, recurrent]
    return float(entropies(stationary_distribution(joint.sum(0))))


def not_closed(quantity: str, tolerance: float, left: float, steps: int, count: int) -> InputError:
    """The error of a bracket that stays open, with what was reached and the tolerance that can be had."""
    expected = f"a process whose {quantity} can be found to {tolerance:g} nats"
    got = f"one that leaves {left:.2g} open after {steps:,} symbols"
    seen = f"with {count:,} distinct mixed states and no end in sight"
    return reject("process", expected, f"{got}, {seen}", f"pass tolerance={left * 1.5:.1g}")
