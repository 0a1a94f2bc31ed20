"""The length of a word as an output of its own, which the symbols are then told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pgm_rnn.checks import check_integer, reject
from pgm_rnn.family import Family, ParameterCount
from pgm_rnn.models.ending_law import EndingLaw
from pgm_rnn.models.endings import EndingFamily, check_inner
from pgm_rnn.models.length_mixture import LengthMixtureLaw
from pgm_rnn.models.length_tree import by_length
from pgm_rnn.models.recurrent import Recurrent
from pgm_rnn.models.rows import RowsFamily
from pgm_rnn.models.tabular import Tabular
from pgm_rnn.prefix_tree import PrefixTree
from pgm_rnn.sequences import Sequences
from pgm_rnn.sides import Sides


class PredictedLength(EndingFamily):
    r"""First the length, then as many symbols, of which each step is told the length or what is left of it.

    .. math:: \log P(y_1 \ldots y_\tau, \tau) = \log P(\tau) + \log P(y_1 \ldots y_\tau \mid \tau)

    Its law is over the same words as that of other endings, symbol by symbol: a mixture over the lengths that are still
    possible, :class:`~pgm_rnn.models.length_mixture.LengthMixtureLaw`.

    Args:
        inner: a family over k symbols that takes the length, as label :math:`\tau - 1` of a context of ``max_length``
            labels, or with ``remaining`` the number of symbols that follow, as label :math:`\tau - t` of an input.
        max_length: the longest word, L, of at least 2 symbols; :math:`P(\tau)` is free on 1..L.
        remaining: whether it is told :math:`\tau - t` at step t, and not :math:`\tau`.

    Parameters: ``length_logits (L,)``, and those of the inner family.

    Source: *Deep Learning* (2016), section 10.2.3, the last of three ways to determine the length; Goodfellow et al.
    (2014), *Multi-digit number recognition from street view imagery*, arXiv:1312.6082.

    Example:
        >>> from pgm_rnn.models import Recurrent
        >>> model = PredictedLength(Recurrent(2, hidden_dim=4, context_dim=3), max_length=3)
        >>> model(4).log_prob(torch.tensor([[0, 1, 2, 2], [2, 2, 2, 2]])).isinf().tolist()
        [False, True]
    """

    def __init__(self, inner: Family, max_length: int, remaining: bool = False) -> None:
        super().__init__(inner, check_inner(inner).alphabet_size + 1)
        self.max_length = check_integer("max_length", max_length, 2)
        self.remaining = bool(remaining)
        wanted = {"context_dim": None, "input_dim": None} | {self._told: self.max_length}
        got = {name: getattr(inner, name) for name in wanted}
        if got != wanted:
            expected = f"a family told the length, by {self._told}={self.max_length}, and nothing else"
            raise reject("inner", expected, f"{type(inner).__name__} with {got}")
        if isinstance(inner, Tabular) and inner.duration != self.max_length:
            raise reject("inner", f"a table of max_length={self.max_length} steps", f"duration={inner.duration}")
        self.length_logits = nn.Parameter(next(inner.parameters()).new_zeros((*self.lead, self.max_length)))

    @property
    def _told(self) -> str:
        return "input_dim" if self.remaining else "context_dim"

    def law(self, duration: int) -> EndingLaw:
        lengths = torch.arange(1, self.max_length + 1, device=self.length_logits.device)
        steps = min(duration, self.max_length)
        inner = self.inner(steps, **self.sides(lengths, steps).given)
        return EndingLaw(LengthMixtureLaw(duration, self.length_logits.log_softmax(-1), inner))

    def sides(self, lengths: Tensor, steps: int) -> Sides:
        """What the inner family is told of words of these lengths; after their last symbol, nothing new."""
        if not self.remaining:
            return Sides(context=lengths - 1)
        left = lengths.unsqueeze(-1) - torch.arange(1, steps + 1, device=lengths.device)
        return Sides(inputs=left.clamp(min=0))

    def lengths(self, tree: PrefixTree) -> Tensor:
        """The share of each length ``(*R, L)`` in a tree with a root for each of them, as :meth:`sides` tells it."""
        told = tree.sides.inputs[..., 0] if tree.sides.inputs is not None else tree.sides.context
        assert told is not None  # trees without sides are no such trees
        shares = tree.levels[0].weights.sum(-1)
        return shares.new_zeros(*shares.shape[:-1], self.max_length).scatter_add(-1, told.expand_as(shares), shares)

    def told(self, words: Sequences) -> Sequences:
        """The words as the inner family learns them: given their length, and as far as they go.

        Raises:
            InputError: if a word is longer than ``max_length``, or has no end.
        """
        ended = self.read(words)
        if ended.sides.given:
            raise reject("sequences", "words without context and inputs", ", ".join(ended.sides.given))
        if bool((ended.symbols[:, -1] < self.alphabet_size - 1).any()):
            raise reject("sequences", "words with END behind them, whose lengths are known", "words without")
        words = ended.until_end()
        steps = min(words.duration, self.max_length)  # no word has more
        sides = self.sides(words.word_lengths, steps)
        return Sequences(words.symbols[:, :steps], words.alphabet_size, words.lengths, *sides)

    def told_tree(self, tree: PrefixTree) -> PrefixTree:
        """The tree of words with END as the inner family learns them: :func:`~pgm_rnn.models.length_tree.by_length`."""
        if tree.alphabet_size != self.alphabet_size:
            raise reject("data", f"alphabet_size {self.alphabet_size}, as in the model", tree.alphabet_size)
        if tree.duration > self.max_length + 1:
            expected = f"at most {self.max_length + 1} steps, which the longest word and END take"
            raise reject("data", expected, tree.duration)
        return by_length(tree, self.sides)

    def read(self, words: Sequences) -> Sequences:
        ended = super().read(words)
        if ended.alphabet_size != self.alphabet_size:
            expected = f"words over {self.alphabet_size - 1} symbols, or over these and END"
            raise reject("sequences", expected, f"alphabet_size {ended.alphabet_size}")
        longest = ended.symbols[:, : self.max_length + 1]
        longer = int((longest != self.alphabet_size - 1).all(-1).sum())
        if longest.shape[-1] > self.max_length and longer:
            expected, got = f"words of at most {self.max_length} symbols", f"{longer} of {len(ended)} that go on"
            raise reject("sequences", expected, got, "another ending has no longest word")
        return ended

    def configuration(self) -> dict[str, Any]:
        return {"inner": self.inner, "max_length": self.max_length, "remaining": self.remaining}

    def parameter_count(self, duration: int) -> ParameterCount:
        r"""Of words that have ended, whatever the duration: ``L`` for the lengths, of which ``L - 1`` are free, and the
        inner family's. Of a table or chain each length has the rows that its words read, and no network that is fed the
        symbol alone has more; of a network the labels make as many entries of b superfluous as U has rows, or X.
        """
        inner, lengths, k = self.inner, range(1, self.max_length + 1), self.inner.alphabet_size
        stored, free = inner.parameter_count(self.max_length)
        if isinstance(inner, RowsFamily):
            free = sum(inner.parameter_count(length).free // self.max_length for length in lengths)
        elif isinstance(inner, Recurrent):
            shapes = inner.shapes()
            free -= shapes["U" if "U" in shapes else "X"][0]
            if inner.is_chain:
                free = min(free, sum((k - 1) * (1 + k * inner.phases(length)) for length in lengths))
        return ParameterCount(self.max_length + stored, self.max_length - 1 + free)

    @torch.no_grad()
    def reset_parameters(self, seeds: Sequence[int]) -> None:
        """The inner family's from the seeds; all lengths are alike."""
        super().reset_parameters(seeds)
        self.length_logits.zero_()
