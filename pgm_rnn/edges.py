"""Edges: how the lanes of every level stem from those of the level before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

import torch
from torch import Tensor

Edge = tuple[Tensor | None, Tensor]
"""Parents ``(*batch, lanes)`` among the lanes of the level before (None: the same lane), and symbols likewise."""


class Edges:
    """The edges of successive levels, below ``roots`` lanes; a word is a path of them, a prefix tree branches.

    Example:
        >>> words = torch.tensor([[0, 1, 1], [1, 0, 1]])
        >>> Edges([(None, symbol) for symbol in words.unbind(-1)], roots=2).widths
        [2, 2, 2, 2]
    """

    def __init__(self, levels: Sequence[Edge], roots: int) -> None:
        self.levels = list(levels)
        self.roots = roots

    def __len__(self) -> int:
        return len(self.levels)

    def __iter__(self) -> Iterator[Edge]:
        return iter(self.levels)

    @cached_property
    def widths(self) -> list[int]:
        """The number of lanes on every level, the roots first."""
        return [self.roots, *(symbol.shape[-1] for _, symbol in self.levels)]

    @cached_property
    def symbols(self) -> Tensor:
        """The symbols of all levels, ``(*batch, lanes below the roots)``."""
        return torch.cat([symbol for _, symbol in self.levels], -1)

    @cached_property
    def origins(self) -> Tensor | None:
        """Where each lane's parent stands among the lanes of all levels; None if every lane is its own path."""
        parents, first = [], 0
        for (parent, _), width in zip(self.levels, self.widths, strict=False):
            if parent is None:
                return None
            parents.append(parent + first)
            first += width
        return torch.cat(parents, -1)
