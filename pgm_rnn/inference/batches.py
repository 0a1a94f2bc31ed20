"""Where batches of words come from: data sets, or a law that never runs out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from pgm_rnn.checks import reject
from pgm_rnn.distribution import SequenceDistribution
from pgm_rnn.prefix_tree import PrefixTree
from pgm_rnn.sequences import Sequences

BATCH = 100
"""Words of one batch."""

AHEAD = 20
"""Batches of a law that are drawn together."""


class Batches:
    """Batches of words ``(BATCH, T)`` for each of ``R`` replicates, or the same source for all.

    Args:
        data: Sequences, a list of R of them, or a law.

    Raises:
        InputError: if there are no words to draw, as in a PrefixTree, or they do not go together.

    Example:
        >>> batches = Batches(Sequences([[0, 1], [1, 0]], 2))
        >>> next(batches.stream(0, torch.Generator())).shape
        torch.Size([100, 2])
    """

    def __init__(self, data: Sequences | Sequence[Sequences] | PrefixTree | SequenceDistribution) -> None:
        if isinstance(data, SequenceDistribution):
            if data.batch_shape:
                raise reject("data", "a law without replicates", f"batch shape {tuple(data.batch_shape)}")
            self.sources: list[SequenceDistribution | Tensor] = [data]
            self.alphabet_size, self.duration, self.replicates = data.alphabet_size, data.duration, None
            return
        if not isinstance(data, Sequences | Sequence):
            raise reject("data", "Sequences, a list of them, or a law, to draw words from", type(data).__name__)
        tree = PrefixTree.from_sequences(data)  # it knows which data sets go together
        if tree.sides.given:
            raise reject("data", "words without context and inputs in a mode that draws", ", ".join(tree.sides.given))
        self.alphabet_size, self.duration, self.replicates = tree.alphabet_size, tree.duration, tree.replicates
        self.sources = [part.fixed_length() for part in ([data] if isinstance(data, Sequences) else data)]

    def stream(self, replicate: int, generator: torch.Generator) -> Iterator[Tensor]:
        """Batches for one replicate without end: words picked with replacement, or fresh ones of the law."""
        source = self.sources[0 if self.replicates is None else replicate]
        while True:
            if isinstance(source, Tensor):
                yield source[torch.randint(len(source), (BATCH,), generator=generator).to(source.device)]
            else:
                yield from source.sample((AHEAD, BATCH), generator=generator)
