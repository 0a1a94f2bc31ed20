"""How contexts enter, side by side: shares of I(x; y) captured, and losses by position and by value of x.

Rows, one per seed, hold ``process, model, H, T, N, num_values, captured_share`` and, as JSON text, the lists
``kl_by_position_nats, information_by_position_nats, x, kl_by_x_nats, trained_x``; those of tables what these name.
"""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pgm_rnn.models import Markov, Recurrent, Tabular
from pgm_rnn.report.comparison import Contestant
from pgm_rnn.report.figures import OKABE_ITO, log_axis, panels
from pgm_rnn.report.labels import Label, label_ends

ENTRIES = {
    "none": Contestant("no x", OKABE_ITO["grey"]),
    "initial": Contestant("x as h₀", OKABE_ITO["vermillion"]),
    "both": Contestant("both", OKABE_ITO["green"], dashed=True),
    "input": Contestant("x at every step", OKABE_ITO["blue"]),
    "table": Contestant("a table per x", OKABE_ITO["orange"]),
    "markov": Contestant("a chain per x", OKABE_ITO["purple"]),
    "nearest table": Contestant("nearest table", OKABE_ITO["black"], dashed=True),
}

LOWEST_SHARE = -0.25
"""Shares below are drawn here."""

LOWEST, HIGHEST = 1e-6, 3.0
"""Nats per symbol, or per word; what is below or above is drawn on the edge."""


def captured_shares(rows: pd.DataFrame, along: str, name: str, enough: float) -> Figure:
    """The share captured along the values of a column, a dot per seed and a line through medians, panels by source."""
    places = {value: place for place, value in enumerate(sorted(rows[along].unique()))}
    figure, grid = panels(list(rows["process"].unique()), columns=2, size=(2.7, 1.9), margin=1.15)
    for axes, (_, mine) in zip(grid, rows.groupby("process", sort=False), strict=True):
        labels = []
        present = [model for model in ENTRIES if model in set(mine["model"])]
        for index, model in enumerate(present):
            fits, entry = mine[mine["model"] == model], ENTRIES[model]
            place = fits[along].map(places) + 0.09 * (index - (len(present) - 1) / 2)
            share = fits["captured_share"].clip(lower=LOWEST_SHARE)
            axes.plot(place, share, "o", color=entry.colour, markersize=3, alpha=0.45, markeredgewidth=0, clip_on=False)
            median = share.groupby(place).median()
            axes.plot(median.index, median, color=entry.colour, linestyle="--" if entry.dashed else "-")
            labels.append(Label(entry.label, median.index[-1], float(median.iloc[-1]), entry.colour))
        axes.axhline(enough, color=OKABE_ITO["black"], linewidth=0.9, linestyle=(0, (1, 1.5)))
        axes.set_xticks(list(places.values()), [f"{value:,.0f}" for value in places])
        axes.set(xlim=(-0.35, len(places) - 0.65), ylim=(LOWEST_SHARE, 1.05), xlabel=name)
        label_ends(axes, labels)
    _name_first(grid, "share of I(x; y)", 2)
    return figure


def loss_by_position(rows: pd.DataFrame) -> Figure:
    """KL at every position with what knowing x is worth there, positions beyond training shaded."""
    figure, grid = panels(list(rows["process"].unique()), columns=2, size=(2.7, 1.9), margin=1.3)
    for axes, (_, mine) in zip(grid, rows.groupby("process", sort=False), strict=True):
        worth = json.loads(mine["information_by_position_nats"].iloc[0])
        axes.set_xlim(1, len(worth))
        axes.axvspan(mine["T"].iloc[0] + 0.5, len(worth), color=OKABE_ITO["yellow"], alpha=0.14, linewidth=0)
        axes.plot(range(1, len(worth) + 1), worth, color=OKABE_ITO["black"], linestyle=":")
        labels = [Label("I(x; yₜ | y<t)", len(worth), worth[-1], OKABE_ITO["black"])]
        labels += _bands(axes, mine, "kl_by_position_nats")
        log_axis(axes, "y", LOWEST, HIGHEST)
        axes.set_xlabel("position t")
        label_ends(axes, labels)
    _name_first(grid, "KL (nats per symbol)", 2)
    return figure


