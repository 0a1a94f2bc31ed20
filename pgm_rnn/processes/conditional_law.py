"""The law of words given a context: a hidden chain for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pgm_rnn.distribution import SequenceDistribution
from pgm_rnn.placed import Placed, first_roots
from pgm_rnn.processes.chains import count_words
from pgm_rnn.processes.hidden_markov import safe_log


class Chains(NamedTuple):
    """A hidden chain for each of G contexts: ``joint (G, k, S, S)`` and ``initial (G, S)``."""

    joint: Tensor
    initial: Tensor


class ConditionalLaw(SequenceDistribution):
    r"""Words of G hidden Markov chains, one for each context: batch shape ``(G,)``.

    A state keeps the logarithm ``(*shape, S)`` of the belief :math:`\beta_t(s) = P(s_t = s \mid y_{<t}, x)`,

    .. math:: P(y \mid \beta, x) = \sum_{s, s'} \beta(s) J_y(x)[s, s'], \qquad
              \beta'(s') \propto \sum_s \beta(s) J_y(x)[s, s'].

    After a forbidden symbol the initial belief stands in: the word's ``-inf`` has been counted.
    """

    def __init__(self, duration: int, chains: Chains) -> None:
        super().__init__(chains.joint.shape[1], duration, chains.joint.shape[:1], chains.joint.device)
        self.joint = chains.joint
        self.log_joint = safe_log(chains.joint)
        self.log_emission = safe_log(chains.joint.sum(-1).mT)  # (G, S, k)
        self.log_initial = safe_log(chains.initial)

    def initial_state(self, shape: Sequence[int]) -> Placed:
        root = first_roots(shape, len(self.joint), self.device)
        return Placed(self.log_initial[root], root, 0)

    def next_logits(self, state: Placed) -> Tensor:
        return (state.past.unsqueeze(-1) + self.log_emission[state.root]).logsumexp(-2)

    def update(self, state: Placed, symbol: Tensor) -> Placed:
        root, symbol = torch.broadcast_tensors(state.root, symbol)
        onward = (state.past.unsqueeze(-1) + self.log_joint[root, symbol]).logsumexp(-2)
        forbidden = torch.isneginf(onward).all(-1, keepdim=True)
        onward = torch.where(forbidden, self.log_initial[root], onward)
        return Placed(onward - onward.logsumexp(-1, keepdim=True), root, state.t + 1)

    def mediator(self, state: Placed) -> Tensor:
        return state.past

    def with_mediator(self, state: Placed, mediator: Tensor) -> Placed:
        return state._replace(past=mediator)

    def support_size(self) -> int:
        """The number of possible words of the context that has most, or ``k^T`` where counting takes too long."""
        patterns = (self.joint > 0).unique(dim=0)
        counts = [count_words(pattern.unsqueeze(0), [0] * self.duration) for pattern in patterns]
        return max(super().support_size() if count is None else count for count in counts)
