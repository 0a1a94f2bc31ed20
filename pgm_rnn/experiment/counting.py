"""How many parameters a model has, counted on the model itself, or predicted where it does not fit in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pgm_rnn.checks import InputError, table_size
from pgm_rnn.family import Family


def parameter_records(
    build: Callable[[int], Family], alphabet_size: int, durations: Iterable[int]
) -> list[dict[str, Any]]:
    """The columns that tell what a model for words of T symbols costs, for several T.

    Args:
        build: makes the model for one T. What it refuses, because of the memory it would need, is a full table.
        alphabet_size: k.
        durations: T.

    Example:
        >>> from pgm_rnn.models import Tabular
        >>> small, large = parameter_records(lambda T: Tabular(2, T), 2, (3, 40))
        >>> small["free_parameters"], small["counted_parameters"], small["stored_parameters"]
        (7, 14, 14)
        >>> large
        {'T': 40, 'fits_in_memory': False, 'stored_parameters': 2199023255550, 'free_parameters': 1099511627775,
         'bytes': 17592186044400}
    """
    rows = []
    for T in durations:
        row: dict[str, Any] = {"T": T}
        try:
            model = build(T)
            stored, free = model.parameter_count(T)
            row |= {"counted_parameters": sum(p.numel() for p in model.parameters()), "fits_in_memory": True}
        except InputError:
            stored, free = table_size(alphabet_size, T), alphabet_size**T - 1
            row |= {"fits_in_memory": False}
        rows.append(row | {"stored_parameters": stored, "free_parameters": free, "bytes": 8 * stored})
    return rows
