"""Fits of words that end: counts by hand, laws found again, lengths apart, data sets together."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from ending_models import MODELS, WORDS, L, T, ended, every, finite_words, made, predicted
from invariants import assert_close

import pgm_rnn
from pgm_rnn import PrefixTree, Sequences, fit, processes, score
from pgm_rnn.family import Family
from pgm_rnn.lengths import FiniteWordTable
from pgm_rnn.models import BernoulliHalt, EndSymbol, Markov, PredictedLength, Recurrent, Tabular
from pgm_rnn.models.endings import CountedEnding


def by_hand(
    words: list[tuple[int, ...]], order: int, beta: float, columns: int
) -> Callable[[tuple[int, ...]], list[float]]:
    """Smoothed counts of what follows each context: symbols and END together, or END against going on."""
    counts: dict[tuple[int, ...], list[float]] = {}
    for word in words:
        for t, y in enumerate([*word, 2]):
            counts.setdefault(tuple(word[max(0, t - order) : t]), [0.0] * 3)[y] += 1

    def row(context: tuple[int, ...]) -> list[float]:
        n = counts.get(context, [0.0] * 3)
        if columns == 3 or not context:
            return [(count + beta) / (sum(n) + 3 * beta) for count in n]
        halt = (n[2] + beta) / (sum(n) + 2 * beta)
        return [(1 - halt) * (count + beta) / (n[0] + n[1] + 2 * beta) for count in n[:2]] + [halt]

    return row


@pytest.mark.parametrize("beta", [0.5, 2.0])
@pytest.mark.parametrize("order", [1, L])
@pytest.mark.parametrize("ending", ["end-symbol", "halt"])
def test_rows_are_counted(ending: str, order: int, beta: float) -> None:
    k = 3 if ending == "end-symbol" else 2
    inner = Tabular(k, T, beta) if order == L else Markov(k, order, beta)
    data = finite_words()
    model = fit(EndSymbol(inner) if k == 3 else BernoulliHalt(inner), data).model
    words = [tuple(word[:n]) for word, n in zip(data.symbols.tolist(), data.word_lengths.tolist(), strict=True)]
    row = by_hand(words, order, beta, k)
    for word in itertools.chain(*WORDS.values()):
        first = row(())
        expected = first[word[0]] / (first[0] + first[1])
        for t in range(1, len(word) + 1):
            expected *= row(word[max(0, t - order) : t])[[*word, 2][t]]
        assert float(model(T).log_prob(ended([word])).detach().exp()) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("source", ["brackets(longest=4)", "bimodal-length(short=2, long=2)"])
@pytest.mark.parametrize("inner", ["table", "order 0", "order 1"])
@pytest.mark.parametrize("ending", ["end-symbol", "halt", "length"])
def test_what_is_counted_is_the_maximum(ending: str, inner: str, source: str) -> None:
    """At the estimate from a law the likelihood has no slope; in a chain of order 0 this takes the first step apart."""
    k = 3 if ending == "end-symbol" else 2
    told = {"context_dim": L} if ending == "length" else {}
    steps = L if ending == "length" else T
    rows = Tabular(k, steps, **told) if inner == "table" else Markov(k, int(inner[-1]), **told)
    model = PredictedLength(rows, L) if told else EndSymbol(rows) if k == 3 else BernoulliHalt(rows)
    law = processes.parse(source)(T)
    fitted = fit(model.double(), law).model
    loss = -PrefixTree.from_law(law).expected_log_prob(fitted(T))
    for gradient in torch.autograd.grad(loss, list(fitted.parameters())):
        assert float(gradient.nan_to_num(0.0).abs().max()) < 1e-12
    if inner == "table":
        assert score(fitted, processes.parse(source), T).divergence == pytest.approx(0.0, abs=1e-12)


@every
def test_a_fit_to_a_law_finds_its_length_law(name: str) -> None:
    source = processes.parse("uniform-length(longest=4, repeat=0.7)")
    fitted = fit(MODELS[name](), source(T), restarts=2, max_steps=400, seed=1)
    found = score(fitted.model, source, T)
    assert found.cross_entropy == pytest.approx(float(fitted.losses[-1]), abs=1e-9)
    assert found.divergence > -1e-10
    if name not in ("end-symbol, chain", "halt, chain"):  # which cannot count
        assert_close(FiniteWordTable(fitted.model(T)).lengths, source.length_law(L), 5e-2)
        assert found.divergence < 1e-2  # a halt that is certain takes a logit without bound


@predicted
def test_a_law_given_its_length_is_trained_on_a_root_for_every_length(name: str) -> None:
    model = made(name, 2)
    assert isinstance(model, PredictedLength)
    tree = PrefixTree.from_law(processes.brackets(longest=4)(T))
    told = model.told_tree(tree)
    prior = model.length_logits.detach().log_softmax(-1)
    apart = told.expected_log_prob(told.law(model.inner)) + (model.lengths(told) * prior).sum(-1)
    assert_close(tree.expected_log_prob(model(T)), apart, 1e-10)
    law = processes.brackets(longest=4).length_law(L)
    assert_close(model.lengths(told), law[1 : L + 1], 1e-12)
    words = finite_words()
    drawn = PrefixTree.from_sequences(model.read(words), "union")
    for one in (model.told_tree(drawn), PrefixTree.from_sequences(model.told(words))):
        assert_close(
            one.expected_log_prob(one.law(model.inner)),
            drawn.expected_log_prob(model(T)) - (model.lengths(one) * prior).sum(-1),
            1e-10,
        )


def test_lengths_are_counted_too() -> None:
    data = finite_words()
    result = fit(PredictedLength(Markov(2, 1, context_dim=L), L), data)
    seen = torch.bincount(data.word_lengths, minlength=L + 1)[1:]
    assert_close(result.model.length_logits.softmax(-1), (seen.double() + 0.5) / (len(data) + 2), 1e-12)
    assert float(result.losses[-1]) == pytest.approx(score(result.model, data).cross_entropy, abs=1e-12)
    padded = Sequences(torch.nn.functional.pad(data.symbols, (0, 3)), 2, data.word_lengths)  # longer, but not its words
    again = fit(PredictedLength(Tabular(2, L, context_dim=L), L), padded)
    assert float(again.losses[-1]) == pytest.approx(score(again.model, padded).cross_entropy, abs=1e-12)


def test_a_table_is_told_the_same_by_the_length_and_by_what_is_left() -> None:
    """Where t is known, each says the other; a chain does not know t, and learns another law from each."""
    words, laws = torch.cat([ended(words) for words in WORDS.values()]), {}
    for inner, remaining in itertools.product(("table", "chain"), (False, True)):
        name = f"{'remaining' if remaining else 'length'}, {inner}"
        laws[inner, remaining] = fit(MODELS[name](), finite_words()).model(T).log_prob(words)
    assert_close(laws["table", True], laws["table", False], 1e-12)
    assert float((laws["chain", True] - laws["chain", False]).detach().abs().max()) > 0.1


@every
def test_data_sets_give_together_what_each_gives_alone(name: str) -> None:
    sets = [finite_words(seed, 40) for seed in range(2)]
    how = {"restarts": 1, "max_steps": 25}
    together = fit(MODELS[name](), sets, **how)
    for r, data in enumerate(sets):
        alone, one = fit(MODELS[name](), data, **how), together.model.replicate(r)
        words = torch.cat([ended(words) for words in WORDS.values()])
        torch.testing.assert_close(one(T).log_prob(words), alone.model(T).log_prob(words), rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(together.losses[r, -1], alone.losses[-1], rtol=1e-6, atol=1e-6)
        if alone.validation_losses is not None:
            lowest = together.validation_losses[r].min(), alone.validation_losses.min()
            torch.testing.assert_close(*lowest, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("ending", [EndSymbol, BernoulliHalt])
def test_a_chain_whose_order_is_chosen_keeps_its_ending(ending: type[CountedEnding], tmp_path: Path) -> None:
    k = 3 if ending is EndSymbol else 2
    sets = [finite_words(seed, 80) for seed in range(2)]
    together = fit(ending(Markov(k, None, None)), sets).model
    for r, data in enumerate(sets):
        alone = fit(ending(Markov(k, None, None)), data).model
        assert alone.inner.max_length < Markov(k, None).max_length
        words = data.with_end().symbols
        assert_close(together.replicate(r)(T).log_prob(words), alone(T).log_prob(words), 1e-12)
        pgm_rnn.save(alone, tmp_path / "model")
        assert_close(pgm_rnn.load(tmp_path / "model")(T).log_prob(words), alone(T).log_prob(words), 0.0)


@pytest.mark.parametrize("build", [
    lambda: EndSymbol(Recurrent(3, 3, context_dim=2)),
    lambda: BernoulliHalt(Recurrent(2, 3, context_dim=2)),
    lambda: EndSymbol(Tabular(3, T, 0.0, context_dim=2)),
    lambda: BernoulliHalt(Tabular(2, T, 0.0, context_dim=2)),
])  # fmt: skip
def test_an_ending_may_depend_on_a_context(build: Callable[[], Family]) -> None:
    """Words of label 0 have one symbol, those of label 1 have three."""
    label = torch.tensor([0, 1] * 20)
    data = Sequences(torch.ones(40, 3, dtype=torch.long), 2, 1 + 2 * label, context=label)
    model = fit(build(), PrefixTree.from_sequences(build().read(data)), restarts=1, max_steps=300).model
    assert score(model, data).cross_entropy < 0.02
    for x, length in ((0, 1), (1, 3)):
        law = model(4, context=torch.tensor([x]))
        assert float(FiniteWordTable(law).lengths.detach().reshape(-1)[length]) > 0.98
