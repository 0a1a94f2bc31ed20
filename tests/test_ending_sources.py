"""Sources of finite words: every probability against literal generation by another route, and closed forms."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import invariants
import numpy as np
import pytest
import torch
from oracles import all_words

import pgm_rnn
from pgm_rnn import Sequences, processes, score
from pgm_rnn.checks import InputError
from pgm_rnn.processes import FINITE, FiniteWords, at_most, halting, parse

EVERY = pytest.mark.parametrize("name", sorted(FINITE))


def chain_probability(word: tuple[int, ...], repeat: float) -> float:
    """Of a word of the chain that repeats the last symbol, from a fair start."""
    steps = [repeat if a == b else 1 - repeat for a, b in itertools.pairwise(word)]
    return 0.5 * math.prod(steps)


LENGTH_LAWS = {
    "geometric-length": lambda tau: 0.25 * 0.75 ** (tau - 1),
    "uniform-length": lambda tau: 0.125 if tau <= 8 else 0.0,
    "bimodal-length": lambda tau: {1: 0.125, 2: 0.25, 3: 0.125, 6: 0.125, 7: 0.25, 8: 0.125}.get(tau, 0.0),
}


def bracket_probability(word: tuple[int, ...], depth: int = 3, nest: float = 0.3, halt: float = 0.6) -> float:
    """Of a finite word by its counter of open brackets; 0 if that goes below 0, above the depth, or ends above 0."""
    probability, level = 1.0, 0
    for t, symbol in enumerate(word):
        if level == 0:
            probability *= (0.0 if symbol else 1.0) * ((1 - halt) if t else 1.0)
        elif level < depth:
            probability *= (1 - nest) if symbol else nest
        elif symbol == 0:
            return 0.0
        level += -1 if symbol else 1
        if level < 0:
            return 0.0
    return probability * halt if level == 0 else 0.0


def finite_probability(name: str, word: tuple[int, ...]) -> float:
    if name == "brackets":
        return bracket_probability(word)
    return LENGTH_LAWS[name](len(word)) * chain_probability(word, 0.8)


@EVERY
@pytest.mark.parametrize("T", [1, 4, 8])
def test_every_finite_word_has_its_probability(name: str, T: int) -> None:
    law = FINITE[name]()(T + 1)
    for tau in range(1, T + 1):
        words = all_words(2, tau)
        padded = torch.nn.functional.pad(words, (0, T + 1 - tau), value=2)
        expected = [finite_probability(name, tuple(word)) for word in words.tolist()]
        invariants.assert_close(law.log_prob(padded).exp(), np.array(expected), 1e-14)
    assert torch.isneginf(law.log_prob(torch.full((T + 1,), 2)))  # no word is empty


@EVERY
def test_nothing_follows_the_end(name: str) -> None:
    words = all_words(3, 5)
    resumes = ((words[:, :-1] == 2) & (words[:, 1:] != 2)).any(-1)
    assert bool(torch.isneginf(FINITE[name]()(5).log_prob(words)[resumes]).all())


@EVERY
def test_the_length_law_sums_the_words(name: str) -> None:
    source, T = FINITE[name](), 8
    law = source.length_law(T)
    sums = [
        sum(finite_probability(name, word) for word in itertools.product((0, 1), repeat=t)) for t in range(1, T + 1)
    ]
    invariants.assert_close(law, np.array([0.0, *sums, 1 - sum(sums)]), 1e-14)


@pytest.mark.parametrize("name", sorted(LENGTH_LAWS))
def test_length_laws_in_closed_form(name: str) -> None:
    law = FINITE[name]().length_law(40)
    expected = [LENGTH_LAWS[name](tau) for tau in range(1, 41)]
    invariants.assert_close(law, np.array([0.0, *expected, 1 - sum(expected)]), 1e-13)


def test_brackets_of_depth_one_are_geometric() -> None:
    law = processes.brackets(depth=1, halt=0.3).length_law(41)
    expected = [0.3 * 0.7 ** (tau // 2 - 1) if tau > 0 and tau % 2 == 0 else 0.0 for tau in range(42)]
    invariants.assert_close(law, np.array([*expected, 1 - sum(expected)]), 1e-13)


def test_deep_brackets_are_counted_by_catalan() -> None:
    """Balanced words of n pairs: every one is possible once the depth allows, and no other."""
    law = processes.brackets(depth=5)(11)
    for pairs in range(1, 6):
        words = torch.nn.functional.pad(all_words(2, 2 * pairs), (0, 11 - 2 * pairs), value=2)
        possible = int((law.log_prob(words) > -math.inf).sum())
        assert possible == math.comb(2 * pairs, pairs) // (pairs + 1)


@EVERY
def test_samples_end_as_the_words_do(name: str) -> None:
    source, T = FINITE[name](), 8
    words = source(T + 1).sample((20_000,), generator=torch.Generator().manual_seed(4))
    lengths = (words != 2).sum(-1)
    assert bool(((words == 2).cummax(-1).values == (words == 2)).all())  # END to the last
    assert invariants.chi_square_p(torch.bincount(lengths, minlength=T + 2), source.length_law(T)) > 1e-4
    if name == "brackets":
        level = torch.where(words == 0, 1, torch.where(words == 1, -1, 0)).cumsum(-1)
        assert bool((level[lengths <= T, -1] == 0).all())
        assert (int(level.min()), int(level.max())) == (0, 3)


@EVERY
def test_the_entropy_is_that_of_its_words(name: str) -> None:
    source = FINITE[name]()
    log_p = source(6).log_prob(all_words(3, 6))
    expected = -torch.xlogy(log_p.exp(), log_p.exp()).sum()
    assert source.block_entropy(6) == pytest.approx(float(expected), abs=1e-12)
    assert source.entropy_rate() == pytest.approx(0.0, abs=1e-12)  # once ended, nothing is uncertain


def test_the_entropy_of_a_uniform_length_adds_up() -> None:
    """Of the length, and of the symbols given it, where these say nothing of each other."""
    H = -(0.8 * math.log(0.8) + 0.2 * math.log(0.2))
    expected = math.log(8) + math.log(2) + H * sum(range(8)) / 8
    assert processes.uniform_length().block_entropy(9) == pytest.approx(expected, abs=1e-12)


@EVERY
def test_scored_against_itself_it_is_exact(name: str) -> None:
    assert score(FINITE[name](), FINITE[name](), 7).divergence == pytest.approx(0.0, abs=1e-12)


def test_halting_words_of_any_process() -> None:
    source = halting(processes.even(), [0.1, 0.4])
    going_on = [1.0, 0.9, 0.9 * 0.6, 0.9 * 0.6**2]
    for tau, hazard in ((1, 0.1), (2, 0.4), (3, 0.4)):
        words = all_words(2, tau)
        padded = torch.nn.functional.pad(words, (0, 4 - tau), value=2)
        expected = processes.even()(tau).log_prob(words).exp() * going_on[tau - 1] * hazard
        invariants.assert_close(source(4).log_prob(padded).exp(), expected, 1e-14)


@pytest.mark.parametrize(
    "source",
    [processes.brackets(), processes.geometric_length(0.3), halting(processes.even(), [0.0, 0.4, 0.2])],
    ids=["brackets", "geometric", "even"],
)
@pytest.mark.parametrize("longest", [2, 5, 6])
def test_at_most_so_long_is_the_law_given_that(source: FiniteWords, longest: int) -> None:
    """Word by word, the source's own probability over that of ending in time; beyond the horizon END goes on."""
    words = all_words(3, longest + 3)
    inside = words[:, longest] == 2
    expected = torch.where(inside, source(longest + 3).log_prob(words).exp(), 0.0)
    invariants.assert_close(
        at_most(source, longest)(longest + 3).log_prob(words).exp(), expected / expected.sum(), 1e-13
    )


