"""The graphs that Pyro reads off the traced programs, and what they say about past and future."""

from __future__ import annotations

from itertools import combinations, product

import networkx
import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from families import randomise
from pyro import poutine
from pyro.infer.inspect import get_model_relations

from pgm_rnn.checks import InputError
from pgm_rnn.family import Family
from pgm_rnn.graphs import Graph, determined, separated, trace_graph
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


# D-separation.


def graph_of(family: Family, duration: int = T, mediators: bool = True) -> Graph:
    return trace_graph(stepwise, family, duration=duration, mediators=mediators)


def span(first: int, last: int, letter: str = "y") -> set[str]:
    """Sites ``y_first .. y_last``."""
    return {f"{letter}_{t}" for t in range(first, last + 1)}


NETWORKS = {
    "tanh": Recurrent(2, 3),
    "lstm": Recurrent(2, 3, cell="lstm", replicates=2),
    "vector": Recurrent(2, 3, recurrence="output", feedback="vector"),
    "clock": Recurrent(2, 3, clock=2),
    "process": PROCESSES["mess3"](),
}


def test_what_is_deterministic_is_read_off_the_program() -> None:
    def program() -> None:
        a = pyro.sample("a", dist.Normal(0.0, 1.0))
        b = pyro.deterministic("b", a**2)
        pyro.sample("c", dist.Normal(b, 1.0), obs=torch.tensor(0.0))

    assert trace_graph(program) == Graph(["a", "b", "c"], [("a", "b"), ("b", "c")], frozenset({"b"}))
    assert graph_of(NETWORKS["tanh"]).deterministic == span(1, T, "h")
    assert graph_of(Tabular(2, T)).deterministic == set()


@pytest.mark.parametrize("name", NETWORKS)
def test_h_separates_all_of_the_past_from_all_of_the_future(name: str) -> None:
    graph = graph_of(NETWORKS[name])
    for t in range(2, T + 1):
        assert separated(graph, span(1, t - 1), span(t, T), [f"h_{t}"])
        assert separated(graph, span(t, T), span(1, t - 1), [f"h_{t}"])
        assert separated(graph, span(1, t - 1) | span(1, t - 1, "h"), span(t, T) | span(t + 1, T, "h"), [f"h_{t}"])
        assert not separated(graph, span(1, t - 1), span(t, T))
        if t > 2:  # neither an earlier state nor the last symbol is enough
            assert not separated(graph, span(1, t - 1), span(t, T), [f"h_{t - 1}"])
            assert not separated(graph, span(1, t - 2), span(t, T), [f"y_{t - 1}"])


@pytest.mark.parametrize("family", [Tabular(2, T), Recurrent(2, 3)], ids=["table", "network"])
def test_nothing_less_than_all_of_the_past_separates_where_no_h_is_shown(family: Family) -> None:
    graph = graph_of(family, mediators=False)
    for t in range(2, T + 1):
        for left_out in range(1, t):
            given = span(1, t - 1) - {f"y_{left_out}"}
            assert not separated(graph, [f"y_{left_out}"], span(t, T), given)
    assert graph == graph_of(Tabular(2, T))


def test_a_chain_is_separated_by_its_last_symbol_alone() -> None:
    graph = graph_of(Markov(2, 1))
    for t in range(3, T + 1):
        assert separated(graph, span(1, t - 2), span(t, T), [f"y_{t - 1}"])
        assert not separated(graph, span(1, t - 1) - {f"y_{t - 2}"}, span(t, T), [f"y_{t - 2}"])


def test_where_the_symbol_alone_is_fed_back_it_separates_too() -> None:
    graph = graph_of(Recurrent(2, 3, recurrence="output", feedback="symbol"))
    for t in range(3, T + 1):
        assert separated(graph, span(1, t - 2), span(t, T), [f"y_{t - 1}"])
        assert separated(graph, span(1, t - 1), span(t, T), [f"h_{t}"])


def plainly_separated(graph: Graph, past: set[str], future: set[str], given: set[str]) -> bool:
    """d-separation without functions."""
    return networkx.is_d_separator(networkx.DiGraph(graph.edges), past, future, given)


