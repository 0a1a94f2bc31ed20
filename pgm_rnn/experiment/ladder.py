"""The whole ladder of models on a user's own words."""

from __future__ import annotations

from typing import Any

import pandas as pd
import torch

from pgm_rnn.checks import InputError
from pgm_rnn.experiment.comparison import compare_models
from pgm_rnn.family import Family
from pgm_rnn.inference import fit
from pgm_rnn.models import EndSymbol, Markov, Recurrent, Tabular
from pgm_rnn.progress import progress_bar
from pgm_rnn.sequences import Sequences
from pgm_rnn.sides import NO_SIDES, Sides, widths

HELD_OUT_SHARE = 0.2
"""The share of the words that no model sees in training, and on which all are compared."""

HIDDEN_DIMS = (4, 16)


def ladder(alphabet_size: int, duration: int, sides: Sides = NO_SIDES) -> dict[str, Family]:
    """Untrained models from the simplest to the full table, which is left out where it does not fit in memory.

    All of them take what the words come with; where that is vectors, networks alone can.

    >>> list(ladder(2, 10))
    ['iid', 'markov', 'rnn-4', 'rnn-16', 'table']
    >>> list(ladder(4, 40))
    ['iid', 'markov', 'rnn-4', 'rnn-16']
    """
    k = alphabet_size
    told: Any = widths(sides)
    networks: dict[str, Family] = {f"rnn-{H}": Recurrent(k, H, **told) for H in HIDDEN_DIMS}
    if any(part.dtype.is_floating_point for part in sides.given.values()):
        return networks
    chains: dict[str, Family] = {
        "iid": Markov(k, order=0, pseudocount=None, **told),
        "markov": Markov(k, order=None, pseudocount=None, **told),
    }
    try:
        return {**chains, **networks, "table": Tabular(k, duration, pseudocount=None, **told)}
    except InputError:
        return {**chains, **networks}


def compare_ladder(
    words: Sequences, *, seed: int = 0, device: torch.device | str = "auto", progress: bool = True
) -> pd.DataFrame:
    """Fit every model of the ladder to four fifths of the words, and rank them on the others.

    What a model has to choose (order, pseudocount, stopping) it chooses within its own four fifths. Where words differ
    in length, every model gets an end symbol, unless inputs tell the length.

    Args:
        words: N words.
        seed: of the split and of the starting points.
        device: where to train.
        progress: show a bar, if there is a terminal.

    Returns:
        The table of :func:`pgm_rnn.compare_models` on the held-out words, with AIC and BIC of the training words.
    """
    training, held_out = words.split(HELD_OUT_SHARE, seed)
    end = int(words.is_ragged and words.inputs is None)
    models = ladder(words.alphabet_size + end, words.duration + end, words.sides)
    if end:
        models = {name: EndSymbol(model) for name, model in models.items()}
    fitted: dict[str, Family] = {}
    with progress_bar("compare", progress) as report:
        for done, (name, model) in enumerate(models.items(), 1):
            fitted[name] = fit(model, training, seed=seed, device=device).model.cpu()
            if report:
                report(done, len(models))
    table = compare_models(fitted, held_out)
    criteria = ["aic_nats", "bic_nats"]
    table[criteria] = compare_models(fitted, training)[criteria]  # they judge the likelihood of what was fitted
    return table
