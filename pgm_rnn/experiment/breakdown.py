"""Comparing models: the tables that every study of several models on several processes makes of its rows.

Rows hold the columns ``process, T, N, model, seed, kl_nats_per_word`` and, where a table asks for them, those that it
names; one row per data seed. ``labels`` are the names that readers see, by model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pgm_rnn.experiment.intervals import t_interval

CELL = ("process", "T", "N")

TIE = 1e-12
"""Nats per word: divergences closer than this are the same."""

CRITERIA = {
    "aic_nats": "AIC",
    "bic_nats": "BIC",
    "heldout_nats_per_symbol": "held-out words",
    "kl_nats_per_word": "the truth",
}


def groups(rows: pd.DataFrame, *columns: str) -> Iterator[tuple[Any, pd.DataFrame]]:
    """The rows that agree in ``columns``, behind what they agree on, in order of appearance."""
    yield from rows.groupby(list(columns), sort=False)


def winners(rows: pd.DataFrame, labels: Mapping[str, str], first: str, second: str) -> pd.DataFrame:
    """Who has the lowest mean KL in every cell; and ``first`` against ``second`` there, paired by data seed."""
    lines = []
    for (process, T, N), cell in groups(rows, *CELL):
        kl = cell.pivot_table(index="seed", columns="model", values="kl_nats_per_word", sort=False)
        mean = kl.mean().clip(lower=0.0)  # rounding leaves an exact fit on either side of zero
        best = [labels[name] for name in mean.index[mean <= mean.min() + TIE]]
        line = {"process": process, "T": T, "N": N, "winner": ", ".join(best), "its KL (nats/word)": mean.min()}
        line |= {f"{labels[name]}: KL (nats/word)": mean[name] for name in (first, second) if name in kl}
        if {first, second} <= set(kl) and np.isfinite(N):
            value, low, high = t_interval((kl[first] - kl[second]).dropna())
            line[f"{labels[first]} - {labels[second]} [95 %]"] = f"{value:+.2g} [{low:.2g}, {high:.2g}]"
        lines.append(line)
    return pd.DataFrame(lines)


def lost_cells(rows: pd.DataFrame, labels: Mapping[str, str], favourite: str, other: str) -> str:
    """The cells at the longest T of a process and finite N in which another than the ``favourite`` wins, in one line.

    ``rows`` and ``other`` are as :func:`winners` takes them.
    """
    longest = rows["T"] == rows.groupby("process")["T"].transform("max")
    lost: dict[str, list[str]] = {}
    for line in winners(rows[longest & np.isfinite(rows["N"])], labels, other, favourite).itertuples():
        if line.winner != labels[favourite]:
            lost.setdefault(f"{line.process}, {line.winner}", []).append(f"{line.N:,.0f}")
    return "; ".join(f"{who} at N = {' and '.join(sizes)}" for who, sizes in lost.items())


def split_loss(rows: pd.DataFrame, labels: Mapping[str, str], models: Sequence[str]) -> pd.DataFrame:
    r"""KL = approximation + optimisation gap + estimation, in nats per word, means over data seeds.

    *Approximation*: the lowest KL of all fits on the exact tree (N infinite), each the best of its own restarts; since
    every one of them may have missed the best weights, an upper bound. *Optimisation gap*: on that tree the training
    loss minus the entropy is the KL, so what a fit leaves above that bound, on average over its seeds. *Estimation*:
    the rest, which finite data add, by what has to be learned from them and by what is chosen on them.
    """
    lines = []
    for (model, process, T), cell in groups(rows[rows["model"].isin(models)], "model", "process", "T"):
        endless = cell.loc[np.isinf(cell["N"]), "kl_nats_per_word"]
        for N, kl in cell.groupby("N")["kl_nats_per_word"] if len(endless) else ():
            parts = {"approximation (upper bound)": endless.min(), "optimisation gap": endless.mean() - endless.min()}
            parts |= {"estimation": kl.mean() - endless.mean(), "KL (nats/word)": kl.mean()}
            lines.append({"model": labels[model], "process": process, "T": T, "N": N, **parts})
    return pd.DataFrame(lines)


def criteria(rows: pd.DataFrame, labels: Mapping[str, str]) -> pd.DataFrame:
    """What AIC, BIC and held-out words pick beside what the truth picks, and the KL that going by BIC costs."""
    lines = []
    for (process, T, N), cell in groups(rows[np.isfinite(rows["N"])], *CELL):
        mean = cell.groupby("model", sort=False)[list(CRITERIA)].mean()
        picks = {title: str(mean[column].idxmin()) for column, title in CRITERIA.items()}
        line = {"process": process, "T": T, "N": N, **{title: labels[name] for title, name in picks.items()}}
        regret = mean.loc[picks["BIC"], "kl_nats_per_word"] - mean["kl_nats_per_word"].min()
        lines.append(line | {"KL lost by BIC (nats/word)": regret})
    return pd.DataFrame(lines)


def unconverged(rows: pd.DataFrame, labels: Mapping[str, str]) -> pd.DataFrame:
    """Cells with fits that were cut off: how many of how many, and the largest gradient and slope among them."""
    lines = []
    for (model, process, T, N), cell in groups(rows, "model", *CELL):
        cut = cell[~cell["converged"].astype(bool)]
        if len(cut):
            line = {"model": labels[model], "process": process, "T": T, "N": N, "cut off": f"{len(cut)} of {len(cell)}"}
            line |= {"largest gradient (nats per unit)": cut["gradient_norm_nats"].max()}
            lines.append(line | {"largest slope (nats/step)": cut["slope_nats_per_step"].max()})
    return pd.DataFrame(lines)
