"""Exposure bias, exactly: how much worse a model predicts after its own words than after the truth's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from pgm_rnn.checks import MAX_NODES, check_duration, reject
from pgm_rnn.distribution import SequenceDistribution
from pgm_rnn.family import Family
from pgm_rnn.lanes import join_lanes
from pgm_rnn.prefix_tree import PrefixTree
from pgm_rnn.scoring import double
from pgm_rnn.tree_layout import Level, states_below


@dataclass(frozen=True)
class ExposureBias:
    """Prediction after true and after own words, per horizon: ``(T,)``, or ``(R, T)`` with replicates.

    Attributes:
        after_true: the divergence of the model's law of y_t from the truth's, in nats, after words of the truth: what
            training with teacher forcing sees. It is ``Score.divergence_by_position``.
        after_own: the same after the model's own words, averaged over those that the truth allows.
        mass_outside: the model's probability that its first t - 1 symbols are a word which the truth forbids; there
            the truth predicts nothing, so these words are counted here and not in ``after_own``.
    """

    after_true: Tensor
    after_own: Tensor
    mass_outside: Tensor

    @property
    def bias(self) -> Tensor:
        """``after_own - after_true``, in nats; NaN where both are infinite."""
        return self.after_own - self.after_true

    @property
    def unrestricted(self) -> Tensor:
        """:attr:`bias` where no own word was left out of the average, NaN elsewhere."""
        return self.bias.masked_fill(self.mass_outside > 0, torch.nan)


@torch.no_grad()
def exposure_bias(model: Family, process: Family, duration: int) -> ExposureBias:
    r"""The exposure bias of a model at every horizon, by enumerating the words of the truth, in float64.

    With P the truth, Q the model and S the prefixes v of t - 1 symbols with P(v) > 0,

    .. math:: b_t = \sum_{v \in S} \frac{Q(v)}{Q(S)} KL(P(\cdot | v) \| Q(\cdot | v))
                    - \sum_{v \in S} P(v) KL(P(\cdot | v) \| Q(\cdot | v)), \qquad
              \text{mass outside} = 1 - Q(S).

    It may be negative: the model's own words may be those that it predicts best. Near the truth both terms are of
    second order in Q - P, and their difference of third.

    Args:
        model: any family.
        process: the truth, any family without replicates.
        duration: T.

    Raises:
        InputError: if the truth has too many prefixes, or the arguments do not fit.

    Source: Ranzato et al. (2016), *Sequence level training with recurrent neural networks*, section 1, who named it.

    Example:
        >>> from pgm_rnn import processes
        >>> found = exposure_bias(processes.biased_coin(0.3), processes.golden_mean(), 3)
        >>> found.mass_outside.round(decimals=6).tolist()
        [0.0, 0.0, 0.49]
    """
    law = double("model", model)(check_duration(duration))
    truth = double("process", process).to(law.device)(duration)
    if truth.batch_shape:
        raise reject("process", "a truth without replicates", f"batch shape {tuple(truth.batch_shape)}")
    if truth.alphabet_size != law.alphabet_size:
        raise reject("model", f"alphabet_size {truth.alphabet_size}, as in the process", law.alphabet_size)
    tree = PrefixTree.from_law(truth, max_nodes=MAX_NODES // law.batch_shape.numel())
    reached = torch.zeros(*law.batch_shape[:-1], 1, law.alphabet_size, dtype=torch.double, device=law.device)
    outside, horizons = reached[..., 0, 0], []
    for level, log_q in zip(tree.levels, _predictions(law, tree.levels), strict=True):
        own = reached[..., 0] if level.parent is None else reached[..., level.parent, level.symbol]  # log Q(v)
        horizons.append(torch.stack([*_averages(level.weights, log_q, own), outside]))
        reached = own.unsqueeze(-1) + log_q  # log Q(v y)
        outside = outside + reached.exp().masked_fill(level.weights > 0, 0.0).sum((-2, -1))
    return ExposureBias(*torch.stack(horizons, -1))


def _predictions(law: SequenceDistribution, levels: list[Level]) -> Iterator[Tensor]:
    """Log-probabilities of the next symbol after every prefix, level by level: ``(*batch, lanes, k)``."""
    batch = law.batch_shape[:-1]
    parts = [law.initial_state((*batch, 1))]
    for here, below in zip(levels, [*levels[1:], None], strict=True):
        logits = torch.cat([law.next_logits(part) for part in parts], -2)
        yield logits.expand(*batch, here.weights.shape[-2], -1).log_softmax(-1)
        if below is not None and below.parent is not None and below.symbol is not None:
            parts = list(states_below(law, join_lanes(parts, len(batch)), below.parent, below.symbol))


def _averages(weights: Tensor, log_q: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
    """The divergence of the next symbol's laws, averaged over true and over own prefixes; ``0 * inf = 0``."""
    true = weights.sum(-1)
    p = weights / true.unsqueeze(-1)
    divergences = torch.where(p > 0, p * (p.log() - log_q), 0.0).sum(-1)  # (*batch, lanes)
    shares = own.softmax(-1)
    after_own = torch.where(shares == 0, 0.0, shares * divergences).sum(-1)
    return (true * divergences).sum(-1), after_own
