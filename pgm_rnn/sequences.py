"""Data: N words over k symbols, with their lengths, context and inputs; reading and writing them."""

from __future__ import annotations

import csv
import io
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from pgm_rnn.checks import as_tensor, check_alphabet, check_finite, check_path, check_symbols, reject
from pgm_rnn.files import write_whole
from pgm_rnn.sides import Sides


class Sequences:
    """``N`` words of at most ``T`` symbols each.

    Args:
        symbols: ``(N, T)`` of any integer dtype, torch or numpy, values in ``0..k-1``.
        alphabet_size: the number ``k >= 2`` of symbols.
        lengths: ``(N,)`` integers in ``1..T``: symbols from there on are padding, never checked, scored or seen.
        context: one for each word: vectors ``(N, D)`` of finite numbers, or integer labels ``(N,)``.
        inputs: one for each step: vectors ``(N, T, D)``, or integer labels ``(N, T)``.

    Raises:
        InputError: naming the argument, what was expected and what came.

    Example:
        >>> data = Sequences([[0, 1, 1], [1, 0, 1]], alphabet_size=2)
        >>> len(data), data.duration
        (2, 3)
    """

    def __init__(
        self,
        symbols: Tensor | np.ndarray | Sequence[Sequence[int]],
        alphabet_size: int,
        lengths: Tensor | np.ndarray | Sequence[int] | None = None,
        context: Tensor | np.ndarray | None = None,
        inputs: Tensor | np.ndarray | None = None,
    ) -> None:
        self.alphabet_size = check_alphabet(alphabet_size)
        raw = as_tensor("symbols", symbols).clone()  # what was checked here does not change any more
        if raw.ndim != 2 or raw.shape[0] < 1 or raw.shape[1] < 1:
            raise reject("symbols", "shape (N, T) with N and T at least 1", tuple(raw.shape))
        self.lengths = None if lengths is None else _check_lengths(as_tensor("lengths", lengths), raw)
        if self.lengths is not None:
            padding = torch.arange(raw.shape[1], device=raw.device) >= self.lengths.unsqueeze(-1)
            raw = torch.where(padding, torch.zeros_like(raw), raw)
            inputs = _without_padding(inputs, padding)
        self.symbols = check_symbols("symbols", raw, self.alphabet_size)
        self.sides = Sides(
            _check_side("context", context, (len(self),)), _check_side("inputs", inputs, (len(self), self.duration))
        )

    def __len__(self) -> int:
        return self.symbols.shape[0]

    @property
    def duration(self) -> int:
        return self.symbols.shape[1]

    @property
    def word_lengths(self) -> Tensor:
        """How many symbols each word has, ``(N,)``: all T where no lengths were given."""
        if self.lengths is None:
            return self.symbols.new_full((len(self),), self.duration)
        return self.lengths

    @property
    def there(self) -> Tensor:
        """Which of the symbols ``(N, T)`` are words' own, and not padding."""
        return torch.arange(self.duration, device=self.symbols.device) < self.word_lengths.unsqueeze(-1)

    @property
    def is_ragged(self) -> bool:
        """Whether some word has fewer than T symbols."""
        return bool((self.word_lengths < self.duration).any())

    @property
    def context(self) -> Tensor | None:
        return self.sides.context

    @property
    def inputs(self) -> Tensor | None:
        return self.sides.inputs

    def __repr__(self) -> str:
        extras = [name for name in ("lengths", "context", "inputs") if getattr(self, name) is not None]
        parts = [f"N={len(self)}", f"T={self.duration}", f"k={self.alphabet_size}", *extras]
        return f"Sequences({', '.join(parts)})"

    def __getitem__(self, index: Tensor) -> Sequences:
        """The words at the given positions (or under a boolean mask)."""
        lengths = None if self.lengths is None else self.lengths[index]
        return Sequences(self.symbols[index], self.alphabet_size, lengths, *self.sides.map(lambda part: part[index]))

    def to(self, device: torch.device | str) -> Sequences:
        """The same words on another device."""
        lengths = None if self.lengths is None else self.lengths.to(device)
        sides = self.sides.map(lambda part: part.to(device))
        return Sequences(self.symbols.to(device), self.alphabet_size, lengths, *sides)

    def split(self, share: float, seed: int) -> tuple[Sequences, Sequences]:
        """Two parts, the second with about ``share`` of the words (at least one), by a seeded permutation."""
        if len(self) < 2:
            raise reject("sequences", "at least 2 words to split", len(self))
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed)).to(self.symbols.device)
        count = min(max(round(share * len(self)), 1), len(self) - 1)
        return self[order[count:]], self[order[:count]]

    def fixed_length(self) -> Tensor:
        """The symbols ``(N, T)``, for a law over words of one length.

        Raises:
            InputError: if the words have different lengths; :meth:`with_end` is the way out.
        """
        if self.is_ragged:
            lengths = self.word_lengths
            got = f"lengths {int(lengths.min())}..{int(lengths.max())}"
            raise reject("sequences", "words of one length", got, "use sequences.with_end()")
        return self.symbols

    def with_end(self) -> Sequences:
        """The words over ``k + 1`` symbols and ``T + 1`` steps, ``k`` being an absorbing END that is also the padding.

        Raises:
            InputError: if there are inputs, whose number would give the lengths away.

        >>> Sequences([[0, 1], [1, 0]], 2, lengths=[2, 1]).with_end().symbols.tolist()
        [[0, 1, 2], [1, 2, 2]]
        """
        if self.inputs is not None:
            raise reject("sequences", "words without inputs", f"inputs of shape {tuple(self.inputs.shape)}")
        end = self.alphabet_size
        symbols = torch.cat([self.symbols, self.symbols.new_full((len(self), 1), end)], -1)
        over = torch.arange(self.duration + 1, device=symbols.device) >= self.word_lengths.unsqueeze(-1)
        return Sequences(symbols.masked_fill(over, end), end + 1, context=self.context)

    def until_end(self) -> Sequences:
        """What :meth:`with_end` was given: words over ``k - 1`` symbols, each until END; one without is cut at T - 1.

        >>> Sequences([[0, 1, 2], [1, 2, 2], [1, 1, 0]], 3).until_end().to_csv().split()
        ['0,1', '1', '1,1']
        """
        end = self.alphabet_size - 1
        ended = self.fixed_length()[:, :-1] == end
        lengths = torch.where(ended.any(-1), ended.int().argmax(-1), self.duration - 1)
        return Sequences(self.symbols[:, :-1], end, lengths, context=self.context)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write to ``.csv`` (one word a line) or ``.npz`` (everything); the file appears whole or not at all."""
        target = check_path("path", path)
        if target.suffix not in (".csv", ".npz"):
            raise reject("path", "a name ending in .csv or .npz", repr(target.name))
        if target.suffix == ".csv":
            write_whole(target, self.to_csv())
            return
        parts = {name: getattr(self, name) for name in ("symbols", "lengths", "context", "inputs")}
        arrays = {name: part.cpu().numpy() for name, part in parts.items() if part is not None}
        content = io.BytesIO()
        np.savez_compressed(content, alphabet_size=np.array(self.alphabet_size), **arrays)
        write_whole(target, content.getvalue())

    def to_csv(self) -> str:
        """One word a line, symbols separated by commas."""
        rows = zip(self.symbols.tolist(), self.word_lengths.tolist(), strict=True)
        return "".join(",".join(map(str, row[:length])) + "\n" for row, length in rows)

    @classmethod
    def read(cls, path: str | os.PathLike[str], alphabet_size: int | None = None) -> Sequences:
        """Read a ``.csv`` (one word a line, ragged lines become lengths) or a ``.npz`` that :meth:`write` made.

        ``alphabet_size`` defaults to the file's own, or for CSV to the largest symbol plus one (at least 2).
        """
        source = check_path("data", path)
        if not source.is_file():
            raise reject("data", "a file", repr(str(source)))
        return _read_npz(source, alphabet_size) if source.suffix == ".npz" else _read_csv(source, alphabet_size)


def _check_lengths(lengths: Tensor, symbols: Tensor) -> Tensor:
    count, duration = symbols.shape
    if lengths.shape != (count,):
        raise reject("lengths", f"shape ({count},)", tuple(lengths.shape))
    if lengths.dtype.is_floating_point or lengths.dtype.is_complex or lengths.dtype == torch.bool:
        raise reject("lengths", "integers", f"dtype {str(lengths.dtype).removeprefix('torch.')}")
    if int(lengths.min()) < 1 or int(lengths.max()) > duration:
        raise reject("lengths", f"integers in 1..{duration}", f"{int(lengths.min())}..{int(lengths.max())}")
    return lengths.to(symbols.device, torch.long)


def _without_padding(inputs: Tensor | np.ndarray | None, padding: Tensor) -> Tensor | None:
    """Inputs with zeros where there is no symbol; of another shape than the words they are left to be refused."""
    if inputs is None:
        return None
    values = as_tensor("inputs", inputs)
    if values.shape[:2] != padding.shape:
        return values
    where = padding.to(values.device).reshape(*padding.shape, *(1,) * (values.ndim - 2))
    return torch.where(where, torch.zeros_like(values), values)


def _check_side(argument: str, values: Tensor | np.ndarray | None, shape: tuple[int, ...]) -> Tensor | None:
    """Vectors ``(*shape, D)`` in floating point, or integer labels ``shape``."""
    if values is None:
        return None
    tensor = as_tensor(argument, values).clone()
    vectors = tensor.ndim == len(shape) + 1
    if tensor.shape[: len(shape)] != shape or not (vectors or tensor.ndim == len(shape)):
        sizes = ", ".join(map(str, shape))
        expected = f"vectors of shape ({sizes}, D), or labels of shape ({sizes}{',' if len(shape) == 1 else ''})"
        raise reject(argument, expected, tuple(tensor.shape))
    dtype = str(tensor.dtype).removeprefix("torch.")
    if vectors:
        if tensor.dtype.is_complex or tensor.dtype == torch.bool or not tensor.shape[-1]:
            raise reject(argument, "vectors of at least one real number", f"shape {tuple(tensor.shape)}, dtype {dtype}")
        return check_finite(argument, tensor if tensor.dtype.is_floating_point else tensor.double())
    if tensor.dtype.is_floating_point or tensor.dtype.is_complex or tensor.dtype == torch.bool:
        raise reject(argument, "integer labels", f"dtype {dtype}", "or vectors")
    return tensor.long()


def _read_npz(path: Path, alphabet_size: int | None) -> Sequences:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        symbols = arrays["symbols"]
        size = alphabet_size or int(arrays.get("alphabet_size", max(int(symbols.max(initial=1)), 1) + 1))
    except (OSError, ValueError, TypeError, KeyError, EOFError, NotImplementedError, BadZipFile, zlib.error) as error:
        raise reject("data", "an .npz file with an integer array `symbols`", f"{path.name} ({error})") from None
    return Sequences(symbols, size, *(arrays.get(name) for name in ("lengths", "context", "inputs")))


def _read_csv(path: Path, alphabet_size: int | None) -> Sequences:
    words: list[Tensor] = []
    with path.open(newline="", encoding="utf-8-sig") as file:
        try:
            rows = [(number, row) for number, row in enumerate(csv.reader(file), 1) if row]
        except (UnicodeDecodeError, csv.Error) as error:
            raise reject("data", "a text file of comma-separated integers", f"{path.name} ({error})") from None
    for number, row in rows:
        try:
            words.append(torch.tensor([int(field) for field in row]))
        except (ValueError, RuntimeError):  # no integer, or one of more than 64 bits
            raise reject(
                "data", "integer symbols separated by commas", f"{','.join(row)[:40]!r} on line {number} of {path.name}"
            ) from None
    if not words:
        raise reject("data", "at least one word", f"no line with symbols in {path.name}")
    lengths = [len(word) for word in words]
    padded = torch.nn.utils.rnn.pad_sequence(words, batch_first=True)
    size = alphabet_size or max(int(padded.max()) + 1, 2)
    return Sequences(padded, size, lengths if min(lengths) < max(lengths) else None)