def test_named_sources_of_bounded_words() -> None:
    for bounded, free in (
        (processes.brackets(longest=6), processes.brackets()),
        (processes.geometric_length(longest=6), processes.geometric_length()),
    ):
        law = free.length_law(6)
        given_short = torch.cat([law[:-1] / law[:-1].sum(), torch.zeros(1)])
        invariants.assert_close(bounded.length_law(6), given_short, 1e-14)
        assert bounded.length_law(9)[7:].tolist() == [0.0] * 4
    assert isinstance(parse("brackets(longest=6)"), FiniteWords)


@EVERY
def test_a_name_builds_the_same_source(name: str) -> None:
    source, parsed = FINITE[name](), parse(FINITE[name]().name)
    assert isinstance(parsed, FiniteWords)
    assert torch.equal(parsed.joint, source.joint)
    assert repr(source) == (
        f"FiniteWords({source.name!r}, k=2 and END, states={source.joint.shape[-1]}, tables={len(source.joint)})"
    )
    assert getattr(processes, name.replace("-", "_")) is FINITE[name]


def test_a_file_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "source.safetensors"
    pgm_rnn.save(processes.bimodal_length(), path)
    loaded = pgm_rnn.load(path)
    assert type(loaded) is FiniteWords
    invariants.assert_close(loaded.length_law(9), processes.bimodal_length().length_law(9), 1e-15)
    broken = dict(loaded.state_dict()) | {"joint": loaded.joint.roll(1, 1)}
    with pytest.raises(InputError, match=r"^joint: expected END to be followed by END alone"):
        loaded.load_state_dict(broken)


