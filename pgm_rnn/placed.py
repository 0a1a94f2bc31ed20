"""States of laws that are told something beside the past: where in the sides of all roots each lane stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pgm_rnn.edges import Edges
from pgm_rnn.lanes import State, select_lanes, take_rows


class Placed(NamedTuple):
    """What is kept of the past, the root whose side each lane has, and how many symbols have been read."""

    past: State
    root: Tensor
    t: int


def first_roots(shape: Sequence[int], roots: int, device: torch.device) -> Tensor:
    """The root of every lane before any symbol, ``(*shape)``: its own where there are as many, else the first, because
    all lanes have the only root, or one lane stands for any."""
    return torch.arange(roots if shape[-1] == roots else 1, device=device).expand(*shape)


def places_along(state: Placed, edges: Edges) -> tuple[Tensor, Tensor]:
    """The root of every lane below ``state``, level by level, and the number of symbols read there."""
    root, roots = state.root, []
    for parent, _ in edges:
        root = root if parent is None else select_lanes(root, parent)
        roots.append(root)
    steps = torch.arange(state.t + 1, state.t + 1 + len(edges), device=root.device)
    return torch.cat(roots, -1), steps.repeat_interleave(torch.tensor(edges.widths[1:], device=root.device))


def at_place(table: Tensor, root: Tensor, step: Tensor) -> Tensor:
    """What a table ``(*lead, G, P, n)`` has for lanes of these roots at these steps, modulo P: ``(..., lanes, n)``."""
    roots, period = table.shape[-3:-1]
    if roots == 1:
        return table[..., 0, :, :].index_select(-2, step % period)
    return take_rows(table.flatten(-3, -2), root * period + step % period)
