"""Families whose parameters are one row of logits per context: what the full table and the Markov chain share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pgm_rnn.checks import check_integer, check_number
from pgm_rnn.distribution import SequenceDistribution
from pgm_rnn.edges import Edges
from pgm_rnn.family import Family
from pgm_rnn.lanes import take_rows
from pgm_rnn.placed import Placed, at_place
from pgm_rnn.prefix_tree import PrefixTree
from pgm_rnn.sides import labels


def row_offset(alphabet_size: int, length: int) -> int:
    """The number of contexts shorter than ``length``: where the rows of that length begin.

    >>> row_offset(2, 3)
    7
    """
    return (alphabet_size**length - 1) // (alphabet_size - 1)


def check_copies(replicates: int | None, context_dim: int | None, input_dim: int | None) -> int:
    """How many tables replicates and labels ask for, if all are integers of at least 1 where they are given."""
    counts = {"replicates": replicates, "context_dim": context_dim, "input_dim": input_dim}
    given = [check_integer(name, count, 1) for name, count in counts.items() if count is not None]
    return math.prod(given)


def suffix_rows(alphabet_size: int, max_length: int, length: int) -> Tensor:
    """For every context of length 0..max_length the row of its last ``length`` symbols (its own, if it is shorter)."""
    rows = [torch.arange(row_offset(alphabet_size, min(length, max_length) + 1))]
    for longer in range(length + 1, max_length + 1):
        rows.append(row_offset(alphabet_size, length) + torch.arange(alphabet_size**longer) % alphabet_size**length)
    return torch.cat(rows)


class RowsLaw(SequenceDistribution):
    r"""The law whose next-symbol logits are a table's row, :math:`P(y_t \mid y_{<t}) = \mathrm{softmax}(L_{r(s_t)})`.

    ``logits (*lead, M, k)``; families say which context a state stands for. With labels ``(G, P)`` or
    ``(*lead, G, P)``, for each of G roots those of its steps, step t reading column ``(t - 1) mod P``, every label has
    rows of its own: those of smaller labels come first.
    """

    def __init__(self, duration: int, logits: Tensor, labels: Tensor | None = None, num_labels: int = 1) -> None:
        lead = logits.shape[:-2]
        batch_shape = (*lead, 1) if lead else ()
        if labels is not None:
            labels = labels.to(logits.device)
            batch_shape = (*lead, labels.shape[-2])
        super().__init__(logits.shape[-1], duration, batch_shape, logits.device)
        self.logits = logits
        self.labels = labels
        self.roots = 1 if labels is None else labels.shape[-2]
        self.each = logits.shape[-2] // num_labels

    def contexts(self, state: Placed) -> tuple[int, Tensor]:
        """The length of the contexts that lanes stand for, and each as a number to base k, ``(*shape)``."""
        raise NotImplementedError(f"{type(self).__name__} is abstract")

    def rows(self, state: Placed) -> Tensor:
        """The row that each lane reads, ``(*shape)``."""
        length, context = self.contexts(state)
        rows = row_offset(self.alphabet_size, length) + context
        if self.labels is None:
            return rows
        step = torch.tensor([state.t], device=rows.device)
        return rows + self.each * at_place(self.labels.unsqueeze(-1), state.root, step).squeeze(-1)

    def next_logits(self, state: Placed) -> Tensor:
        return take_rows(self.logits, self.rows(state))

    def logits_along(self, state: Placed, edges: Edges) -> Tensor:
        return take_rows(self.logits, self.rows_along(state, edges))

    def rows_along(self, state: Placed, edges: Edges) -> Tensor:
        """The rows that all lanes read, level by level, ``(*batch, all lanes)``."""
        return torch.cat([self.rows(below) for below in self.states_along(state, edges)], -1)


class RowsFamily(Family):
    r"""A family with one row of logits for every context of length ``0..max_length``.

    Its closed-form estimate from counts ``n`` is :math:`P(y \mid r) = (n_{ry} + \beta) / (n_r + k\beta)`; a row without
    counts is uniform.

    Args:
        alphabet_size: k.
        max_length: the length of the longest context with a row.
        pseudocount: :math:`\beta \ge 0` added to every count (1/2 is Krichevsky-Trofimov), or None: chosen by ``fit``.
        replicates: R copies with a leading axis, or None.
        context_dim: the number of labels of a discrete context, each with rows of its own, or None.
        input_dim: likewise of the input of a step: a step reads those of its own input, whatever came before.
    """

    PSEUDOCOUNTS = (0.01, 0.03, 0.1, 0.3, 0.5, 1.0, 3.0, 10.0)

    def __init__(
        self,
        alphabet_size: int,
        max_length: int,
        pseudocount: float | None,
        replicates: int | None,
        context_dim: int | None,
        input_dim: int | None,
    ) -> None:
        super().__init__(alphabet_size, replicates)
        self.max_length = max_length
        self.context_dim = context_dim
        self.input_dim = input_dim
        self.pseudocount = None if pseudocount is None else check_number("pseudocount", pseudocount, 0, 1e6)
        rows = row_offset(self.alphabet_size, max_length + 1) * self.num_labels
        self.logits = nn.Parameter(torch.zeros(*self.lead, rows, self.alphabet_size))

    def settings(self) -> list[dict[str, Any]]:
        """What ``fit`` may choose between: every pseudocount if none was given."""
        counts = self.PSEUDOCOUNTS if self.pseudocount is None else (self.pseudocount,)
        return [{"pseudocount": pseudocount} for pseudocount in counts]

    @torch.no_grad()
    def reset_parameters(self, seeds: Sequence[int]) -> None:
        """Every row uniform, whatever the seeds: the likelihood has one maximum."""
        self.logits.zero_()

    @property
    def has_choices(self) -> bool:
        return len(self.settings()) > 1

    def adopt(self, chosen: Sequence[dict[str, Any]]) -> RowsFamily:
        """Remember the settings that were chosen, one per replicate; the fitted model."""
        if self.replicates is None:
            self.pseudocount = chosen[0]["pseudocount"]
        return self

    def estimate(self, counts: Tensor, pseudocount: float | Tensor, order: int | None = None) -> Tensor:
        """Log-probabilities from counts ``(..., M, n)`` of n outcomes, with contexts cut to ``order`` symbols."""
        if order is None or order >= self.max_length:
            return estimate_rows(counts, pseudocount)
        rows = suffix_rows(self.alphabet_size, self.max_length, order).to(counts.device)
        counts = self.by_label(counts)
        pooled = counts.new_zeros(*counts.shape[:-2], int(rows.max()) + 1, counts.shape[-1]).index_add(-2, rows, counts)
        return estimate_rows(pooled, pseudocount).index_select(-2, rows).flatten(-3, -2)

    @property
    def num_rows(self) -> int:
        """M, with those of all labels."""
        return self.logits.shape[-2]

    def outcomes(self, tree: PrefixTree) -> Tensor:
        """The weights of a tree's lanes, level by level: ``(lanes, k)``."""
        return torch.cat([level.weights for level in tree.levels], -2)

    def estimates(self, counts: Tensor, **setting: Any) -> dict[str, Tensor]:
        """The parameters that :meth:`estimate` gives, by name."""
        return {"logits": self.estimate(counts, **setting)}

    @property
    def num_labels(self) -> int:
        """Of context and input together."""
        return (self.context_dim or 1) * (self.input_dim or 1)

    def by_label(self, rows: Tensor) -> Tensor:
        """Rows ``(..., M, k)`` as ``(..., labels, rows of one label, k)``."""
        return rows.unflatten(-2, (self.num_labels, -1))

    def step_labels(self, context: Tensor | None, inputs: Tensor | None) -> Tensor | None:
        """The labels of every root's steps ``(*lead, G, P)``: those of the context, and within them of the inputs."""
        of_context = None if context is None else labels("context", context, self.context_dim or 1).unsqueeze(-1)
        if inputs is None:
            return of_context
        of_inputs = labels("inputs", inputs, self.input_dim or 1)
        return of_inputs if of_context is None else of_context * (self.input_dim or 1) + of_inputs


def estimate_rows(counts: Tensor, pseudocount: float | Tensor) -> Tensor:
    """``log((n + beta) / sum(n + beta))`` along the last dimension; uniform where nothing was counted.

    >>> estimate_rows(torch.tensor([[3.0, 1.0], [0.0, 0.0]]), 0.0).exp()
    tensor([[0.7500, 0.2500],
            [0.5000, 0.5000]])
    """
    smoothed = counts + pseudocount
    total = smoothed.sum(-1, keepdim=True)
    empty = total == 0
    return torch.where(empty, 1.0, smoothed).log() - torch.where(empty, counts.shape[-1], total).log()
