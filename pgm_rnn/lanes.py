"""Gathering along the lanes of a state, and rows of a table, with or without leading replicate axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

State = Any
"""A tensor, a plain int that all lanes share, or a (named) tuple of such: opaque to all but its family."""


def map_state(function: Callable[[Tensor], Tensor], state: State) -> State:
    """Apply ``function`` to every tensor of a state; plain ints stay as they are."""
    if isinstance(state, Tensor):
        return function(state)
    if isinstance(state, tuple):
        parts = [map_state(function, part) for part in state]
        return type(state)(*parts) if hasattr(state, "_fields") else tuple(parts)
    return state


def expand_lanes(state: State, lead: int, shape: Sequence[int]) -> State:
    """A state whose ``lead`` leading dimensions are broadcast to ``shape``."""
    return map_state(lambda tensor: tensor.expand(*shape, *tensor.shape[lead:]), state)


def select_lanes(tensor: Tensor, parent: Tensor) -> Tensor:
    """Lanes ``parent`` of a tensor ``(*batch, lanes, ...)``.

    ``parent`` has shape ``(*batch, new lanes)`` and as many dimensions as ``(*batch, lanes)``; leading ones of size
    1 share one choice among all replicates.
    """
    lane = parent.ndim - 1
    if parent.shape.numel() == parent.shape[-1]:
        return tensor.index_select(lane, parent.reshape(-1))
    shape = (*tensor.shape[:lane], parent.shape[-1], *tensor.shape[lane + 1 :])
    index = parent.reshape(*parent.shape, *(1,) * (tensor.ndim - parent.ndim)).expand(shape)
    return tensor.gather(lane, index)


def add_lanes(tensor: Tensor, parent: Tensor | None, children: Tensor) -> Tensor:
    """``tensor`` with every lane of ``children`` added to its parent's lane: the transpose of :func:`select_lanes`."""
    if parent is None:
        return tensor + children
    lane = parent.ndim - 1
    if parent.shape.numel() == parent.shape[-1]:
        return tensor.index_add(lane, parent.reshape(-1), children)
    index = parent.reshape(*parent.shape, *(1,) * (tensor.ndim - parent.ndim)).expand(children.shape)
    return tensor.scatter_add(lane, index, children)


def times(state: Tensor, matrix: Tensor) -> Tensor:
    """Each lane of a state ``(..., *batch, lanes, H)`` times its replicate's matrix ``(*batch, H, J)``.

    A plain product would copy the matrices for all that precedes the replicates, such as a sample shape.
    """
    if state.ndim > matrix.ndim == 3:
        return torch.einsum("...rnh,rhj->...rnj", state, matrix)
    return state @ matrix


def join_lanes(states: Sequence[State], lane: int) -> State:
    """States of the same family joined along dimension ``lane``; the ints that all lanes share stay as they are."""
    if isinstance(states[0], tuple):
        parts = [join_lanes(column, lane) for column in zip(*states, strict=True)]
        return type(states[0])(*parts) if hasattr(states[0], "_fields") else tuple(parts)
    return torch.cat(list(states), lane) if isinstance(states[0], Tensor) else states[0]


def count_numbers(state: State) -> int:
    """The numbers in all tensors of a state."""
    if isinstance(state, tuple):
        return sum(count_numbers(part) for part in state)
    return state.numel() if isinstance(state, Tensor) else 0


def take_rows(table: Tensor, rows: Tensor) -> Tensor:
    """Rows of a table ``(*batch, M, k)`` at indices ``(*shape)``, where ``shape = (..., *batch, lanes)``.

    Returns ``(*shape, k)``. Every replicate reads its own table.
    """
    if table.ndim == 2:
        return table.index_select(0, rows.reshape(-1)).reshape(*rows.shape, table.shape[-1])
    batch = table.shape[:-2]
    flat = table.reshape(-1, table.shape[-1])
    count = table.shape[-2]
    offset = count * torch.arange(batch.numel(), device=table.device).reshape(*batch, 1)
    return take_rows(flat, rows + offset)
