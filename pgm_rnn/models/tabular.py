"""The fully connected graphical model: a free row of probabilities for every prefix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pgm_rnn.checks import check_alphabet, check_duration, check_table, reject, table_size
from pgm_rnn.family import ParameterCount
from pgm_rnn.models.rows import RowsFamily, RowsLaw, check_copies
from pgm_rnn.placed import Placed, first_roots


class TabularLaw(RowsLaw):
    r"""Every conditional :math:`P(y_t \mid y_1 \ldots y_{t-1})` has its own row: the complete graph over y.

    ``logits (*lead, 1 + k + ... + k^{T-1}, k)``: rows of shorter prefixes first, each length in lexicographic order. A
    state keeps the prefix, as the number whose digits to base k are its symbols.
    """

    def initial_state(self, shape: Sequence[int]) -> Placed:
        root = first_roots(shape, self.roots, self.device)
        return Placed(torch.zeros_like(root), root, 0)

    def update(self, state: Placed, symbol: Tensor) -> Placed:
        return Placed(state.past * self.alphabet_size + symbol, state.root, state.t + 1)

    def contexts(self, state: Placed) -> tuple[int, Tensor]:
        return state.t, state.past


class Tabular(RowsFamily):
    r"""The full table over words of ``duration`` symbols, :math:`O(k^T)` parameters.

    Args:
        alphabet_size: the number k of symbols.
        duration: the number T of steps; the table is undefined beyond it.
        pseudocount: added to every count in the closed-form fit, or None: chosen by ``fit`` on a split of the data.
        replicates: R copies with a leading axis, or None.
        context_dim: the number of labels of a discrete context x, each with a table of its own, :math:`\theta(x)`.
        input_dim: likewise of inputs, one for each step: table :math:`\theta(x_t)` has :math:`P(y_t \mid y_{<t}, x_t)`.

    Raises:
        InputError: before anything is allocated, if the table would need more than ``MAX_TABLE_BYTES``.

    Source: *Deep Learning* (2016), section 10.2.3, figure 10.7.

    Example:
        >>> table = Tabular(alphabet_size=2, duration=3)
        >>> table(3).log_prob(table(3).enumerate_support()[3]).exp()
        tensor(0.1250, grad_fn=<ExpBackward0>)
    """

    def __init__(
        self,
        alphabet_size: int,
        duration: int,
        pseudocount: float | None = 0.5,
        replicates: int | None = None,
        context_dim: int | None = None,
        input_dim: int | None = None,
    ) -> None:
        self.duration = check_duration(duration)
        copies = check_copies(replicates, context_dim, input_dim)
        check_table("duration", check_alphabet(alphabet_size), self.duration, 8, copies)
        super().__init__(alphabet_size, self.duration - 1, pseudocount, replicates, context_dim, input_dim)

    def law(self, duration: int, context: Tensor | None = None, inputs: Tensor | None = None) -> TabularLaw:
        if duration > self.duration:
            way_out = "a table is undefined beyond its duration; fit a larger one, or a Markov or Recurrent model"
            raise reject("duration", f"at most {self.duration}, the table's own", duration, way_out)
        return TabularLaw(duration, self.logits, self.step_labels(context, inputs), self.num_labels)

    def configuration(self) -> dict[str, Any]:
        names = ("alphabet_size", "duration", "pseudocount", "replicates", "context_dim", "input_dim")
        return {name: getattr(self, name) for name in names}

    def parameter_count(self, duration: int) -> ParameterCount:
        """Stored: ``k + k^2 + ... + k^T``; free: ``k^T - 1``; as many for each label."""
        tables = self.num_labels
        stored, free = table_size(self.alphabet_size, duration), self.alphabet_size**duration - 1
        return ParameterCount(tables * stored, tables * free)
