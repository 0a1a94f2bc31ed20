"""Losses of networks that answer an input word, beside the exact floors of what they know.

Rows hold ``channel, network, seed, T, loss_nats_per_word``, the floors ``given_all_nats_per_word``,
``causal_nats_per_word`` and ``without_feedback_nats_per_word``, and as JSON text the same four ``_by_position_nats``.
"""

from __future__ import annotations

import json

import numpy as np
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
"""How the floors are drawn."""


def losses_and_floors(rows: pd.DataFrame) -> Figure:
    """A line for each channel: its floors as strokes, and what every seed of every network ends at, per symbol."""
    channels = list(rows["channel"].unique())
    figure, (axes,) = panels([""], size=(5.6, 0.5 * len(channels)), margin=1.1, left=1.5)
    for line, channel in enumerate(channels):
        mine = rows[rows["channel"] == channel]
        for floor, style in FLOORS.items():
            at = float((mine[f"{floor}_nats_per_word"] / mine["T"]).iloc[0])
            axes.plot([at, at], [line - 0.4, line + 0.4], color=OKABE_ITO["black"], linewidth=1.1, linestyle=style)
        for place, (network, colour) in enumerate(COLOURS.items()):
            losses = mine.loc[mine["network"] == network, "loss_nats_per_word"] / mine["T"].iloc[0]
            heights = np.full(len(losses), line + 0.22 * (place - 1))
            axes.scatter(losses, heights, s=18, color=colour, alpha=0.7, zorder=3)
    axes.set_yticks(range(len(channels)), channels)
    axes.set_ylim(len(channels) - 0.5, -0.5)
    axes.set_xlabel("nats per symbol")
    axes.tick_params(axis="y", length=0)
    last = rows[rows["channel"] == channels[-1]]
    names = [name for name in COLOURS if name in set(last["network"])]
    places = [len(channels) - 1 + 0.22 * (list(COLOURS).index(name) - 1) for name in names]
    right = axes.get_xlim()[1]
    label_ends(axes, [Label(name, right, y, COLOURS[name]) for name, y in zip(names, places, strict=True)])
    return figure


def predicted_and_measured(gaps: pd.DataFrame) -> Figure:
    """A point for each channel, with columns ``predicted gap (nats/word)`` and ``measured gap``, on the diagonal."""
    figure, (axes,) = panels([""], size=(3.6, 3.6), margin=1.2)
    predicted, measured = gaps["predicted gap (nats/word)"], gaps["measured gap"]
    top = 1.1 * float(max(predicted.max(), measured.max()))
    axes.plot([0, top], [0, top], color=OKABE_ITO["grey"], linewidth=1.0, zorder=1)
    axes.scatter(predicted, measured, s=30, color=OKABE_ITO["blue"], zorder=3)
    axes.set_xlim(-0.05 * top, top)
    axes.set_ylim(-0.05 * top, top)
    axes.set_aspect("equal")
    axes.set_xlabel("predicted gap (nats per word)")
    axes.set_ylabel("measured gap (nats per word)")
    label_points(
        axes,
        [
            Label(str(name), x, y, OKABE_ITO["black"])
            for name, x, y in zip(gaps["channel"], predicted, measured, strict=True)
        ],
    )
    return figure


def losses_by_position(rows: pd.DataFrame) -> Figure:
    """A panel for each channel: the networks' losses at every step on the exact floors."""
    channels = list(rows["channel"].unique())
    figure, grid = panels(channels, size=(2.05, 1.7), margin=1.0)
    for axes, channel in zip(grid, channels, strict=True):
        mine, labels = rows[rows["channel"] == channel], []
        for floor, style in FLOORS.items():
            values = json.loads(mine[f"{floor}_by_position_nats"].iloc[0])
            steps = range(1, len(values) + 1)
            axes.plot(steps, values, color=OKABE_ITO["black"], linewidth=1.0, linestyle=style, zorder=1)
        for network, colour in COLOURS.items():
            long = long_form(mine[mine["network"] == network], "loss_by_position_nats")
            if long.empty:
                continue
            line_with_band(axes, long, "t", "value", colour)
            labels.append(line_end(network, long, "t", "value", colour))
        axes.set_ylim(bottom=0)
        label_ends(axes, labels)
    name_axes(grid, 3, "step t", "nats")
    return figure
