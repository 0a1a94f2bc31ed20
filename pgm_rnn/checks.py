"""The border: every public function checks its input here, and says what is wrong in one phrasing.

An error reads ``argument: expected ..., got ...; way out``. It is an :class:`InputError`, a ``ValueError`` that
the command line prints without a traceback before it leaves with exit code 2.
"""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

MAX_TABLE_BYTES = 2**30
"""Tables, and lists of all words, that would need more bytes than this (1 GiB) are refused before allocating."""

MAX_NODES = 2**22
"""Prefix trees with more nodes than this are refused before allocating."""

MAX_DURATION = 2**20
"""Words longer than this are refused: even the number of digits of ``k^T`` is then beyond use."""


MAX_INTEGER = 2**63 - 1
"""The largest integer that a tensor holds."""


class InputError(ValueError):
    """Input that cannot be used: the message names the argument, what was expected, what came and the way out."""


def reject(argument: str, expected: str, got: object, way_out: str = "") -> InputError:
    """The one phrasing of an input error.

    >>> str(reject("duration", "an integer of at least 1", 0))
    'duration: expected an integer of at least 1, got 0'
    """
    return InputError(f"{argument}: expected {expected}, got {got}" + (f"; {way_out}" if way_out else ""))


def check_integer(argument: str, value: object, minimum: int, maximum: int | None = None) -> int:
    """``value`` as an int within ``minimum..maximum``.

    >>> check_integer("duration", 3, 1)
    3
    """
    expected = f"an integer of at least {minimum}" if maximum is None else f"an integer in {minimum}..{maximum}"
    if isinstance(value, Tensor) and value.ndim == 0:
        value = value.item()
    if isinstance(value, bool):
        raise reject(argument, expected, repr(value))
    try:
        number = operator.index(value)  # type: ignore[arg-type]  # whatever is no integer says so
    except TypeError:
        raise reject(argument, expected, repr(value)) from None
    if number < minimum or (maximum is not None and number > maximum):
        raise reject(argument, expected, number if abs(number) < 10**12 else big_number(number))
    return number


def check_alphabet(value: object) -> int:
    """The number k of symbols: an integer of at least 2."""
    alphabet_size = check_integer("alphabet_size", value, 2)
    check_budget("alphabet_size", alphabet_size, MAX_INTEGER, "symbols", "number fewer")
    return alphabet_size


def check_duration(value: object) -> int:
    """The number T of steps: an integer of at least 1, and at most :data:`MAX_DURATION`."""
    duration = check_integer("duration", value, 1)
    check_budget("duration", duration, MAX_DURATION, "steps", "cut the words")
    return duration


def check_seed(value: object) -> int:
    """A seed that every generator takes: an integer of at least 0 with at most 63 bits."""
    return check_integer("seed", value, 0, MAX_INTEGER)


def check_number(argument: str, value: object, low: float, high: float, *, open_ends: bool = False) -> float:
    """``value`` as a float in ``[low, high]``, or in ``(low, high)`` with ``open_ends``.

    >>> check_number("p", 0.5, 0, 1)
    0.5
    """
    ends = "()" if open_ends else "[]"
    expected = f"a number in {ends[0]}{low:g}, {high:g}{ends[1]}"
    if isinstance(value, bool) or (not isinstance(value, int | float) and not hasattr(value, "__float__")):
        raise reject(argument, expected, repr(value))
    try:
        number = float(value)
    except (TypeError, ValueError, RuntimeError, OverflowError):  # an array of many numbers, or too long an integer
        raise reject(argument, expected, repr(value)) from None
    inside = low < number < high if open_ends else low <= number <= high
    if not inside:
        raise reject(argument, expected, f"{number:g}")
    return number


def check_path(argument: str, value: object) -> Path:
    """``value`` as a path, whether or not there is anything."""
    if not isinstance(value, str | os.PathLike):
        raise reject(argument, "a path", repr(value))
    return Path(value)


def check_name(argument: str, name: str, known: Iterable[str]) -> str:
    """``name``, if it is one of ``known``; the error lists the known names and the nearest one."""
    known = sorted(known)
    if name in known:
        return name
    near = get_close_matches(str(name), known, n=1)
    raise reject(argument, "one of " + ", ".join(known), repr(name), f"did you mean {near[0]!r}?" if near else "")


