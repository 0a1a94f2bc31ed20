"""Directed graphical models, drawn from the edges that Pyro reads off a traced program."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from pyro.infer.inspect import get_model_relations

from pgm_rnn.checks import reject
from pgm_rnn.report.figures import OKABE_ITO

Edges = list[tuple[str, str]]

ROWS = {"y": 0.0, "h": 1.0}
COLOURS = {"y": OKABE_ITO["blue"], "h": OKABE_ITO["orange"]}


def graph_edges(program: Callable[..., object], *args: object, **kwargs: object) -> tuple[list[str], Edges]:
    """Nodes and edges ``(parent, child)`` of a Pyro program, its deterministic sites among them.

    The program is run once, with torch's generator put back afterwards.

    Example:
        >>> from pgm_rnn.models import Markov
        >>> from pgm_rnn.programs import stepwise
        >>> graph_edges(stepwise, Markov(2, 1), duration=3)
        (['y_1', 'y_2', 'y_3'], [('y_1', 'y_2'), ('y_2', 'y_3')])
    """
    with torch.random.fork_rng():
        parents = get_model_relations(program, args, kwargs, include_deterministic=True)["sample_sample"]
    nodes = sorted(parents, key=_place)
    return nodes, [(above, node) for node in nodes for above in nodes if above in parents[node] and above != node]


def draw_graph(axes: Axes, nodes: Sequence[str], edges: Edges) -> None:
    """Nodes ``y_t`` on a row and mediators ``h_t`` on one above; edges that skip a step are arcs below the row."""
    places = {node: _place(node) for node in nodes}
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


def _place(node: str) -> tuple[float, float]:
    """The position of ``y_3``: step 3, row of y."""
    match = re.fullmatch(r"([yh])_(\d+)", node)
    if match is None:
        raise reject("program", "sites named y_1, y_2, ... and h_1, h_2, ...", repr(node))
    return float(match[2]), ROWS[match[1]]
