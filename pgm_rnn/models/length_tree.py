"""The tree of words that end, with a root for every length: what a law given the length is trained on."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pgm_rnn.checks import reject
from pgm_rnn.prefix_tree import PrefixTree
from pgm_rnn.sides import Sides
from pgm_rnn.tree_layout import Level

ROUNDING = 1e-9
"""Probability that may be missing from a tree whose words have all ended."""


def by_length(tree: PrefixTree, sides: Callable[[Tensor, int], Sides]) -> PrefixTree:
    r"""The same words over k symbols, those of each length below a root of their own, as far as they go.

    .. math:: \sum_w P(w) \log Q(w) = \sum_\tau P(\tau) \log Q(\tau)
              + \sum_\tau \sum_{y_1 \ldots y_\tau} P(y_1 \ldots y_\tau, \tau) \log Q(y_1 \ldots y_\tau \mid \tau)

    The last sum is that over the new tree.

    Args:
        tree: over k symbols and END, of a law or in the layout ``union``.
        sides: from lengths ``(G,)`` and the number of steps to what these roots are given.

    Raises:
        InputError: if some words have not ended, or lanes are not shared by all replicates.
    """
    if tree.sides.given:
        raise reject("data", "a tree of words without context and inputs", ", ".join(tree.sides.given))
    if tree.layout != "union":
        raise reject("data", "a tree in the layout 'union'", repr(tree.layout), "pass the words themselves")
    shares = shares_by_length(tree)
    missing = 1 - shares[0].sum((-2, -1))
    if bool((missing > ROUNDING).any()):
        got = f"a share of {float(missing.max()):.3g} that has not"
        raise reject("data", f"words that end within {tree.duration - 1} symbols", got)
    label, lane = _anywhere(shares[0]).T.nonzero(as_tuple=True)  # the roots: every length that occurs
    steps = int(label.max()) + 1
    roots = sides(label + 1, steps)
    levels, num_nodes = [], 0
    parent = symbol = None
    for t in range(steps):
        child = _children(tree, t)[lane]  # (pairs, k), -1 where there is none
        weights = shares[t + 1][..., child.clamp(min=0), label.unsqueeze(-1)].masked_fill(child < 0, 0.0)
        levels.append(Level(parent, symbol, weights))
        edge = _anywhere(weights)
        num_nodes += int(edge.sum())
        parent, symbol = (edge & (label > t).unsqueeze(-1)).nonzero(as_tuple=True)  # no lane where a word is over
        lane, label = child[parent, symbol], label[parent]
    return PrefixTree(levels, tree.alphabet_size - 1, tree.totals, num_nodes, sides=roots)


def shares_by_length(tree: PrefixTree) -> list[Tensor]:
    """For every level, the share of words through each lane that have length 1, 2, ...: ``(*R, lanes, T - 1)``."""
    end, below, shares = tree.alphabet_size - 1, None, []
    for t in range(tree.duration - 1, -1, -1):
        level = tree.levels[t]
        here = level.weights.new_zeros(*level.weights.shape[:-1], tree.duration - 1)
        if t:
            ends = level.weights[..., end]
            here[..., t - 1] = ends if level.symbol is None else ends.masked_fill(level.symbol == end, 0.0)
        parent = tree.levels[t + 1].parent if t + 1 < tree.duration else None
        if below is not None and parent is not None:
            here.index_add_(-2, parent, below)
        shares.append(here)
        below = here
    return shares[::-1]


def _children(tree: PrefixTree, t: int) -> Tensor:
    """The lane below each lane of level t by each symbol but END, or -1: ``(lanes, k)``."""
    level = tree.levels[t + 1]
    assert level.parent is not None  # only the root has none
    assert level.symbol is not None
    lanes = tree.levels[t].weights.shape[-2]
    child = torch.full((lanes, tree.alphabet_size), -1, device=level.parent.device)
    child[level.parent, level.symbol] = torch.arange(len(level.parent), device=level.parent.device)
    return child[:, :-1]


def _anywhere(weights: Tensor) -> Tensor:
    """Where some replicate has a positive weight."""
    return (weights > 0).flatten(0, -3).any(0) if weights.ndim > 2 else weights > 0
