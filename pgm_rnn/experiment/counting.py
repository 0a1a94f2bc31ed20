"""How many parameters a model has, counted on the model itself, or predicted where it does not fit in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pgm_rnn.checks import InputError, table_size
from pgm_rnn.family import Family


def parameter_record(build: Callable[[], Family], alphabet_size: int, T: int) -> dict[str, Any]:
    """The columns that tell what a model for words of T symbols costs.

    Args:
        build: makes the model; if it refuses, because of the memory it would need, the model is a full table.
        alphabet_size: k.
        T: the duration.

    Example:
        >>> from pgm_rnn.models import Tabular
        >>> parameter_record(lambda: Tabular(2, 3), 2, 3)["free_parameters"]
        7
        >>> parameter_record(lambda: Tabular(2, 40), 2, 40)
        {'T': 40, 'fits_in_memory': False, 'stored_parameters': 2199023255550, 'free_parameters': 1099511627775,
         'bytes': 17592186044400}
    """
    row: dict[str, Any] = {"T": T}
    try:
        model = build()
        stored, free = model.parameter_count(T)
        row |= {"counted_parameters": sum(p.numel() for p in model.parameters()), "fits_in_memory": True}
    except InputError:
        stored, free = table_size(alphabet_size, T), alphabet_size**T - 1
        row |= {"fits_in_memory": False}
    return row | {"stored_parameters": stored, "free_parameters": free, "bytes": 8 * stored}
