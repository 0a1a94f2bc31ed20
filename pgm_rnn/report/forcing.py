"""What a network is fed: figures by horizon, against the number of words and over the exact floors, and tables.

Rows, one per seed, hold ``process, mode, N`` and what each function names; lists are JSON text.
"""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pgm_rnn.experiment.costs import growth_exponent
from pgm_rnn.experiment.intervals import t_interval
from pgm_rnn.report.comparison import Contestants
from pgm_rnn.report.figures import OKABE_ITO, line_with_band, log_axis, long_form, name_axes, panels
from pgm_rnn.report.labels import Label, label_ends, line_end

BLACK = OKABE_ITO["black"]
NEGLIGIBLE = 1e-6
"""Nats per word: what is below is drawn on the edge."""


def bias_by_horizon(rows: pd.DataFrame, modes: Contestants) -> Figure:
    """The list ``bias_by_horizon_nats``, a panel per process and a line per mode."""
    return _by_horizon(rows, modes, "bias_by_horizon_nats", "exposure bias (nats)")


def mass_outside(rows: pd.DataFrame, modes: Contestants) -> Figure:
    """The list ``mass_outside_by_horizon``, of processes that forbid words."""
    forbidding = rows[rows.groupby("process")["mass_outside"].transform("max") > 0]
    return _by_horizon(forbidding, modes, "mass_outside_by_horizon", "forbidden pasts", low=1e-4)


