"""Directed graphical models, as Pyro reads them off a traced program, and the independences that they imply."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

import networkx
import torch
from pyro.infer.inspect import get_model_relations

from pgm_rnn.checks import reject

Edges = list[tuple[str, str]]

ROWS = {"y": 0.0, "h": 1.0}


class Graph(NamedTuple):
    """Sites of a program in the order in which it reached them, edges ``(parent, child)``, and deterministic sites."""

    nodes: list[str]
    edges: Edges
    deterministic: frozenset[str]


def trace_graph(program: Callable[..., object], *args: object, **kwargs: object) -> Graph:
    """The directed graphical model of any Pyro program: who depends on whom, and which sites are functions.

    The program is run once, with torch's generator put back afterwards.

    Example:
        >>> from pgm_rnn.models import Recurrent
        >>> from pgm_rnn.programs import stepwise
        >>> graph = trace_graph(stepwise, Recurrent(2, 4), duration=2, mediators=True)
        >>> graph.edges
        [('h_1', 'y_1'), ('h_1', 'h_2'), ('y_1', 'h_2'), ('h_2', 'y_2')]
        >>> sorted(graph.deterministic)
        ['h_1', 'h_2']
    """
    with torch.random.fork_rng():
        relations = get_model_relations(program, args, kwargs, include_deterministic=True)
    parents = relations["sample_sample"]
    edges = [(above, node) for node, sites in parents.items() for above in sites if above != node]
    functions = (node for node, law in relations["sample_dist"].items() if law == "Deterministic")
    return Graph(list(parents), edges, frozenset(functions))


def graph_edges(program: Callable[..., object], *args: object, **kwargs: object) -> tuple[list[str], Edges]:
    """Nodes and edges of :func:`trace_graph`, sorted by step, for programs with sites ``y_1, ...`` and ``h_1, ...``.

    Example:
        >>> from pgm_rnn.models import Markov
        >>> from pgm_rnn.programs import stepwise
        >>> graph_edges(stepwise, Markov(2, 1), duration=3)
        (['y_1', 'y_2', 'y_3'], [('y_1', 'y_2'), ('y_2', 'y_3')])
    """
    graph = trace_graph(program, *args, **kwargs)
    return sorted(graph.nodes, key=place), sorted(graph.edges, key=lambda edge: (place(edge[1]), place(edge[0])))


def place(node: str) -> tuple[float, float]:
    """The position of ``y_3``: step 3, row of y."""
    match = re.fullmatch(r"([yh])_(\d+)", node)
    if match is None:
        raise reject("program", "sites named y_1, y_2, ... and h_1, h_2, ...", repr(node))
    return float(match[2]), ROWS[match[1]]


def determined(graph: Graph, given: Iterable[str]) -> set[str]:
    """The nodes that ``given`` fixes: itself, and every deterministic node whose parents it fixes.

    A deterministic node without parents, such as ``h_1``, is a constant and always fixed.

    Example:
        >>> from pgm_rnn.models import Recurrent
        >>> from pgm_rnn.programs import stepwise
        >>> graph = trace_graph(stepwise, Recurrent(2, 4), duration=3, mediators=True)
        >>> sorted(determined(graph, ["y_1"]))
        ['h_1', 'h_2', 'y_1']
    """
    fixed = _members(graph, "given", given)
    for node in graph.nodes:  # parents come first
        if node in graph.deterministic and all(above in fixed for above, child in graph.edges if child == node):
            fixed.add(node)
    return fixed


def separated(graph: Graph, past: Iterable[str], future: Iterable[str], given: Iterable[str] = ()) -> bool:
    r"""Whether the graph alone implies :math:`\text{past} \perp \text{future} \mid \text{given}`: D-separation.

    Plain d-separation knows no functions. Conditioning on Z also fixes whatever Z determines through deterministic
    nodes; with those given too, d-separation answers (a determined collider has determined parents, so it opens
    nothing). What is determined is a constant and independent of everything, itself included; any other node is not
    independent of itself.

    The answer is complete: where it is no, some numbers in the graph's tables make past and future dependent; but
    the numbers of a given model need not.

    Raises:
        InputError: if a node is not one of the graph's.

    Source: Geiger, Verma and Pearl (1990), *Identifying independence in Bayesian networks*, section 4.

    Example:
        >>> from pgm_rnn.models import Recurrent
        >>> from pgm_rnn.programs import stepwise
        >>> graph = trace_graph(stepwise, Recurrent(2, 4), duration=4, mediators=True)
        >>> separated(graph, ["y_1", "y_2"], ["y_3", "y_4"], ["h_3"])
        True
        >>> separated(graph, ["y_1", "y_2"], ["y_3", "y_4"], ["y_2"])
        False
    """
    fixed = determined(graph, given)
    sources, targets = _members(graph, "past", past) - fixed, _members(graph, "future", future) - fixed
    if not sources or not targets:
        return True
    if sources & targets:
        return False
    directed = networkx.DiGraph(graph.edges)
    directed.add_nodes_from(graph.nodes)
    return bool(networkx.is_d_separator(directed, sources, targets, fixed))


def _members(graph: Graph, argument: str, names: Iterable[str]) -> set[str]:
    """The names as a set of nodes of the graph."""
    members = {names} if isinstance(names, str) else set(names)
    if strangers := sorted(members - set(graph.nodes)):
        raise reject(argument, "nodes among " + ", ".join(graph.nodes), ", ".join(strangers))
    return members
