"""Sources given a context: against plain processes, enumeration and closed forms; and the invariants, x by x."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import invariants
import numpy as np
import pyro
import pytest
import torch
from families import randomise
from oracles import all_words, matrix_product_probability
from torch import Tensor

from pgm_rnn import PrefixTree, Sequences, fused, load, save, score, stepwise
from pgm_rnn.checks import InputError
from pgm_rnn.distribution import SequenceDistribution
from pgm_rnn.family import Family
from pgm_rnn.models import Recurrent
from pgm_rnn.processes import (
    CONDITIONAL,
    Conditional,
    Interpolated,
    Mixture,
    Process,
    bells,
    biased_coin,
    coins,
    even,
    golden_mean,
    grammars,
    mess3,
    parse,
    periodic,
    simple_nonunifilar,
    sliding_golden_mean,
)

BELL = Process([[[0.9, 0.0], [1.0, 0.0]], [[0.0, 0.1], [0.0, 0.0]]])  # a 1 in ten, and a 0 after it
ALONE: dict[str, list[Process]] = {
    "bells": [BELL, even(0.9)],
    "coins": [biased_coin(p) for p in (0.1, 0.35, 0.65, 0.9)],
    "grammars": [golden_mean(), even(), simple_nonunifilar()],
    "unequal": [biased_coin(0.3), even(), periodic("011")],
    "sliding-golden-mean": [golden_mean(p) for p in (0.2, 0.5, 0.92)],
}
"""The plain process of every context."""

NUMBERED = torch.tensor([[0.0], [0.5], [1.2]], dtype=torch.double)
CONTEXTS: dict[str, tuple[Any, Tensor]] = {
    **{name: (build(), torch.arange(len(ALONE[name]))) for name, build in CONDITIONAL.items()},
    "unequal": (Mixture(ALONE["unequal"], shares=[0.5, 0.3, 0.2]), torch.arange(3)),
    "sliding-golden-mean": (sliding_golden_mean(), NUMBERED),
}
"""A source, and some contexts for it."""

LABELLED = [name for name in CONTEXTS if name != "sliding-golden-mean"]


def probabilities(name: str, duration: int) -> np.ndarray:
    """Of all words, given every context: ``(G, k^T)``, by products of matrices."""
    words = all_words(2, duration).tolist()
    return np.array([[matrix_product_probability(p.joint, p.initial, word) for word in words] for p in ALONE[name]])


class Given(Family):
    """A source given one context, as a family by itself whose laws have no batch shape."""

    def __init__(self, source: Any, x: Tensor) -> None:
        super().__init__(source.alphabet_size)
        self.source, self.x = source, x.unsqueeze(0)

    def law(self, duration: int) -> SequenceDistribution:
        law = self.source(duration, context=self.x)
        law._batch_shape = torch.Size()
        return law


EACH = [(name, n) for name, (_, contexts) in CONTEXTS.items() for n in range(len(contexts))]


def given(name: str, n: int) -> Given:
    source, contexts = CONTEXTS[name]
    return Given(source, contexts[n])


@pytest.mark.parametrize(("name", "n"), EACH)
@pytest.mark.parametrize("duration", [1, 2, 5])
def test_invariants_given_x(name: str, n: int, duration: int) -> None:
    family = given(name, n)
    invariants.check_sums_to_one(family, duration, 1e-12)
    invariants.check_chain_rule(family, duration, 1e-12)
    invariants.check_programs_agree(family, duration, 1e-12)
    invariants.check_shapes(family, duration, 1e-12)
    invariants.check_trees_agree(family, duration, 1e-12)
    invariants.check_never_nan(family, duration)
    invariants.check_tabulate(family, duration, 1e-12)
    invariants.check_sample_frequencies(family, duration)
    if duration > 1:
        invariants.check_last_symbol_sums_out(family, duration, 1e-12)
        invariants.check_first_symbol_sums_out(family, duration, 1e-12)  # each starts in its stationary distribution


@pytest.mark.parametrize("name", CONTEXTS)
def test_words_given_x_are_those_of_a_plain_process(name: str) -> None:
    source, contexts = CONTEXTS[name]
    got = source(5, context=contexts).log_prob(all_words(2, 5).unsqueeze(1)).exp()  # (k^T, G)
    torch.testing.assert_close(got.T, torch.from_numpy(probabilities(name, 5)), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", LABELLED)
def test_without_x_it_is_the_mixture(name: str) -> None:
    source, _ = CONTEXTS[name]
    expected = torch.from_numpy(source.shares.numpy() @ probabilities(name, 5))
    torch.testing.assert_close(source(5).log_prob(all_words(2, 5)).exp(), expected, rtol=1e-11, atol=1e-14)
    for check in (invariants.check_sums_to_one, invariants.check_first_symbol_sums_out, invariants.check_chain_rule):
        check(source, 4, 1e-11)
    invariants.check_shapes(source, 4, 1e-11)
    invariants.check_programs_agree(source, 4, 1e-11)


def entropy(p: np.ndarray) -> float:
    return float(-(p[p > 0] * np.log(p[p > 0])).sum())


@pytest.mark.parametrize("name", LABELLED)
def test_information_by_enumeration(name: str) -> None:
    """I(x; y_1..y_T) = H(x) + H(y) - H(x, y), and by position the differences."""
    source, _ = CONTEXTS[name]
    shares, totals = source.shares.numpy(), [0.0]
    for T in range(1, 6):
        p = shares[:, None] * probabilities(name, T)
        totals.append(entropy(p.sum(0)) + entropy(p.sum(1)) - entropy(p))
    torch.testing.assert_close(source.information(5), torch.tensor(np.diff(totals)), rtol=1e-9, atol=1e-11)
    assert float(source.information(30).sum()) <= entropy(shares) + 1e-9


def test_information_in_closed_form() -> None:
    """One toss of one of two coins; and the bell that has not rung: sources anyone can work out."""
    source = coins([0.25, 0.75])
    assert float(source.information(1)) == pytest.approx(math.log(2) - entropy(np.array([0.25, 0.75])))
    assert float(Mixture([even(), even()]).information(6).abs().max()) < 1e-12
    certain = Mixture([periodic("01"), periodic("011")], shares=[0.4, 0.6])
    assert float(certain.information(12).sum()) == pytest.approx(entropy(np.array([0.4, 0.6])))


def test_the_tree_has_the_same_information() -> None:
    for source, _ in CONTEXTS.values():
        known, hidden = PrefixTree.from_source(source, 6).entropies(), PrefixTree.from_law(source(6)).entropies()
        torch.testing.assert_close(hidden - known, source.information(6), rtol=1e-8, atol=1e-10)


def test_the_quadrature_is_that_of_a_fine_grid() -> None:
    """Words with x hidden against Simpson's rule on 2001 points, P(word given p) in closed form."""
    x = np.linspace(0, 1, 2001)
    weights = np.full(2001, 2.0)
    weights[1::2], weights[[0, -1]] = 4.0, 1.0
    p = 0.2 + 0.6 * x
    for word in ([1, 1, 1, 1], [1, 0, 1, 1], [0, 1, 0, 1], [1, 1, 1, 0]):
        ones = sum(a == b == 1 for a, b in itertools.pairwise(word))
        zeros = sum((a, b) == (1, 0) for a, b in itertools.pairwise(word))
        first = np.where(word[0] == 1, 1.0, 1 - p) / (2 - p)  # after a 0 comes a 1 for sure
        # the first 1 may come from A or B; from both the next symbol is 1 with probability p
        expected = float((weights * first * p**ones * (1 - p) ** zeros).sum() / 6000)
        assert float(sliding_golden_mean()(4).log_prob(torch.tensor(word)).exp()) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("T", [8, 24])
