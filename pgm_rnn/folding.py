"""Recurrent graphs: an unfolded graphical model folded into one step with delayed edges, where every step is alike."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from pgm_rnn.checks import reject
from pgm_rnn.graphs import Edges, place


class Arc(NamedTuple):
    """An edge from ``parent`` at step ``t - delay`` to ``child`` at step ``t``, for every t that has such a step."""

    parent: str
    child: str
    delay: int


def fold(nodes: Iterable[str], edges: Edges) -> list[Arc]:
    r"""The recurrent graph of an unfolded one: arcs :math:`a_{t-d} \to b_t` that are the same at every step.

    An unfolded graph folds if the last two steps have the same parents, and every earlier step has those of them that
    exist: then one function serves all steps. The complete graph of a full table never does, because each step reads
    a longer past than the one before: a function :math:`g_t` of its own.

    Args:
        nodes, edges: as :func:`pgm_rnn.graphs.graph_edges` gives them.

    Raises:
        InputError: if the steps differ, naming an edge that other steps do not have.

    Source: *Deep Learning* (2016), section 10.1, figure 10.2: the circuit with a delay, and the graph it unfolds to.

    Example:
        >>> from pgm_rnn.graphs import graph_edges
        >>> from pgm_rnn.models import Recurrent
        >>> from pgm_rnn.programs import stepwise
        >>> fold(*graph_edges(stepwise, Recurrent(2, 4), duration=4, mediators=True))
        [Arc(parent='h', child='h', delay=1), Arc(parent='h', child='y', delay=0), Arc(parent='y', child='h', delay=1)]
    """
    steps = {node: int(place(node)[0]) for node in nodes}
    last = max(steps.values())
    letters = {node: node.split("_")[0] for node in steps}
    arcs = sorted({Arc(letters[above], letters[below], steps[below] - steps[above]) for above, below in edges})
    for parent, child, delay in arcs:
        due = [(f"{parent}_{t - delay}", f"{child}_{t}") for t in range(delay + 1, last + 1)]
        missing = [edge for edge in due if edge not in set(edges)]
        if missing or len(due) < 2:
            there, absent = ("no ", " as at other steps") if missing else ("", " at no other step")
            above, below = (missing or due)[0]
            way_out = "its steps are functions of their own, or too few to tell"
            raise reject("edges", "the same parents at every step", f"{there}{above} -> {below}{absent}", way_out)
    return arcs
