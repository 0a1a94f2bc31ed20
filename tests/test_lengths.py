"""When words end: sums over listed words, one by one, against the tables; replicates; the split of the divergence."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from families import randomise
from invariants import assert_close
from oracles import all_words

from pgm_rnn import models, processes, score
from pgm_rnn.checks import InputError
from pgm_rnn.family import Family
from pgm_rnn.lengths import FiniteWordTable, incomplete_when_cut, score_endings
from pgm_rnn.processes import FINITE

T = 4
SOURCES = pytest.mark.parametrize("name", sorted(FINITE))


def network(k: int, replicates: int | None = None) -> Family:
    model = models.Recurrent(k, 4, replicates=replicates).double()
    randomise(model)
    return model


def ending_network(replicates: int | None = None) -> Family:
    return models.EndSymbol(network(3, replicates))


def finite_probability(model: Family, word: tuple[int, ...]) -> torch.Tensor:
    """Of a word and its END; what comes after is summed out, for an arbitrary model may resume."""
    return model(len(word) + 1).log_prob(torch.tensor([*word, 2])).exp().detach()


def listed(model: Family) -> dict[int, list[torch.Tensor]]:
    """The probability of every finite word of up to T symbols, by length."""
    return {
        tau: [finite_probability(model, word) for word in itertools.product((0, 1), repeat=tau)] for tau in range(T + 1)
    }


def is_balanced(word: tuple[int, ...]) -> bool:
    """By striking out pairs until nothing is left; at most three brackets deep, as six symbols cannot pass."""
    text = "".join("()"[symbol] for symbol in word)
    while "()" in text:
        text = text.replace("()", "")
    return not text and bool(word)


def test_a_table_lists_every_word() -> None:
    model = network(3)
    table, expected = FiniteWordTable(model(T + 1)), listed(model)
    for tau, words in expected.items():
        assert_close(table.words[tau], torch.stack(words), 1e-12)
    lengths = [float(sum(words)) for words in expected.values()]
    assert_close(table.lengths, torch.tensor([*lengths, 1 - sum(lengths)], dtype=torch.double), 1e-12)


@SOURCES
def test_the_table_gives_a_source_its_length_law(name: str) -> None:
    source = FINITE[name]()
    assert_close(FiniteWordTable(source(9)).lengths, source.length_law(8), 1e-13)


@pytest.mark.parametrize("replicates", [1, 3])
def test_replicates_are_scored_side_by_side(replicates: int) -> None:
    source, together = processes.brackets(), ending_network(replicates)
    scored, cut = score_endings(together, source, T), incomplete_when_cut(network(2, replicates), source, T)
    assert scored.lengths.shape == (replicates, T + 2)
    for r in range(replicates):
        alone = score_endings(together.replicate(r), source, T)
        assert_close(scored.lengths[r], alone.lengths, 1e-12)
        for field in ("divergence", "distance", "incomplete", "cut"):
            assert float(getattr(scored, field)[r]) == pytest.approx(getattr(alone, field), abs=1e-12)
        assert_close(cut[r], incomplete_when_cut(network(2, replicates).replicate(r), source, T), 1e-12)


@SOURCES
def test_measures_are_what_they_are_called(name: str) -> None:
    source, model = FINITE[name](), ending_network()
    found, own = score_endings(model, source, T), listed(model)
    p, q = source.length_law(T).tolist(), [float(sum(words)) for words in own.values()]
    q.append(1 - sum(q))
    assert found.divergence == pytest.approx(sum(a * math.log(a / b) for a, b in zip(p, q, strict=True) if a))
    assert found.distance == pytest.approx(sum(max(a - b, 0.0) for a, b in zip(p, q, strict=True)))
    assert found.cut == pytest.approx(q[-1])
    assert found.true_cut == pytest.approx(p[-1])
    possible = [float(finite_probability(source, w)) > 0 for n in own for w in itertools.product((0, 1), repeat=n)]
    complete = sum(float(x) for x, ok in zip(itertools.chain(*own.values()), possible, strict=True) if ok)
    assert found.incomplete == pytest.approx(1 - complete)


def test_incomplete_brackets_are_those_that_do_not_balance() -> None:
    source, model = processes.brackets(), ending_network()
    complete = sum(
        float(finite_probability(model, word))
        for tau in range(T + 1)
        for word in itertools.product((0, 1), repeat=tau)
        if is_balanced(word)
    )
    assert score_endings(model, source, T).incomplete == pytest.approx(1 - complete)


@SOURCES
def test_the_truth_is_incomplete_only_where_it_is_cut(name: str) -> None:
    found = score_endings(FINITE[name](), FINITE[name](), 8)
    assert found.incomplete == found.cut == found.true_cut == pytest.approx(float(FINITE[name]().length_law(8)[-1]))
    assert (found.divergence, found.distance) == (0.0, 0.0)


@SOURCES
def test_the_divergence_splits(name: str) -> None:
    """Words given their length, word by word, make up what the length leaves of the joint's divergence."""
    source, model = FINITE[name](), ending_network()
    law, claimed = (family(T + 1) for family in (source, model))
    words = all_words(3, T + 1)
    log_p, log_q = law.log_prob(words), claimed.log_prob(words)
    length = ((words == 2).cumsum(-1) == 0).sum(-1)
    p, q = source.length_law(T), score_endings(model, source, T).lengths
    given_length = 0.0
    for a, b, tau in zip(log_p.tolist(), log_q.tolist(), length.tolist(), strict=True):
        if a > -math.inf:
            given_length += math.exp(a) * ((a - math.log(p[tau])) - (b - math.log(q[tau])))
    own = score_endings(model, source, T).divergence
    assert score(model, source, T + 1).divergence == pytest.approx(own + given_length, abs=1e-12)