def test_functions_of_what_is_given_are_given() -> None:
    """Two readings of one function of z: only D-separation sees that z settles them."""

    def program() -> None:
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        d = pyro.deterministic("d", z.exp())
        pyro.sample("left", dist.Normal(d, 1.0))
        pyro.sample("right", dist.Normal(d, 1.0))

    graph = trace_graph(program)
    assert separated(graph, ["left"], ["right"], ["z"])
    assert not plainly_separated(graph, {"left"}, {"right"}, {"z"})
    assert determined(graph, ["z"]) == {"z", "d"}
    assert determined(graph, ["d"]) == {"d"}


def test_the_symbols_settle_the_states() -> None:
    graph = graph_of(NETWORKS["tanh"])
    assert determined(graph, []) == {"h_1"}  # a function of nothing
    assert determined(graph, span(1, 3)) == span(1, 3) | span(1, 4, "h")
    assert determined(graph, ["y_1", "y_3"]) == {"h_1", "y_1", "h_2", "y_3"}
    assert separated(graph, ["h_3"], span(3, T), ["y_1", "y_2"])
    assert not plainly_separated(graph, {"h_3"}, span(3, T), {"y_1", "y_2"})
    assert separated(graph, ["h_1"], ["h_1"])  # a constant tells nothing, not even of itself
    assert not separated(graph, ["h_2"], ["h_2"])


def test_unknown_weights_are_a_common_cause() -> None:
    graph = trace_graph(stepwise, bayesian(Recurrent(2, 3)), duration=3, mediators=True)
    weights = ["U", "W", "V", "b", "c"]
    assert not separated(graph, ["y_1"], ["y_2", "y_3"], ["h_2"])
    assert separated(graph, ["y_1"], ["y_2", "y_3"], ["h_2", *weights])


def test_a_stranger_is_refused() -> None:
    graph = graph_of(Markov(2, 1), 2)
    with pytest.raises(InputError, match=r"given: expected nodes among y_1, y_2, got h_2"):
        separated(graph, ["y_1"], ["y_2"], ["h_2"])
    with pytest.raises(InputError, match=r"past: expected nodes .* got y_0, y_9"):
        separated(graph, ["y_9", "y_0"], ["y_2"])


def machine_law(duration: int, generator: np.random.Generator) -> dict[tuple[int, ...], float]:
    """Words and states (y_1 h_1 .. y_T h_T) of a random machine with three states, and its own tables at every step."""
    law = {(): 1.0}
    for _ in range(duration):
        step, emission = generator.integers(3, size=(3, 2)), generator.dirichlet([0.7, 0.7], size=3)
        grown = {}
        for values, p in law.items():
            h = step[values[-1], values[-2]] if values else 0
            grown |= {(*values, y, int(h)): p * emission[h, y] for y in (0, 1)}
        law = grown
    return law


def entropy(law: dict[tuple[int, ...], float], members: tuple[int, ...]) -> float:
    marginal: dict[tuple[int, ...], float] = {}
    for values, p in law.items():
        key = tuple(values[i] for i in members)
        marginal[key] = marginal.get(key, 0.0) + p
    return -sum(p * np.log(p) for p in marginal.values() if p)


def test_separation_is_independence_in_every_law_of_the_graph_and_its_absence_dependence_in_some() -> None:
    """I(A; B | Z) of all pairs A, B and sets Z of eight nodes, in laws of random machines with the network's graph."""
    nodes = [f"{letter}_{t}" for t in range(1, 5) for letter in "yh"]
    graph = graph_of(NETWORKS["tanh"], 4)
    largest: dict[tuple[int, int, tuple[int, ...]], float] = {}
    for seed in range(40):
        law = machine_law(4, np.random.default_rng(seed))
        H = {members: entropy(law, members) for n in range(9) for members in combinations(range(8), n)}
        for a, b in combinations(range(8), 2):
            others = [n for n in range(8) if n not in (a, b)]
            for keep in product((False, True), repeat=len(others)):
                z = tuple(n for n, kept in zip(others, keep, strict=True) if kept)
                with_a, with_b, both = (tuple(sorted((*z, *more))) for more in ((a,), (b,), (a, b)))
                information = H[with_a] + H[with_b] - H[both] - H[z]
                largest[a, b, z] = max(largest.get((a, b, z), 0.0), information)
    answers = {}
    for (a, b, z), information in largest.items():
        answers[a, b, z] = separated(graph, [nodes[a]], [nodes[b]], [nodes[n] for n in z])
        assert (information < 1e-12) == answers[a, b, z], (nodes[a], nodes[b], [nodes[n] for n in z], information)
    assert 100 < sum(answers.values()) < len(answers) - 100