def loss_by_value(rows: pd.DataFrame) -> Figure:
    """KL against the number x, a panel per number of values trained on, which are ticks on top."""
    counts = sorted(int(J) for J in rows["num_values"].unique())
    figure, grid = panels([f"trained on {J} values of x" for J in counts], size=(2.4, 2.3), margin=1.2)
    for axes, J in zip(grid, counts, strict=True):
        mine = rows[rows["num_values"] == J]
        x = json.loads(mine["x"].iloc[0])
        for low, high in ((x[0], 0.0), (1.0, x[-1])):
            axes.axvspan(low, high, color=OKABE_ITO["grey"], alpha=0.12, linewidth=0)
        for value in json.loads(mine["trained_x"].iloc[0]):
            axes.plot([value, value], [0.95, 1.0], color=OKABE_ITO["black"], transform=axes.get_xaxis_transform())
        labels = _bands(axes, mine, "kl_by_x_nats", x)
        log_axis(axes, "y", LOWEST, HIGHEST)
        axes.set(xlim=(x[0], x[-1]), xlabel="context x")
        label_ends(axes, labels)
    _name_first(grid, "KL (nats per word)", 3)
    return figure


def limit_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Shares captured in words of the length trained on and beyond, medians over seeds."""
    names = {"captured_share": "share, length trained on", "captured_share_beyond": "share, positions beyond"}
    medians = rows.groupby(["process", "H", "model"], sort=False)[list(names)].median()
    return medians.rename(columns=names).reset_index()


def words_table(rows: pd.DataFrame) -> pd.DataFrame:
    """What each model captures after N words and what it costs, means over data seeds."""
    names = {
        "free_parameters": "free parameters",
        "captured_share": "captured share",
        "kl_nats_per_word": "KL (nats/word)",
        "information_nats": "I(x; y) (nats/word)",
    }
    return rows.groupby(["process", "N", "model"], sort=False)[list(names)].mean().rename(columns=names).reset_index()


def cost_table() -> pd.DataFrame:
    """Free parameters for K labels: a table per label, a chain per label, and a network with a row of R per label."""
    lines = []
    for K in (2, 4, 16, 256):
        for T in (8, 16):
            models = {
                "tables": Tabular(2, 1, context_dim=K),
                "chains of order 2": Markov(2, order=2, context_dim=K),
                "RNN (H = 8) with R": Recurrent(2, 8, context_dim=K),
            }
            lines.append({"K": K, "T": T} | {name: model.parameter_count(T).free for name, model in models.items()})
    return pd.DataFrame(lines)


def _bands(axes: Axes, rows: pd.DataFrame, column: str, x: list[float] | None = None) -> list[Label]:
    """Every model's curve over seeds: the median, and a band from the lowest to the highest."""
    labels = []
    for name, entry in ENTRIES.items():
        mine = rows[rows["model"] == name]
        if len(mine):
            curves = np.array([json.loads(text) for text in mine[column]]).clip(LOWEST, HIGHEST)  # (seeds, points)
            places = range(1, curves.shape[1] + 1) if x is None else x
            median = np.median(curves, 0)
            axes.fill_between(places, curves.min(0), curves.max(0), color=entry.colour, alpha=0.15, linewidth=0)
            axes.plot(places, median, color=entry.colour, linestyle="--" if entry.dashed else "-")
            labels.append(Label(entry.label, places[-1], float(median[-1]), entry.colour))
    return labels


def _name_first(grid: list[Axes], name: str, columns: int) -> None:
    """Name the ordinate left of the first panel of each row."""
    for axes in grid[::columns]:
        axes.set_ylabel(name)
