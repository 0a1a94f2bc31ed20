"""Maximum likelihood in closed form: counts of a prefix tree, smoothed."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from pgm_rnn.inference.result import Fit
from pgm_rnn.models.rows import RowsFamily, RowsLaw
from pgm_rnn.prefix_tree import PrefixTree


def count_rows(model: RowsFamily, tree: PrefixTree) -> Tensor:
    """How often each row was followed by each symbol, ``(M, k)`` or ``(R, M, k)``; shares if the data has no end."""
    law = rows_law(model, model.logits.detach()[(0,) * len(model.lead)], tree)
    rows = law.rows_along(*tree.roots_and_edges(law)).unsqueeze(-1)
    weights = torch.cat([level.weights for level in tree.levels], -2)
    counts = weights.new_zeros(*weights.shape[:-2], *model.logits.shape[-2:])
    counts = counts.scatter_add(-2, rows.expand_as(weights), weights)
    totals = tree.totals.reshape(*tree.totals.shape, 1, 1)
    return torch.where(torch.isinf(totals), counts, (counts * totals).round())


def rows_law(model: RowsFamily, logits: Tensor, tree: PrefixTree) -> RowsLaw:
    """The law at a tree's duration and sides that has these rows in place of the model's own."""
    law = functional_call(model, {"logits": logits}, (tree.duration,), tree.sides.given)
    assert isinstance(law, RowsLaw)
    return law


def fit_counting(model: RowsFamily, tree: PrefixTree, split: tuple[PrefixTree, PrefixTree] | None) -> Fit:
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
        logits = model.estimate(counts, **setting).to(model.logits.dtype)
        chosen = (best == index).reshape(*model.lead, 1, 1)
        model.logits.data.copy_(torch.where(chosen, logits, model.logits.data))
    chosen_settings = [settings[index] for index in best.tolist()]
    fitted = model.adopt(chosen_settings)
    with torch.no_grad():
        loss = -tree.expected_log_prob(tree.law(fitted))
    zeros = torch.zeros(len(best), dtype=torch.double, device=loss.device)
    ones, seconds = torch.ones(len(best), dtype=torch.long, device=loss.device), time.perf_counter() - started
    return Fit(fitted, loss.reshape(-1, 1), losses, ones, ones > 0, zeros, zeros, chosen_settings, seconds)


def _best_setting(
    model: RowsFamily, settings: list[dict[str, Any]], split: tuple[PrefixTree, PrefixTree] | None
) -> tuple[Tensor, Tensor | None]:
    """The index of the setting with the lowest held-out loss, ``(R,)`` or ``(1,)``, and all losses ``(R, settings)``.

    Without words to choose on it is the last: the highest order, with the largest pseudocount.
    """
    if split is None or len(settings) == 1:
        return torch.tensor([len(settings) - 1], device=model.logits.device), None
    part, held_out = split
    counts = count_rows(model, part)
    losses = []
    for setting in settings:
        law = rows_law(model, model.estimate(counts, **setting), held_out)
        losses.append(-held_out.expected_log_prob(law).reshape(-1))
    stacked = torch.stack(losses, -1)
    return stacked.argmin(-1), stacked
