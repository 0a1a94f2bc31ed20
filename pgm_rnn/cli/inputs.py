"""What the verbs about models work on: words from a file, or a process by its name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from torch import Tensor

    from pgm_rnn.distribution import SequenceDistribution
    from pgm_rnn.family import Family
    from pgm_rnn.prefix_tree import PrefixTree
    from pgm_rnn.processes import Source
    from pgm_rnn.sequences import Sequences
    from pgm_rnn.sides import Sides

Data = Annotated[Path | None, typer.Argument(metavar="[DATA]", help="Words: a .csv file, one word a line, or an .npz.")]
ProcessName = Annotated[str | None, typer.Option("--process", metavar="NAME", help="Such as 'mess3(x=0.1, a=0.8)'.")]
NumSequences = Annotated[int | None, typer.Option("--num-sequences", "-n", metavar="N", help="Number of words.")]
Duration = Annotated[int | None, typer.Option("--duration", "-T", metavar="T", help="Symbols in a word.")]
Context = Annotated[
    str | None, typer.Option(metavar="0.3,1.2", help="What every word is given: a label, or numbers with a point.")
]
Inputs = Annotated[
    Path | None, typer.Option(metavar="X.csv", help="Input words, one a line, or an .npz of words with inputs.")
]


def check_either(argument: str, file: Path | None, process: str | None) -> None:
    """Refuse a file beside a process, and neither of them."""
    from pgm_rnn.checks import reject

    if (file is None) == (process is None):
        raise reject(argument, "either a file or --process", "both" if process else "neither")


def check_data(data: Path | None, process: str | None, num_sequences: int | None, duration: int | None) -> None:
    """Refuse what does not say where the words come from: a file, which has its N and T, or a process with these."""
    from pgm_rnn.checks import reject

    check_either("data", data, process)
    if data is not None and (num_sequences, duration) != (None, None):
        raise reject("data", "-n and -T with --process only", "them beside a file, which has its own")


def check_target(path: Path, suffixes: tuple[str, ...] = ()) -> None:
    """Refuse a file that could not be written, before anything is computed for it."""
    from pgm_rnn.checks import reject

    if suffixes and path.suffix not in suffixes:
        raise reject("output", "a name ending in " + " or ".join(suffixes), repr(path.name))
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise reject("output", "a file in a folder that can be written", repr(str(path)))


def check_folder(path: Path) -> None:
    """Refuse a folder that could not be made or written, before anything is computed for it."""
    from pgm_rnn.checks import reject

    existing = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise reject("output", "a folder that can be written", repr(str(path)))


def read_words(path: Path, model: Family | None = None) -> Sequences:
    """Words from a file, over the symbols of a model if one is given, which for its END it need not have."""
    from pgm_rnn.sequences import Sequences

    words = Sequences.read(path)
    if model is None or words.alphabet_size == model.alphabet_size:
        return words
    return Sequences(words.symbols, model.alphabet_size - model.ends, words.lengths, *words.sides)


def draw_words(
    family: Family,
    count: int,
    duration: int | None,
    seed: int,
    prefix: str | None = None,
    sides: Sides | None = None,
) -> Sequences:
    """Words drawn from a process or a model, all with the same first symbols if a prefix is given: ``count`` of them,
    or under each of the given sides. Where the family ends, they have END behind at most ``duration`` symbols.

    Those of a source of words given a context or inputs come with these, drawn too, unless they are given.
    """
    import torch

    from pgm_rnn.checks import check_duration, check_integer
    from pgm_rnn.processes import Source
    from pgm_rnn.sampling import sample_sequences
    from pgm_rnn.sides import NO_SIDES

    count, seed, sides = check_integer("num_sequences", count, 1), check_integer("seed", seed, 0), sides or NO_SIDES
    duration = check_duration(sides.inputs.shape[1] if duration is None and sides.inputs is not None else duration)
    duration += family.ends
    generator = torch.Generator(next(iter(family.state_dict().values())).device).manual_seed(seed)
    if isinstance(family, Source) and not prefix and not sides.given:
        return family.draw(count, duration, generator)
    first = parse_prefix(prefix) if prefix else []
    return sample_sequences(family, count, duration, prefix=first, generator=generator, **sides.given)


def read_sides(context: str | None, inputs: Path | None) -> Sides:
    """What words are given on the command line: one context for all, and input words from a file."""
    from pgm_rnn.sides import Sides

    return Sides(None if context is None else parse_context(context), None if inputs is None else read_inputs(inputs))


def read_inputs(path: Path) -> Tensor:
    """Input words: labels ``(G, T)``, the lines of a .csv file; or all that the words of an .npz file are given."""
    from pgm_rnn.checks import reject
    from pgm_rnn.sequences import Sequences

    words = Sequences.read(path)
    if words.is_ragged:
        lengths = f"{int(words.word_lengths.min())}..{int(words.word_lengths.max())}"
        raise reject("inputs", "input words of one length", f"lengths {lengths} in {path.name}")
    if path.suffix != ".npz":
        return words.symbols
    if words.inputs is None:
        raise reject("inputs", "a file of words with inputs", f"{path.name}, which has none")
    return words.inputs


def all_words(source: Source, duration: int | None) -> SequenceDistribution | PrefixTree:
    """The law of a source, or where its words are given a context or inputs all of them under all of those."""
    from pgm_rnn.checks import check_duration
    from pgm_rnn.prefix_tree import PrefixTree

    duration = check_duration(duration) + source.ends
    plain = source.conditions(duration) is None
    return source(duration) if plain else PrefixTree.from_source(source, duration)


def parse_context(text: str) -> Tensor:
    """One context: an integer is a label, ``(1,)``; numbers separated by commas are a vector, ``(1, D)``.

    >>> parse_context("2"), parse_context("0.3,1.2")
    (tensor([2]), tensor([[0.3000, 1.2000]], dtype=torch.float64))
    """
    import torch

    from pgm_rnn.checks import reject

    try:
        if text.strip().lstrip("+-").isdecimal():
            return torch.tensor([int(text)])
        return torch.tensor([[float(number) for number in text.split(",")]], dtype=torch.double)
    except (ValueError, RuntimeError):
        raise reject("context", "a label such as 2, or numbers such as 0.3,1.2", repr(text)) from None


def parse_prefix(text: str) -> list[int]:
    """Symbols separated by commas.

    >>> parse_prefix("0,1,1")
    [0, 1, 1]
    """
    from pgm_rnn.checks import reject

    try:
        return [int(symbol) for symbol in text.split(",")]
    except ValueError:
        raise reject("prefix", "symbols separated by commas, such as 0,1,1", repr(text)) from None