def test_its_samples_are_words_with_an_end() -> None:
    """The layout of ``Sequences.with_end``."""
    words = processes.uniform_length(4)(5).sample((50,), generator=torch.Generator().manual_seed(0))
    lengths = (words != 2).sum(-1)
    ragged = Sequences(words[:, :4].masked_fill(words[:, :4] == 2, 0), 2, lengths=lengths)
    assert torch.equal(ragged.with_end().symbols, words)


GOOD = processes.geometric_length().joint


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: FiniteWords([[[[1.0]], [[0.0]]]], [1.0], 1), "joint: expected at least 2 symbols and END, got 2"),
        (lambda: FiniteWords(GOOD.flip(0), [0.5, 0.5, 0.0], 1), "joint: expected words of at least one symbol"),
        (lambda: FiniteWords(GOOD.roll(1, 1), [0.5, 0.5, 0.0], 1), "joint: expected END to be followed by END alone"),
        (lambda: halting(processes.even(), []), "hazards: expected shape (L,)"),
        (lambda: halting(processes.even(), [0.5, 1.2]), "hazards: expected shape (L,)"),
        (lambda: halting(processes.even(), [-0.1]), "hazards: expected non-negative"),
        (lambda: processes.geometric_length(halt=0.0), "halt: expected a number in (0, 1)"),
        (lambda: processes.geometric_length(repeat=1.0), "repeat: expected a number in (0, 1)"),
        (lambda: processes.uniform_length(0), "longest: expected an integer in 1..65536"),
        (lambda: processes.uniform_length(10**12), "longest: expected an integer in 1..65536"),
        (lambda: processes.bimodal_length(short=1), "short: expected an integer of at least 2"),
        (lambda: processes.bimodal_length(short=5, long=4), "long: expected an integer in 5..65536"),
        (lambda: processes.bimodal_length(share=0.0), "share: expected a number in (0, 1)"),
        (lambda: processes.brackets(longest=1), "longest: expected the length of some word, got 1"),
        (lambda: processes.geometric_length(longest=0), "longest: expected an integer in 1..65536, got 0"),
        (lambda: processes.brackets(depth=0), "depth: expected an integer of at least 1"),
        (lambda: processes.brackets(depth=10**6), "depth: expected at most"),
        (lambda: processes.brackets(nest=1.0), "nest: expected a number in (0, 1)"),
        (lambda: processes.brackets().length_law(0), "longest: expected an integer in 1..1048576"),
    ],
)
def test_bad_input_is_refused(call: object, said: str) -> None:
    with pytest.raises(InputError) as caught:
        call()  # type: ignore[operator]  # a lambda
    assert str(caught.value).startswith(said), caught.value
