"""Losses of networks that answer an input word, beside the exact floors of what they know.

Rows hold ``channel, network, seed, T, loss_nats_per_word``, the floors ``given_all_nats_per_word``,
``causal_nats_per_word`` and ``without_feedback_nats_per_word``, and as JSON text the same four ``_by_position_nats``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from pgm_rnn.report.figures import OKABE_ITO, line_with_band, long_form, name_axes, panels
from pgm_rnn.report.labels import Label, label_ends, label_points, line_end

COLOURS = {
    "with feedback": OKABE_ITO["blue"],
    "without": OKABE_ITO["orange"],
    "told early": OKABE_ITO["green"],
}
FLOORS = {"given_all": ":", "causal": "-", "without_feedback": "--"}
"""How the floors are drawn, from what knows most."""


def losses_and_floors(rows: pd.DataFrame) -> Figure:
    """A line for each channel: its floors as strokes, and what every seed of every network ends at, per symbol."""
    channels = list(rows["channel"].unique())
    figure, (axes,) = panels([""], size=(5.6, 0.5 * len(channels)), margin=1.4, left=1.5)
    heights = {network: 0.22 * (place - 1) for place, network in enumerate(COLOURS)}
    for line, channel in enumerate(channels):
        mine = rows[rows["channel"] == channel]
        for floor, style in FLOORS.items():
            at = float((mine[f"{floor}_nats_per_word"] / mine["T"]).iloc[0])
            axes.plot([at, at], [line - 0.4, line + 0.4], color=OKABE_ITO["black"], linewidth=1.1, linestyle=style)
        for network, colour in COLOURS.items():
            losses = mine.loc[mine["network"] == network, "loss_nats_per_word"] / mine["T"].iloc[0]
            axes.scatter(losses, [line + heights[network]] * len(losses), s=18, color=colour, alpha=0.7, zorder=3)
    axes.set_yticks(range(len(channels)), channels)
    axes.set_ylim(len(channels) - 0.5, -0.5)
    axes.set_xlabel("nats per symbol")
    axes.tick_params(axis="y", length=0)
    lowest, right = len(channels) - 1, axes.get_xlim()[1]
    shown = [name for name in COLOURS if name in set(rows.loc[rows["channel"] == channels[-1], "network"])]
    label_ends(axes, [Label(name, right, lowest + heights[name], COLOURS[name]) for name in shown])
    return figure


def predicted_and_measured(gaps: Mapping[str, tuple[float, float]]) -> Figure:
    """A point for each channel's gap, predicted and measured, on the diagonal."""
    figure, (axes,) = panels([""], size=(3.6, 3.6), margin=1.2)
    top = 1.1 * max(gap for pair in gaps.values() for gap in pair)
    axes.plot([0, top], [0, top], color=OKABE_ITO["grey"], linewidth=1.0, zorder=1)
    predicted, measured = zip(*gaps.values(), strict=True)
    axes.scatter(predicted, measured, s=30, color=OKABE_ITO["blue"], zorder=3)
    for limit in (axes.set_xlim, axes.set_ylim):
        limit(-0.05 * top, top)
    axes.set_xlabel("predicted gap (nats per word)")
    axes.set_ylabel("measured gap (nats per word)")
    together: dict[float, list[str]] = {}  # channels whose points lie on each other share a label
    for name, (x, _) in gaps.items():
        together.setdefault(round(x, 2), []).append(name)
    label_points(axes, [Label(", ".join(names), *gaps[names[0]], OKABE_ITO["black"]) for names in together.values()])
    return figure


def losses_by_position(rows: pd.DataFrame) -> Figure:
    """A panel for each channel: the networks' losses at every step on the exact floors."""
    channels = list(rows["channel"].unique())
    figure, grid = panels(channels, size=(2.05, 1.7), margin=1.0)
    for axes, channel in zip(grid, channels, strict=True):
        mine, labels = rows[rows["channel"] == channel], []
        for floor in FLOORS:
            values = json.loads(mine[f"{floor}_by_position_nats"].iloc[0])
            axes.plot(range(1, len(values) + 1), values, color=OKABE_ITO["grey"], linewidth=5.0, alpha=0.35, zorder=1)
        for network, colour in COLOURS.items():
            long = long_form(mine[mine["network"] == network], "loss_by_position_nats")
            if not long.empty:
                line_with_band(axes, long, "t", "value", colour)
                labels.append(line_end(network, long, "t", "value", colour))
        axes.set_ylim(0, 1.12 * axes.get_ylim()[1])
        label_ends(axes, labels)
    name_axes(grid, 3, "step t", "nats")
    return figure
