"""What a mediator carries: figures and tables from rows with one trained and one untrained network per seed.

Rows hold ``process, T, H, seed, kept_nats, available_nats, missing_share, converged, past_future_nats,
r2_past_symbols`` and, for ``trained`` and ``untrained``, ``r2_...``, ``information_..._nats`` (a JSON list, nats by
bits) and, in one row that is pictured, ``image_...`` (a JSON list of images of the belief, by past).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pgm_rnn import stepwise, summarise
from pgm_rnn.experiment.intervals import t_interval
from pgm_rnn.graphs import graph_edges
from pgm_rnn.mediation import possible_words
from pgm_rnn.models import Recurrent
from pgm_rnn.processes import PROCESSES, Process
from pgm_rnn.report.figures import OKABE_ITO, line_with_band, log_axis, panels
from pgm_rnn.report.graphs import COLOURS, draw_graph
from pgm_rnn.report.labels import Label, label_ends, line_end
from pgm_rnn.report.simplex import side_by_side

KINDS = ("trained", "untrained")
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
        for name, colour in zip(KINDS, (TRAINED, UNTRAINED), strict=True):
            left = cell.assign(left=1 - cell[f"r2_{name}"])
            line_with_band(panel, left, "H", "left", colour)
            labels.append(line_end(f"{name} h", left, "H", "left", colour))
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


def beliefs(rows: pd.DataFrame) -> Figure:
    """The exact beliefs after T - 1 symbols, and where the linear maps of a trained and an untrained h_t put them."""
    row = rows[rows["image_trained"].notna()].iloc[0]
    process = PROCESSES[row["process"]]()
    words, weights = possible_words(process, int(row["T"]) - 1)
    images = {f"{name}, H = {int(row['H'])}": np.array(json.loads(row[f"image_{name}"])) for name in KINDS}
    return side_by_side({"exact belief": summarise(process, words).exp().numpy(), **images}, weights.numpy())


def separation() -> Figure:
    """The mediated graph from the traced program, with the h_t that separates filled in."""
    figure = Figure(figsize=(6.4, 2.3))
    axes = figure.add_axes((0.02, 0.02, 0.96, 0.96))
    draw_graph(axes, *graph_edges(stepwise, Recurrent(2, 3), duration=5, mediators=True))
    axes.scatter([3], [1], s=620, color=COLOURS["h"], alpha=0.45, linewidth=0, zorder=3.5)
    axes.axvspan(-1.0, 2.5, ymax=0.5, color=COLOURS["y"], alpha=0.08, linewidth=0)
    axes.axvspan(2.5, 7.0, ymax=0.5, color=COLOURS["h"], alpha=0.12, linewidth=0)
    return figure


def memory_table(rows: pd.DataFrame) -> pd.DataFrame:
    """What h_t carries, a line per process and H."""
    lines = []
    for (process, T, H), mine in rows.groupby(["process", "T", "H"], sort=False):
        line = {"process": process, "T": T, "H": H, "kept (nats/word)": mine["kept_nats"].mean()}
        line |= {"available (nats/word)": mine["available_nats"].mean()}
        line |= {"share missing [95 %]": f"{t_interval(mine['missing_share']):.2g}"}
        line |= {f"1 - R² {name} [95 %]": f"{t_interval(1 - mine[f'r2_{name}']):.2g}" for name in KINDS}
        line |= {"1 - R² past symbols": 1 - mine["r2_past_symbols"].iloc[0]}
        lines.append(line | {"converged": f"{int(mine['converged'].sum())} of {len(mine)}"})
    return pd.DataFrame(lines)


def separation_table(rows: pd.DataFrame) -> pd.DataFrame:
    """At how many steps a node separates past from future; rows hold the columns that are renamed, and ``given``."""
    names = {"model": "graph", "given": "given", "separated_steps": "steps t separated", "asked_steps": "of"}
    return rows[list(names)].astype({"separated_steps": int, "asked_steps": int}).rename(columns=names)


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
