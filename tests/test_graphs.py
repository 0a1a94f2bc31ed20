"""The graphs that Pyro reads off the traced programs, and what they say about past and future."""

from __future__ import annotations

import pytest
from families import randomise
from pyro import poutine
from pyro.infer.inspect import get_model_relations

from pgm_rnn.family import Family
from pgm_rnn.inference.bayes import bayesian
from pgm_rnn.models import Markov, Recurrent, Tabular
from pgm_rnn.processes import PROCESSES
from pgm_rnn.programs import fused, stepwise
from pgm_rnn.sequences import Sequences

T = 5


def parents(family: Family, **options: object) -> dict[str, set[str]]:
    randomise(family)
    relations = get_model_relations(stepwise, (family,), {"duration": T, **options}, include_deterministic=True)
    return {site: set(above) for site, above in relations["sample_sample"].items()}


def reaches(edges: dict[str, set[str]], source: str, target: str, without: str) -> bool:
    """Whether a directed path leads from ``source`` to ``target`` in the graph without one node."""
    if without in (source, target):
        return False
    return source in edges[target] or any(reaches(edges, source, node, without) for node in edges[target] - {without})


@pytest.mark.parametrize(
    "family", [Tabular(2, T), Recurrent(2, 3), PROCESSES["even"]()], ids=["table", "network", "process"]
)
def test_mediators_hidden_the_graph_is_complete(family: Family) -> None:
    edges = parents(family)
    assert edges == {f"y_{t}": {f"y_{s}" for s in range(1, t)} for t in range(1, T + 1)}
    assert sum(map(len, edges.values())) == T * (T - 1) // 2


@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_a_chain_has_the_edges_of_its_order(order: int) -> None:
    edges = parents(Markov(2, order))
    assert edges == {f"y_{t}": {f"y_{s}" for s in range(max(1, t - order), t)} for t in range(1, T + 1)}


@pytest.mark.parametrize("family", [Recurrent(2, 3), PROCESSES["mess3"]()], ids=["network", "process"])
def test_the_mediator_cuts_past_from_future(family: Family) -> None:
    """Without h_t, which is deterministic, no path leads from y_<t to y_t and beyond."""
    edges = parents(family, mediators=True)
    assert edges["y_3"] == {"h_3"}
    assert edges["h_3"] == {"h_2", "y_2"}
    for t in range(2, T + 1):
        for past in range(1, t):
            for future in range(t, T + 1):
                assert reaches(edges, f"y_{past}", f"y_{future}", without="nothing")
                assert not reaches(edges, f"y_{past}", f"y_{future}", without=f"h_{t}")


def test_the_table_has_no_mediator_to_show() -> None:
    assert parents(Tabular(2, T), mediators=True) == parents(Tabular(2, T))


@pytest.mark.parametrize("replicates", [1, 2])
def test_replicates_change_no_edge(replicates: int) -> None:
    assert parents(Recurrent(2, 3, replicates=replicates)) == parents(Recurrent(2, 3))
    assert parents(Markov(2, 1, replicates=replicates)) == parents(Markov(2, 1))


def test_data_and_conditioning_change_no_edge() -> None:
    data = Sequences([[0, 1, 1, 0, 1]] * 3, 2)
    relations = get_model_relations(stepwise, (Markov(2, 1), data))
    assert {site: set(above) for site, above in relations["sample_sample"].items()} == parents(Markov(2, 1))
    assert relations["observed"] == [f"y_{t}" for t in range(1, T + 1)]
    prefix = poutine.condition(stepwise, {"y_1": data.symbols[:, 0]})
    relations = get_model_relations(prefix, (Markov(2, 1),), {"duration": T, "num_sequences": 3})
    assert relations["observed"] == ["y_1"]


def test_a_prior_stands_above_every_symbol() -> None:
    relations = get_model_relations(stepwise, (bayesian(Recurrent(2, 3)),), {"duration": 2, "mediators": True})
    assert relations["sample_sample"]["y_1"] == ["V", "b", "c"]
    assert set(relations["sample_sample"]["y_2"]) == {"U", "W", "V", "b", "c", "y_1"}
    assert relations["plate_sample"] == {"sequences": ["h_1", "y_1", "h_2", "y_2"]}


def test_the_fused_program_is_one_node() -> None:
    relations = get_model_relations(fused, (Recurrent(2, 3),), {"duration": T})
    assert relations["sample_sample"] == {"y": []}
