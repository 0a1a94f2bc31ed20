"""The prefix tree against the words themselves: nodes, weights, layouts, blocks and refusals."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch
from families import randomise
from hypothesis import given, settings
from hypothesis import strategies as st
from invariants import assert_close
from oracles import all_words

import pgm_rnn.prefix_tree
import pgm_rnn.tree_layout
from pgm_rnn.checks import InputError
from pgm_rnn.family import Family
from pgm_rnn.models import Markov, Recurrent, Tabular
from pgm_rnn.prefix_tree import PrefixTree
from pgm_rnn.processes import PROCESSES
from pgm_rnn.sequences import Sequences

LAYOUTS = ("union", "forest", "batch")


def made(family: Family) -> Family:
    randomise(family)
    return family.double()


@st.composite
def several_sets(draw: st.DrawFn) -> list[Sequences]:
    """One to three data sets, of different sizes, with few symbols so that prefixes are shared."""
    k, T = draw(st.integers(2, 3)), draw(st.integers(1, 4))
    word = st.lists(st.integers(0, k - 1), min_size=T, max_size=T)
    return [Sequences(draw(st.lists(word, min_size=1, max_size=6)), k) for _ in range(draw(st.integers(1, 3)))]


def prefixes(data: Sequences) -> Counter[tuple[int, ...]]:
    """Every non-empty prefix and how many words have it."""
    return Counter(tuple(word[:t]) for word in data.symbols.tolist() for t in range(1, data.duration + 1))


@given(several_sets())
@settings(deadline=None, max_examples=40)
def test_nodes_are_the_distinct_prefixes(sets: list[Sequences]) -> None:
    distinct = set().union(*(prefixes(data) for data in sets))
    for layout in LAYOUTS:
        tree = PrefixTree.from_sequences(sets, layout)
        assert tree.num_nodes == len(distinct)
        assert tree.totals.tolist() == [len(data) for data in sets]
        assert tree.replicates == len(sets)
        assert tree.duration == sets[0].duration
    union = PrefixTree.from_sequences(sets, "union")
    assert union.num_cells == 1 + len({prefix for prefix in distinct if len(prefix) < union.duration})


@given(several_sets())
@settings(deadline=None, max_examples=40)
def test_weights_are_the_shares(sets: list[Sequences]) -> None:
    """They sum to 1 on every level and replicate, and those of the union are the counts of each prefix."""
    for layout in LAYOUTS:
        for level in PrefixTree.from_sequences(sets, layout).levels:
            assert_close(level.weights.sum((-2, -1)), torch.ones(len(sets)), 1e-12)
    for r, data in enumerate(sets):
        names: list[tuple[int, ...]] = [()]
        for level in PrefixTree.from_sequences(sets, "union").levels:
            if level.symbol is not None:
                assert level.parent is not None
                names = [(*names[p], y) for p, y in zip(level.parent.tolist(), level.symbol.tolist(), strict=True)]
            for name, row in zip(names, level.weights[r].tolist(), strict=True):
                assert row == [prefixes(data)[(*name, y)] / len(data) for y in range(data.alphabet_size)]


@given(several_sets(), st.sampled_from([None, 1]))
@settings(deadline=None, max_examples=25)
def test_likelihood_and_gradient_are_those_of_the_words(sets: list[Sequences], shared: int | None) -> None:
    """Under one law per data set, and under one law for all."""
    k, R = sets[0].alphabet_size, len(sets)
    family = made(Recurrent(k, 3, replicates=None if shared else R))
    means = []
    for r, data in enumerate(sets):
        log_p = family(data.duration).log_prob(data.symbols)
        means.append((log_p if shared else log_p[r]).mean())
    expected, parameters = torch.stack(means), list(family.parameters())
    wanted = torch.autograd.grad(expected.sum(), parameters, allow_unused=True)
    for layout in LAYOUTS:
        value = PrefixTree.from_sequences(sets, layout).expected_log_prob(family(sets[0].duration))
        assert_close(value, expected, 1e-12)
        got = torch.autograd.grad(value.sum(), parameters, allow_unused=True)
        for one, other, p in zip(got, wanted, parameters, strict=True):
            assert_close(
                torch.zeros_like(p) if one is None else one, torch.zeros_like(p) if other is None else other, 1e-12
            )


def test_one_data_set_has_no_replicate_axis() -> None:
    data = Sequences([[0, 1], [0, 0], [1, 1]], 2)
    for layout in LAYOUTS:
        tree = PrefixTree.from_sequences(data, layout)
        assert tree.totals.shape == ()
        assert tree.replicates is None
        assert tree.expected_log_prob(made(Markov(2, 1))(2)).shape == ()
        assert tree.expected_log_prob(made(Markov(2, 1, replicates=3))(2)).shape == (3,)
        assert tree.expected_log_probs(made(Markov(2, 1, replicates=3))(2)).shape == (3, 2)
        assert tree.entropies().shape == (2,)
        assert PrefixTree.from_sequences([data], layout).entropies().shape == (1, 2)


def test_the_planner_takes_the_cheapest() -> None:
    few = Sequences(torch.zeros(50, 6, dtype=torch.long), 2)
    assert PrefixTree.from_sequences(few).layout == "union"
    generator = torch.Generator().manual_seed(0)
    long_and_different = [Sequences(torch.randint(5, (3, 12), generator=generator), 5) for _ in range(3)]
    assert PrefixTree.from_sequences(long_and_different).layout == "batch"
    apart = [Sequences(torch.tensor([[r] * 6]).repeat(40, 1), 4) for r in range(4)]
    assert PrefixTree.from_sequences(apart).layout == "forest"


def test_a_forest_too_large_to_evaluate_at_once_is_not_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    apart = [Sequences(torch.tensor([[r] * 6]).repeat(40, 1), 4) for r in range(4)]
    monkeypatch.setattr(pgm_rnn.tree_layout, "MAX_CELLS", 10)
    assert PrefixTree.from_sequences(apart).layout == "union"


def test_the_tree_of_a_law_is_its_words() -> None:
    process = PROCESSES["even"]()
    tree = PrefixTree.from_law(process(5))
    log_p = process(5).log_prob(all_words(2, 5))
    words = all_words(2, 5)[log_p.isfinite()]
    assert tree.num_nodes == len(prefixes(Sequences(words, 2)))
    assert bool(tree.totals.isinf())
    for level in tree.levels:
        assert_close(level.weights.sum(), 1.0, 1e-12)
    entropy = -float(torch.xlogy(log_p.exp(), log_p.exp()).sum())
    assert_close(tree.entropies().sum(), entropy, 1e-12)
    assert_close(tree.expected_log_prob(process(5)), -entropy, 1e-12)
    model = made(Recurrent(2, 3))(5)
    finite = log_p.isfinite()
    cross = (log_p.exp()[finite] * model.log_prob(all_words(2, 5))[finite]).sum()
    assert_close(tree.expected_log_prob(model), cross, 1e-12)


def test_the_tree_of_a_law_with_replicates() -> None:
    family = made(Tabular(2, 4, replicates=3))
    tree = PrefixTree.from_law(family(4))
    other = made(Recurrent(2, 2))
    got = tree.expected_log_prob(other(4))
    log_p = family(4).log_prob(all_words(2, 4))
    assert_close(got, (log_p.exp() * other(4).log_prob(all_words(2, 4))).sum(-1), 1e-12)
    assert tree.totals.shape == (3,)


def test_a_word_the_law_forbids_costs_everything() -> None:
    process = PROCESSES["golden-mean"]()
    tree = PrefixTree.from_sequences(Sequences([[0, 1, 1], [0, 0, 1]], 2))
    assert float(tree.expected_log_prob(process(3))) == -math.inf
    assert tree.expected_log_probs(process(3)).isneginf().tolist() == [False, True, False]


def test_a_gradient_past_a_forbidden_word_nobody_saw() -> None:
    """``0 * -inf = 0``, in the gradient too."""
    chain = made(Markov(2, 1))
    with torch.no_grad():
        chain.get_parameter("logits")[2, 1] = -torch.inf  # no 11
    tree = PrefixTree.from_sequences(Sequences([[0, 0, 1], [1, 0, 0]], 2))
    value = tree.expected_log_prob(chain(3))
    assert bool(value.isfinite())
    (gradient,) = torch.autograd.grad(value, [chain.get_parameter("logits")])
    assert bool(gradient.isfinite().all())


# Blocks.


@pytest.mark.parametrize("max_cells", [1, 7, 40])
@pytest.mark.parametrize("layout", ["union", "batch", "law"])
@pytest.mark.parametrize("replicates", [None, 3])
def test_blocks_give_the_same(
    max_cells: int, layout: str, replicates: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    family = made(Recurrent(2, 3, replicates=replicates))
    if layout == "law":
        tree = PrefixTree.from_law(PROCESSES["even"]()(6))
    else:
        words = torch.randint(2, (30, 6), generator=torch.Generator().manual_seed(1))
        tree = PrefixTree.from_sequences(
            [Sequences(words, 2), Sequences(1 - words, 2), Sequences(words[:9], 2)], layout
        )
    parameters = list(family.parameters())
    whole = tree.expected_log_prob(family(6))
    by_position = tree.expected_log_probs(family(6))
    gradient = torch.autograd.grad(whole.sum(), parameters)
    monkeypatch.setattr(pgm_rnn.tree_layout, "MAX_CELLS", max_cells)
    blocks = tree.expected_log_prob(family(6))
    assert_close(blocks, whole, 1e-12)
    assert_close(tree.expected_log_probs(family(6)), by_position, 1e-12)
    for one, other in zip(torch.autograd.grad(blocks.sum(), parameters), gradient, strict=True):
        assert_close(one, other, 1e-12)


def test_no_block_passes_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    tree = PrefixTree.from_law(made(Markov(2, 1))(9))
    widths: list[int] = []

    class Watched(type(made(Recurrent(2, 3))(9))):  # type: ignore[misc]  # the law's class
        def logits_along(self, state, edges):  # type: ignore[no-untyped-def]
            widths.append(sum(edges.widths))
            return super().logits_along(state, edges)

    law = made(Recurrent(2, 3))(9)
    law.__class__ = Watched
    with torch.no_grad():
        tree.expected_log_prob(law)
        assert widths == [tree.num_cells]
        widths.clear()
        monkeypatch.setattr(pgm_rnn.tree_layout, "MAX_CELLS", 64)
        tree.expected_log_prob(law)
    assert max(widths) <= 64
    assert sum(widths) == tree.num_cells


def test_wide_states_count_as_several_cells() -> None:
    narrow, wide = (pgm_rnn.tree_layout.lanes_at_once(Recurrent(2, H, replicates=3)(5)) for H in (4, 64))
    assert narrow == pgm_rnn.tree_layout.MAX_CELLS // 3
    assert wide == pgm_rnn.tree_layout.MAX_CELLS // 12


def test_a_long_shared_prefix_goes_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    words = torch.randint(2, (40, 1500), generator=torch.Generator().manual_seed(0))
    words[:, :1400] = words[0, :1400]
    tree, family = PrefixTree.from_sequences(Sequences(words, 2), "union"), made(Markov(2, 1))
    with torch.no_grad():
        whole = tree.expected_log_prob(family(1500))
        monkeypatch.setattr(pgm_rnn.tree_layout, "MAX_CELLS", 1600)
        assert_close(tree.expected_log_prob(family(1500)), whole, 1e-9)


# Refusals.


@pytest.mark.parametrize("duration", [20, 400])
def test_too_large_a_law_is_refused(duration: int) -> None:
    model = Recurrent(4, 2)
    with pytest.raises(InputError, match=r"^duration: expected at most 4,194,304 .*, got .*; use a smaller duration"):
        PrefixTree.from_law(model(duration))


def test_too_many_prefixes_are_refused() -> None:
    with pytest.raises(InputError, match=r"^duration: expected at most 100 .*"):
        PrefixTree.from_law(made(Recurrent(2, 2))(8), max_nodes=100)


@pytest.mark.parametrize(
    ("sequences", "message"),
    [
        ([], "sequences: expected at least one data set, got an empty list"),
        (None, "sequences: expected Sequences, or a list of them, got NoneType"),
        ([torch.zeros(2, 3)], "sequences: expected Sequences or a list of them, got Tensor"),
        (
            [Sequences([[0, 1]], 2), Sequences([[0]], 2)],
            r"sequences: expected T=2 and k=2 in every data set, got Sequences\(N=1, T=1, k=2\)",
        ),
        ([Sequences([[0, 1]], 2), Sequences([[0, 1]], 3)], "sequences: expected T=2 and k=2 in every data set"),
    ],
)
def test_bad_data(sequences: list, message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}"):
        PrefixTree.from_sequences(sequences)


def test_unknown_layout_lists_the_known() -> None:
    with pytest.raises(
        InputError, match=r"^layout: expected one of batch, forest, union, got 'unio'; did you mean 'union'"
    ):
        PrefixTree.from_sequences(Sequences([[0, 1]], 2), "unio")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_replicates_must_fit(layout: str) -> None:
    """Two data sets and a law with three replicates: neither is a list for the other."""
    sets = [Sequences([[0, 1, 1]], 2), Sequences([[1, 1, 0]], 2)]
    with pytest.raises(InputError, match=r"^law.batch_shape: expected .*, got .*"):
        PrefixTree.from_sequences(sets, layout).expected_log_prob(made(Recurrent(2, 2, replicates=3))(3))
