"""The law of a hidden Markov process, exact to any duration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from pgm_rnn.checks import check_shape
from pgm_rnn.distribution import SequenceDistribution, draw, uniform
from pgm_rnn.edges import Edges
from pgm_rnn.processes.chains import count_words

SMALL = 1e-145
"""Probabilities whose product is still a normal number with room to spare."""


class Transition:
    """One step of a hidden chain, ``joint[y, s, s'] = P(y, s' | s)``: how beliefs are filtered and symbols drawn."""

    def __init__(self, joint: Tensor) -> None:
        self.states = joint.shape[1]
        self.onward = joint.transpose(0, 1).flatten(1)  # P(y, s' | s), (S, k * S)
        self.emission = joint.sum(-1).mT  # P(y | s), (S, k)

    def predict(self, log_belief: Tensor) -> Tensor:
        """Log-probabilities of the next symbol, ``(..., k)``."""
        return log_product(log_belief, self.emission)

    def condition(self, log_belief: Tensor, symbol: Tensor, instead: Tensor) -> Tensor:
        """The log-belief after ``symbol``, or ``instead`` where that symbol is forbidden."""
        S = self.states
        shape = torch.broadcast_shapes(log_belief.shape[:-1], symbol.shape)
        columns = symbol.unsqueeze(-1) * S + torch.arange(S, device=symbol.device)
        chosen = log_product(log_belief.expand(*shape, S), self.onward, columns.expand(*shape, S))
        forbidden = torch.isneginf(chosen).all(-1, keepdim=True)
        chosen = torch.where(forbidden, instead, chosen)
        return chosen - chosen.logsumexp(-1, keepdim=True)

    def draw(self, state: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """A symbol and the next hidden state for every one of ``state (N,)``."""
        cumulative, edge = self._possible
        width = edge.shape[-1]
        reached = uniform((*state.shape, 1), state.device, generator) >= cumulative.index_select(0, state)
        pair = edge.take(state * width + reached.sum(-1))
        return pair // self.states, pair % self.states

    @cached_property
    def _possible(self) -> tuple[Tensor, Tensor]:
        """Cumulative probabilities but the last, and the pairs (y, s') they are of, of every state: ``(S, width)``."""
        width = int((self.onward > 0).sum(-1).max())
        probability, edge = self.onward.topk(width)  # the possible ones first
        cumulative = probability.cumsum(-1)
        return cumulative[:, :-1] / cumulative[:, -1:], edge  # 1 from the last possible one on: no draw gets past it


class Belief(NamedTuple):
    """What a past of ``t - 1`` symbols says of the hidden state: ``log[..., s] = log P(s_t = s | y_1 .. y_(t-1))``."""

    log: Tensor
    t: int


class HiddenMarkovLaw(SequenceDistribution):
    r"""Words of an edge-labelled hidden Markov chain, filtered in logarithms.

    With :math:`J_y[s, s'] = P(y_t = y, s_{t+1} = s' \mid s_t = s)`, which may depend on t, and belief
    :math:`\beta_t(s) = P(s_t = s \mid y_{<t})`,

    .. math:: P(y \mid \beta) = \sum_{s, s'} \beta(s) J_y[s, s'], \qquad
              \beta'(s') = \frac{\sum_s \beta(s) J_y[s, s']}{P(y \mid \beta)}.

    The state holds :math:`\log\beta`, so no mass underflows however long the word. After a forbidden symbol the
    initial belief stands in: the word's ``-inf`` has been counted.

    Args:
        duration: T.
        joint: ``(k, S, S)``, J, float64 for exact words; or ``(L, k, S, S)``, one for each of the first L steps.
        initial: ``(S,)``, :math:`\beta_1`.
        period: how many of the last matrices repeat for ever after step L, see :func:`which_table`.
    """

    def __init__(self, duration: int, joint: Tensor, initial: Tensor, period: int = 1) -> None:
        super().__init__(joint.shape[-3], duration, device=joint.device)
        self.joint = joint.reshape(-1, *joint.shape[-3:])
        self.period = period
        self.log_initial = safe_log(initial)
        self._transitions = [Transition(table) for table in self.joint[:duration]]

    def transition(self, t: int) -> Transition:
        """The step that emits :math:`y_t`, from :math:`s_t` to :math:`s_{t+1}`."""
        return self._transitions[which_table(t, len(self.joint), self.period)]

    def initial_state(self, shape: Sequence[int]) -> Belief:
        return Belief(self.log_initial.expand(*shape, -1), 1)

    def next_logits(self, state: Belief) -> Tensor:
        return self.transition(state.t).predict(state.log)

    def update(self, state: Belief, symbol: Tensor) -> Belief:
        return Belief(self.transition(state.t).condition(state.log, symbol, self.log_initial), state.t + 1)

    def mediator(self, state: Belief) -> Tensor:
        return state.log

    def with_mediator(self, state: Belief, mediator: Tensor) -> Belief:
        return Belief(mediator, state.t)

    def logits_along(self, state: Belief, edges: Edges) -> Tensor:
        if len(self.joint) > 1:
            return super().logits_along(state, edges)
        return self.transition(1).predict(torch.cat([below.log for below in self.states_along(state, edges)], -2))

    def support_size(self) -> int:
        """The number of possible words from any state, or ``k^T`` where counting them would take too long."""
        schedule = [which_table(t, len(self.joint), self.period) for t in range(1, self.duration + 1)]
        count = count_words(self.joint, schedule)
        return super().support_size() if count is None else count

    @torch.no_grad()
    def sample(self, sample_shape: Sequence[int] = torch.Size(), *, generator: torch.Generator | None = None) -> Tensor:
        """Words ``(*sample_shape, *batch_shape, T)``, by walking the hidden chain: one draw a step and no filter."""
        shape = check_shape("sample_shape", sample_shape) + self.batch_shape
        state = draw(self.log_initial.expand(shape.numel(), -1), generator)
        words = torch.empty(self.duration, shape.numel(), dtype=torch.long, device=self.device)
        for t in range(1, self.duration + 1):
            words[t - 1], state = self.transition(t).draw(state, generator)
        return words.mT.contiguous().reshape(*shape, self.duration)


def which_table(t: int, count: int, period: int) -> int:
    """The index of the table that step ``t`` reads: each of ``count`` in turn, then the last ``period`` over and over.

    >>> [which_table(t, count=4, period=2) for t in range(1, 10)]
    [0, 1, 2, 3, 2, 3, 2, 3, 2]
    """
    late = t - 1 - count
    return t - 1 if late < 0 else count - period + late % period


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
