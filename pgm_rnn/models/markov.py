"""The Markov chain of order m: the next symbol depends on the last m alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pgm_rnn.checks import check_alphabet, check_integer, check_table
from pgm_rnn.family import ParameterCount
from pgm_rnn.models.rows import RowsFamily, RowsLaw, check_copies, row_offset
from pgm_rnn.placed import Placed, first_roots

MAX_CHOSEN_ROWS = 2**12
"""``Markov(order=None)`` tries the orders whose tables have at most this many entries per context length."""


class MarkovLaw(RowsLaw):
    r"""Row of the last :math:`\min(t, m)` symbols, kept in a tuple, so that older ones leave no trace."""

    def __init__(
        self, duration: int, logits: Tensor, order: int, labels: Tensor | None = None, num_labels: int = 1
    ) -> None:
        super().__init__(duration, logits, labels, num_labels)
        self.order = order

    def initial_state(self, shape: Sequence[int]) -> Placed:
        return Placed((), first_roots(shape, self.roots, self.device), 0)

    def update(self, state: Placed, symbol: Tensor) -> Placed:
        symbols = (*state.past, symbol.expand(torch.broadcast_shapes(state.root.shape, symbol.shape)))
        return Placed(symbols[len(symbols) - min(len(symbols), self.order) :], state.root, state.t + 1)

    def contexts(self, state: Placed) -> tuple[int, Tensor]:
        context = torch.zeros_like(state.root)
        for symbol in state.past:
            context = context * self.alphabet_size + symbol
        return len(state.past), context


class Markov(RowsFamily):
    r"""The chain of order ``m``, with a row for every context of length 0..m, so that it starts exactly.

    Args:
        alphabet_size: the number k of symbols.
        order: the number m of past symbols that matter, or None: chosen by ``fit`` on a split of the data.
        pseudocount: added to every count in the closed-form fit, or None: chosen likewise.
        replicates: R copies with a leading axis, or None.
        context_dim: the number of labels of a discrete context x, each with a chain of its own, :math:`\theta(x)`.
        input_dim: likewise of inputs, one for each step: chain :math:`\theta(x_t)` has
            :math:`P(y_t \mid y_{t-m} \ldots y_{t-1}, x_t)`.

    ``orders`` holds the order in force, per replicate; contexts longer than it share the row of their suffix.

    Example:
        >>> chain = Markov(alphabet_size=2, order=1)
        >>> chain.parameter_count(10)
        ParameterCount(stored=6, free=3)
    """

    orders: Tensor

    def __init__(
        self,
        alphabet_size: int,
        order: int | None,
        pseudocount: float | None = 0.5,
        replicates: int | None = None,
        context_dim: int | None = None,
        input_dim: int | None = None,
    ) -> None:
        k = check_alphabet(alphabet_size)
        self.order = None if order is None else check_integer("order", order, 0)
        length = self.order if self.order is not None else self._longest(k)
        check_table("order", k, length + 1, 8, check_copies(replicates, context_dim, input_dim))
        super().__init__(k, length, pseudocount, replicates, context_dim, input_dim)
        self.register_buffer("orders", torch.full(self.lead, length))

    @staticmethod
    def _longest(alphabet_size: int) -> int:
        length = 0
        while alphabet_size ** (length + 2) <= MAX_CHOSEN_ROWS:
            length += 1
        return length

    def law(self, duration: int, context: Tensor | None = None, inputs: Tensor | None = None) -> MarkovLaw:
        return MarkovLaw(duration, self.logits, self.max_length, self.step_labels(context, inputs), self.num_labels)

    def configuration(self) -> dict[str, Any]:
        names = ("alphabet_size", "order", "pseudocount", "replicates", "context_dim", "input_dim")
        return {name: getattr(self, name) for name in names}

    def settings(self) -> list[dict[str, Any]]:
        orders = range(self.max_length + 1) if self.order is None else (self.order,)
        smoothings = super().settings()
        return [{"order": order, **smoothing} for order in orders for smoothing in smoothings]

    def adopt(self, chosen: Sequence[dict[str, Any]]) -> Markov:
        super().adopt(chosen)
        self.orders.copy_(torch.tensor([setting["order"] for setting in chosen]).reshape(self.lead))
        return self if self.replicates is not None else self.trimmed()

    def parameter_count(self, duration: int) -> ParameterCount:
        """Stored: the sum of ``k^(j+1)`` over context lengths j <= m; free: ``k^(m+1) - 1``, at most ``k^T - 1``; as
        many for each label."""
        k, order, chains = self.alphabet_size, int(self.orders.max()), self.num_labels
        return ParameterCount(chains * k * row_offset(k, order + 1), chains * (k ** min(order + 1, duration) - 1))

    def replicate(self, index: int) -> Markov:
        """Replicate ``index`` alone, with rows for its own order only."""
        alone = super().replicate(index)
        return alone.trimmed()

    def trimmed(self) -> Markov:
        """The same chain without the rows of contexts longer than its order."""
        order = int(self.orders.max())
        small = Markov(**{**self.configuration(), "order": order}).to(self.logits)
        rows = self.by_label(self.logits.detach())[..., : row_offset(self.alphabet_size, order + 1), :]
        small.logits.data.copy_(rows.flatten(-3, -2))
        small.orders.copy_(self.orders)
        return small
