"""Expectations in closed form, to lay beside what is measured."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pgm_rnn.checks import check_integer, check_number
from pgm_rnn.family import Family
from pgm_rnn.prefix_tree import PrefixTree

SPREAD = 14.0
"""Binomial counts further than this many standard deviations (plus as many) from their mean weigh less than 1e-20."""


def table_risk(process: Family, duration: int, num_sequences: int, pseudocount: float = 0.5) -> float:
    r"""Exact expected KL, in nats per word, of the add-beta full table fitted on ``N`` independent words.

    .. math:: \sum_t \sum_{|v| = t-1} \Big\{ \sum_y P(vy) \big[ \log P(y \mid v) - E \log(B(N, P(vy)) + \beta) \big]
              + P(v)\, E \log(B(N, P(v)) + k \beta) \Big\}

    with ``B(N, p)`` binomial. Infinite at beta = 0, because a continuation may go unseen.

    Example:
        >>> from pgm_rnn import processes
        >>> round(table_risk(processes.golden_mean(), 4, 100), 10)
        0.0553640966
    """
    count = check_integer("num_sequences", num_sequences, 1)
    beta = check_number("pseudocount", pseudocount, 0, 1e6)
    tree = PrefixTree.from_law(process(duration))
    if beta == 0.0 and any(bool(((level.weights > 0).sum(-1) > 1).any()) for level in tree.levels):
        return math.inf
    risk = -float(tree.entropies().sum())
    for level in tree.levels:
        edges = level.weights[level.weights > 0]
        contexts = level.weights.sum(-1)
        risk += float((contexts * expected_log(count, contexts, tree.alphabet_size * beta)).sum())
        risk -= float((edges * expected_log(count, edges, beta)).sum())
    return risk


def expected_log(count: int, p: Tensor, shift: float) -> Tensor:
    r""":math:`E \log(B(N, p) + \text{shift})` for every p in a float64 tensor ``(M,)``."""
    values, where = torch.unique(p.clamp(0.0, 1.0), return_inverse=True)
    return torch.cat([_expected_log(count, part, shift) for part in values.split(256)])[where]


def _expected_log(count: int, p: Tensor, shift: float) -> Tensor:
    reach = SPREAD * ((count * p * (1 - p)).sqrt() + 1.0) + SPREAD
    low = (count * p - reach).floor().clamp_min(0.0)
    width = int((2 * reach).max().ceil()) + 1
    n = low.unsqueeze(-1) + torch.arange(width, dtype=p.dtype, device=p.device)
    inside = n <= count
    n = n.clamp_max(count)
    total = torch.tensor(float(count), dtype=p.dtype, device=p.device)
    log_choose = torch.lgamma(total + 1) - torch.lgamma(n + 1) - torch.lgamma(total - n + 1)
    q = p.unsqueeze(-1)
    log_mass = log_choose + torch.xlogy(n, q) + torch.special.xlog1py(total - n, -q)
    mass = torch.where(inside, log_mass.exp(), 0.0)
    return torch.where(mass > 0, mass * (n + shift).log(), 0.0).sum(-1)
