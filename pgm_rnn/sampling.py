"""Words drawn from a family: with a prefix, under contexts and inputs, and until they end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pgm_rnn.checks import MAX_TABLE_BYTES, as_tensor, check_budget, check_duration, check_integer, reject
from pgm_rnn.family import Family
from pgm_rnn.sequences import Sequences
from pgm_rnn.sides import Sides


class SampledWords(NamedTuple):
    """Words with their lengths, and how many of them had not ended where they were cut."""

    words: Sequences
    cut: int


def sample_sequences(
    family: Family,
    num_sequences: int,
    duration: int,
    *,
    prefix: Tensor | Sequence[int] = (),
    context: Tensor | None = None,
    inputs: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Sequences:
    """Draw words of ``duration`` symbols: N of them, or N under each of G contexts or inputs, one after the other.

    Args:
        family: without replicates. END counts among its symbols: see :func:`sample_words`.
        num_sequences: N.
        duration: T.
        prefix: the first symbols of every word, fewer than T.
        context: labels ``(G,)`` or vectors ``(G, D)``, for families that take one; ``G = 1`` goes with any inputs.
        inputs: likewise ``(G, T)`` or ``(G, T, D)``.
        generator: on the family's device.

    Raises:
        InputError: if an argument is out of range, or the words would not fit into memory.

    Example:
        >>> from pgm_rnn import processes
        >>> flips = torch.tensor([[0, 0, 1], [1, 0, 1]])
        >>> drawn = sample_sequences(processes.running_parity(flip=0), 2, 3, inputs=flips)
        >>> drawn.symbols.tolist()
        [[0, 0, 1], [0, 0, 1], [1, 1, 0], [1, 1, 0]]
    """
    count, duration = check_integer("num_sequences", num_sequences, 1), check_duration(duration)
    if family.replicates is not None:
        raise reject("family", "one without replicates", f"{family.replicates} replicates", "take family.replicate(r)")
    device = next(iter(family.state_dict().values())).device
    given = {"context": context, "inputs": inputs}
    sides = Sides(**{name: None if part is None else as_tensor(name, part).to(device) for name, part in given.items()})
    roots = max((len(part) for part in sides.given.values()), default=1)
    check_budget("num_sequences", 8 * roots * count * duration, MAX_TABLE_BYTES, "bytes of symbols", "draw fewer words")
    first = torch.as_tensor(prefix, dtype=torch.long, device=device)
    law = family(duration, **sides.given)
    drawn = (law.given(first) if len(first) else law).sample((count,), generator=generator)
    rest = drawn.reshape(count, roots, -1).transpose(0, 1).flatten(0, 1)
    symbols = torch.cat([first.expand(len(rest), -1), rest], -1)
    each = sides.map(lambda part: part.expand(roots, *part.shape[1:]).repeat_interleave(count, 0))
    return Sequences(symbols, law.alphabet_size, None, *each)


def sample_words(
    family: Family,
    num_sequences: int,
    longest: int,
    *,
    prefix: Tensor | Sequence[int] = (),
    context: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> SampledWords:
    """Draw words from a family that ends, none longer than ``longest``; other arguments are as above.

    Raises:
        InputError: if the family has no END, or an argument is out of range.

    Example:
        >>> from pgm_rnn import processes
        >>> drawn = sample_words(processes.brackets(), 5, longest=4, generator=torch.Generator().manual_seed(0))
        >>> drawn.words.to_csv().split(), drawn.cut
        (['0,1', '0,1', '0,1', '0,1,0,1', '0,1,0,1'], 1)
    """
    steps = check_integer("longest", longest, 1) + 1
    if not family.ends:
        raise reject("family", "a family with an END", type(family).__name__, "give it one, such as models.EndSymbol")
    return cut_at_end(
        sample_sequences(family, num_sequences, steps, prefix=prefix, context=context, generator=generator)
    )


def cut_at_end(words: Sequences) -> SampledWords:
    """Words over k symbols and END, such as a law gives, as words over k symbols: each until END, or cut at T - 1."""
    still_open = int((words.symbols[:, -1] < words.alphabet_size - 1).sum())
    return SampledWords(words.until_end(), still_open)
