"""Direct labels: texts beside the lines and points that they name, kept from covering each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

LABEL_GAP = 12.0
"""Points between the baselines of two labels."""

Box = tuple[float, float, float, float]
"""Left, bottom, right and top, in pixels."""


class Label(NamedTuple):
    """A text that belongs to the data point ``(x, y)``."""

    text: str
    x: float
    y: float
    colour: str


def line_end(text: str, rows: pd.DataFrame, x: str, y: str, colour: str) -> Label:
    """The label of the line of means of ``y`` over rows with the same ``x``, at its last point."""
    end = rows[x].max()
    return Label(text, float(end), float(rows.loc[rows[x] == end, y].mean()), colour)


def label_ends(axes: Axes, labels: Sequence[Label]) -> None:
    """Write each text to the right of the panel, at the height of its point, or as near as its neighbours allow.

    To be called last: a change of limits or scales would move the points away from their labels.
    """
    if not labels:
        return
    figure = axes.get_figure()
    assert figure is not None  # axes of a figure
    points = axes.transData.transform([(label.x, label.y) for label in labels])
    box = axes.bbox
    gap = LABEL_GAP * figure.dpi / 72
    heights = spread([float(y) for y in points[:, 1]], gap, box.y0 + gap / 4, box.y1 - gap / 4)
    for label, (x, y), height in zip(labels, points, heights, strict=True):
        where = (height - box.y0) / box.height
        end, start = (x - box.x0) / box.width, (y - box.y0) / box.height
        axes.plot(
            [end, max(end, 1.0) + 0.015, 1.07],
            [start, start, where],
            color=label.colour,
            linewidth=0.6,
            alpha=0.6,
            transform=axes.transAxes,
            clip_on=False,
            scalex=False,
            scaley=False,
        )
        axes.text(1.085, where, label.text, color=label.colour, va="center", size=8.5, transform=axes.transAxes)


def spread(positions: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """The positions nearest to the given ones (least squares) in their order, ``gap`` apart, within ``low..high``.

    Where the range is too short for them all, the gap shrinks.

    >>> spread([1.0, 1.0, 5.0], gap=2.0, low=0.0, high=10.0)
    [0.0, 2.0, 5.0]
    """
    count = len(positions)
    gap = min(gap, (high - low) / max(count - 1, 1))
    order = np.argsort(positions, kind="stable")
    blocks: list[tuple[float, int]] = []  # pooled neighbours: the mean of (position - rank * gap), and how many
    for rank, index in enumerate(order):
        value, size = positions[index] - rank * gap, 1
        while blocks and blocks[-1][0] > value:
            mean, length = blocks.pop()
            value, size = (mean * length + value * size) / (length + size), length + size
        blocks.append((value, size))
    levels = np.repeat([value for value, _ in blocks], [size for _, size in blocks])
    placed = np.clip(levels, low, high - (count - 1) * gap) + np.arange(count) * gap
    result = np.empty(count)
    result[order] = placed
    return [float(value) for value in result]


def label_points(axes: Axes, labels: Sequence[Label]) -> None:
    """Write each text beside its point, on the side where it covers the least of the other points and texts."""
    figure = axes.get_figure()
    assert figure is not None  # axes of a figure
    scale = figure.dpi / 72
    points = axes.transData.transform([(label.x, label.y) for label in labels]) if labels else np.empty((0, 2))
    taken = [_box(x, y, 3 * scale, 3 * scale) for x, y in points]
    right = min(axes.bbox.x1 + 0.6 * figure.dpi, figure.bbox.x1)
    frame = (axes.bbox.x0, axes.bbox.y0, right, axes.bbox.y1 + 6 * scale)
    for label, (x, y) in zip(labels, points, strict=True):
        half = (len(label.text) * 2.4 * scale, 4.6 * scale)
        spots = [
            (x + sx * (half[0] + 5 * scale), y + sy * step * scale)
            for step in (7, 0, 14, 22, 32)
            for sx, sy in ((1, 1), (-1, 1), (1, -1), (-1, -1), (0, 1), (0, -1))
            if sx or step
        ]
        boxes = [_box(sx, sy, *half) for sx, sy in spots]
        costs = [sum(_overlap(box, other) for other in taken) + 9 * _outside(box, frame) for box in boxes]
        best = int(np.argmin(np.round(costs, 3)))
        taken.append(boxes[best])
        offset = ((spots[best][0] - x) / scale, (spots[best][1] - y) / scale)
        leader = {"arrowstyle": "-", "color": label.colour, "linewidth": 0.5, "alpha": 0.6}
        axes.annotate(
            label.text,
            (label.x, label.y),
            offset,
            textcoords="offset points",
            color=label.colour,
            size=8,
            ha="center",
            va="center",
            arrowprops=leader if abs(offset[1]) > 9 else None,
            bbox={"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 0.6},
            annotation_clip=False,
        )


def _box(x: float, y: float, half_width: float, half_height: float) -> Box:
    return (x - half_width, y - half_height, x + half_width, y + half_height)


def _overlap(a: Box, b: Box) -> float:
    return max(min(a[2], b[2]) - max(a[0], b[0]), 0.0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0.0)


def _outside(box: Box, frame: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1]) - _overlap(box, frame)
