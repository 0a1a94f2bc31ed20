"""The house style of figures: palette, panels, direct labels, bands over data seeds, and files that never change."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import matplotlib
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

OKABE_ITO = {
    "black": "#000000",
    "orange": "#E69F00",
    "sky": "#56B4E9",
    "green": "#009E73",
    "yellow": "#F0E442",
    "blue": "#0072B2",
    "vermillion": "#D55E00",
    "purple": "#CC79A7",
    "grey": "#767676",
}
"""Colours that people with colour-vision deficiencies tell apart (Okabe and Ito 2008), and a grey for the rest."""

STYLE: dict[str, object] = {
    **sns.axes_style("ticks"),
    "font.family": "DejaVu Sans",  # matplotlib carries it, so a page looks the same everywhere
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.5,
    "axes.edgecolor": "#555555",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.7,
    "lines.markersize": 4.5,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "figure.facecolor": "white",
    "svg.fonttype": "path",
    "savefig.dpi": 160,
}

LABEL_GAP = 12.0
"""Points between the baselines of two labels."""


@contextmanager
def house_style(salt: str = "pgm-rnn") -> Iterator[None]:
    """Draw and save in the house style; matplotlib's settings outside the block stay as they are.

    >>> with house_style():
    ...     figure, axes = panels(["golden-mean", "even"])
    >>> len(axes)
    2
    """
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": salt}):  # type: ignore[dict-item]  # the stubs list every key
        yield


def panels(
    titles: Sequence[str],
    columns: int = 3,
    size: tuple[float, float] = (2.05, 1.9),
    margin: float = 1.2,
    left: float = 0.75,
) -> tuple[Figure, list[Axes]]:
    """A grid of panels of ``size`` inches, each with ``margin`` inches to its right for direct labels.

    The layout is fixed, not fitted, so that labels can be placed against final coordinates.
    """
    columns = min(columns, len(titles))
    rows = -(-len(titles) // columns)
    width, height = size
    top, bottom, gap = 0.4, 0.55, 0.75
    total_width = left + columns * (width + margin) + (columns - 1) * 0.45 + 0.05
    total_height = top + rows * height + (rows - 1) * gap + bottom
    figure = Figure(figsize=(total_width, total_height))
    axes = []
    for index, title in enumerate(titles):
        row, column = divmod(index, columns)
        x = left + column * (width + margin + 0.45)
        y = total_height - top - row * (height + gap) - height
        box = (x / total_width, y / total_height, width / total_width, height / total_height)
        axes.append(figure.add_axes(box, title=title))
    return figure, axes


def line_with_band(
    axes: Axes, frame: pd.DataFrame, x: str, y: str, colour: str, *, marker: str = "o", dashed: bool = False
) -> None:
    """The mean over rows with the same ``x``, with a band from the lowest to the highest of them."""
    sns.lineplot(
        data=frame,
        x=x,
        y=y,
        color=colour,
        marker=marker,
        markeredgewidth=0,
        linestyle="--" if dashed else "-",
        errorbar=("pi", 100),
        err_kws={"linewidth": 0, "alpha": 0.18},
        legend=False,
        ax=axes,
    )


def log_axis(axes: Axes, which: str, low: float, high: float) -> None:
    """A logarithmic axis from ``low`` to ``high`` with at most six labelled decades."""
    axis = {"x": axes.xaxis, "y": axes.yaxis}[which]
    getattr(axes, f"set_{which}scale")("log")
    getattr(axes, f"set_{which}lim")(low, high)
    axis.set_major_locator(matplotlib.ticker.LogLocator(numticks=6))
    axis.set_minor_locator(matplotlib.ticker.NullLocator())


class Label(NamedTuple):
    """A text that belongs to the data point ``(x, y)``."""

    text: str
    x: float
    y: float
    colour: str


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


Box = tuple[float, float, float, float]


def _box(x: float, y: float, half_width: float, half_height: float) -> Box:
    return (x - half_width, y - half_height, x + half_width, y + half_height)


def _overlap(a: Box, b: Box) -> float:
    return max(min(a[2], b[2]) - max(a[0], b[0]), 0.0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0.0)


def _outside(box: Box, frame: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1]) - _overlap(box, frame)


def pareto_front(costs: Sequence[float], losses: Sequence[float]) -> list[int]:
    """Indices of the points that no other point beats in both, by rising cost.

    >>> pareto_front([1, 2, 3], [5.0, 7.0, 2.0])
    [0, 2]
    """
    front: list[int] = []
    for index in sorted(range(len(costs)), key=lambda i: (costs[i], losses[i])):
        if not front or losses[index] < losses[front[-1]]:
            front.append(index)
    return front


def memory_wall(axes: Axes, height: float, text: str) -> Label:
    """A horizontal wall above which nothing is allocated, and its label; to be called when the limits stand."""
    axes.axhline(height, color=OKABE_ITO["black"], linewidth=0.9, linestyle=(0, (5, 2)))
    axes.axhspan(height, axes.get_ylim()[1], color=OKABE_ITO["black"], alpha=0.05, linewidth=0)
    return Label(text, axes.get_xlim()[1], height, OKABE_ITO["black"])


def to_svg(draw: Callable[[], Figure], name: str) -> tuple[str, Figure]:
    """The drawing as SVG text whose ids start with ``name``, the same at every call, and the figure itself."""
    with house_style(salt=name):
        figure = draw()
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    for marker in ('id="', 'href="#', "url(#"):  # many figures share one page, so ids must not meet
        text = text.replace(marker, f"{marker}{name}-")
    return text, figure


def to_png(figure: Figure) -> bytes:
    """The figure as a PNG without a date."""
    buffer = io.BytesIO()
    with house_style():
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