def test_doubling_the_nodes_changes_nothing(T: int) -> None:
    usual, doubled = sliding_golden_mean(nodes=16), sliding_golden_mean(nodes=32)
    torch.testing.assert_close(usual.information(T), doubled.information(T), rtol=0, atol=1e-10)
    coarse = sliding_golden_mean(nodes=2).information(T)
    assert float((coarse - doubled.information(T)).abs().max()) > 1e-4  # the test can fail


def test_a_model_s_divergence_by_quadrature() -> None:
    model = Recurrent(2, 3, context_dim=1).double()
    randomise(model)
    usual, doubled = (score(model, sliding_golden_mean(nodes=n), 6).divergence for n in (16, 32))
    assert usual == pytest.approx(doubled, abs=1e-8)
    drawn = score(model, sliding_golden_mean(), 6, num_sequences=4000, seed=1)
    assert abs(drawn.divergence - usual) < 4 * drawn.standard_error


@pytest.mark.parametrize("name", CONTEXTS)
def test_the_truth_is_at_no_distance_from_itself(name: str) -> None:
    source, _ = CONTEXTS[name]
    assert score(source, source, 4).divergence == pytest.approx(0, abs=1e-12)
    ignorant = score(source.hidden(), source, 4)
    assert ignorant.divergence == pytest.approx(float(source.information(4).sum()), abs=1e-9)


