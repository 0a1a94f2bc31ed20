"""The house style of figures: palette, panels, direct labels, bands over data seeds, and files that never change."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import matplotlib
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pgm_rnn.report.labels import Label

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


def duration_axis(axes: Axes, durations: Sequence[int]) -> None:
    """Logarithmic, with the shortest T, the longest, and each fourfold one between."""
    longest = max(durations)
    log_axis(axes, "x", min(durations), longest)
    ticks = [T for T in sorted(set(durations)) if math.log(longest / T, 4) % 1 == 0]
    axes.set_xticks(ticks, [str(T) for T in ticks])
    axes.set_xlabel("duration T (symbols)")


def name_axes(grid: Sequence[Axes], columns: int, x: str, y: str) -> None:
    """Name the axes once: x below the lowest panel of each column, y left of the first of each row."""
    for index, axes in enumerate(grid):
        axes.set_xlabel(x if index >= len(grid) - columns else "")
        axes.set_ylabel(y if index % columns == 0 else "")


def long_form(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """A line per row and position t = 1, 2, ... of a column that lists values by position as JSON text.

    >>> long_form(pd.DataFrame({"kl": ["[0.5, 0.25]", "[1.0]"]}), "kl").to_numpy().tolist()
    [[1.0, 0.5], [2.0, 0.25], [1.0, 1.0]]
    """
    pairs = [pair for text in rows[column] for pair in enumerate(json.loads(text), 1)]
    return pd.DataFrame(pairs, columns=["t", "value"])


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
