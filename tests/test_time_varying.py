"""Sources whose law moves with t, and the price of sharing, against loops over words in numpy."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path

import invariants as inv
import numpy as np
import pytest
import torch

from pgm_rnn import InputError, PrefixTree, fit, load, models, processes, save, score
from pgm_rnn.processes import PROCESSES, TIME_VARYING, TimeVarying, parse
from pgm_rnn.sharing import price_of_sharing

EVERY = pytest.mark.parametrize("name", sorted(TIME_VARYING))
DICE = [[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]]


def tables_of(source: TimeVarying, duration: int) -> list[np.ndarray]:
    """The table of every step, by stepping through them as the docstring says."""
    tables, index, used = [], 0, source.joint.numpy()
    for _ in range(duration):
        tables.append(used[index])
        index = index + 1 if index + 1 < len(used) else len(used) - source.period
    return tables


def word_probabilities(source: TimeVarying, duration: int) -> dict[tuple[int, ...], float]:
    """Every word's probability, as a product of matrices."""
    tables = tables_of(source, duration)
    probabilities = {}
    for word in itertools.product(range(source.alphabet_size), repeat=duration):
        vector = source.initial.numpy()
        for table, symbol in zip(tables, word, strict=True):
            vector = vector @ table[symbol]
        probabilities[word] = float(vector.sum())
    return probabilities


def entropy(probabilities: dict[tuple[int, ...], float], length: int) -> float:
    """Of the first ``length`` symbols."""
    short: dict[tuple[int, ...], float] = {}
    for word, p in probabilities.items():
        short[word[:length]] = short.get(word[:length], 0.0) + p
    return -sum(p * math.log(p) for p in short.values() if p > 0)


# The law.