@pytest.mark.parametrize("name", CONTEXTS)
def test_drawn_words_come_with_contexts_of_the_stated_law(name: str) -> None:
    source, _ = CONTEXTS[name]
    words = source.draw(3000, 3, torch.Generator().manual_seed(0))
    assert torch.equal(words.symbols, source.draw(3000, 3, torch.Generator().manual_seed(0)).symbols)
    x = words.context
    if isinstance(source, Interpolated):
        assert x.shape == (3000, 1)
        assert float(x.min()) >= 0
        assert float(x.max()) <= 1
        assert float(x.mean()) == pytest.approx(0.5, abs=0.03)
        high, low = words.symbols[x[:, 0] > 0.5], words.symbols[x[:, 0] < 0.5]
        assert float(high.double().mean()) > float(low.double().mean()) + 0.05
    else:
        counts = torch.bincount(x, minlength=source.context_dim)
        assert invariants.chi_square_p(counts, source.shares) > 1e-4
        for label in range(source.context_dim):
            own = source(3, context=torch.tensor([label])).log_prob(all_words(source.alphabet_size, 3)).exp()
            seen = invariants.word_counts(words.symbols[x == label], source.alphabet_size)
            assert invariants.chi_square_p(seen, own) > 1e-4


@pytest.mark.parametrize("name", CONTEXTS)
def test_programs_agree(name: str) -> None:
    source, contexts = CONTEXTS[name]
    x = contexts.repeat(3, *(1,) * (contexts.ndim - 1))
    symbols = source(4, context=x).sample(generator=torch.Generator().manual_seed(0))
    expected = source(4, context=x).log_prob(symbols).sum()
    for program in (stepwise, fused):
        trace = pyro.poutine.trace(program).get_trace(source, Sequences(symbols, source.alphabet_size, context=x))
        torch.testing.assert_close(trace.log_prob_sum(), expected)


@pytest.mark.parametrize("layout", ["union", "forest", "batch"])
@pytest.mark.parametrize("name", CONTEXTS)
def test_trees_of_words_with_contexts(name: str, layout: str) -> None:
    source, contexts = CONTEXTS[name]
    x = contexts.repeat(4, *(1,) * (contexts.ndim - 1))
    law = source(4, context=x)
    words = Sequences(law.sample(generator=torch.Generator().manual_seed(0)), source.alphabet_size, context=x)
    tree = PrefixTree.from_sequences(words, layout=layout)
    torch.testing.assert_close(tree.expected_log_prob(tree.law(source)), law.log_prob(words.symbols).mean())


def test_what_comes_after_a_prefix() -> None:
    law = bells(q=0.2)(4, context=torch.tensor([0, 1]))
    told = law.given([0, 1]).log_prob(torch.tensor([[1, 0], [1, 0]])).exp()
    torch.testing.assert_close(told, torch.tensor([0.0, 0.8], dtype=torch.double))
    assert law.given([0]).sample((5,)).shape == (5, 2, 3)


def test_float32_does_not_round_the_truth() -> None:
    source = sliding_golden_mean().float()
    assert source(3, context=torch.tensor([[0.3]])).log_prob(torch.tensor([1, 1, 1])).dtype == torch.double


@pytest.mark.parametrize("name", CONTEXTS)
def test_files_keep_the_source(name: str, tmp_path: Path) -> None:
    source, contexts = CONTEXTS[name]
    save(source, tmp_path / "source")
    again = load(tmp_path / "source")
    assert repr(again) == repr(source)
    words = all_words(source.alphabet_size, 3).unsqueeze(1)
    assert torch.equal(again(3, context=contexts).log_prob(words), source(3, context=contexts).log_prob(words))
    assert torch.equal(again(3).log_prob(words), source(3).log_prob(words))
    assert again.parameter_count(3) == source.parameter_count(3)


@pytest.mark.parametrize(
    ("source", "change", "says"),
    [
        (coins([0.2, 0.6]), {"shares": [0.5, 0.6]}, "shares: expected 2 probabilities that sum to 1"),
        (coins([0.2, 0.6]), {"initial": [[1.0], [0.5]]}, "initial: expected 1 probabilities that sum to 1"),
        (grammars(), {"initial": torch.full((3, 2), 0.5).tolist()}, r"initial: expected a stationary .* of joint\[0\]"),
        (
            sliding_golden_mean(),
            {"last": torch.ones(2, 2, 2).tolist()},
            "joint: expected .* to sum to 1",
        ),
    ],
)
def test_files_of_no_source_are_refused(source: Conditional, change: dict[str, Any], says: str, tmp_path: Path) -> None:
    tensors = {name: torch.tensor(values, dtype=torch.double) for name, values in change.items()}
    for name, tensor in tensors.items():
        source.get_buffer(name).copy_(tensor)
    save(source, tmp_path / "source")
    with pytest.raises(InputError, match=f"^{says}"):
        load(tmp_path / "source")


