"""Columns about what a context buys: the share of I(x; y) that a model captures.

It is ``1 - KL(truth given x || model) / I(x; y)``: 1 for the truth, 0 for the best model that ignores x, and below 0
for a worse one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from pgm_rnn.distribution import SequenceDistribution
from pgm_rnn.family import Family
from pgm_rnn.prefix_tree import PrefixTree
from pgm_rnn.processes import Conditional
from pgm_rnn.scoring import score
from pgm_rnn.sides import Sides

Predict = Callable[[Tensor], SequenceDistribution]
"""The law of words given contexts ``(1, D)``."""


def captured_records(model: Family, source: Conditional, T: int) -> list[dict[str, Any]]:
    """What each replicate captures in words of T symbols: exact, a sum over all x and words.

    Example:
        >>> from pgm_rnn import fit, models, processes
        >>> source = processes.coins()
        >>> best = models.Tabular(2, 3, context_dim=4, replicates=1)
        >>> (row,) = captured_records(fit(best, PrefixTree.from_source(source, 3)).model, source, 3)
        >>> round(row["captured_share"], 6)
        1.0
    """
    information = float(source.information(T).sum())
    kl = torch.as_tensor(score(model, source, T).divergence)
    return [_record(one, information) for one in kl.tolist()]


def captured_beyond_records(
    model: Family, source: Conditional, T: int, longest: int, words: int
) -> list[dict[str, Any]]:
    """KL by position of words longer than the T trained on, along drawn words, and the share captured beyond T."""
    information = source.information(longest)
    scored = score(model, source, longest, num_sequences=words)
    assert scored.divergence_by_position is not None  # there is a truth
    worth, rows = float(information[T:].sum()), []
    for kl in scored.divergence_by_position:
        row: dict[str, Any] = {"captured_share_beyond": 1 - float(kl[T:].sum()) / worth}
        row |= {"kl_by_position_nats": json.dumps(kl.tolist())}
        rows.append(row | {"information_by_position_nats": json.dumps(information.tolist())})
    return rows


def captured_by_value_records(
    predict: Predict, source: Conditional, T: int, shown: Sequence[float]
) -> list[dict[str, Any]]:
    """KL at the values ``shown`` of a number x, and the share captured over all values, by quadrature.

    Args:
        predict: batch shape ``(R, 1)``, or ``(1,)`` without replicates.
        source: the truth, given one number.
        T: the duration.
        shown: values of x, also such as the source never takes.
    """
    (nodes, _), shares = source.conditions(T)
    assert nodes is not None  # that is what the source is conditioned on
    information = float(source.information(T).sum())
    kl = torch.stack([_divergence_at(x, source, T, predict) for x in nodes.unsqueeze(1)], -1) @ shares
    curves = [_divergence_at(torch.tensor([[x]], dtype=torch.double), source, T, predict) for x in shown]
    return [
        _record(one, information) | {"x": json.dumps(shown), "kl_by_x_nats": json.dumps(curve)}
        for one, curve in zip(kl.tolist(), torch.stack(curves, -1).tolist(), strict=True)
    ]


def _divergence_at(x: Tensor, source: Conditional, T: int, predict: Predict) -> Tensor:
    """KL of the predicted from the true words given one x ``(1, D)``, exactly: ``(R,)``, or ``(1,)``."""
    tree = PrefixTree.from_law(source(T, context=x), sides=Sides(context=x))
    with torch.no_grad():
        return (-tree.expected_log_prob(predict(x)) - tree.entropies().sum()).reshape(-1)


def _record(kl: float, information: float) -> dict[str, Any]:
    return {"kl_nats_per_word": kl, "information_nats": information, "captured_share": 1 - kl / information}
