"""Fitting words of predicted length: the lengths are counted, and the symbols learnt given their length."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from pgm_rnn.distribution import SequenceDistribution
from pgm_rnn.inference.kinds_of_data import Data, as_tree, map_words, split
from pgm_rnn.inference.result import Fit
from pgm_rnn.models.predicted_length import PredictedLength
from pgm_rnn.models.rows import estimate_rows
from pgm_rnn.prefix_tree import PrefixTree

PSEUDOCOUNT = 0.5
"""Added to the count of every length: Krichevsky and Trofimov's."""


def fit_given_length(
    fit: Callable[..., Fit], model: PredictedLength, data: Data, validation: Data | None, seed: int, **how: Any
) -> Fit:
    """Count the lengths, and ``fit`` the inner family to words whose lengths it is told: the two share no parameter.

    Losses are of both together; the arguments are those of :func:`pgm_rnn.fit`.
    """
    data, validation = told(model, data), None if validation is None else told(model, validation)
    result = fit(model.inner, data, validation=validation, seed=seed, **how)
    where = next(result.model.parameters()).device
    tree = as_tree("data", data, where)
    fitted = PredictedLength(result.model, model.max_length, model.remaining)
    fitted.length_logits.data.copy_(length_law(model, tree))  # of all words, as rows are counted
    losses, held_out = result.losses + length_loss(model, tree, tree), result.validation_losses
    if held_out is not None:
        parts = split(data, tree, validation, seed, where)
        assert parts is not None  # there are losses on held-out words
        held_out = held_out + length_loss(model, *parts)
    return replace(result, model=fitted, losses=losses, validation_losses=held_out)


def told(model: PredictedLength, data: Data) -> Data:
    """Any kind of data as the inner family learns it."""
    if isinstance(data, PrefixTree | SequenceDistribution):
        return model.told_tree(as_tree("data", data, next(model.parameters()).device))
    return map_words(model.told, data)


def length_law(model: PredictedLength, tree: PrefixTree) -> Tensor:
    r""":math:`\log P(\tau)` for lengths 1..L, ``(*R, L)``, from the counts of a tree that tells them."""
    shares, totals = model.lengths(tree), tree.totals.unsqueeze(-1)
    if bool(torch.isinf(totals).any()):
        return estimate_rows(shares, 0.0)
    return estimate_rows((shares * totals).round(), PSEUDOCOUNT)


def length_loss(model: PredictedLength, part: PrefixTree, held_out: PrefixTree) -> Tensor:
    """What the lengths of the second tree cost under the law of those of the first, ``(1,)`` or ``(R, 1)``."""
    shares, log_p = model.lengths(held_out), length_law(model, part)
    return -torch.where(shares > 0, shares * log_p, 0.0).sum(-1, keepdim=True)
