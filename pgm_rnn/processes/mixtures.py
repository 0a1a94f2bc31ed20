"""Named sources of words given a context."""

from __future__ import annotations

from collections.abc import Sequence

from pgm_rnn.checks import check_number
from pgm_rnn.processes.conditional import Interpolated, Mixture
from pgm_rnn.processes.process import Process
from pgm_rnn.processes.zoo import biased_coin, even, golden_mean, named, simple_nonunifilar


@named
def coins(p: Sequence[float] = (0.1, 0.35, 0.65, 0.9)) -> Mixture:
    """The label picks one of K coins, ``P(1) = p[x]``: knowing it is worth something at every step.

    >>> import torch
    >>> coins()(1, context=torch.tensor([0, 3])).log_prob(torch.tensor([1])).exp()
    tensor([0.1000, 0.9000], dtype=torch.float64)
    """
    return Mixture([biased_coin(one) for one in p])


@named
def bells(q: float = 0.1) -> Mixture:
    """A 1, the bell, comes with probability ``q``, and the symbol after it is the label: until then nothing tells it.

    The label 1 gives :func:`even`; the label 0 :func:`golden_mean` with its symbols exchanged.

    >>> import torch
    >>> bells()(3, context=torch.tensor([0, 1])).given([0]).log_prob(torch.tensor([1, 1])).exp()
    tensor([0.0000, 0.1000], dtype=torch.float64)
    """
    q = check_number("q", q, 0, 1, open_ends=True)
    return Mixture([Process(golden_mean(1 - q).joint.flip(0)), even(1 - q)])


@named
def grammars() -> Mixture:
    """The label picks golden-mean, even or simple-nonunifilar: each with words that another forbids.

    >>> grammars().context_dim
    3
    """
    return Mixture([golden_mean(), even(), simple_nonunifilar()])


@named
def sliding_golden_mean(low: float = 0.2, high: float = 0.8, nodes: int = 16) -> Interpolated:
    """:func:`golden_mean` at ``p = low + (high - low) x``, for x uniform on [0, 1].

    >>> import torch
    >>> sliding_golden_mean()(1, context=torch.tensor([[0.5]])).log_prob(torch.tensor([1])).exp()  # 1 / (2 - p)
    tensor([0.6667], dtype=torch.float64)
    """
    return Interpolated(golden_mean(low), golden_mean(high), nodes)
