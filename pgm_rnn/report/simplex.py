"""The simplex of beliefs over three states, drawn."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes

CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, math.sqrt(3) / 2]])
"""Where certainty of each state is drawn: an equilateral triangle with sides of 1."""

AREA = 60.0
"""Square points that a belief of probability 1 / (number of beliefs) would cover four times over."""


def draw_simplex(
    axes: Axes, beliefs: np.ndarray, weights: np.ndarray, colours: np.ndarray, corners: tuple[str, str, str]
) -> None:
    """Beliefs ``(N, 3)``, each a point with an area by its weight ``(N,)`` and a colour of its own ``(N, 3)``.

    Rows need not be probabilities: a linear image of a state may fall outside, and is drawn there.
    """
    axes.fill(*CORNERS.T, facecolor="none", edgecolor="#999999", linewidth=0.9, zorder=1)
    x, y = beliefs.dot(CORNERS).T  # rows that sum to 1 keep their place
    sizes = 1.0 + AREA / 4 * weights / weights.mean()
    order = np.argsort(-sizes, kind="stable")  # the small ones on top
    axes.scatter(
        x[order], y[order], s=sizes[order].clip(max=AREA), c=colours[order], linewidth=0, alpha=0.75, zorder=2
    )
    for (cx, cy), text in zip(CORNERS, corners, strict=True):
        below = cy == 0
        axes.annotate(
            text, (cx, cy), (0, -5 if below else 5), textcoords="offset points", ha="center", size=8.5,
            va="top" if below else "bottom",
        )  # fmt: skip
    axes.set_xlim(-0.08, 1.08)
    axes.set_ylim(-0.12, 0.98)
    axes.set_aspect("equal")
    axes.axis("off")


def mix(beliefs: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """A colour ``(N, 3)`` for every belief: those of the three corners ``(3, 3)``, mixed in its proportions.

    >>> mix(np.array([[0.5, 0.5, 0.0]]), np.eye(3)).tolist()
    [[0.5, 0.5, 0.0]]
    """
    return beliefs @ palette
