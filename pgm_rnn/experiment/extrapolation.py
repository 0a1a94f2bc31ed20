"""Columns by position: what a model loses beyond the words that it was trained on, and where its states go."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pgm_rnn.checks import InputError
from pgm_rnn.experiment.measuring import even_in_logarithm
from pgm_rnn.extrapolation import drift, excess, worst_octave
from pgm_rnn.family import Family
from pgm_rnn.inference import Fit
from pgm_rnn.processes import Process

EXACT = 12
"""Up to this position every prefix is summed over, and not sampled."""


def excess_records(model: Family, process: Process, T: int, kept: Sequence[int], words: int) -> list[dict[str, Any]]:
    """What each replicate loses above :math:`H(y_t | y_{<t})` at the positions ``kept``, as far as the model goes.

    Args:
        model: with replicates, trained on words of T symbols.
        process: the truth.
        T: the positions after it are unseen.
        kept: rising positions; the last is how far the model is scored, and if it refuses that it is scored to T.
        words: sampled where not every prefix is summed over.

    Example:
        >>> from pgm_rnn import models, processes
        >>> (row,) = excess_records(models.Tabular(2, 3, replicates=1), processes.even(), 3, (1, 2, 3, 8), words=10)
        >>> row["positions"], row["refusal"] != ""
        ('[1, 2, 3]', True)
    """
    refusal = ""
    try:
        nats, errors = excess(model, process, kept[-1], EXACT, num_sequences=words)
    except InputError as error:  # a table is made for words of T symbols
        refusal = str(error)
        nats, errors = excess(model, process, T, T, num_sequences=words)
    reached = [t for t in kept if t <= nats.shape[-1]]
    rows = []
    for mine, sigma in zip(nats, errors, strict=True):
        row: dict[str, Any] = {"refusal": refusal, "positions": json.dumps(reached)}
        row |= {"excess_by_position_nats": json.dumps([float(mine[t - 1]) for t in reached])}
        row |= {"standard_error_by_position_nats": json.dumps([float(sigma[t - 1]) for t in reached])}
        row |= {"excess_trained_nats_per_symbol": float(mine[:T].mean())}
        if not refusal:
            first, last, unseen, bound = worst_octave(mine, sigma, T)
            row |= {"worst_octave": f"{first} to {last}", "excess_unseen_nats_per_symbol": unseen}
            row |= {"standard_error_unseen_nats_per_symbol": bound}
        rows.append(row)
    return rows


def network_records(fitted: Fit, process: Process, T: int, kept: Sequence[int]) -> list[dict[str, Any]]:
    """What only a network has: states that drift, from the second position on, and losses over training steps."""
    distances = drift(fitted.model.cpu(), process, T, kept[1:])
    steps = [0, *even_in_logarithm(fitted.losses.shape[-1] - 1, 1.2)]
    common = {"floor_nats_per_word": process.block_entropy(T), "loss_steps": json.dumps(steps)}
    return [
        common | {"drift_by_position": json.dumps(distance), "losses_nats_per_word": json.dumps(losses)}
        for distance, losses in zip(distances.tolist(), fitted.losses[:, steps].tolist(), strict=True)
    ]