def as_tensor(argument: str, values: Tensor | np.ndarray | Sequence) -> Tensor:
    """``values`` as a tensor, or an :class:`InputError` that names the argument."""
    if isinstance(values, Tensor):
        if values.layout != torch.strided or values.is_meta:
            raise reject(argument, "a dense tensor with values", f"one on {values.device} with {values.layout}")
        return values
    try:
        array = np.asarray(values)
        native = np.int64 if array.dtype.kind == "u" else array.dtype.newbyteorder("=")
        return torch.from_numpy(array.astype(native, order="C"))  # a copy, which is writable as torch wants it
    except (TypeError, ValueError, RuntimeError) as error:
        raise reject(argument, "a rectangular array of numbers", f"{type(values).__name__} ({error})") from None


def check_shape(argument: str, shape: Sequence[int]) -> torch.Size:
    """``shape`` as a tuple of integers of at least 0."""
    try:
        return torch.Size([check_integer(argument, size, 0) for size in shape])
    except (TypeError, InputError):
        raise reject(argument, "a tuple of integers of at least 0", repr(shape)) from None


def check_broadcast(argument: str, shape: Sequence[int], batch_shape: Sequence[int]) -> torch.Size:
    """The leading dimensions ``shape`` broadcast with a law's batch shape."""
    try:
        return torch.broadcast_shapes(batch_shape, shape)
    except RuntimeError:
        expected = f"leading dimensions that broadcast with the law's batch shape {tuple(batch_shape)}"
        raise reject(argument, expected, tuple(shape)) from None


def check_symbols(argument: str, symbols: Tensor, alphabet_size: int, noun: str = "symbols") -> Tensor:
    """``symbols`` as int64, all within 0..k-1; ``noun`` is what the error calls them."""
    if symbols.dtype.is_floating_point or symbols.dtype.is_complex or symbols.dtype == torch.bool:
        raise reject(argument, f"integer {noun}", f"dtype {str(symbols.dtype).removeprefix('torch.')}")
    symbols = symbols.long()
    wrong = (symbols < 0) | (symbols >= alphabet_size)
    if bool(wrong.any()):
        place = tuple(int(i) for i in wrong.nonzero()[0])
        raise reject(argument, f"{noun} in 0..{alphabet_size - 1}", f"{int(symbols[wrong][0])} at index {place}")
    return symbols


def check_words(argument: str, words: Tensor | np.ndarray | Sequence, alphabet_size: int, duration: int) -> Tensor:
    """Words as an int64 tensor ``(..., T)`` with symbols in 0..k-1."""
    tensor = as_tensor(argument, words)
    if tensor.ndim < 1 or tensor.shape[-1] != duration:
        raise reject(argument, f"shape (..., {duration})", tuple(tensor.shape))
    return check_symbols(argument, tensor, alphabet_size)


def check_finite(argument: str, values: Tensor) -> Tensor:
    """``values``, if none of them is NaN or infinite."""
    wrong = ~torch.isfinite(values)
    if bool(wrong.any()):
        place = tuple(int(i) for i in wrong.nonzero()[0])
        raise reject(argument, "finite numbers", f"{float(values[wrong][0])} at index {place}")
    return values


def check_budget(argument: str, needed: int, budget: int, unit: str, way_out: str) -> None:
    """Refuse what would need more than ``budget`` units, before anything is allocated."""
    if needed > budget:
        raise reject(argument, f"at most {budget:,} {unit}", big_number(needed), way_out)


def check_table(argument: str, alphabet_size: int, duration: int, itemsize: int, replicates: int | None = None) -> None:
    """Refuse a full table whose ``sum_t k^t`` stored numbers pass :data:`MAX_TABLE_BYTES`."""
    way_out = "use a Markov or a Recurrent model, whose parameters do not grow with the duration, or a smaller duration"
    check_budget(argument, duration, MAX_DURATION, "steps", way_out)
    stored = table_size(alphabet_size, duration) * (replicates or 1)
    check_budget(argument, stored * itemsize, MAX_TABLE_BYTES, "bytes for the full table", way_out)


def table_size(alphabet_size: int, duration: int) -> int:
    """Stored numbers of the full table, ``k + k^2 + ... + k^T``, as a Python int.

    >>> table_size(3, 6)
    1092
    """
    return (alphabet_size ** (duration + 1) - alphabet_size) // (alphabet_size - 1)


def big_number(number: int) -> str:
    """A possibly huge positive integer for a person: exact to twelve digits, then as a power of ten.

    >>> big_number(4**10), big_number(4**400)
    ('1,048,576', '6.7e240')
    """
    if number < 0:
        return "-" + big_number(-number)
    if number < 10**12:
        return f"{number:,}"
    exponent, fraction = divmod(math.log10(number), 1)
    return f"{10**fraction:.1f}e{exponent:.0f}"
