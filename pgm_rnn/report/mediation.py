"""What a mediator carries: the figures drawn from rows with one trained and one untrained network per seed.

Rows hold ``process, T, H, seed, kept_nats, available_nats, past_future_nats, r2_past_symbols`` and, for ``trained`` and
``untrained``, ``r2_...`` and ``information_..._nats`` (a JSON list, nats by bits).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pgm_rnn.processes import PROCESSES, Process
from pgm_rnn.report.figures import OKABE_ITO, line_with_band, log_axis, panels
from pgm_rnn.report.labels import Label, label_ends

TRAINED, UNTRAINED, EXACT = OKABE_ITO["blue"], OKABE_ITO["orange"], OKABE_ITO["grey"]
SHADES = tuple(OKABE_ITO[name] for name in ("purple", "vermillion", "green", "blue"))

FLOOR = 1e-7
"""Nats per word: what is missing less than this is drawn here."""


def window_keeps(process: Process, duration: int, order: int) -> float:
    r"""Nats that the last m symbols keep, :math:`\sum_t [H(y_t) - H(y_t \mid y_{t-m} \ldots y_{t-1})]`.

    With m = T - 1 it is all there is.

    >>> even = PROCESSES["even"]()
    >>> round(window_keeps(even, 10, 9) - window_keeps(even, 10, 1), 9)  # the KL of the best Markov(1)
    0.852362273
    """
    h = process.conditional_entropies(duration).numpy()
    return float((h[0] - h[np.minimum(np.arange(duration), order)]).sum())


def nats_against_units(rows: pd.DataFrame) -> Figure:
    """Above: nats kept against H, with the ceiling and what windows keep. Below: what is missing, on a log scale."""
    cells = list(_cells(rows))
    titles = [f"{process}, T = {int(cell['T'].iloc[0])}" for process, cell in cells]
    figure, axes = panels([*titles, *[""] * len(cells)], columns=len(cells), size=(2.3, 1.9), margin=1.1)
    for (process, cell), above, below in zip(cells, axes, axes[len(cells) :], strict=False):
        source, T, most = PROCESSES[process](), int(cell["T"].iloc[0]), float(cell["available_nats"].iloc[0])
        line_with_band(above, cell, "H", "kept_nats", TRAINED)
        missing = (cell["available_nats"] - cell["kept_nats"]).clip(lower=FLOOR)
        line_with_band(below, cell.assign(missing=missing), "H", "missing", TRAINED)
        above.set_ylim(0, 1.08 * most)
        log_axis(below, "y", missing.min() / 2, missing.max() * 2)
        for panel in (above, below):
            _units_axis(panel, cell)
        windows = {f"last {m} symbols" if m > 1 else "last symbol": window_keeps(source, T, m) for m in (1, 2, 3)}
        label_ends(above, [_level(above, text, nats) for text, nats in {**windows, "all there is": most}.items()])
        below.set_xlabel("hidden units H")
    axes[0].set_ylabel("kept (nats per word)")
    axes[len(cells)].set_ylabel("missing (nats per word)")
    return figure


def unexplained_against_units(rows: pd.DataFrame) -> Figure:
    """The share of the belief's variance that a linear map of h_t leaves unexplained, on a log scale."""
    cells = list(_cells(rows))
    figure, axes = panels([process for process, _ in cells], size=(2.3, 2.1), margin=1.1)
    for (_, cell), panel in zip(cells, axes, strict=True):
        labels = []
        for name, colour in (("trained", TRAINED), ("untrained", UNTRAINED)):
            left = cell.assign(left=1 - cell[f"r2_{name}"])
            line_with_band(panel, left, "H", "left", colour)
            largest = left[left["H"] == left["H"].max()]
            labels.append(Label(f"{name} h", largest["H"].iloc[0], largest["left"].mean(), colour))
        log_axis(panel, "y", (1 - cell[["r2_trained", "r2_untrained"]].to_numpy().max()) / 2, 1.2)
        _units_axis(panel, cell)
        label_ends(panel, [*labels, _level(panel, "past symbols", 1 - cell["r2_past_symbols"].iloc[0])])
        panel.set_xlabel("hidden units H")
    axes[0].set_ylabel("unexplained, 1 - R²")
    return figure


def information_against_bits(rows: pd.DataFrame, bits: Sequence[int]) -> Figure:
    """Nats about the future that are left of h_t at b bits a unit, trained and (faint) untrained, for four H."""
    cells = list(_cells(rows))
    figure, axes = panels([process for process, _ in cells], size=(2.3, 2.3), margin=1.1)
    for (_, cell), panel in zip(cells, axes, strict=True):
        most, labels = float(cell["past_future_nats"].iloc[0]), []
        for H, colour in zip(sorted(cell["H"].unique()), SHADES, strict=False):
            mine = cell[cell["H"] == H]
            for name, alpha in (("untrained", 0.35), ("trained", 1.0)):
                mean = np.mean([json.loads(text) for text in mine[f"information_{name}_nats"]], 0)  # (bits,)
                panel.plot(bits, mean, color=colour, alpha=alpha, marker="o", markersize=3)
            labels.append(Label(f"H = {int(H)}", max(bits), mean[-1], colour))
        panel.set_xlim(0, max(bits))
        panel.set_ylim(0, 1.08 * most)
        label_ends(panel, [*labels, _level(panel, "all there is", most)])
        panel.set_xlabel("bits b per unit")
    axes[0].set_ylabel("I(Q(h); future) (nats)")
    return figure


def _cells(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    for process, cell in rows.groupby("process", sort=False):
        yield str(process), cell


def _units_axis(axes: Axes, rows: pd.DataFrame) -> None:
    """A logarithmic axis with a tick at every H."""
    units = sorted(int(H) for H in rows["H"].unique())
    log_axis(axes, "x", 0.85 * units[0], 1.15 * units[-1])
    axes.set_xticks(units, [str(H) for H in units])
    axes.set_xlabel("")
    axes.set_ylabel("")


def _level(axes: Axes, text: str, height: float) -> Label:
    """A dashed line at a height that no network sets, and its label."""
    axes.axhline(height, color=EXACT, linewidth=0.9, linestyle=(0, (5, 2)), zorder=1)
    return Label(text, axes.get_xlim()[1], height, EXACT)