def test_names() -> None:
    assert parse("coins(p=[0.2, 0.6, 0.7])").context_dim == 3
    assert repr(parse("bells")) == "Mixture('bells(q=0.1)', k=2, labels=2)"
    assert (
        repr(parse("sliding-golden-mean"))
        == "Interpolated('sliding-golden-mean(low=0.2, high=0.8, nodes=16)', k=2, nodes=16)"
    )


def test_parameter_counts() -> None:
    """Two coins store 2 x 2 numbers and 2 shares; each has one free, and the shares one. Padding costs nothing."""
    assert coins([0.2, 0.7]).parameter_count(5) == (6, 3)
    assert Mixture([biased_coin(0.2), even()]).parameter_count(5).free == 1 + 1 + 1
    assert sliding_golden_mean().parameter_count(5) == (16, 2)


BAD: Any = coins()
LABELS, NUMBERS = torch.tensor([0, 1]), torch.tensor([[0.5], [0.6]])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: coins()(3, context=LABELS + 3), r"context: expected labels in 0\.\.3, got 4"),
        (lambda: coins()(3, context=LABELS - 1), r"context: expected labels in 0\.\.3, got -1"),
        (lambda: coins()(3, context=NUMBERS), r"context: expected integer labels in 0\.\.3"),
        (lambda: coins()(3, context=torch.zeros(2, 2, dtype=torch.long)), r"context: expected labels of shape \(G,\)"),
        (lambda: coins()(3, inputs=NUMBERS), "context: expected one for each sequence, of dimension 4"),
        (lambda: coins()(3, LABELS, torch.zeros(2, 3, 1)), "inputs: expected None, because Mixture takes no inputs"),
        (lambda: sliding_golden_mean()(3, context=LABELS), "context: expected numbers of shape"),
        (lambda: sliding_golden_mean()(3, context=NUMBERS.expand(2, 2)), "context: expected vectors of 1 numbers"),
        (lambda: sliding_golden_mean()(3, context=NUMBERS[0]), r"context: expected vectors of shape \(G, D\)"),
        (lambda: sliding_golden_mean()(3, context=NUMBERS * torch.nan), "context: expected finite numbers, got nan"),
        (lambda: sliding_golden_mean()(3, context=NUMBERS + 1), "context: expected numbers that leave every prob"),
        (lambda: sliding_golden_mean()(0), "duration: expected an integer of at least 1, got 0"),
        (lambda: sliding_golden_mean(nodes=1), "nodes: expected an integer of at least 2, got 1"),
        (lambda: Mixture([]), "processes: expected at least one Process"),
        (lambda: Mixture([even(), BAD]), "processes: expected at least one Process, got .*Mixture"),
        (lambda: Mixture([even(), mess3()]), "processes: expected processes over the same symbols"),
        (lambda: Mixture([even(), even()], [0.5, 0.6]), "shares: expected 2 probabilities that sum to 1"),
        (lambda: Mixture([even(), even()], [1.0]), "shares: expected 2 probabilities that sum to 1"),
        (lambda: Mixture([even(), even()], [1.5, -0.5]), "shares: expected non-negative probabilities"),
        (lambda: Interpolated(even(), biased_coin()), r"last: expected a process of shape \(2, 2, 2\), as first"),
        (lambda: Interpolated(BAD, even()), "first: expected a Process, got Mixture"),
        (lambda: score(Recurrent(2, 2, context_dim=3), coins(), 3), "context: expected labels in 0"),
        (lambda: score(Recurrent(2, 2, context_dim=1), even(), 3), "context: expected one for each sequence"),
        (lambda: PrefixTree.from_source(coins(), 30), "duration: expected at most 4,194,304"),
    ],
)
def test_what_does_not_fit_is_refused(call: Any, says: str) -> None:
    with pytest.raises(InputError, match=f"^{says}"):
        call()


def test_a_process_of_one_context_may_be_periodic() -> None:
    """Words that one context allows and another forbids: minus infinity where it belongs, and never NaN."""
    source = Mixture([periodic("01"), biased_coin(0.5)])
    log_p = source(3, context=LABELS).log_prob(torch.tensor([[[1, 1, 0]], [[0, 1, 0]]]))
    expected = torch.tensor([[0.0, 0.125], [0.5, 0.125]], dtype=torch.double)
    torch.testing.assert_close(log_p.exp(), expected)
