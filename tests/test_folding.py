"""Folding: the recurrent graph of a program, found from its unfolded one, and refused where the steps differ."""

from __future__ import annotations

import pytest

from pgm_rnn.checks import InputError
from pgm_rnn.family import Family
from pgm_rnn.folding import Arc, fold
from pgm_rnn.graphs import Edges, graph_edges
from pgm_rnn.models import Markov, Recurrent, Tabular
from pgm_rnn.processes import PROCESSES
from pgm_rnn.programs import stepwise

RECURRENT = [Arc("h", "h", 1), Arc("h", "y", 0), Arc("y", "h", 1)]


def unfold(arcs: list[Arc], T: int) -> set[tuple[str, str]]:
    """Every arc at every step that has both ends."""
    return {(f"{a}_{t - d}", f"{b}_{t}") for a, b, d in arcs for t in range(1, T + 1) if t - d >= 1}


@pytest.mark.parametrize(
    ("family", "arcs"),
    [
        (Recurrent(2, 3), RECURRENT),
        (PROCESSES["mess3"](), RECURRENT),
        (Markov(2, 0), []),
        (Markov(2, 1), [Arc("y", "y", 1)]),
        (Markov(2, 2), [Arc("y", "y", 1), Arc("y", "y", 2)]),
    ],
    ids=["network", "process", "coin", "chain", "chain of order 2"],
)
def test_what_is_folded_at_four_steps_unfolds_to_the_graph_at_seven(family: Family, arcs: list[Arc]) -> None:
    assert fold(*graph_edges(stepwise, family, duration=4, mediators=True)) == arcs
    assert unfold(arcs, 7) == set(graph_edges(stepwise, family, duration=7, mediators=True)[1])


@pytest.mark.parametrize("T", [2, 3, 6])
def test_a_table_does_not_fold_at_any_duration(T: int) -> None:
    with pytest.raises(InputError, match=f"got y_1 -> y_{T} at no other step"):
        fold(*graph_edges(stepwise, Tabular(2, T), duration=T))


def test_the_network_with_its_mediators_summed_out_does_not_fold() -> None:
    with pytest.raises(InputError, match="y_1 -> y_5 at no other step"):
        fold(*graph_edges(stepwise, Recurrent(2, 3), duration=5))


@pytest.mark.parametrize("edge", [("h_2", "h_3"), ("h_1", "y_1"), ("y_3", "h_4")])
def test_a_step_unlike_the_others_is_named(edge: tuple[str, str]) -> None:
    nodes, edges = graph_edges(stepwise, Recurrent(2, 3), duration=4, mediators=True)
    rest: Edges = [other for other in edges if other != edge]
    with pytest.raises(InputError, match=f"got no {edge[0]} -> {edge[1]} as at other steps"):
        fold(nodes, rest)


def test_an_edge_too_many_is_named() -> None:
    nodes, edges = graph_edges(stepwise, Markov(2, 1), duration=4)
    with pytest.raises(InputError, match="got no y_1 -> y_3 as at other steps"):
        fold(nodes, [*edges, ("y_2", "y_4")])


def test_two_steps_are_too_few_to_tell() -> None:
    with pytest.raises(InputError, match="too few to tell"):
        fold(*graph_edges(stepwise, Recurrent(2, 3), duration=2, mediators=True))
