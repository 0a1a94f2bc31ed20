"""Directed graphical models, drawn: unfolded step by step, or folded into one step with delays."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from matplotlib.path import Path

from pgm_rnn.family import Family
from pgm_rnn.folding import Arc, fold
from pgm_rnn.graphs import ROWS, Edges, graph_edges, place
from pgm_rnn.programs import stepwise
from pgm_rnn.report.figures import OKABE_ITO

COLOURS = {"y": OKABE_ITO["blue"], "h": OKABE_ITO["orange"]}
HEAD, INK = "-|>,head_width=2.6,head_length=5", "#444444"
STEP = 1.05
"""Inches from one step to the next."""

Traced = tuple[list[str], Edges]


def draw_graph(axes: Axes, nodes: Sequence[str], edges: Edges) -> None:
    """Nodes ``y_t`` on a row and mediators ``h_t`` on one above; edges that skip a step are arcs below the row."""
    places = {node: place(node) for node in nodes}
    for parent, child in edges:
        (x0, y0), (x1, y1) = places[parent], places[child]
        bend = 0.32 if y0 == y1 and abs(x1 - x0) > 1 else 0.0
        _draw_arrow(axes, (x0, y0), (x1, y1), bend)
    for node, (x, y) in places.items():
        letter, step = node.split("_")
        _draw_node(axes, x, y, letter, f"${letter}_{{{step}}}$")
    steps = [x for x, _ in places.values()]
    longest = max((abs(places[b][0] - places[a][0]) for a, b in edges if places[a][1] == places[b][1]), default=0)
    low = -0.35 - 0.17 * (longest if longest > 1 else 0)
    _frame(axes, (min(steps) - 0.4, max(steps) + 0.4), (low, max(y for _, y in places.values()) + 0.35))


def draw_recurrent(axes: Axes, arcs: Sequence[Arc]) -> None:
    """One node a letter; an arc with a delay bends aside through a black square, with the delay if it is not 1."""
    letters = sorted({letter for parent, child, _ in arcs for letter in (parent, child)})
    loops = 0
    for parent, child, delay in arcs:
        start, end = ROWS[parent], ROWS[child]
        if not delay:
            _draw_arrow(axes, (0.0, start), (0.0, end))
            continue
        if parent == child:
            reach = 0.75 + 0.4 * loops
            top, start = start + reach, start + 0.17
            curve = [(-0.11, start), (-reach, top), (reach, top), (0.11, start)]
            loops += 1
        else:
            side = -1 if start < end else 1
            curve = [(0.17 * side, start), (0.75 * side, start), (0.75 * side, end), (0.17 * side, end)]
        path = Path(curve, [Path.MOVETO] + [Path.CURVE4] * 3)
        axes.add_patch(FancyArrowPatch(path=path, arrowstyle=HEAD, color=INK, linewidth=1.1))
        x, y = (sum(w * point[i] for w, point in zip((1, 3, 3, 1), curve, strict=True)) / 8 for i in (0, 1))
        axes.scatter([x], [y], s=46, marker="s", color="black", zorder=3)
        axes.annotate(str(delay) if delay > 1 else "", (x, y), (5, 2), textcoords="offset points", size=9)
    for letter in letters:
        _draw_node(axes, 0.0, ROWS[letter], letter, f"${letter}_t$")
    heights = [ROWS[letter] for letter in letters]
    room = 0.75 * (0.75 + 0.4 * loops) if loops else 0.35
    _frame(axes, (-0.85, 0.85), (min(heights) - 0.35, max(heights) + room))


def side_by_side(graphs: Sequence[tuple[str, Traced | list[Arc]]]) -> Figure:
    """A figure with one graph beside the other on the same scale and rows, each under its title.

    A graph is what :func:`pgm_rnn.graphs.graph_edges` gives, or the arcs of :func:`pgm_rnn.folding.fold`.
    """
    figure = Figure()
    panels = [figure.add_axes((0.0, 0.0, 1.0, 1.0), label=title) for title, _ in graphs]
    for axes, (_, graph) in zip(panels, graphs, strict=True):
        if isinstance(graph, tuple):
            draw_graph(axes, *graph)
        else:
            draw_recurrent(axes, graph)
    low, high = min(axes.get_ylim()[0] for axes in panels), max(axes.get_ylim()[1] for axes in panels)
    widths = [STEP * (axes.get_xlim()[1] - axes.get_xlim()[0]) for axes in panels]
    gap, top = 0.25, 0.35
    total, height = sum(widths) + gap * len(widths), STEP * (high - low) + top
    figure.set_size_inches(total, height)
    left = gap / 2
    for axes, width, (title, _) in zip(panels, widths, graphs, strict=True):
        axes.set_ylim(low, high)
        axes.set_position((left / total, 0.0, width / total, 1 - top / height))
        figure.text(
            (left + width / 2) / total, 1 - 0.08 / height, title, ha="center", va="top", size=10.5, weight="bold"
        )
        left += width + gap
    return figure


def complete_beside_mediated(table: Family, model: Family, duration: int) -> Figure:
    """The graph of a table's traced program, where every past symbol acts, and a network's, where h does."""
    complete = graph_edges(stepwise, table, duration=duration)
    mediated = graph_edges(stepwise, model, duration=duration, mediators=True)
    return side_by_side([("full table: every past symbol acts", complete), ("RNN: the past acts through h", mediated)])


def fold_beside(model: Family, table: Family, duration: int) -> Figure:
    """A model's traced program folded into the recurrent graph, the same unfolded, and a table's, which does not fold.

    Raises:
        InputError: if the model's program does not fold.
    """
    unfolded = graph_edges(stepwise, model, duration=duration, mediators=True)
    complete = graph_edges(stepwise, table, duration=duration)
    titles = ("recurrent", "unfolded: one f", "table: a g for each t")
    figure = side_by_side(list(zip(titles, (fold(*unfolded), unfolded, complete), strict=True)))
    arrow = {"arrowstyle": "-|>", "color": OKABE_ITO["grey"], "linewidth": 1.4}
    figure.axes[0].annotate("", (1.2, 0.5), (0.5, 0.5), arrowprops=arrow, annotation_clip=False)
    figure.axes[0].text(0.85, 0.56, "unfold", ha="center", va="bottom", size=9, color=OKABE_ITO["grey"])
    return figure


def _draw_arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], bend: float = 0.0) -> None:
    style = f"arc3,rad={bend}"
    arrow = FancyArrowPatch(
        start, end, connectionstyle=style, arrowstyle=HEAD, shrinkA=15, shrinkB=15, color=INK, linewidth=1.1
    )
    axes.add_patch(arrow)


def _draw_node(axes: Axes, x: float, y: float, letter: str, text: str) -> None:
    axes.scatter([x], [y], s=620, facecolor="white", edgecolor=COLOURS[letter], linewidth=1.8, zorder=3)
    axes.text(x, y, text, ha="center", va="center", size=12, zorder=4)


def _frame(axes: Axes, across: tuple[float, float], up: tuple[float, float]) -> None:
    axes.set_xlim(*across)
    axes.set_ylim(*up)
    axes.set_aspect("equal")
    axes.axis("off")
