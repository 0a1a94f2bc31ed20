"""When words end: the law of their length, and how many end as no word of the truth does, exactly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from pgm_rnn.checks import MAX_NODES, check_budget, check_integer, reject
from pgm_rnn.distribution import SequenceDistribution
from pgm_rnn.family import Family
from pgm_rnn.lanes import join_lanes
from pgm_rnn.scoring import device_of, double, plain
from pgm_rnn.tree_layout import states_below


class FiniteWordTable:
    r"""The probabilities :math:`Q(y_1 \ldots y_\tau, \tau)` of all words of at most T symbols.

    Args:
        law: over ``T + 1`` steps, the last of its symbols being END.

    Attributes:
        words: for :math:`\tau = 0..T` the words of that length in lexicographic order, ``(*lead, k^tau)``, where
            ``lead`` is ``()`` or ``(R,)``; k does not count END.
        cut: the probability that a word is longer, ``lead``.

    Raises:
        InputError: before allocating, if there are too many words.

    Example:
        >>> from pgm_rnn import processes
        >>> table = FiniteWordTable(processes.brackets()(5))
        >>> table.words[2]  # (( () )( ))
        tensor([0.0000, 0.4200, 0.0000, 0.0000], dtype=torch.float64)
        >>> table.lengths
        tensor([0.0000, 0.0000, 0.4200, 0.0000, 0.2058, 0.3742], dtype=torch.float64)
    """

    def __init__(self, law: SequenceDistribution) -> None:
        self.k = law.alphabet_size - 1
        words = self.k**law.duration * max(law.batch_shape.numel(), 1)
        check_budget("duration", words, MAX_NODES, "words", "use a smaller duration")
        onward = list(_continuations(law))
        self.words = [log_q[..., -1].exp() for log_q in onward]
        self.cut = onward[-1][..., :-1].exp().sum((-2, -1))

    @cached_property
    def lengths(self) -> Tensor:
        r"""The law of the length, :math:`Q(\tau = 0), \ldots, Q(\tau = T), Q(\tau > T)`: ``(*lead, T + 2)``."""
        return torch.stack([*(words.sum(-1) for words in self.words), self.cut], -1)


def _continuations(law: SequenceDistribution) -> Iterator[Tensor]:
    """For t = 1..T the log-probabilities of all words of t - 1 symbols without END, continued by every symbol:
    ``(*lead, k^(t-1), k + 1)``."""
    k, batch = law.alphabet_size - 1, law.batch_shape[:-1]
    state, mass = law.initial_state((*batch, 1)), torch.zeros(*batch, 1, dtype=torch.double, device=law.device)
    for t in range(1, law.duration + 1):
        log_q = mass.unsqueeze(-1) + law.next_logits(state).double().log_softmax(-1)
        yield log_q
        if t < law.duration:
            mass = log_q[..., :k].flatten(-2)
            child = torch.arange(mass.shape[-1], device=law.device)
            state = join_lanes(list(states_below(law, state, child // k, child % k)), len(batch))


@dataclass(frozen=True)
class EndingScore:
    """How a model's words end beside the truth's; with replicates every number of the model has a leading axis R.

    Attributes:
        lengths: the model's law of the length, ``(T + 2,)``: 0..T symbols, or more.
        true_lengths: the truth's.
        divergence: KL of the two laws, in nats. The rest of the KL of the joint is that of words given their length.
        distance: the total variation between them, in 0..1: the least share of the model's words that would have to
            be of another length.
        incomplete: the model's probability of anything but a complete word of the truth with at most T symbols: words
            that are cut, and words that end where the truth cannot end.
        cut: of those, words that are longer than T.
        true_cut: the same of the truth, which is never incomplete otherwise.
    """

    lengths: Tensor
    true_lengths: Tensor
    divergence: Any
    distance: Any
    incomplete: Any
    cut: Any
    true_cut: float


@torch.no_grad()
def score_endings(model: Family, source: Family, longest: int) -> EndingScore:
    r"""Compare when the words of a model and of a source end, by listing all words of at most ``longest`` symbols.

    .. math:: KL(P \| Q) = \sum_\tau P(\tau) \log \frac{P(\tau)}{Q(\tau)} +
              \sum_\tau P(\tau) KL(P(y_1 \ldots y_\tau \mid \tau) \| Q(y_1 \ldots y_\tau \mid \tau)),

    where the left side is what ``score(model, source, longest + 1)`` gives, and all longer words count as one length.

    Args:
        model: a family over k symbols and END, with or without replicates.
        source: the truth, such as those of :data:`pgm_rnn.processes.FINITE`.
        longest: T; the laws are taken over T + 1 steps.

    Raises:
        InputError: if one of the two has no END, they differ in their symbols, or there are too many words.

    Example:
        >>> from pgm_rnn import processes
        >>> found = score_endings(processes.geometric_length(0.5), processes.geometric_length(0.25), 2)
        >>> found.lengths, found.true_lengths
        (tensor([0.0000, 0.5000, 0.2500, 0.2500], dtype=torch.float64),
         tensor([0.0000, 0.2500, 0.1875, 0.5625], dtype=torch.float64))
        >>> round(found.distance, 4)
        0.3125
    """
    model, source = double("model", model), double("source", source)
    for argument, family in (("model", model), ("source", source)):
        if not family.ends:
            way_out = "give it one, such as models.EndSymbol"
            raise reject(argument, "a family with an END", type(family).__name__, way_out)
    if model.alphabet_size != source.alphabet_size:
        raise reject("model", f"alphabet_size {source.alphabet_size}, as in the source", model.alphabet_size)
    steps = check_integer("longest", longest, 1) + 1
    own, true = FiniteWordTable(model(steps)), FiniteWordTable(source.to(device_of(model))(steps))
    p, q = true.lengths, own.lengths
    pairs = zip(own.words, true.words, strict=True)
    elsewhere = torch.stack([(words * (possible == 0)).sum(-1) for words, possible in pairs]).sum(0)
    return EndingScore(
        lengths=q,
        true_lengths=p,
        divergence=plain(torch.where(p > 0, p * (p.log() - q.log()), 0.0).sum(-1)),
        distance=plain((p - q).abs().sum(-1) / 2),
        incomplete=plain(own.cut + elsewhere),
        cut=plain(own.cut),
        true_cut=float(true.cut),
    )


@torch.no_grad()
def incomplete_when_cut(model: Family, source: Family, longest: int) -> Tensor:
    """What a sampler without an ending does: the probability that its first L symbols are no complete word of the
    source, for L = 1..``longest``: ``(longest,)``, or ``(R, longest)``.

    Args:
        model: a family over k symbols, without END.
        source: the truth, over k symbols and END.

    Raises:
        InputError: if the two differ in their symbols, or there are too many words.

    Example:
        >>> from pgm_rnn import processes
        >>> incomplete_when_cut(processes.biased_coin(), processes.brackets(), 4)
        tensor([1.0000, 0.7500, 1.0000, 0.8750], dtype=torch.float64)
    """
    model, source = double("model", model), double("source", source)
    true = FiniteWordTable(source.to(device_of(model))(check_integer("longest", longest, 1) + 1))
    if model.alphabet_size != true.k:
        raise reject("model", f"alphabet_size {true.k}, the source's without END", model.alphabet_size)
    shares = []
    for length in range(1, longest + 1):
        law = model(length)
        words = law.enumerate_support(expand=False).reshape(-1, length)
        shares.append((law.log_prob(words).exp() * (true.words[length] == 0)).sum(-1))
    return torch.stack(shares, -1)