def _by_horizon(rows: pd.DataFrame, modes: Contestants, column: str, axis: str, low: float | None = None) -> Figure:
    """A list by horizon, a panel per process and a line per mode; on a logarithmic axis from ``low`` to 1 if given."""
    processes = list(rows["process"].unique())
    figure, grid = panels(processes, columns=2, size=(2.7, 2.0), margin=1.4)
    for axes, process in zip(grid, processes, strict=True):
        labels = []
        for name, mode in modes.items():
            line = long_form(rows[(rows["process"] == process) & (rows["mode"] == name)], column)
            line = line if low is None else line[line["value"] >= low]
            if line.empty:
                continue
            line_with_band(axes, line, "t", "value", mode.colour, dashed=mode.dashed)
            labels.append(line_end(mode.label, line, "t", "value", mode.colour))
        if low is None:
            axes.axhline(0.0, color=BLACK, linewidth=0.8)
        else:
            log_axis(axes, "y", low, 1.0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        label_ends(axes, labels)
    name_axes(grid, 2, "horizon t (symbols)", axis)
    return figure


def bias_against_words(rows: pd.DataFrame, modes: Contestants, margin: float) -> Figure:
    """``relative_bias`` by the number of words: every seed a point, the mean with its 95 % t-interval; the margin."""
    rows = rows[rows["mode"].isin(list(modes)) & np.isfinite(rows["N"])]
    processes = list(rows["process"].unique())
    figure, grid = panels(processes, columns=2, size=(2.7, 1.9), margin=1.4)
    shares = rows["relative_bias"]
    low, high = min(-2 * margin, shares.min()), max(2 * margin, shares.max())
    for axes, process in zip(grid, processes, strict=True):
        labels = []
        for shift, (name, mode) in zip(np.linspace(0.93, 1.07, len(modes)), modes.items(), strict=True):
            mine = rows[(rows["process"] == process) & (rows["mode"] == name)]
            for N, values in mine.groupby("N")["relative_bias"]:
                mean, *ends = t_interval(values)
                x = float(N) * shift
                axes.plot([x] * len(values), values, ".", color=mode.colour, alpha=0.4, markersize=4)
                axes.plot([x, x], np.clip(ends, low, high), color=mode.colour)
                axes.plot([x], [mean], "o", color=mode.colour)
            labels.append(Label(mode.label, x, mean, mode.colour))
        axes.axhline(0.0, color=BLACK, linewidth=0.8)
        axes.axhline(margin, color=BLACK, linewidth=0.9, linestyle=":")
        axes.set_ylim(low, high)
        log_axis(axes, "x", 0.5 * rows["N"].min(), 2 * rows["N"].max())
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        label_ends(axes, labels)
    name_axes(grid, 2, "training words N", "exposure bias / divergence")
    return figure


def divergence_by_mode(rows: pd.DataFrame, modes: Contestants) -> Figure:
    """``kl_nats_per_word`` of every fit: filled on the most words, hollow on the process itself."""
    processes, most = list(rows["process"].unique()), rows.loc[np.isfinite(rows["N"]), "N"].max()
    figure, grid = panels(processes, columns=2, size=(2.9, 1.7), margin=0.4, left=1.4)
    for index, (axes, process) in enumerate(zip(grid, processes, strict=True)):
        for height, (name, mode) in enumerate(modes.items()):
            mine = rows[(rows["process"] == process) & (rows["mode"] == name)]
            for N, lift, face in ((most, 0.16, mode.colour), (math.inf, -0.16, "white")):
                kl = mine.loc[mine["N"] == N, "kl_nats_per_word"].clip(lower=NEGLIGIBLE)
                axes.plot(kl, [lift - height] * len(kl), "o", color=mode.colour, markerfacecolor=face, alpha=0.8)
        log_axis(axes, "x", NEGLIGIBLE / 2, 5.0)
        labels = [mode.label if index % 2 == 0 else "" for mode in modes.values()]
        axes.set_yticks([-height for height in range(len(modes))], labels)
        axes.set_xlabel("KL (nats per word)")
    return figure


def losses_over_both_floors(rows: pd.DataFrame, modes: Contestants) -> Figure:
    """Training losses, mean over seeds, and the two floors: H(T), and the sum of H(y_t).

    Rows hold ``T, entropy_nats_per_word, marginal_entropy_nats_per_word`` and the lists ``loss_steps`` and
    ``losses_nats_per_word``.
    """
    processes = list(rows["process"].unique())
    figure, grid = panels(processes, columns=2, size=(2.7, 2.0), margin=1.4)
    for axes, process in zip(grid, processes, strict=True):
        mine = rows[rows["process"] == process]
        T, low, high = (mine[name].iloc[0] for name in ("T", "entropy_nats_per_word", "marginal_entropy_nats_per_word"))
        labels = []
        for name, mode in modes.items():
            lists = mine.loc[mine["mode"] == name, ["loss_steps", "losses_nats_per_word"]].map(json.loads)
            points = lists.explode(["loss_steps", "losses_nats_per_word"]).astype(float)
            line = points.groupby("loss_steps", as_index=False).mean()
            axes.plot(*line.to_numpy().T, color=mode.colour, linestyle="--" if mode.dashed else "-")
            step, loss = line.iloc[-1]
            labels.append(Label(mode.label, step, loss, mode.colour))
        for floor, text in ((low, f"H({T})"), (high, r"$\sum_t$ H($y_t$)")):
            axes.axhline(floor, color=BLACK, linewidth=0.9, linestyle=(0, (5, 2)))
            axes.text(0.02, floor, text, size=8, va="bottom", transform=axes.get_yaxis_transform())
        axes.set_ylim(low - 0.15 * (high - low), high + 0.7 * (high - low))
        axes.set_xscale("log")
        label_ends(axes, labels)
    name_axes(grid, 2, "step", "training loss (nats per word)")
    return figure


def step_time(rows: pd.DataFrame, wirings: Contestants, title: str) -> Figure:
    """``step_seconds`` against ``T``, a line per ``wiring`` with its exponent, and a band over rounds."""
    figure, (axes,) = panels([title], size=(3.8, 2.8), margin=1.9)
    rows, labels = rows.assign(ms=1e3 * rows["step_seconds"]), []
    for name, wiring in wirings.items():
        mine = rows[rows["wiring"] == name]
        line_with_band(axes, mine, "T", "ms", wiring.colour)
        means = mine.groupby("T")["ms"].mean()
        slope = growth_exponent(list(means.index), list(means))
        labels.append(Label(f"{wiring.label}: $T^{{{slope:.2f}}}$", means.index[-1], means.iloc[-1], wiring.colour))
    axes.set_xscale("log", base=2)
    log_axis(axes, "y", 0.6 * rows["ms"].min(), 1.6 * rows["ms"].max())
    axes.set(xlabel="duration T (symbols)", ylabel="milliseconds")
    label_ends(axes, labels)
    return figure


def mode_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds, a line per process, N and mode."""
    names = {
        "kl_nats_per_word": "KL (nats/word)",
        "bias_nats_per_word": "exposure bias (nats/word)",
        "mass_outside": "forbidden pasts at T",
        "loss_nats_per_word": "last training loss (nats/word)",
        "marginal_entropy_nats_per_word": "sum of H(y_t) (nats/word)",
        "fit_seconds": "seconds per fit",
    }
    means = rows.groupby(["process", "N", "mode"], sort=False)[list(names)].mean()
    return means.rename(columns=names).reset_index()


def step_table(rows: pd.DataFrame, wirings: Contestants) -> pd.DataFrame:
    """The fewest milliseconds of a step, a line per T."""
    fewest = rows.groupby(["T", "wiring"])["step_seconds"].min().unstack() * 1e3
    fewest.columns = [f"{wirings[name].label} (ms)" for name in fewest.columns]
    return fewest.reset_index()
