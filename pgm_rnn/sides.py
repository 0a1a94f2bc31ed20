"""What laws are conditioned on beside the past: a context for each sequence, an input for each of its steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor, nn

from pgm_rnn.checks import check_finite, check_symbols, reject

SINGLE = {"context": 1, "inputs": 2}
"""Dimensions of labels; vectors have one more."""


class Sides(NamedTuple):
    """What ``G`` roots of a prefix tree are conditioned on, each part None where there is none.

    ``context``: labels ``(G,)`` of an integer dtype, or vectors ``(G, D)``. ``inputs``: labels ``(G, T)``, or vectors
    ``(G, T, D)``. Both may have a leading axis R, where replicates have roots of their own.
    """

    context: Tensor | None = None
    inputs: Tensor | None = None

    @property
    def replicates(self) -> int | None:
        """R, where replicates have roots of their own."""
        for name, part in self.given.items():
            if part.ndim > SINGLE[name] + part.dtype.is_floating_point:
                return part.shape[0]
        return None

    @property
    def roots(self) -> dict[str, int]:
        """G of the parts there are."""
        return {name: part.shape[-SINGLE[name] - part.dtype.is_floating_point] for name, part in self.given.items()}

    @property
    def given(self) -> dict[str, Tensor]:
        """The parts there are, by name, as a family's keyword arguments."""
        return {name: part for name, part in self._asdict().items() if part is not None}

    def map(self, function: Callable[[Tensor], Tensor]) -> Sides:
        """``function`` applied to the parts there are."""
        return Sides(*(None if part is None else function(part) for part in self))


NO_SIDES = Sides()


class Conditions(NamedTuple):
    """All sides that a source may be under, G of them, and their probabilities ``(G,)``."""

    sides: Sides
    shares: Tensor


def check_side(argument: str, values: Tensor, steps: int | None, replicates: int | None) -> Tensor:
    """Contexts or inputs of G sequences, with a leading axis R where replicates have their own.

    Raises:
        InputError: if they are not labels ``(G,)`` or vectors ``(G, D)`` or, for inputs, ``(G, T)`` or ``(G, T, D)``.
    """
    vectors = values.dtype.is_floating_point
    rank = SINGLE[argument] + vectors
    own_lead = values.ndim == rank + 1 and values.shape[0] == replicates
    shape = ", ".join(["G", *(() if steps is None else (str(steps),)), *(("D",) if vectors else ())])
    expected = f"{'vectors' if vectors else 'labels'} of shape ({shape}{',' if rank == 1 else ''}) with G at least 1"
    if not (values.ndim == rank or own_lead) or 0 in values.shape:
        raise reject(argument, expected, tuple(values.shape))
    if steps is not None and values.shape[values.ndim - 1 - vectors] != steps:
        raise reject(argument, f"{steps} steps, as many as symbols", f"shape {tuple(values.shape)}")
    return values


def encode(argument: str, values: Tensor, width: int) -> Tensor:
    """Vectors ``(..., width)`` in float64: as they are, or the one-hots of labels ``(...)`` in ``0..width-1``.

    >>> import torch
    >>> encode("context", torch.tensor([1, 0]), 2).tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    if not values.dtype.is_floating_point and width == 1:
        raise reject(argument, "vectors of 1 number, such as 0.3", "integer labels", "a single label would say nothing")
    if not values.dtype.is_floating_point:
        return nn.functional.one_hot(check_symbols(argument, values, width, "labels"), width).double()
    if values.ndim < 1 or values.shape[-1] != width:
        raise reject(argument, f"vectors of {width} numbers", f"shape {tuple(values.shape)}")
    return check_finite(argument, values).double()


def labels(argument: str, values: Tensor, count: int) -> Tensor:
    """Labels in ``0..count-1``, for families with parameters of their own for each."""
    if values.dtype.is_floating_point:
        got = f"dtype {str(values.dtype).removeprefix('torch.')}"
        raise reject(argument, f"integer labels in 0..{count - 1}", got, "networks take vectors")
    return check_symbols(argument, values, count, "labels")


def widths(sides: Sides) -> dict[str, int]:
    """The ``context_dim`` and ``input_dim`` of a family that takes these: the width of vectors, the number of labels.

    >>> import torch
    >>> widths(Sides(context=torch.tensor([0, 2, 1]), inputs=torch.zeros(3, 4, 5)))
    {'context_dim': 3, 'input_dim': 5}
    """
    arguments = {"context": "context_dim", "inputs": "input_dim"}
    return {arguments[name]: _width(part) for name, part in sides.given.items()}


def _width(values: Tensor) -> int:
    """Of vectors; or the number of labels, which a single one would not be."""
    return values.shape[-1] if values.dtype.is_floating_point else max(int(values.max()) + 1, 2)
