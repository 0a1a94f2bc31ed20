"""Directed graphical models, as Pyro reads them off a traced program."""

from __future__ import annotations

import re
from collections.abc import Callable

import torch
from pyro.infer.inspect import get_model_relations

from pgm_rnn.checks import reject

Edges = list[tuple[str, str]]

ROWS = {"y": 0.0, "h": 1.0}


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
    nodes = sorted(parents, key=place)
    return nodes, [(above, node) for node in nodes for above in nodes if above in parents[node] and above != node]


def place(node: str) -> tuple[float, float]:
    """The position of ``y_3``: step 3, row of y."""
    match = re.fullmatch(r"([yh])_(\d+)", node)
    if match is None:
        raise reject("program", "sites named y_1, y_2, ... and h_1, h_2, ...", repr(node))
    return float(match[2]), ROWS[match[1]]
