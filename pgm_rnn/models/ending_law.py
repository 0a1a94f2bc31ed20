"""Laws of words that may end: the last symbol is an absorbing END."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from pgm_rnn.checks import table_size
from pgm_rnn.distribution import SequenceDistribution
from pgm_rnn.edges import Edges
from pgm_rnn.lanes import State
from pgm_rnn.models.recurrent_law import RecurrentLaw
from pgm_rnn.models.rows import RowsLaw


class Ending(NamedTuple):
    """The state of a word that may have ended: that of the open word, whether END came last, and how many came."""

    open: State
    ended: Tensor
    t: int


class EndingLaw(SequenceDistribution):
    r"""The law over ``k + 1`` symbols that goes on with END for ever after END, and never begins with it.

    .. math:: P(y_1 \ldots y_\tau, \tau) = P(y_1 \mid y_1 \ne END) \prod_{t=2}^\tau P(y_t \mid y_{<t}) \cdot
              P(y_{\tau+1} = END \mid y_1 \ldots y_\tau)

    Whether a word has ended is read off its last symbol, so a chain stays a chain: nothing else is kept of the past.
    The mediator is the open law's with that bit behind it.

    Args:
        open_law: how words go on that have not ended, END being its last symbol.
    """

    def __init__(self, open_law: SequenceDistribution) -> None:
        super().__init__(open_law.alphabet_size, open_law.duration, open_law.batch_shape, open_law.device)
        self.open_law = open_law
        self.end = self.alphabet_size - 1
        self.is_end = torch.arange(self.alphabet_size, device=self.device) == self.end

    def initial_state(self, shape: Sequence[int]) -> Ending:
        return Ending(self.open_law.initial_state(shape), torch.zeros(*shape, dtype=torch.bool, device=self.device), 0)

    def next_logits(self, state: Ending) -> Tensor:
        logits = self.open_law.next_logits(state.open)
        return self._begin(logits) if state.t == 0 else self._absorb(logits, state.ended)

    def update(self, state: Ending, symbol: Tensor) -> Ending:
        ended = (symbol == self.end).expand(torch.broadcast_shapes(symbol.shape, state.ended.shape))
        return Ending(self.open_law.update(state.open, symbol), ended, state.t + 1)

    def mediator(self, state: Ending) -> Tensor | None:
        mediator = self.open_law.mediator(state.open)
        if mediator is None:
            return None
        return torch.cat([mediator, state.ended.unsqueeze(-1).to(mediator.dtype)], -1)

    def with_mediator(self, state: Ending, mediator: Tensor) -> Ending:
        return Ending(self.open_law.with_mediator(state.open, mediator[..., :-1]), mediator[..., -1] > 0.5, state.t)

    def logits_along(self, state: Ending, edges: Edges) -> Tensor:
        if not edges:
            return self.next_logits(state)
        logits = self.open_law.logits_along(state.open, edges)
        first, below = logits.split([edges.roots, logits.shape[-2] - edges.roots], -2)
        first = self._begin(first) if state.t == 0 else self._absorb(first, state.ended)
        return torch.cat([first, self._absorb(below, edges.symbols == self.end)], -2)

    def rows_along(self, state: Ending, edges: Edges) -> Tensor:
        """The rows that all lanes would read if they had not ended, where the open law reads rows."""
        assert isinstance(self.open_law, RowsLaw | HaltingLaw)
        return self.open_law.rows_along(state.open, edges)

    def support_size(self) -> int:
        """The words that have ended within T - 1 symbols, and those that have not: ``k + k^2 + ... + k^T``."""
        return table_size(self.end, self.duration)

    def _begin(self, logits: Tensor) -> Tensor:
        return logits.masked_fill(self.is_end, -torch.inf)

    def _absorb(self, logits: Tensor, ended: Tensor) -> Tensor:
        forever = torch.where(self.is_end, 0.0, -torch.inf).to(logits.dtype)
        return torch.where(ended.unsqueeze(-1), forever, logits)


class HaltingLaw(SequenceDistribution):
    r"""``k`` symbols by a law with an extra output :math:`g(s_t)`, and END before each of them by that output.

    .. math:: P(END \mid s_t) = \sigma(g(s_t)), \qquad P(y \mid s_t) = \sigma(-g(s_t)) \, \mathrm{softmax}(o(s_t))_y

    Args:
        law: over k symbols, with ``k + 1`` logits, the last of which is g: see :func:`with_extra_output`.
    """

    def __init__(self, law: SequenceDistribution) -> None:
        super().__init__(law.alphabet_size + 1, law.duration, law.batch_shape, law.device)
        self.law = law

    def initial_state(self, shape: Sequence[int]) -> State:
        return self.law.initial_state(shape)

    def next_logits(self, state: State) -> Tensor:
        return split_halting(self.law.next_logits(state))

    def update(self, state: State, symbol: Tensor) -> State:
        return self.law.update(state, self._symbol(symbol))

    def mediator(self, state: State) -> Tensor | None:
        return self.law.mediator(state)

    def with_mediator(self, state: State, mediator: Tensor) -> State:
        return self.law.with_mediator(state, mediator)

    def logits_along(self, state: State, edges: Edges) -> Tensor:
        return split_halting(self.law.logits_along(state, self.without_end(edges)))

    def rows_along(self, state: State, edges: Edges) -> Tensor:
        """The rows that all lanes read, where the law reads rows."""
        assert isinstance(self.law, RowsLaw)
        return self.law.rows_along(state, self.without_end(edges))

    def without_end(self, edges: Edges) -> Edges:
        """The edges with some other symbol for END, which leads where no state matters any more."""
        return Edges([(parent, self._symbol(symbol)) for parent, symbol in edges], edges.roots)

    def _symbol(self, symbol: Tensor) -> Tensor:
        return symbol.clamp(max=self.alphabet_size - 2)


def split_halting(outputs: Tensor) -> Tensor:
    """Log-probabilities ``(..., k + 1)`` of k symbols and END, from k logits of the symbols and the one of halting.

    >>> split_halting(torch.zeros(3)).exp()
    tensor([0.2500, 0.2500, 0.5000])
    """
    halting = outputs[..., -1:]
    return torch.cat([outputs[..., :-1].log_softmax(-1) + logsigmoid(-halting), logsigmoid(halting)], -1)


def with_extra_output(law: SequenceDistribution, weights: Tensor, bias: Tensor | None = None) -> SequenceDistribution:
    """The law with one more logit beside those of its k symbols.

    Args:
        law: of a table or chain, or of a network.
        weights: the logit of every row ``(*lead, M)``, or the vector v ``(*lead, H)`` of :math:`v \\cdot h + d`.
        bias: d, ``(*lead,)``, for a network.
    """
    wide = copy.copy(law)
    if isinstance(wide, RowsLaw):
        wide.logits = torch.cat([wide.logits, weights.unsqueeze(-1)], -1)
        return wide
    assert isinstance(wide, RecurrentLaw)  # its family has refused others
    assert bias is not None
    wide.V_T = torch.cat([wide.V_T, weights.unsqueeze(-1)], -1)
    wide.c = torch.cat([wide.c, bias.unsqueeze(-1).unsqueeze(-1)], -1)
    return wide
