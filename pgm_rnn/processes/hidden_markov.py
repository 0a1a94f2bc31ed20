"""The law of a hidden Markov process, exact to any duration."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pgm_rnn.checks import check_shape
from pgm_rnn.distribution import SequenceDistribution, draw, uniform
from pgm_rnn.edges import Edges
from pgm_rnn.processes.chains import count_words

SMALL = 1e-145
"""Probabilities whose product is still a normal number with room to spare."""


class HiddenMarkovLaw(SequenceDistribution):
    r"""Words of an edge-labelled hidden Markov chain, filtered in logarithms.

    With :math:`J_y[s, s'] = P(y, s' \mid s)` and belief :math:`\beta_t(s) = P(s_t = s \mid y_{<t})`,

    .. math:: P(y \mid \beta) = \sum_{s, s'} \beta(s) J_y[s, s'], \qquad
              \beta'(s') = \frac{\sum_s \beta(s) J_y[s, s']}{P(y \mid \beta)}.

    The state is :math:`\log\beta`, so no mass underflows however long the word. After a forbidden symbol the initial
    belief stands in: the word's ``-inf`` has been counted.

    Args:
        duration: T.
        joint: ``(k, S, S)``, J, float64 for exact words.
        initial: ``(S,)``, :math:`\beta_1`.
    """

    def __init__(self, duration: int, joint: Tensor, initial: Tensor) -> None:
        super().__init__(joint.shape[0], duration, device=joint.device)
        self.joint = joint
        self.log_initial = safe_log(initial)
        self._onward = joint.transpose(0, 1).flatten(1)  # P(y, s' | s), (S, k * S)
        self._emission = joint.sum(-1).mT  # P(y | s), (S, k)

    def initial_state(self, shape: Sequence[int]) -> Tensor:
        return self.log_initial.expand(*shape, -1)

    def next_logits(self, state: Tensor) -> Tensor:
        return log_product(state, self._emission)

    def update(self, state: Tensor, symbol: Tensor) -> Tensor:
        S = self.joint.shape[1]
        shape = torch.broadcast_shapes(state.shape[:-1], symbol.shape)
        columns = symbol.unsqueeze(-1) * S + torch.arange(S, device=symbol.device)
        chosen = log_product(state.expand(*shape, S), self._onward, columns.expand(*shape, S))
        forbidden = torch.isneginf(chosen).all(-1, keepdim=True)
        chosen = torch.where(forbidden, self.log_initial, chosen)
        return chosen - chosen.logsumexp(-1, keepdim=True)

    def mediator(self, state: Tensor) -> Tensor:
        return state

    def logits_along(self, state: Tensor, edges: Edges) -> Tensor:
        return self.next_logits(torch.cat(self.states_along(state, edges), -2))

    def support_size(self) -> int:
        """The number of possible words, or ``k^T`` where counting them would take too long."""
        count = count_words(self.joint, self.duration)
        return super().support_size() if count is None else count

    @torch.no_grad()
    def sample(self, sample_shape: Sequence[int] = torch.Size(), *, generator: torch.Generator | None = None) -> Tensor:
        """Words ``(*sample_shape, *batch_shape, T)``, by walking the hidden chain: one draw a step and no filter."""
        shape = check_shape("sample_shape", sample_shape) + self.batch_shape
        S = self.joint.shape[1]
        width = int((self._onward > 0).sum(-1).max())
        probability, edge = self._onward.topk(width)  # the possible (y, s') of every state first
        cumulative = probability.cumsum(-1)
        cumulative = cumulative[:, :-1] / cumulative[:, -1:]  # 1 from the last possible one on: no draw gets past it
        state = draw(self.log_initial.expand(shape.numel(), S), generator)
        words = torch.empty(self.duration, shape.numel(), dtype=torch.long, device=self.joint.device)
        for t in range(self.duration):
            reached = uniform((shape.numel(), 1), state.device, generator) >= cumulative.index_select(0, state)
            pair = edge.take(state * width + reached.sum(-1))
            words[t], state = pair // S, pair % S
        return words.mT.contiguous().reshape(*shape, self.duration)


def safe_log(values: Tensor) -> Tensor:
    """The logarithm, ``-inf`` at 0 without an infinite gradient there."""
    zero = values == 0
    return values.masked_fill(zero, 1.0).log().masked_fill(zero, -torch.inf)


def log_product(log_vector: Tensor, matrix: Tensor, columns: Tensor | None = None) -> Tensor:
    r""":math:`\log \sum_s e^{v_s} M_{sj}` for ``v (..., S)``, ``M (S, J)``, and every j or the ``columns (..., n)``.

    It is ``-inf`` only where it is exactly that: a product of scaled probabilities is right wherever it is a normal
    number, and the few that underflow although they are possible are summed again in logarithms. Gradients are
    finite, and zero through what is impossible.
    """
    peak = log_vector.amax(-1, keepdim=True).detach()
    scaled = (log_vector - peak).exp() @ matrix
    scaled = scaled if columns is None else scaled.gather(-1, columns)
    tiny = scaled < SMALL**2
    if not bool(tiny.any()):
        return scaled.log() + peak
    result = scaled.masked_fill(tiny, 1.0).log().masked_fill(tiny, -torch.inf) + peak
    absent = torch.isneginf(log_vector)
    usual = (absent | (log_vector - peak > math.log(SMALL))).all() & ((matrix == 0) | (matrix > SMALL)).all()
    if bool(usual):
        return result  # no possible product is tiny
    possible = (~absent).to(matrix.dtype) @ (matrix > 0).to(matrix.dtype) > 0
    place = (tiny & (possible if columns is None else possible.gather(-1, columns))).nonzero(as_tuple=True)
    terms = log_vector[place[:-1]] + safe_log(matrix).mT[place[-1] if columns is None else columns[place]]
    return result.index_put(place, terms.logsumexp(-1))
