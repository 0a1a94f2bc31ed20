"""The length of a word as an output of its own, which the symbols are then told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pgm_rnn.checks import check_integer, reject
from pgm_rnn.family import Family
from pgm_rnn.models.ending_law import EndingLaw
from pgm_rnn.models.endings import EndingFamily
from pgm_rnn.models.length_mixture import LengthMixtureLaw
from pgm_rnn.sequences import Sequences


class PredictedLength(EndingFamily):
    r"""First the length, then as many symbols, of which each step is told the length or what is left of it.

    .. math:: \log P(y_1 \ldots y_\tau, \tau) = \log P(\tau) + \log P(y_1 \ldots y_\tau \mid \tau)

    Its law is over the same words as that of other endings, symbol by symbol: a mixture over the lengths that are still
    possible, :class:`~pgm_rnn.models.length_mixture.LengthMixtureLaw`.

    Args:
        inner: a family over k symbols that takes the length, as label :math:`\tau - 1` of a context of ``max_length``
            labels, or with ``remaining`` the number of symbols that follow, as label :math:`\tau - t` of an input.
        max_length: the longest word, L; :math:`P(\tau)` is free on 1..L.
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
        super().__init__(inner, inner.alphabet_size + 1)
        self.max_length = check_integer("max_length", max_length, 1)
        self.remaining = bool(remaining)
        wanted = {"context_dim": None, "input_dim": None} | {self._told: self.max_length}
        got = {name: getattr(inner, name) for name in wanted}
        if got != wanted:
            raise reject("inner", f"{self._told}={max_length} and nothing else from the side", got)
        self.length_logits = nn.Parameter(next(inner.parameters()).new_zeros((*self.lead, self.max_length)))

    @property
    def _told(self) -> str:
        return "input_dim" if self.remaining else "context_dim"

    def law(self, duration: int) -> EndingLaw:
        lengths = torch.arange(1, self.max_length + 1, device=self.length_logits.device)
        steps = min(duration, self.max_length)
        inner = self.inner(steps, **self._sides(lengths, steps))
        return EndingLaw(LengthMixtureLaw(duration, self.length_logits.log_softmax(-1), inner))

    def _sides(self, lengths: Tensor, steps: int) -> dict[str, Tensor]:
        """What the inner family is told of words of these lengths; after their last symbol, nothing new."""
        if not self.remaining:
            return {"context": lengths - 1}
        left = lengths.unsqueeze(-1) - torch.arange(1, steps + 1, device=lengths.device)
        return {"inputs": left.clamp(min=0)}

    def told(self, words: Sequences) -> Sequences:
        """The words as the inner family learns them: given their length, and never further than that.

        Raises:
            InputError: if a word is longer than ``max_length``.
        """
        words = words.until_end() if words.alphabet_size == self.alphabet_size else words
        lengths = words.symbols.new_full((len(words),), words.duration) if words.lengths is None else words.lengths
        if int(lengths.max()) > self.max_length:
            raise reject("sequences", f"words of at most {self.max_length} symbols", f"one of {int(lengths.max())}")
        return Sequences(words.symbols, words.alphabet_size, lengths, **self._sides(lengths, words.duration))

    def configuration(self) -> dict[str, Any]:
        return {"inner": self.inner, "max_length": self.max_length, "remaining": self.remaining}

    @torch.no_grad()
    def reset_parameters(self, seeds: Sequence[int]) -> None:
        """The inner family's from the seeds; all lengths are alike."""
        super().reset_parameters(seeds)
        self.length_logits.zero_()
