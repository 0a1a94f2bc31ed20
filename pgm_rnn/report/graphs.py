"""Directed graphical models, drawn."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from pgm_rnn.graphs import Edges, place
from pgm_rnn.report.figures import OKABE_ITO

COLOURS = {"y": OKABE_ITO["blue"], "h": OKABE_ITO["orange"]}


def draw_graph(axes: Axes, nodes: Sequence[str], edges: Edges) -> None:
    """Nodes ``y_t`` on a row and mediators ``h_t`` on one above; edges that skip a step are arcs below the row."""
    places = {node: place(node) for node in nodes}
    for parent, child in edges:
        (x0, y0), (x1, y1) = places[parent], places[child]
        skips = y0 == y1 and abs(x1 - x0) > 1
        patch = FancyArrowPatch(
            (x0, y0),
            (x1, y1),
            connectionstyle=f"arc3,rad={0.32 if skips else 0.0}",
            arrowstyle="-|>,head_width=2.6,head_length=5",
            shrinkA=15,
            shrinkB=15,
            color="#444444",
            linewidth=1.1,
        )
        axes.add_patch(patch)
    for node, (x, y) in places.items():
        letter, step = node.split("_")
        axes.scatter([x], [y], s=620, facecolor="white", edgecolor=COLOURS[letter], linewidth=1.8, zorder=3)
        axes.text(x, y, f"${letter}_{{{step}}}$", ha="center", va="center", size=12, zorder=4)
    steps = [x for x, _ in places.values()]
    longest = max((abs(places[b][0] - places[a][0]) for a, b in edges if places[a][1] == places[b][1]), default=0)
    axes.set_xlim(min(steps) - 0.4, max(steps) + 0.4)
    axes.set_ylim(-0.35 - 0.17 * (longest if longest > 1 else 0), max(y for _, y in places.values()) + 0.35)
    axes.set_aspect("equal")
    axes.axis("off")


def side_by_side(graphs: Sequence[tuple[str, tuple[list[str], Edges]]]) -> Figure:
    """A figure with one graph beside the other, each under its title."""
    figure = Figure(figsize=(4.3 * len(graphs), 2.5))
    for index, (title, (nodes, edges)) in enumerate(graphs):
        axes = figure.add_axes(((index + 0.02) / len(graphs), 0.02, 0.96 / len(graphs), 0.84))
        draw_graph(axes, nodes, edges)
        figure.text((index + 0.5) / len(graphs), 0.96, title, ha="center", va="top", size=10.5, weight="bold")
    return figure
