"""Positions beyond the words that were trained on: what is lost there, and where the states have gone.

Rows, one per seed, hold ``process, model, T`` (trained on), ``positions`` and by position, as JSON text,
``excess_by_position_nats``; of networks also ``drift_by_position``, from position 2 on, and
``excess_unseen_nats_per_symbol``. Colours are by process.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pgm_rnn.report.comparison import Contestants
from pgm_rnn.report.figures import OKABE_ITO, line_with_band, log_axis, name_axes, panels
from pgm_rnn.report.labels import Label, label_ends, label_points

FLOOR, CEILING = 1e-9, 2.0
"""Nats per symbol: what is below or above is drawn on the edge."""

NEAREST, FARTHEST = 1e-4, 3.0
"""Likewise for distances."""


def excess_by_position(rows: pd.DataFrame, contestants: Contestants, tolerance: float) -> Figure:
    """Loss above the exact floor at every position, a panel per process; a model that ends is marked where it does."""
    processes, trained = list(rows["process"].unique()), int(rows["T"].iloc[0])
    longest = max(_long_form(rows, "excess_by_position_nats")["t"])
    figure, grid = panels(processes, size=(2.3, 1.9), margin=1.1)
    for axes, process in zip(grid, processes, strict=True):
        _position_axis(axes, trained, longest)
        _tolerance(axes, tolerance)
        labels = []
        for name, contestant in contestants.items():
            mine = rows[(rows["process"] == process) & (rows["model"] == name)]
            line = _long_form(mine, "excess_by_position_nats")
            line["value"] = line["value"].clip(FLOOR, CEILING)
            line_with_band(axes, line, "t", "value", contestant.colour, marker="", dashed=contestant.dashed)
            end = int(line["t"].max())
            last = line.loc[line["t"] == end, "value"].mean()
            if end < longest:
                axes.plot([end], [last], "X", color=contestant.colour, markersize=7, clip_on=False, zorder=5)
            labels.append(Label(contestant.label, end, last, contestant.colour))
        log_axis(axes, "y", FLOOR, CEILING)
        label_ends(axes, labels)
    name_axes(grid, 3, "position t", "excess (nats per symbol)")
    _name_region(grid[0], trained)
    return figure


def drift_and_cost(rows: pd.DataFrame, colours: Mapping[str, str], trained: int, tolerance: float) -> Figure:
    """Left: how far states are from all that training visited, by position. Right: what that distance costs."""
    figure, (left, right) = panels(["distance to the states trained on", "and what it costs"], 2, (3.0, 3.4), 2.1)
    longest = max(_long_form(rows, "excess_by_position_nats")["t"])
    _position_axis(left, trained, longest)
    labels, points = [], []
    for process, mine in rows.groupby("process", sort=False):
        colour, parts = (
            colours[str(process)],
            [_long_form(mine[i : i + 1], "drift_by_position", 1) for i in range(len(mine))],
        )
        line = pd.concat(parts).groupby("t")["value"].mean().clip(NEAREST, FARTHEST)
        left.plot(line.index, line, color=colour)
        labels.append(Label(str(process), longest, float(line.iloc[-1]), colour))
        farthest = np.clip([part.loc[part["t"] > trained, "value"].max() for part in parts], NEAREST, FARTHEST)
        cost = mine["excess_unseen_nats_per_symbol"].clip(FLOOR, CEILING)
        right.plot(farthest, cost, "o", color=colour, alpha=0.5, markersize=4, markeredgewidth=0)
        if cost.mean() > tolerance:
            points.append(Label(str(process), float(farthest.mean()), float(cost.mean()), colour))
    _tolerance(right, tolerance)
    log_axis(left, "y", NEAREST, FARTHEST)
    log_axis(right, "x", NEAREST, FARTHEST)
    log_axis(right, "y", FLOOR, CEILING)
    left.set(xlabel="position t", ylabel="distance (spreads of the states trained on)")
    right.set(xlabel="largest distance at unseen positions", ylabel="excess, worst octave (nats per symbol)")
    _name_region(left, trained)
    label_ends(left, labels)
    label_points(right, points)
    return figure


def excess_against_training_length(rows: pd.DataFrame, colours: Mapping[str, str], tolerance: float) -> Figure:
    """The excess at unseen positions against the length of the words trained on, a line per process."""
    figure, (axes,) = panels(["longer training words"], size=(3.6, 3.0), margin=1.8)
    mean = rows.groupby(["process", "T"], sort=False)["excess_unseen_nats_per_symbol"].mean().clip(FLOOR, CEILING)
    labels = []
    for process, colour in colours.items():
        line = mean[process].sort_index()
        axes.plot(line.index, line, "o-", color=colour, markersize=3.5, clip_on=False)
        labels.append(Label(process, line.index[-1], float(line.iloc[-1]), colour))
    lengths = sorted(rows["T"].unique())
    axes.set_xlim(lengths[0], lengths[-1])
    axes.set_xticks(lengths)
    _tolerance(axes, tolerance)
    log_axis(axes, "y", FLOOR, CEILING)
    axes.set(xlabel="length T of the training words", ylabel="excess, worst octave (nats per symbol)")
    label_ends(axes, labels)
    return figure


def _tolerance(axes: Axes, height: float) -> None:
    axes.axhline(height, color=OKABE_ITO["black"], linewidth=0.9, linestyle=(0, (1, 1.5)))


def _position_axis(axes: Axes, trained: int, longest: int) -> None:
    """Positions on a logarithmic axis, those beyond training shaded."""
    axes.set_xscale("log")
    axes.set_xlim(1, longest)
    ticks = [1, trained, longest]
    axes.set_xticks(ticks, [str(t) for t in ticks])
    axes.axvspan(trained, longest, color=OKABE_ITO["yellow"], alpha=0.14, linewidth=0)


def _name_region(axes: Axes, trained: int) -> None:
    axes.text(trained * 1.12, 0.97, "never trained on", size=8, va="top", transform=axes.get_xaxis_transform())


def _long_form(rows: pd.DataFrame, column: str, first: int = 0) -> pd.DataFrame:
    """A line per seed and position of a column that lists values by position, from the ``first`` on."""
    parts = [
        pd.DataFrame({"t": json.loads(positions)[first:], "value": json.loads(values)})
        for positions, values in zip(rows["positions"], rows[column], strict=True)
    ]
    return pd.concat(parts, ignore_index=True)
