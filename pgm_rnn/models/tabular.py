"""The fully connected graphical model: a free row of probabilities for every prefix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pgm_rnn.checks import check_alphabet, check_duration, check_integer, check_table, reject, table_size
from pgm_rnn.family import ParameterCount
from pgm_rnn.models.rows import RowsFamily, RowsLaw, row_offset


class Prefix(NamedTuple):
    """A prefix of length ``t`` as the integer whose digits to base k are its symbols."""

    context: Tensor
    t: int


class TabularLaw(RowsLaw):
    r"""Every conditional :math:`P(y_t \mid y_1 \ldots y_{t-1})` has its own row: the complete graph over y.

    ``logits (*lead, 1 + k + ... + k^{T-1}, k)``: rows of shorter prefixes first, each length in lexicographic order.
    """

    def initial_state(self, shape: Sequence[int]) -> Prefix:
        return Prefix(torch.zeros(*shape, dtype=torch.long, device=self.logits.device), 0)

    def update(self, state: Prefix, symbol: Tensor) -> Prefix:
        return Prefix(state.context * self.alphabet_size + symbol, state.t + 1)

    def rows(self, state: Prefix) -> Tensor:
        return row_offset(self.alphabet_size, state.t) + state.context


class Tabular(RowsFamily):
    r"""The full table over words of ``duration`` symbols, :math:`O(k^T)` parameters.

    Args:
        alphabet_size: the number k of symbols.
        duration: the number T of steps; the table is undefined beyond it.
        pseudocount: added to every count in the closed-form fit, or None: chosen by ``fit`` on a split of the data.
        replicates: R copies with a leading axis, or None.

    Raises:
        InputError: before anything is allocated, if the table would need more than ``MAX_TABLE_BYTES``.

    Source: *Deep Learning* (2016), section 10.2.3, figure 10.7.

    Example:
        >>> table = Tabular(alphabet_size=2, duration=3)
        >>> table(3).log_prob(torch.tensor([0, 1, 1])).exp()
        tensor(0.1250, grad_fn=<ExpBackward0>)
    """

    def __init__(
        self, alphabet_size: int, duration: int, pseudocount: float | None = 0.5, replicates: int | None = None
    ) -> None:
        self.duration = check_duration(duration)
        if replicates is not None:
            check_integer("replicates", replicates, 1)
        check_table("duration", check_alphabet(alphabet_size), self.duration, 8, replicates)
        super().__init__(alphabet_size, self.duration - 1, pseudocount, replicates)

    def law(self, duration: int) -> TabularLaw:
        if duration > self.duration:
            way_out = "a table is undefined beyond its duration; fit a larger one, or a Markov or Recurrent model"
            raise reject("duration", f"at most {self.duration}, the table's own", duration, way_out)
        return TabularLaw(duration, self.logits)

    def configuration(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("alphabet_size", "duration", "pseudocount", "replicates")}

    def parameter_count(self, duration: int) -> ParameterCount:
        """Stored: ``k + k^2 + ... + k^T``; free: ``k^T - 1``."""
        return ParameterCount(table_size(self.alphabet_size, duration), self.alphabet_size**duration - 1)
