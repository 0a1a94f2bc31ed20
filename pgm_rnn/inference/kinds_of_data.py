"""What may be fitted to: words, a list of data sets, a prefix tree or a law; as trees, and split to choose on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from pgm_rnn.checks import reject
from pgm_rnn.distribution import SequenceDistribution
from pgm_rnn.family import Family
from pgm_rnn.prefix_tree import PrefixTree
from pgm_rnn.sequences import Sequences

Data = Sequences | Sequence[Sequences] | PrefixTree | SequenceDistribution

HELD_OUT_SHARE = 0.2
"""The share of a data set's words on which its settings are chosen."""


def map_words(read: Callable[[Sequences], Sequences], data: Data) -> Data:
    """``read`` applied to all words; other kinds of data as they are."""
    if isinstance(data, Sequences):
        return read(data)
    if isinstance(data, Sequence) and all(isinstance(part, Sequences) for part in data):
        return [read(part) for part in data]
    return data


def as_tree(argument: str, data: Data, device: torch.device) -> PrefixTree:
    """Any kind of data as a prefix tree."""
    if isinstance(data, PrefixTree):
        return data.to(device)
    if isinstance(data, SequenceDistribution):
        return PrefixTree.from_law(data).to(device)
    if isinstance(data, Sequences) or (
        isinstance(data, Sequence) and all(isinstance(part, Sequences) for part in data)
    ):
        return PrefixTree.from_sequences(data).to(device)
    expected = "Sequences, a list of Sequences, a PrefixTree or a law"
    way_out = "call it with a duration to get its law" if isinstance(data, Family) else ""
    raise reject(argument, expected, type(data).__name__, way_out)


def split(
    data: Data, tree: PrefixTree, validation: Data | None, seed: int, device: torch.device
) -> tuple[PrefixTree, PrefixTree] | None:
    """What to train on while choosing, and what to choose on; None where there is nothing to choose on."""
    if validation is not None:
        held_out = as_tree("validation", validation, device)
        if (held_out.duration, held_out.alphabet_size) != (tree.duration, tree.alphabet_size):
            raise reject(
                "validation",
                f"words with T={tree.duration} and k={tree.alphabet_size}",
                f"T={held_out.duration} and k={held_out.alphabet_size}",
            )
        if held_out.replicates not in (None, tree.replicates):
            raise reject("validation", f"{tree.replicates or 1} data sets, as in data", held_out.replicates)
        return tree, held_out
    if isinstance(data, PrefixTree | SequenceDistribution):
        return None
    sets = [data] if isinstance(data, Sequences) else list(data)
    if min(len(part) for part in sets) < 2:
        return None  # a single word cannot be split
    halves = [part.split(HELD_OUT_SHARE, seed) for part in sets]
    parts = [first for first, _ in halves], [second for _, second in halves]
    first, second = (PrefixTree.from_sequences(part[0] if isinstance(data, Sequences) else part) for part in parts)
    return first.to(device), second.to(device)
