"""Finite chains, labelled or not: stationary distribution, reachability, lumping and the count of allowed words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

EQUAL = 1e-12
"""Distributions whose root-probabilities differ by no more are equal but for rounding."""

MAX_SUPPORTS = 1000
"""Sets of states that :func:`count_words` follows side by side."""


def stationary_distribution(transition: Tensor) -> Tensor:
    r"""The distribution :math:`\pi = \pi P` of an irreducible chain ``P (S, S)``, each entry to relative precision.

    States are eliminated one by one without a subtraction, so periodic chains and tiny entries are no special case.

    Source: Grassmann, Taksar and Heyman (1985), *Regenerative analysis and steady state distributions*.

    >>> stationary_distribution(torch.tensor([[0.5, 0.5], [1.0, 0.0]]).double())
    tensor([0.6667, 0.3333], dtype=torch.float64)
    """
    P = transition.clone()
    for n in range(len(P) - 1, 0, -1):
        P[:n, n] /= P[n, :n].sum()
        P[:n, :n] += torch.outer(P[:n, n], P[n, :n])
    weights = torch.ones_like(P[0])
    for n in range(1, len(P)):
        weights[n] = weights[:n] @ P[:n, n]
        weights[: n + 1] /= weights[: n + 1].sum()
    return weights


def reachability(transition: Tensor) -> Tensor:
    """``(S, S)`` bool: whether a state leads to another in any number of steps, none included."""
    reach = (transition > 0).float() + torch.eye(len(transition), device=transition.device)
    for _ in range(len(transition).bit_length()):
        reach = (reach @ reach > 0).float()
    return reach > 0


def recurrent_classes(transition: Tensor) -> list[Tensor]:
    """The closed communicating classes of a chain, each as the sorted indices of its states.

    >>> recurrent_classes(torch.tensor([[0.0, 0.5, 0.5], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))
    [tensor([1]), tensor([2])]
    """
    reach = reachability(transition)
    recurrent = (~reach | reach.mT).all(-1)  # whatever the state leads to leads back
    classes = reach[recurrent].unique(dim=0)
    return [row.nonzero().squeeze(-1) for row in classes.flip(0)]


def is_unifilar(joint: Tensor) -> bool:
    """Whether state and symbol determine the next state, for ``joint (k, S, S)``."""
    return bool(((joint > 0).sum(-1) <= 1).all())


def coincide(distributions: Tensor, tolerance: float = EQUAL) -> Tensor:
    """A label per row of ``distributions (M, S)``, equal where no root-probability differs by more than ``tolerance``.

    Rows are sorted along one random direction, so that equal ones are neighbours whatever their rounding errors.
    """
    roots = distributions.sqrt()
    generator = torch.Generator().manual_seed(0)
    direction = torch.rand(roots.shape[-1], dtype=roots.dtype, generator=generator).to(roots.device)
    order = (roots @ direction).argsort()
    new = roots[order].diff(dim=0).abs().amax(-1) > tolerance
    labels = torch.zeros(len(roots), dtype=torch.long, device=roots.device)
    labels[order[1:]] = new.cumsum(0)
    return labels


def lump(joint: Tensor) -> Tensor:
    """The chain ``(k, C, C)`` on the coarsest classes of states with equal ``P(symbol, next class | state)``.

    Its words have the same law. For a unifilar chain the classes are the causal states of its recurrent part.

    Source: Kemeny and Snell (1960), *Finite Markov chains*; Moore (1956) for the unifilar case.

    >>> lump(torch.tensor([[[0.0, 0.5], [0.5, 0.0]], [[0.0, 0.5], [0.5, 0.0]]]).double())  # a fair coin in two states
    tensor([[[0.5000]],
    <BLANKLINE>
            [[0.5000]]], dtype=torch.float64)
    """
    classes = torch.zeros(joint.shape[1], dtype=torch.long, device=joint.device)
    while True:
        members = torch.nn.functional.one_hot(classes).to(joint.dtype)  # (S, C)
        onward = joint @ members  # (k, S, C)
        keyed = torch.cat([onward.transpose(0, 1).flatten(1), members], -1)  # classes are only ever split
        refined = coincide(keyed)
        if int(refined.max()) == int(classes.max()):
            first = (members.cumsum(0) * members == 1).int().argmax(0)  # one state of each class
            return onward[:, first]
        classes = refined


def count_words(tables: Tensor, schedule: Sequence[int]) -> int | None:
    """How many words are possible, by the sets of states they may lead to.

    Args:
        tables: ``(L, k, S, S)``, labelled transition matrices.
        schedule: which of them each symbol of the word comes from.

    None if there are more than :data:`MAX_SUPPORTS` such sets at a time.

    >>> golden_mean = torch.tensor([[[[0.0, 0.5], [0.0, 0.0]], [[0.5, 0.0], [1.0, 0.0]]]])
    >>> [count_words(golden_mean, [0] * T) for T in range(1, 7)]
    [2, 3, 5, 8, 13, 21]
    """
    bits = [[[_as_bits(row) for row in matrix] for matrix in table] for table in (tables > 0).tolist()]
    ahead: dict[tuple[int, int], list[int]] = {}  # table and set of states as bits -> the sets that follow
    counts = Counter({(1 << tables.shape[-1]) - 1: 1})
    for index in schedule:
        following: Counter[int] = Counter()
        for support, number in counts.items():
            if (index, support) not in ahead:
                ahead[index, support] = _successors(support, bits[index])
            for after in ahead[index, support]:
                following[after] += number
        if len(following) > MAX_SUPPORTS:
            return None
        counts = following
    return sum(counts.values())


def _as_bits(row: list[bool]) -> int:
    return sum(1 << state for state, possible in enumerate(row) if possible)


def _successors(support: int, table: list[list[int]]) -> list[int]:
    sets = []
    for row in table:
        after = 0
        for state, bits in enumerate(row):
            if support >> state & 1:
                after |= bits
        sets.append(after)
    return [after for after in sets if after]
