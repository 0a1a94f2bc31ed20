"""Comparing models: the figures that every study of several models on several processes draws from its rows.

Rows hold the columns ``process, T, N, model, seed, free_parameters, kl_nats_per_word, kl_by_position_nats``, one row
per data seed; N is infinite where a model was trained on the exact tree of its process.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pgm_rnn.report.figures import OKABE_ITO, line_with_band, log_axis, long_form, name_axes, panels, pareto_front
from pgm_rnn.report.labels import Label, label_ends, label_points, line_end

FLOOR = 1e-6
"""Nats per word: smaller divergences, such as the table's 0 on the exact tree, are drawn on this lower edge."""


class Contestant(NamedTuple):
    """A model of a comparison: its label, how its line looks, and whether fit tunes it on a split of the words."""

    label: str
    colour: str
    dashed: bool = False
    tuned: bool = True


Contestants = Mapping[str, Contestant]


def final(rows: pd.DataFrame, process: str, *, finite: bool = True) -> pd.DataFrame:
    """The rows of a process at its longest T and, if ``finite``, its largest finite N."""
    rows = rows[rows["process"] == process]
    rows = rows[rows["T"] == rows["T"].max()]
    return rows[rows["N"] == rows.loc[np.isfinite(rows["N"]), "N"].max()] if finite else rows


def kl_against_n(rows: pd.DataFrame, contestants: Contestants, *, every_t: bool = False) -> Figure:
    """Divergence against the number of words: a panel per process at its longest T, or a row of panels with every T."""
    if every_t:
        cells = [cell for _, cell in rows.groupby(["process", "T"], sort=False)]
        columns = int(rows.groupby("process")["T"].nunique().max())
    else:
        cells = [final(rows, process, finite=False) for process in rows["process"].unique()]
        columns = 3
    figure, grid = panels([_title(cell) for cell in cells], columns, (2.05, 1.5 if every_t else 1.9), margin=1.25)
    for axes, cell in zip(grid, cells, strict=True):
        _draw_kl(axes, cell, contestants)
    name_axes(grid, columns, "training words N", "KL (nats per word)")
    return figure


def _draw_kl(axes: Axes, cell: pd.DataFrame, contestants: Contestants) -> None:
    cell = cell.assign(kl=cell["kl_nats_per_word"].clip(lower=FLOOR))
    finite, endless = cell[np.isfinite(cell["N"])], cell[np.isinf(cell["N"])]
    sizes = sorted(finite["N"].unique())
    infinity = 10 * max(sizes)  # where N = infinity stands, beyond a gap
    labels = []
    for name, contestant in _present(contestants, finite):
        mine = finite[finite["model"] == name]
        line_with_band(axes, mine, "N", "kl", contestant.colour, dashed=contestant.dashed)
        limit = endless.loc[endless["model"] == name, "kl"]
        axes.plot([infinity] * len(limit), limit, "D", color=contestant.colour, markersize=4, alpha=0.7)
        last = mine.loc[mine["N"] == mine["N"].max(), "kl"].mean()
        labels.append(Label(contestant.label, max(sizes), last, contestant.colour))
    theory = finite.dropna(subset="expected_kl_nats_per_word").groupby("N")["expected_kl_nats_per_word"].first()
    axes.plot(theory.index, theory, ":", color=OKABE_ITO["black"], linewidth=1.4)
    labels += [Label("theory, β = ½", N, kl, OKABE_ITO["black"]) for N, kl in theory.tail(1).items()]
    log_axis(axes, "x", min(sizes) * 0.7, infinity * 1.6)
    log_axis(axes, "y", FLOOR, max(cell["kl"].max() * 2, 1e-2))
    axes.set_xticks([*sizes, infinity], [*(f"$10^{{{math.log10(N):.3g}}}$" for N in sizes), "∞"])
    label_ends(axes, labels)


def kl_against_parameters(rows: pd.DataFrame, contestants: Contestants) -> Figure:
    """What parameters buy, at the longest T and the most words, and the front of what nobody beats in both."""
    cells = [final(rows, process) for process in rows["process"].unique()]
    figure, grid = panels([_title(cell) for cell in cells], size=(3.1, 2.2), margin=0.35)
    for axes, cell in zip(grid, cells, strict=True):
        grouped = cell.groupby("model", sort=False)
        mean = grouped[["free_parameters", "kl_nats_per_word"]].mean().clip(lower=FLOOR)
        cost, loss = mean["free_parameters"].tolist(), mean["kl_nats_per_word"].tolist()
        spans = grouped["kl_nats_per_word"].agg(["min", "max"]).clip(lower=FLOOR)
        colours = [contestants[name].colour for name in mean.index]
        axes.vlines(cost, spans["min"], spans["max"], color=colours, linewidth=1.2, alpha=0.5)
        axes.scatter(cost, loss, c=colours, s=26, zorder=3)
        log_axis(axes, "x", min(cost) / 2.5, max(cost) * 3)
        low, high = math.log10(spans["min"].min()), math.log10(spans["max"].max())
        log_axis(axes, "y", 10.0 ** math.floor(low), 10.0 ** math.ceil(high + 0.25))  # room for labels at the top
        front = pareto_front(cost, loss)
        steps = ([*(cost[i] for i in front), max(cost) * 3], [*(loss[i] for i in front), loss[front[-1]]])
        axes.plot(*steps, drawstyle="steps-post", color="#C8C8C8", linewidth=1.4, zorder=1)
        points = zip(mean.index, cost, loss, colours, strict=True)
        label_points(axes, [Label(contestants[name].label, x, y, colour) for name, x, y, colour in points])
    name_axes(grid, 3, "free parameters", "KL (nats per word)")
    return figure


def loss_by_position(rows: pd.DataFrame, contestants: Contestants) -> Figure:
    """Where in the word nats are lost: loss at t above the exact floor, at the longest T and the most words."""
    cells = [final(rows, process) for process in rows["process"].unique()]
    figure, grid = panels([_title(cell) for cell in cells], margin=1.25)
    for axes, cell in zip(grid, cells, strict=True):
        T = int(cell["T"].iloc[0])
        labels, top = [], 10 * FLOOR
        for name, contestant in _present(contestants, cell):
            excess = long_form(cell[cell["model"] == name], "kl_by_position_nats").clip(lower=FLOOR)
            line_with_band(axes, excess, "t", "value", contestant.colour, marker="", dashed=contestant.dashed)
            labels.append(line_end(contestant.label, excess, "t", "value", contestant.colour))
            top = max(top, excess["value"].max())
        axes.set_xlim(1, T)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        log_axis(axes, "y", FLOOR, 2 * top)
        label_ends(axes, labels)
    name_axes(grid, 3, "position t", "excess loss (nats)")
    return figure


def _present(contestants: Contestants, rows: pd.DataFrame) -> list[tuple[str, Contestant]]:
    measured = set(rows["model"])
    return [(name, contestant) for name, contestant in contestants.items() if name in measured]


def _title(cell: pd.DataFrame) -> str:
    return f"{cell['process'].iloc[0]}, T = {int(cell['T'].iloc[0])}"
