"""The border: every public function checks its input here, and says what is wrong in one phrasing.

An error reads ``argument: expected ..., got ...; way out``. It is an :class:`InputError`, a ``ValueError`` that
the command line prints without a traceback before it leaves with exit code 2.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from difflib import get_close_matches

import torch
from torch import Tensor

MAX_TABLE_BYTES = 2**30
"""Tables, and lists of all words, that would need more bytes than this (1 GiB) are refused before allocating."""

MAX_NODES = 2**22
"""Prefix trees with more nodes than this are refused before allocating."""


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
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise reject(argument, expected, repr(value))
    number = value.__index__()
    if number < minimum or (maximum is not None and number > maximum):
        raise reject(argument, expected, number)
    return int(number)


def check_alphabet(value: object) -> int:
    """The number k of symbols: an integer of at least 2."""
    return check_integer("alphabet_size", value, 2)


def check_number(argument: str, value: object, low: float, high: float, *, open_ends: bool = False) -> float:
    """``value`` as a float in ``[low, high]``, or in ``(low, high)`` with ``open_ends``.

    >>> check_number("p", 0.5, 0, 1)
    0.5
    """
    ends = "()" if open_ends else "[]"
    expected = f"a number in {ends[0]}{low:g}, {high:g}{ends[1]}"
    if isinstance(value, bool) or (not isinstance(value, int | float) and not hasattr(value, "__float__")):
        raise reject(argument, expected, repr(value))
    number = float(value)
    inside = low < number < high if open_ends else low <= number <= high
    if not inside:
        raise reject(argument, expected, f"{number:g}")
    return number


def check_name(argument: str, name: str, known: Iterable[str]) -> str:
    """``name``, if it is one of ``known``; the error lists the known names and the nearest one."""
    known = sorted(known)
    if name in known:
        return name
    near = get_close_matches(str(name), known, n=1)
    raise reject(argument, "one of " + ", ".join(known), repr(name), f"did you mean {near[0]!r}?" if near else "")


def check_symbols(argument: str, symbols: Tensor, alphabet_size: int) -> Tensor:
    """``symbols`` as int64, all within 0..k-1."""
    if symbols.dtype.is_floating_point or symbols.dtype.is_complex or symbols.dtype == torch.bool:
        raise reject(argument, "integer symbols", f"dtype {str(symbols.dtype).removeprefix('torch.')}")
    symbols = symbols.long()
    wrong = (symbols < 0) | (symbols >= alphabet_size)
    if bool(wrong.any()):
        place = tuple(int(i) for i in wrong.nonzero()[0])
        raise reject(argument, f"symbols in 0..{alphabet_size - 1}", f"{int(symbols[wrong][0])} at index {place}")
    return symbols


def check_words(argument: str, words: object, alphabet_size: int, duration: int) -> Tensor:
    """Words as an int64 tensor ``(..., T)`` with symbols in 0..k-1."""
    tensor = torch.as_tensor(words)
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
    stored = table_size(alphabet_size, duration) * (replicates or 1)
    way_out = "use a Markov or a Recurrent model, whose parameters do not grow with the duration, or a smaller duration"
    check_budget(argument, stored * itemsize, MAX_TABLE_BYTES, "bytes for the full table", way_out)


def table_size(alphabet_size: int, duration: int) -> int:
    """Stored numbers of the full table, ``k + k^2 + ... + k^T``, as a Python int.

    >>> table_size(3, 6)
    1092
    """
    return (alphabet_size ** (duration + 1) - alphabet_size) // (alphabet_size - 1)


def big_number(number: int) -> str:
    """A possibly huge integer for a person: exact to twelve digits, then as a power of ten.

    >>> big_number(4**10), big_number(4**400)
    ('1,048,576', '6.7e240')
    """
    if number < 10**12:
        return f"{number:,}"
    exponent = len(str(number)) - 1 if number < 10**4000 else math.floor(math.log2(number) * math.log10(2))
    return f"{str(number // 10 ** (exponent - 1))[0]}.{str(number // 10 ** (exponent - 1))[1]}e{exponent}"
