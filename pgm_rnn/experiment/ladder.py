"""The whole ladder of models on a user's own words."""

from __future__ import annotations

import pandas as pd
import torch

from pgm_rnn.checks import InputError
from pgm_rnn.experiment.comparison import compare_models
from pgm_rnn.family import Family
from pgm_rnn.inference import fit
from pgm_rnn.models import EndSymbol, Markov, Recurrent, Tabular
from pgm_rnn.progress import progress_bar
from pgm_rnn.sequences import Sequences

HELD_OUT_SHARE = 0.2
"""The share of the words that no model sees in training, and on which all are compared."""

HIDDEN_DIMS = (4, 16)


def ladder(alphabet_size: int, duration: int) -> dict[str, Family]:
    """Untrained models from the simplest to the full table, which is left out where it does not fit in memory.

    >>> list(ladder(2, 10))
    ['iid', 'markov', 'rnn-4', 'rnn-16', 'table']
    >>> list(ladder(4, 40))
    ['iid', 'markov', 'rnn-4', 'rnn-16']
    """
    models: dict[str, Family] = {
        "iid": Markov(alphabet_size, order=0, pseudocount=None),
        "markov": Markov(alphabet_size, order=None, pseudocount=None),
    }
    models |= {f"rnn-{hidden_dim}": Recurrent(alphabet_size, hidden_dim) for hidden_dim in HIDDEN_DIMS}
    try:
        models["table"] = Tabular(alphabet_size, duration, pseudocount=None)
    except InputError:
        return models
    return models


def compare_ladder(
    words: Sequences, *, seed: int = 0, device: torch.device | str = "auto", progress: bool = True
) -> pd.DataFrame:
    """Fit every model of the ladder to four fifths of the words, and rank them on the others.

    What a model has to choose (order, pseudocount, stopping) it chooses within its own four fifths. Where words differ
    in length, every model gets an end symbol.

    Args:
        words: N words.
        seed: of the split and of the starting points.
        device: where to train.
        progress: show a bar, if there is a terminal.

    Returns:
        The table of :func:`pgm_rnn.compare_models` on the held-out words, with AIC and BIC of the training words.
    """
    training, held_out = words.split(HELD_OUT_SHARE, seed)
    if words.is_ragged:
        inner = ladder(words.alphabet_size + 1, words.duration + 1)
        models: dict[str, Family] = {name: EndSymbol(model) for name, model in inner.items()}
    else:
        models = ladder(words.alphabet_size, words.duration)
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
