"""Several models on the same words: ranked, with the standard error of each difference."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd
import torch
from torch import Tensor

from pgm_rnn.checks import check_name, reject
from pgm_rnn.family import Family
from pgm_rnn.scoring import count_parameters, double, log_probs, score
from pgm_rnn.sequences import Sequences


def compare_models(
    models: Mapping[str, Family], data: Sequences, process: Family | None = None, reference: str | None = None
) -> pd.DataFrame:
    r"""Rank fitted models by their loss on the same words.

    Every model scores the same symbols, and differences are taken word by word, so that their standard error is the
    paired one. AIC is :math:`2 d - 2 \log L` and BIC is :math:`d \log N - 2 \log L` with d free parameters and the
    log-likelihood of these N words: they mean what they should if the models were fitted to these very words.

    Words may be of different lengths if all models end, and score the end too, or if none does, and all score the words
    as far as they go; nats per symbol are nats per word over the mean length.

    Args:
        models: name -> fitted model without replicates.
        data: N words.
        process: the truth, if it is known: a row of its own, and the exact divergence of every model.
        reference: the model that the others are compared with (default: the best).

    Returns:
        One row a model, best first: ``rank, stored, free, nats_per_symbol, difference_nats_per_symbol,
        standard_error_nats_per_symbol, aic_nats, bic_nats, note`` and, with a process, ``kl_nats_per_word``; the index
        is the model's name. ``note`` says when not to trust the row.

    Example:
        >>> from pgm_rnn import processes, fit, models
        >>> even = processes.even()
        >>> words = Sequences(even(4).sample((200,), generator=torch.Generator().manual_seed(0)), 2)
        >>> ladder = {f"markov-{m}": fit(models.Markov(2, m), words).model for m in range(3)}
        >>> list(compare_models(ladder, words).index)
        ['markov-2', 'markov-1', 'markov-0']
    """
    if not isinstance(data, Sequences):
        raise reject("data", "Sequences", type(data).__name__)
    if not isinstance(models, Mapping):
        raise reject("models", "a mapping from names to models", type(models).__name__)
    if not models:
        raise reject("models", "at least one model", "an empty mapping")
    families = {name: double(f"models[{name!r}]", family) for name, family in models.items()}
    if process is not None:
        if "truth" in families:
            raise reject("models", "names other than that of the process's own row", "'truth'")
        families["truth"] = double("process", process)
    for name, family in families.items():
        if family.replicates is not None:
            raise reject(
                f"models[{name!r}]",
                "a model without replicates",
                f"{family.replicates} replicates",
                "take model.replicate(r)",
            )
        size = family.read(data).alphabet_size
        if family.alphabet_size != size:
            raise reject(f"models[{name!r}]", f"alphabet_size {size}, as in the data", family.alphabet_size)
    ending = [name for name, family in families.items() if family.ends]
    if len(ending) not in (0, len(families)):
        raise reject("models", "models that all end, or none that does", ", ".join(ending) + " that end beside others")
    if reference is not None:
        check_name("reference", reference, families)
    losses = {name: -log_probs(family, data).sum(-1).cpu() for name, family in families.items()}
    best = min(losses, key=lambda name: _mean(losses[name]))
    rows = [_row(name, family, losses, reference or best, data) for name, family in families.items()]
    table = pd.DataFrame(rows).set_index("model").sort_values("nats_per_symbol", kind="stable")
    if process is not None:
        duration = families["truth"].read(data).duration
        kl = {name: score(family, process, duration).divergence for name, family in families.items()}
        table.insert(3, "kl_nats_per_word", [kl[name] for name in table.index])
    table.insert(0, "rank", range(1, len(table) + 1))
    return table


def _mean(losses: Tensor) -> float:
    return float(losses.mean())


def _row(name: str, family: Family, losses: Mapping[str, Tensor], best: str, data: Sequences) -> dict[str, object]:
    count, own = len(data), losses[name]
    duration, length = family.read(data).duration, float(data.word_lengths.double().mean())
    stored, free = (0, 0) if name == "truth" else count_parameters(family, duration)  # the truth is not fitted
    gaps = (own - losses[best]) / length
    error = float(gaps.std()) / math.sqrt(count) if count > 1 else math.nan
    total = float(own.sum())
    return {
        "model": name,
        "stored": stored,
        "free": free,
        "nats_per_symbol": _mean(own) / length,
        "difference_nats_per_symbol": float(gaps.mean()),
        "standard_error_nats_per_symbol": error,
        "aic_nats": 2.0 * free + 2.0 * total,
        "bic_nats": math.log(count) * free + 2.0 * total,
        "note": _note(own, free, count),
    }


def _note(losses: Tensor, free: int, count: int) -> str:
    """Why not to trust a row, if there is a reason."""
    impossible = int(torch.isinf(losses).sum())
    if impossible:
        return f"forbids {impossible} of {count} words"
    if count < 30:
        return "fewer than 30 words: the standard error is rough"
    return "more free parameters than words: AIC and BIC mislead" if free > count else ""
