"""Free parameters against the duration of the words, through the memory wall.

Rows hold ``model, T, free_parameters`` and, where there are several alphabets, ``alphabet_size, fits_in_memory``.
"""

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


def parameters_by_alphabet(rows: pd.DataFrame, models: Contestants) -> Figure:
    """A panel per ``alphabet_size``, over T on a linear axis."""
    alphabets = sorted(int(k) for k in rows["alphabet_size"].unique())
    figure, grid = panels([f"k = {k} symbols" for k in alphabets], size=(2.3, 2.9), margin=1.25)
    for axes, k in zip(grid, alphabets, strict=True):
        axes.set_xlim(1, int(rows["T"].max()))
        _draw_parameters(axes, rows[rows["alphabet_size"] == k], models, wall=MAX_TABLE_BYTES / 8)
    grid[0].set_ylabel("free parameters")
    return figure


def parameters_of_two_symbols(rows: pd.DataFrame, models: Contestants) -> Figure:
    """One panel over T on a logarithmic axis."""
    figure, (axes,) = panels(["two symbols"], size=(3.6, 2.6), margin=1.6)
    wall = MAX_TABLE_BYTES / 16  # a table has 2 numbers of 8 bytes for a free one
    durations = sorted(rows["T"].astype(int).unique().tolist())
    axes.set_xscale("log")
    axes.set_xlim(durations[0], durations[-1])
    axes.set_xticks(durations, [str(T) for T in durations])
    _draw_parameters(axes, rows.assign(fits_in_memory=rows["free_parameters"] <= wall), models, wall)
    axes.set_ylabel("free parameters")
    return figure


def wall_table(rows: pd.DataFrame, table: str, network: str) -> pd.DataFrame:
    """Where the table of two symbols ends, for a few T, beside a network with H = 16; rows also hold ``bytes``."""
    rows = rows[rows["alphabet_size"] == 2]
    full, rnn = (rows[rows["model"] == name].set_index("T") for name in (table, network))
    columns = {
        "table, free": full["free_parameters"],
        "table, bytes": full["bytes"],
        "table in memory": full["fits_in_memory"].map({True: "yes", False: "refused"}),
        "RNN (H = 16), free": rnn["free_parameters"],
    }
    return pd.DataFrame(columns).loc[[4, 8, 10, 20, 30, 40]].reset_index(names="T")


def _draw_parameters(axes: Axes, rows: pd.DataFrame, models: Contestants, wall: float) -> None:
    """A line per model, dotted from where it no longer fits in memory; the axis of T must stand.

    The wall is at so many free parameters.
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
