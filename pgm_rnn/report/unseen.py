"""Positions beyond the words that were trained on: what is lost there, and where the states have gone.

Rows, one per seed, hold ``process, model, positions`` and lists by position as JSON text: ``excess_by_position_nats``,
and for networks ``drift_by_position`` from position 2 on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pgm_rnn.report.comparison import Contestants
from pgm_rnn.report.figures import OKABE_ITO, line_with_band, log_axis, panels
from pgm_rnn.report.labels import Label, label_ends, label_points

FLOOR, CEILING = 1e-9, 2.0
"""Nats per symbol: what is below or above is drawn on the edge."""

NEAREST, FARTHEST = 1e-4, 3.0
"""Likewise for distances."""


def excess_by_position(rows: pd.DataFrame, contestants: Contestants, trained: int, tolerance: float) -> Figure:
    """Loss above the exact floor at every position, a panel per process; a model that ends is marked where it does."""
    processes = list(rows["process"].unique())
    longest = max(_long_form(rows, "excess_by_position_nats")["t"])
    figure, grid = panels(processes, size=(2.3, 1.9), margin=1.1)
    for index, (axes, process) in enumerate(zip(grid, processes, strict=True)):
        _position_axis(axes, trained, longest)
        axes.axhline(tolerance, color=OKABE_ITO["black"], linewidth=0.8, linestyle=":")
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
        axes.set_xlabel("position t" if index >= len(processes) - 3 else "")
        axes.set_ylabel("excess (nats per symbol)" if index % 3 == 0 else "")
    _name_region(grid[0], trained)
    return figure


def drift_and_cost(rows: pd.DataFrame, colours: Mapping[str, str], trained: int, tolerance: float) -> Figure:
    """Left: how far states are from all that training visited, by position. Right: what that distance costs at the end.

    Rows also hold ``excess_far_nats_per_symbol``; ``colours`` are by process.
    """
    figure, (left, right) = panels(["distance to the states trained on", "and what it costs"], 2, (3.0, 3.4), 1.75)
    longest = max(_long_form(rows, "excess_by_position_nats")["t"])
    _position_axis(left, trained, longest)
    log_axis(right, "x", NEAREST, FARTHEST)
    labels, points = [], []
    for process, mine in rows.groupby("process", sort=False):
        colour, line = colours[str(process)], _long_form(mine, "drift_by_position", first=1)
        line["value"] = line["value"].clip(NEAREST, FARTHEST)
        line_with_band(left, line, "t", "value", colour, marker="")
        last = line.loc[line["t"] == longest, "value"].to_numpy()
        cost = mine["excess_far_nats_per_symbol"].clip(FLOOR, CEILING).to_numpy()
        right.plot(last, cost, "o", color=colour, alpha=0.45, markersize=3.5, markeredgewidth=0)
        labels.append(Label(str(process), longest, last.mean(), colour))
        middle = [float(np.exp(np.log(values).mean())) for values in (last, cost)]
        points.append(Label(str(process), middle[0], middle[1], colour))
    right.axhline(tolerance, color=OKABE_ITO["black"], linewidth=0.8, linestyle=":")
    log_axis(left, "y", NEAREST, FARTHEST)
    log_axis(right, "y", FLOOR, CEILING)
    left.set(xlabel="position t", ylabel="distance (spreads of the states trained on)")
    right.set(xlabel=f"distance at t = {longest}", ylabel="excess far out (nats per symbol)")
    _name_region(left, trained)
    label_ends(left, labels)
    label_points(right, points)
    return figure


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