@EVERY
@pytest.mark.parametrize("duration", [1, 3, 6])
def test_words_have_the_probability_of_the_matrix_product(name: str, duration: int) -> None:
    source = TIME_VARYING[name]()
    expected = word_probabilities(source, duration)
    found = source(duration).log_prob(torch.tensor(list(expected))).exp()
    np.testing.assert_allclose(found, list(expected.values()), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("period", [1, 2, 3])
def test_the_last_tables_repeat(period: int) -> None:
    joint = torch.tensor(DICE, dtype=torch.double)[:, :, None, None]
    source = TimeVarying(joint, [1.0], period)
    ones = source(8).conditional_log_probs(torch.ones(8, dtype=torch.long)).exp()
    after = {1: [0.8] * 5, 2: [0.5, 0.8, 0.5, 0.8, 0.5], 3: [0.1, 0.5, 0.8, 0.1, 0.5]}[period]
    np.testing.assert_allclose(ones, [0.1, 0.5, 0.8, *after], rtol=1e-12)


def test_long_words() -> None:
    source = processes.cyclostationary()
    word = source(3000).sample(generator=torch.Generator().manual_seed(1))
    expected, vector = 0.0, source.initial.numpy()
    for table, symbol in zip(tables_of(source, 3000), word.tolist(), strict=True):
        vector = vector @ table[symbol]
        expected, vector = expected + math.log(vector.sum()), vector / vector.sum()
    assert float(source(3000).log_prob(word)) == pytest.approx(expected, abs=1e-9)


@EVERY
@pytest.mark.parametrize("order", [0, 1])
def test_one_table_is_the_stationary_process(name: str, order: int) -> None:
    twin = TIME_VARYING[name]().stationary_twin()
    held = TimeVarying(twin.joint.unsqueeze(0), twin.initial, period=1)
    words = twin(5).enumerate_support()
    torch.testing.assert_close(held(5).log_prob(words), twin(5).log_prob(words))
    torch.testing.assert_close(held.conditional_entropies(6), twin.conditional_entropies(6))
    assert held.entropy_rate() == pytest.approx(twin.entropy_rate(), abs=1e-9)
    assert price_of_sharing(held(6), order).price == pytest.approx(0.0, abs=1e-12)


def test_a_forbidden_symbol_is_counted_once() -> None:
    source = processes.drifting()
    log_p = source(6).conditional_log_probs(torch.tensor([0, 1, 0, 1, 1, 0]))
    assert torch.isneginf(log_p).tolist() == [False, False, True, False, False, False]
    assert not bool(log_p.isnan().any())


# Entropies.


@EVERY
def test_conditional_entropies(name: str) -> None:
    source = TIME_VARYING[name]()
    probabilities = word_probabilities(source, 7)
    blocks = [entropy(probabilities, length) for length in range(8)]
    np.testing.assert_allclose(source.conditional_entropies(7), np.diff(blocks), atol=1e-12)
    assert source.block_entropy(7) == pytest.approx(blocks[-1], abs=1e-12)


@EVERY
def test_the_entropy_rate_is_the_mean_over_a_late_period(name: str) -> None:
    source = TIME_VARYING[name]()
    late = source.conditional_entropies(120 + 6)[-6:]  # 6 steps are whole periods of 1, 2 and 3
    assert source.entropy_rate() == pytest.approx(float(late.mean()), abs=1e-9)


def test_no_entropy_rate_where_it_depends_on_the_start() -> None:
    parted = TimeVarying(
        processes.markov().joint[None] * 0 + torch.eye(2)[None, :, :, None] * torch.eye(2), [0.5, 0.5], 1
    )
    assert parted.block_entropy(4) == pytest.approx(math.log(2))
    with pytest.raises(InputError, match="one class, for an entropy rate, got 2 classes"):
        parted.entropy_rate()


# The named sources keep their promises.


def test_cyclostationary_words_come_round() -> None:
    for source, period in (
        (processes.cyclostationary(), 3),
        (processes.cyclostationary(DICE), 3),
        (processes.alternating(), 2),
    ):
        p, later = word_probabilities(source, 3), word_probabilities(source, 3 + period)
        for word, probability in p.items():
            shifted = sum(q for long, q in later.items() if long[period:] == word)
            assert shifted == pytest.approx(probability, abs=1e-14)
        others = [sum(q for long, q in later.items() if long[1:4] == word) for word in p]
        assert max(abs(np.array(others) - list(p.values()))) > 1e-3


def test_orders_of_cyclostationary_sources() -> None:
    rows = np.random.default_rng(0).dirichlet([1.0, 1.0], size=(3, 2, 2))  # order 2
    source = processes.cyclostationary(rows)
    words = source(7).enumerate_support()
    conditional = source(7).conditional_log_probs(words).exp().numpy()
    for word, p in zip(words.tolist(), conditional, strict=True):
        for t in range(2, 7):
            assert p[t] == pytest.approx(rows[t % 3, word[t - 2], word[t - 1], word[t]], abs=1e-13)


@pytest.mark.parametrize("name", ["alternating", "settling"])
def test_one_step_marginals(name: str) -> None:
    source = TIME_VARYING[name]()
    for T in range(1, 7):
        zero = sum(p for word, p in word_probabilities(source, T).items() if word[-1] == 0)
        assert zero == pytest.approx({"alternating": 0.5, "settling": (1 + 0.8**T) / 2}[name], abs=1e-14)


def test_alternating_differs_from_its_twin_in_dependence_alone() -> None:
    source = processes.alternating(0.9, 0.3)
    np.testing.assert_allclose(source.stationary_twin().joint.sum(-1), [[0.6, 0.4], [0.4, 0.6]], rtol=1e-12)
    log_p = source(5).conditional_log_probs(torch.zeros(5, dtype=torch.long)).exp()
    np.testing.assert_allclose(log_p, [0.5, 0.9, 0.3, 0.9, 0.3], rtol=1e-12)


def test_drifting_moves_and_holds() -> None:
    source = processes.drifting(0.2, 0.8, horizon=4)
    zeros = source(7).conditional_log_probs(torch.zeros(7, dtype=torch.long)).exp()  # 0 after 0: state A, p_t
    np.testing.assert_allclose(zeros[1:], [0.4, 0.6, 0.8, 0.8, 0.8, 0.8], rtol=1e-12)
    torch.testing.assert_close(source.stationary_twin().joint, processes.even(0.5).joint)


def test_erratic_has_rows_of_its_own_at_every_step() -> None:
    source, other = processes.erratic(horizon=5), processes.erratic(horizon=5, seed=1)
    assert len(torch.unique(source.joint.flatten(1), dim=0)) == 5
    assert not torch.equal(source.joint, other.joint)
    assert torch.equal(source.joint, processes.erratic(horizon=5).joint)


@EVERY
def test_names_build_the_source_again(name: str) -> None:
    source = TIME_VARYING[name]()
    again = parse(source.name)
    assert isinstance(again, TimeVarying)
    assert torch.equal(again.joint, source.joint)
    assert (again.period, name in source.name) == (source.period, True)
    assert getattr(processes, name.replace("-", "_")) is TIME_VARYING[name]
    assert name not in PROCESSES


# As modules and files.


@EVERY
def test_casts_keep_the_truth_exact(name: str) -> None:
    source, before = TIME_VARYING[name](), TIME_VARYING[name]().joint
    assert torch.equal(source.half().joint, before)
    assert source(3).log_prob(torch.zeros(3, dtype=torch.long)).dtype == torch.double


def test_files(tmp_path: Path) -> None:
    source = processes.cyclostationary()
    save(source, tmp_path / "source")
    again = load(tmp_path / "source")
    assert isinstance(again, TimeVarying)
    assert repr(again) == repr(source)
    assert (again.period, torch.equal(again.joint, source.joint)) == (3, True)
    blank = TimeVarying.blank(**source.configuration())
    wrong = {**source.state_dict(), "initial": torch.tensor([0.5, 0.6]).double()}
    with pytest.raises(InputError, match="initial: expected 2 probabilities"):
        blank.load_state_dict(wrong)
    with pytest.raises(InputError, match="joint: expected float64"):
        blank.load_state_dict({**source.state_dict(), "joint": source.joint.float()})


def test_parameters() -> None:
    assert processes.cyclostationary().parameter_count(10) == (3 * 8 + 2, 3 * 2 + 1)
    assert processes.cyclostationary().parameter_count(2) == (2 * 8 + 2, 2 * 2 + 1)
    assert processes.drifting().parameter_count(5) == (5 * 8 + 2, 5 * 1 + 1)


BAD: list[tuple[Callable[[], object], str]] = [
    (lambda: TimeVarying(torch.ones(2, 1, 1), [1.0], 1), r"^joint: expected shape \(L, k, S, S\)"),
    (lambda: TimeVarying(torch.ones(1, 2, 1, 1), [1.0], 1), r"^joint\[0\]: expected joint\[0\]\[:, s, :\] to sum to 1"),
    (lambda: TimeVarying(torch.full((1, 2, 1, 1), 0.5), [0.5], 1), "^initial: expected 1 probabilities that sum to 1"),
    (lambda: TimeVarying(torch.full((1, 2, 1, 1), 0.5), [-1.0], 1), "^initial: expected non-negative"),
    (lambda: TimeVarying(torch.full((2, 2, 1, 1), 0.5), [1.0], 3), "^period: expected an integer in 1..2, got 3"),
    (lambda: processes.cyclostationary([0.5, 0.5]), r"^rows: expected shape \(P, k, ..., k\)"),
    (lambda: processes.cyclostationary([[0.5, 0.6]]), "^rows.*sum to 1"),
    (lambda: processes.cyclostationary([[[0.5, 0.5]] * 3]), "^rows: expected shape"),
    (lambda: processes.cyclostationary([[[1.0, 0.0], [0.0, 1.0]]]), "^rows: expected one class of contexts"),
    (lambda: processes.drifting(first=0.0), r"^first: expected a number in \(0, 1\)"),
    (lambda: processes.drifting(horizon=1), "^horizon"),
    (lambda: processes.alternating(p=1.5), "^p: expected a number"),
    (lambda: processes.settling(p=-0.1), "^p: expected a number"),
    (lambda: processes.erratic(k=1), "^k: expected an integer"),
    (lambda: processes.erratic(k=10**4), "^k: expected at most"),
    (lambda: price_of_sharing(models.Recurrent(2, 2, replicates=2)(3), 1), "^law: expected a law without replicates"),
    (lambda: price_of_sharing(processes.drifting()(3), -1), "^order: expected an integer"),
]


@pytest.mark.parametrize(("build", "message"), BAD, ids=[message for _, message in BAD])
def test_bad_arguments(build: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build()


# The price of sharing.


def best_chains(probabilities: dict[tuple[int, ...], float], order: int) -> tuple[float, float]:
    """KL of the best shared and the best per-step chain, by adding up words in dictionaries."""
    seen: dict[tuple, float] = {}
    for word, p in probabilities.items():
        for t in range(len(word)):
            context = word[max(0, t - order) : t]
            for key in ((t, context), (t, context, word[t]), ("all", context), ("all", context, word[t])):
                seen[key] = seen.get(key, 0.0) + p
    loss = {"shared": 0.0, "per step": 0.0}
    for word, p in probabilities.items():
        for t in range(len(word)):
            context = word[max(0, t - order) : t]
            for kind, key in (("shared", "all"), ("per step", t)):
                loss[kind] -= p * math.log(seen[key, context, word[t]] / seen[key, context]) if p else 0.0
    floor = entropy(probabilities, len(word))
    return loss["shared"] - floor, loss["per step"] - floor


@EVERY
@pytest.mark.parametrize("order", [0, 1, 2])
def test_price_of_sharing_against_dictionaries(name: str, order: int) -> None:
    source = TIME_VARYING[name]()
    shared, per_step = best_chains(word_probabilities(source, 6), order)
    found = price_of_sharing(source(6), order)
    assert float(found.shared.sum()) == pytest.approx(shared, abs=1e-12)
    assert float(found.per_step.sum()) == pytest.approx(per_step, abs=1e-12)
    assert found.price == pytest.approx(shared - per_step, abs=1e-12)
    assert bool((found.per_step > -1e-13).all())


@EVERY
@pytest.mark.parametrize("order", [0, 1, 2, 9])
def test_price_of_sharing_against_the_fitted_chain(name: str, order: int) -> None:
    source = TIME_VARYING[name]()
    chain = fit(models.Markov(2, order), source(7)).model
    by_position = score(chain, source, 7).divergence_by_position
    inv.assert_close(price_of_sharing(source(7), order).shared, by_position, 1e-12)


def test_the_price_is_information_about_the_position() -> None:
    """(T - m) I(t; y_t | c_t), from the joint distribution of position, context and symbol."""
    source, T, m = processes.cyclostationary(), 7, 2
    joint: dict[tuple, float] = {}
    for word, p in word_probabilities(source, T).items():
        for t in range(m, T):
            key = (t, word[t - m : t], word[t])
            joint[key] = joint.get(key, 0.0) + p / (T - m)

    def entropy_of(*places: int) -> float:
        marginal: dict[tuple, float] = {}
        for key, p in joint.items():
            part = tuple(key[place] for place in places)
            marginal[part] = marginal.get(part, 0.0) + p
        return -sum(p * math.log(p) for p in marginal.values())

    information = entropy_of(0, 1) + entropy_of(1, 2) - entropy_of(1) - entropy_of(0, 1, 2)
    assert price_of_sharing(source(T), m).price == pytest.approx((T - m) * information, abs=1e-12)


@pytest.mark.parametrize("name", ["even", "golden-mean", "mess3"])
@pytest.mark.parametrize("order", [0, 1, 3])
def test_a_stationary_source_has_no_price(name: str, order: int) -> None:
    assert price_of_sharing(PROCESSES[name]()(5), order).price == pytest.approx(0.0, abs=1e-12)


def test_what_has_a_price_at_which_order() -> None:
    """Marginals move and conditionals do not, or the other way round."""
    settling, alternating = (
        [price_of_sharing(s(8), m).price for m in (0, 1)] for s in (processes.settling(), processes.alternating())
    )
    assert (settling[0] > 0.1, abs(settling[1]) < 1e-12) == (True, True)
    assert (abs(alternating[0]) < 1e-12, alternating[1] > 0.1) == (True, True)


def test_trees_of_time_varying_sources_hold_only_what_is_possible() -> None:
    tree = PrefixTree.from_law(processes.drifting()(12))
    possible = sum(p > 0 for p in word_probabilities(processes.drifting(), 12).values())
    assert int(tree.levels[-1].weights.gt(0).sum()) == possible
    assert processes.drifting()(12).support_size() == possible
