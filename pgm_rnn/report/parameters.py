"""Free parameters against the duration of the words, through the memory wall."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pgm_rnn.checks import MAX_TABLE_BYTES
from pgm_rnn.report.comparison import Contestants
from pgm_rnn.report.figures import log_axis, memory_wall, panels
from pgm_rnn.report.labels import Label, label_ends

TOP = 1e18
"""Parameters; more are off the figure."""


def draw_parameters(axes: Axes, rows: pd.DataFrame, models: Contestants, wall: float) -> None:
    """A line per model, dotted from where it no longer fits in memory; the axis of T must stand.

    Rows hold ``model, T, free_parameters, fits_in_memory``; the wall is at that many free parameters.
    """
    log_axis(axes, "y", 1, TOP)
    labels = [memory_wall(axes, wall, "memory wall")]
    for name, model in models.items():
        mine = rows[rows["model"] == name]
        T, free = mine["T"].to_numpy(dtype=float), mine["free_parameters"].to_numpy(dtype=float)
        fitting = int(mine["fits_in_memory"].sum())
        axes.plot(T[:fitting], free[:fitting], color=model.colour)
        axes.plot(T[fitting - 1 :], free[fitting - 1 :], color=model.colour, linestyle=":")
        labels.append(Label(model.label, T[-1], min(free[-1], TOP), model.colour))
    axes.set_xlabel("duration T (symbols)")
    label_ends(axes, labels)


def parameters_of_two_symbols(rows: pd.DataFrame, models: Contestants) -> Figure:
    """One panel over T on a logarithmic axis; rows hold ``model, T, free_parameters``."""
    figure, (axes,) = panels(["two symbols"], size=(3.6, 2.6), margin=1.6)
    wall = MAX_TABLE_BYTES / 16  # a table has 2 numbers of 8 bytes for a free one
    durations = sorted(rows["T"].astype(int).unique().tolist())
    axes.set_xscale("log")
    axes.set_xlim(durations[0], durations[-1])
    axes.set_xticks(durations, [str(T) for T in durations])
    draw_parameters(axes, rows.assign(fits_in_memory=rows["free_parameters"] <= wall), models, wall)
    axes.set_ylabel("free parameters")
    return figure