def test_an_ending_that_the_model_forbids_is_infinitely_far() -> None:
    shorter = processes.uniform_length(longest=2)
    assert score_endings(shorter, processes.uniform_length(longest=3), 3).divergence == math.inf
    assert score_endings(processes.uniform_length(longest=3), shorter, 3).divergence == pytest.approx(math.log(1.5))


def test_cutting_at_a_length() -> None:
    model, expected = network(2), []
    for L in range(1, 7):
        balanced = [word for word in itertools.product((0, 1), repeat=L) if is_balanced(word)]
        expected.append(1 - sum(model(L).log_prob(torch.tensor(word)).exp().item() for word in balanced))
    assert_close(incomplete_when_cut(model, processes.brackets(), 6), torch.tensor(expected, dtype=torch.double), 1e-12)


def test_bad_input_is_refused() -> None:
    source = processes.brackets()
    with pytest.raises(InputError, match=r"^model: expected alphabet_size 3, as in the source, got 4"):
        score_endings(models.EndSymbol(network(4)), source, T)
    with pytest.raises(InputError, match=r"^model: expected a family with an END, got Recurrent; give it one, such as"):
        score_endings(network(3), source, T)
    with pytest.raises(InputError, match=r"^source: expected a family with an END, got Process"):
        score_endings(ending_network(), processes.mess3(), T)
    with pytest.raises(InputError, match=r"^model: expected alphabet_size 2, the source's without END, got 3"):
        incomplete_when_cut(network(3), source, T)
    with pytest.raises(InputError, match=r"^duration: expected at most [\d,]+ words, got .+; use a smaller duration"):
        score_endings(ending_network(), source, 40)
    with pytest.raises(InputError, match=r"^longest: expected an integer of at least 1, got 0"):
        score_endings(ending_network(), source, 0)
    with pytest.raises(InputError, match=r"^model: expected a model or a process, got str"):
        score_endings("model", source, 3)  # type: ignore[arg-type]  # that is the point
