"""The simplex of beliefs over three states, drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from pgm_rnn.report.figures import OKABE_ITO, panels

PALETTE = np.array([to_rgb(OKABE_ITO[name]) for name in ("vermillion", "green", "blue")])
"""The colours of certainty; a belief has them mixed in its proportions."""

CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, math.sqrt(3) / 2]])
"""Where certainty of each state is drawn: an equilateral triangle with sides of 1."""

LARGEST, USUAL = 36.0, 7.0
"""Square points that a belief covers at most, and at the mean weight."""


def side_by_side(beliefs: Mapping[str, np.ndarray], weights: np.ndarray) -> Figure:
    """A simplex for each set of beliefs ``(N, 3)``, under its title, all in the colours of the first one."""
    figure, axes = panels(list(beliefs), size=(2.9, 2.7), margin=0.0, left=0.2)
    colours = next(iter(beliefs.values())) @ PALETTE
    for panel, points in zip(axes, beliefs.values(), strict=True):
        draw_simplex(panel, points, weights, colours)
    return figure


def draw_simplex(axes: Axes, beliefs: np.ndarray, weights: np.ndarray, colours: np.ndarray) -> None:
    """Beliefs ``(N, 3)``, each a point with an area by its weight ``(N,)`` and a colour of its own ``(N, 3)``.

    Rows need not be probabilities: a linear image of a state may fall outside, and is drawn there.
    """
    axes.fill(*CORNERS.T, facecolor="none", edgecolor="#999999", linewidth=0.9, zorder=1)
    x, y = beliefs.dot(CORNERS).T  # rows that sum to 1 keep their place
    sizes = (USUAL * weights / weights.mean()).clip(1.0, LARGEST)
    order = np.argsort(-sizes, kind="stable")  # the small ones on top
    axes.scatter(x[order], y[order], s=sizes[order], c=colours[order], linewidth=0, alpha=0.75, zorder=2)
    for state, (cx, cy) in enumerate(CORNERS, start=1):
        above = cy > 0
        offset, side = (0, 9 if above else -9), "bottom" if above else "top"
        style = {"ha": "center", "va": side, "size": 8.5, "color": PALETTE[state - 1]}
        axes.annotate(f"state {state}", (cx, cy), offset, textcoords="offset points", **style)
    axes.set_xlim(-0.08, 1.08)
    axes.set_ylim(-0.14, 1.0)
    axes.set_aspect("equal")
    axes.axis("off")
