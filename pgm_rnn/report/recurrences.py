"""Recurrences side by side: what each loses, how long it trains, and how far back its gradients reach.

Rows hold ``process, form, seed, budget, kl_nats_per_word, order1_floor_nats, evaluations_to_own_floor`` and, as JSON
text, the lists ``curve_evaluations, curve_kl_nats`` and ``gradient_untrained_nats_per_unit`` and ``..._trained_...``;
those of the tables also ``T, H, stored_parameters, free_parameters, own_floor_nats, evaluations_to_order1_floor,
seconds_per_evaluation, converged``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pgm_rnn.experiment.intervals import t_interval
from pgm_rnn.report.figures import OKABE_ITO, log_axis, name_axes, panels
from pgm_rnn.report.labels import Label, label_ends

COLOURS = {"hidden": OKABE_ITO["blue"], "vector": OKABE_ITO["orange"], "symbol": OKABE_ITO["green"]}
LINES = {"hidden": 0.25, "vector": 0.0, "symbol": -0.25}
"""Where a form's dots stand within the row of their process."""

LOWEST = 1e-6
"""Nats per word; what is below is drawn here."""


def power_and_ease(rows: pd.DataFrame) -> Figure:
    """What each network loses, beside the exact floor of order 1, and how long it takes to its own floor."""
    processes = list(rows["process"].unique())
    titles, height = ["what it loses", "how long it trains"], 0.55 * len(processes)
    figure, (power, ease) = panels(titles, columns=2, size=(3.1, height), margin=0.75, left=1.45)
    for line, (_, mine) in enumerate(_by(rows, "process")):
        for form, fits in _by(mine, "form"):
            for axes, column in ((power, "kl_nats_per_word"), (ease, "evaluations_to_own_floor")):
                _draw_dots(axes, fits, column, line - LINES[form])
        floor = max(float(mine["order1_floor_nats"].iloc[0]), LOWEST)
        power.plot([floor, floor], [line - 0.42, line + 0.42], color=OKABE_ITO["black"], linewidth=1.4, zorder=1)
    log_axis(power, "x", 0.5 * LOWEST, 2.0)
    log_axis(ease, "x", 0.8, 1.6 * float(rows["budget"].max()))
    power.set_xlabel("KL from the truth (nats per word)")
    ease.set_xlabel("evaluations to within 0.01 nats")
    for axes, names in ((power, processes), (ease, [""] * len(processes))):
        axes.set_yticks(range(len(processes)), names)
        axes.set_ylim(len(processes) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x")
        axes.grid(visible=False, axis="y")
    label_ends(ease, [Label(form, ease.get_xlim()[1], -at, COLOURS[form]) for form, at in LINES.items()])
    return figure


def _draw_dots(axes: Axes, rows: pd.DataFrame, column: str, height: float) -> None:
    """A dot per seed, hollow at the budget where a fit never got there, and a bar at the median."""
    colour, values = COLOURS[rows["form"].iloc[0]], rows[column].astype(float)
    lost = np.isinf(values)
    values = values.where(~lost, rows["budget"]).clip(lower=LOWEST)
    faces = ["white" if never else colour for never in lost]
    axes.scatter(values, [height] * len(values), s=16, facecolors=faces, edgecolors=colour, alpha=0.6, zorder=3)
    axes.plot([values.median()] * 2, [height - 0.11, height + 0.11], color=colour, linewidth=2.2, zorder=4)


def training_curves(rows: pd.DataFrame) -> Figure:
    """KL after every evaluation of the gradient, a line per seed, with the exact floor of order 1."""
    processes = list(rows["process"].unique())
    figure, grid = panels(processes, size=(2.3, 1.9), margin=0.95)
    for axes, (_, mine) in zip(grid, _by(rows, "process"), strict=True):
        labels = []
        for form, fits in _by(mine, "form"):
            for _, fit in fits.iterrows():
                kl = np.array(json.loads(fit["curve_kl_nats"])).clip(min=LOWEST)
                axes.plot(json.loads(fit["curve_evaluations"]), kl, color=COLOURS[form], linewidth=0.8, alpha=0.45)
            last, end = json.loads(fits["curve_evaluations"].iloc[0])[-1], float(fits["kl_nats_per_word"].median())
            labels.append(Label(form, last, max(end, LOWEST), COLOURS[form]))
        log_axis(axes, "x", 1, float(rows["budget"].max()))
        log_axis(axes, "y", 0.5 * LOWEST, 6.0)
        floor = float(mine["order1_floor_nats"].iloc[0])
        if floor > LOWEST:
            axes.axhline(floor, color=OKABE_ITO["black"], linewidth=1.0, linestyle=(0, (5, 2)))
        label_ends(axes, labels)
    name_axes(grid, 3, "evaluations of the gradient", "KL (nats per word)")
    return figure


def gradients_against_lag(rows: pd.DataFrame) -> Figure:
    """The expected norm of the last loss's gradient in the state some steps before: trained, and (dotted) untrained."""
    processes = list(rows["process"].unique())
    figure, grid = panels(processes, size=(2.3, 1.9), margin=1.2)
    for axes, (_, mine) in zip(grid, _by(rows, "process"), strict=True):
        labels = []
        for form, fits in _by(mine, "form"):
            for name, style in (("untrained", ":"), ("trained", "-")):
                norms = np.array([json.loads(text) for text in fits[f"gradient_{name}_nats_per_unit"]]).mean(0)  # (T,)
                lags = np.flatnonzero(norms)  # a logarithmic axis has no zero
                axes.plot(lags, norms[lags], style, color=COLOURS[form], marker="o", markersize=3)
            label = form if len(lags) == len(norms) else f"{form}, then 0"
            labels.append(Label(label, lags[-1], norms[lags[-1]], COLOURS[form]))
        axes.set_yscale("log")
        axes.set_xlim(-0.3, len(norms) - 0.7)
        label_ends(axes, labels)
    name_axes(grid, 3, "lag (steps)", "gradient (nats per unit of h)")
    return figure


def evaluations(rows: pd.DataFrame, goal: str) -> pd.Series:
    """Evaluations of the gradient until a fit got to the ``own`` floor or that of ``order1``, or its whole budget."""
    return rows[f"evaluations_to_{goal}_floor"].astype(float).clip(upper=rows["budget"].astype(float))


def power_table(rows: pd.DataFrame) -> pd.DataFrame:
    """What each network loses, a line per process, H and form."""
    lines = []
    for cell, mine in _cells(rows):
        first = mine.iloc[0]
        counts = {"stored parameters": int(first["stored_parameters"]), "free": int(first["free_parameters"])}
        line: dict[str, object] = cell | counts
        line |= {"KL (nats/word) [95 %]": f"{t_interval(mine['kl_nats_per_word']):.3g}"}
        line |= {"lowest": mine["kl_nats_per_word"].min(), "exact floor of order 1": first["order1_floor_nats"]}
        lines.append(line | {"converged": f"{int(mine['converged'].sum())} of {len(mine)}"})
    return pd.DataFrame(lines)


def ease_table(rows: pd.DataFrame) -> pd.DataFrame:
    """How long each takes to a floor, medians over seeds, a line per process, H and form."""
    lines = []
    for cell, mine in _cells(rows):
        own, known = evaluations(mine, "own"), "exactly" if cell["recurrence"] == "symbol" else "by fits"
        line = {"own floor (nats/word)": mine["own_floor_nats"].iloc[0], "known": known}
        line |= {"got there": f"{int(np.isfinite(mine['evaluations_to_own_floor']).sum())} of {len(mine)}"}
        line |= {"evaluations": own.median(), "seconds": (own * mine["seconds_per_evaluation"]).median()}
        lines.append(cell | line | {"evaluations to the floor of order 1": evaluations(mine, "order1").median()})
    return pd.DataFrame(lines)


def _cells(rows: pd.DataFrame) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """What was trained together, behind its names in the tables."""
    for names, mine in rows.groupby(["process", "T", "H", "form"], sort=False):
        yield dict(zip(("process", "T", "H", "recurrence"), names, strict=True)), mine


def _by(rows: pd.DataFrame, column: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """Rows that agree in a column, behind what they agree on, in order of appearance."""
    for name, group in rows.groupby(column, sort=False):
        yield str(name), group
