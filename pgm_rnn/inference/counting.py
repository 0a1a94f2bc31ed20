"""Maximum likelihood in closed form: counts of a prefix tree, smoothed."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from pgm_rnn.distribution import SequenceDistribution
from pgm_rnn.inference.result import Fit
from pgm_rnn.models.ending_law import EndingLaw
from pgm_rnn.models.endings import CountedEnding
from pgm_rnn.models.rows import RowsFamily, RowsLaw
from pgm_rnn.prefix_tree import PrefixTree

Counted = RowsFamily | CountedEnding
"""Families that are estimated from counts: rows, with or without an ending."""


def count_rows(model: Counted, tree: PrefixTree) -> Tensor:
    """How often each row was followed by each outcome, ``(M, n)`` or ``(R, M, n)``; shares if the data has no end.

    Outcomes are the k symbols, or for rows with an ending those that :class:`CountedEnding` tells apart.
    """
    first = {name: p.detach()[(0,) * len(model.lead)] for name, p in model.named_parameters()}
    law = law_with(model, first, tree)
    assert isinstance(law, RowsLaw | EndingLaw)
    rows = law.rows_along(*tree.roots_and_edges(law)).unsqueeze(-1)
    outcomes = model.outcomes(tree)
    counts = outcomes.new_zeros(*outcomes.shape[:-2], model.num_rows, outcomes.shape[-1])
    counts = counts.scatter_add(-2, rows.expand_as(outcomes), outcomes)
    totals = tree.totals.reshape(*tree.totals.shape, 1, 1)
    return torch.where(torch.isinf(totals), counts, (counts * totals).round())


def law_with(model: Counted, parameters: dict[str, Tensor], tree: PrefixTree) -> SequenceDistribution:
    """The law at a tree's duration and sides that has these parameters in place of the model's own."""
    return functional_call(model, parameters, (tree.duration,), tree.sides.given)


def fit_counting(model: Counted, tree: PrefixTree, split: tuple[PrefixTree, PrefixTree] | None) -> Fit:
    """Set the rows of ``model`` from the counts of ``tree``, with a leading axis R in every field.

    If there is a choice of settings, every one is estimated on the first part of ``split`` and judged on the second;
    the best one, per replicate, is then estimated on the whole ``tree``.
    """
    started = time.perf_counter()
    settings = model.settings()
    best, losses = _best_setting(model, settings, split)
    best = best.expand(model.replicates or 1)
    counts = count_rows(model, tree)
    endless = bool(torch.isinf(tree.totals).any())
    for index in best.unique().tolist():
        setting = {**settings[index], "pseudocount": 0.0} if endless else settings[index]
        for name, value in model.estimates(counts, **setting).items():
            own = model.get_parameter(name).data
            chosen = (best == index).reshape(*model.lead, *(1,) * (own.ndim - len(model.lead)))
            own.copy_(torch.where(chosen, value.to(own.dtype), own))
    chosen_settings = [settings[index] for index in best.tolist()]
    fitted = model.adopt(chosen_settings)
    with torch.no_grad():
        loss = -tree.expected_log_prob(tree.law(fitted))
    zeros = torch.zeros(len(best), dtype=torch.double, device=loss.device)
    ones, seconds = torch.ones(len(best), dtype=torch.long, device=loss.device), time.perf_counter() - started
    return Fit(fitted, loss.reshape(-1, 1), losses, ones, ones > 0, zeros, zeros, chosen_settings, seconds)


def _best_setting(
    model: Counted, settings: list[dict[str, Any]], split: tuple[PrefixTree, PrefixTree] | None
) -> tuple[Tensor, Tensor | None]:
    """The index of the setting with the lowest held-out loss, ``(R,)`` or ``(1,)``, and all losses ``(R, settings)``.

    Without words to choose on it is the last: the highest order, with the largest pseudocount.
    """
    if split is None or len(settings) == 1:
        return torch.tensor([len(settings) - 1], device=next(model.parameters()).device), None
    part, held_out = split
    counts = count_rows(model, part)
    losses = []
    for setting in settings:
        law = law_with(model, model.estimates(counts, **setting), held_out)
        losses.append(-held_out.expected_log_prob(law).reshape(-1))
    stacked = torch.stack(losses, -1)
    return stacked.argmin(-1), stacked
