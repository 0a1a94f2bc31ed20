"""Mixed states: what an observer believes about the hidden state, with the probability of coming to believe it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pgm_rnn.checks import check_budget, reject
from pgm_rnn.processes.chains import coincide, stationary_distribution

MAX_NUMBERS = 2**23
"""Numbers that the beliefs after one more symbol may fill (64 MiB)."""

MAX_MIXED_STATES = 1024
"""Mixed states of a presentation."""

NEGLIGIBLE = 1e-25
"""Beliefs of less probability are dropped: all of them together are less than a rounding error."""

CLOSE = 1e-8
"""Beliefs this close in every root-probability are merged: taking their mean costs 1e-16 nats, a rounding error."""

RARE = 1e-15
"""Mixed states that are first reached with less probability than this are left out of a presentation."""


class MixedStates(NamedTuple):
    """The distinct beliefs ``states (M, S)`` after words of one length, and their probabilities ``weights (M,)``."""

    states: Tensor
    weights: Tensor

    @classmethod
    def unaware(cls, joint: Tensor) -> MixedStates:
        """The one belief of an observer who has seen nothing: the stationary distribution."""
        pi = stationary_distribution(joint.sum(0))
        return cls(pi.unsqueeze(0), torch.ones_like(pi[:1]))

    @classmethod
    def synchronised(cls, joint: Tensor) -> MixedStates:
        """The beliefs of an observer who was told the state."""
        pi = stationary_distribution(joint.sum(0))
        return cls(torch.eye(len(pi), dtype=pi.dtype, device=pi.device), pi)

    def advance(self, joint: Tensor) -> MixedStates:
        """The beliefs one symbol later, close ones merged into their mean.

        Raises:
            InputError: before more than :data:`MAX_NUMBERS` numbers are allocated.
        """
        k, S = joint.shape[:2]
        way_out = "the distinct mixed states grow without end; use a smaller duration"
        check_budget("duration", len(self.states) * k * S, MAX_NUMBERS, "numbers for the mixed states", way_out)
        parts = ahead(self.states * self.weights.unsqueeze(-1), joint).flatten(0, 1)  # P(word, s'), (M * k, S)
        weights = parts.sum(-1)
        parts, weights = parts[weights > NEGLIGIBLE], weights[weights > NEGLIGIBLE]
        labels = coincide(parts / weights.unsqueeze(-1), CLOSE)
        sums = parts.new_zeros(int(labels.max()) + 1, S).index_add_(0, labels, parts)
        weights = sums.sum(-1)
        return MixedStates(sums / weights.unsqueeze(-1), weights)

    def symbol_entropy(self, joint: Tensor) -> float:
        """Entropy of the next symbol given the belief, in nats."""
        return float(self.weights @ entropies(self.states @ joint.sum(-1).mT))

    def state_entropy(self) -> float:
        """Entropy of the hidden state given the belief, in nats."""
        return float(self.weights @ entropies(self.states))


def entropies(distributions: Tensor) -> Tensor:
    """Entropy in nats of distributions ``(..., n)``.

    >>> entropies(torch.tensor([[0.5, 0.5], [0.0, 1.0]]))
    tensor([0.6931, 0.0000])
    """
    return torch.special.entr(distributions).sum(-1)


def ahead(vectors: Tensor, joint: Tensor) -> Tensor:
    """Row vectors ``(M, S)`` times every symbol's matrix: ``(M, k, S)``."""
    k, S = joint.shape[:2]
    return (vectors @ joint.transpose(0, 1).reshape(S, k * S)).unflatten(-1, (k, S))


def presentation(joint: Tensor) -> Tensor:
    """The unifilar chain ``(k, n, n)`` on the mixed states, the stationary belief first; its words have the same law.

    Mixed states rarer than :data:`RARE` are left out, and what leads to them starts anew, so countably many are within
    reach where their probabilities fall off.

    Raises:
        InputError: if there are more than :data:`MAX_MIXED_STATES`.

    Source: Ellison, Mahoney and Crutchfield (2009), *Prediction, retrodiction, and the amount of information stored
    in the present*.
    """
    k = len(joint)
    known, arrival = MixedStates.unaware(joint)
    first, rows = 0, []
    while first < len(known):
        onward = ahead(known[first:], joint)
        probability = onward.sum(-1)  # (new, k)
        reached = arrival[first:].unsqueeze(-1) * probability
        alive = reached > RARE
        found = torch.cat([known, onward[alive] / probability[alive].unsqueeze(-1)])
        place, fresh = _first_places(coincide(found), len(known))
        target = torch.zeros_like(alive, dtype=torch.long).masked_scatter_(alive, place[len(known) :])
        rows.append((probability, target))
        first = len(known)
        mass = torch.cat([torch.zeros_like(arrival), reached[alive]])
        arrival = arrival.new_zeros(first + len(fresh)).index_add_(0, place, mass)
        known = torch.cat([known, found[fresh]])
        if len(known) > MAX_MIXED_STATES:
            expected = f"at most {MAX_MIXED_STATES:,} mixed states, to list the causal states"
            got = f"{len(known):,} and more: what is to come keeps depending on the whole past"
            raise reject("process", expected, got)
    probabilities, targets = (torch.cat(parts).unsqueeze(-1) for parts in zip(*rows, strict=True))
    return joint.new_zeros(len(known), k, len(known)).scatter_(-1, targets, probabilities).transpose(0, 1)


def _first_places(labels: Tensor, known: int) -> tuple[Tensor, Tensor]:
    """The place of the first row with the same label, new ones standing right behind the known; and the new rows."""
    position = torch.arange(len(labels), device=labels.device)
    first = torch.full_like(labels, len(labels)).scatter_reduce_(0, labels, position, "amin")[labels]
    fresh = (first == position).nonzero().squeeze(-1)
    fresh = fresh[fresh >= known]
    place = first.clone()
    late = first >= known
    place[late] = known + torch.searchsorted(fresh, first[late])
    return place, fresh
