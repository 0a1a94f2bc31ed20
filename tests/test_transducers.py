"""Answers given inputs, against loops over words in numpy; what feedback and foresight are worth, in closed form."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyro
import pytest
import torch
from oracles import all_words, contract_log_prob

from pgm_rnn import InputError, PrefixTree, Sequences, load, models, processes, save, score, stepwise
from pgm_rnn.causal_conditioning import pairs_of_words, step_entropies
from pgm_rnn.processes import TRANSDUCERS, Transducer, parse

EVERY = pytest.mark.parametrize("name", sorted(TRANSDUCERS))
LN2 = math.log(2)


def coin_entropy(p: float) -> float:
    return -sum(q * math.log(q) for q in (p, 1 - p) if q > 0)


def sticky_preview(lookahead: int = 1) -> Transducer:
    """Inputs with memory, three symbols, and a channel that reads ahead."""
    return Transducer(
        processes.random_transducer().joint, [0.3, 0.7], processes.golden_mean(), lookahead, name="sticky preview"
    )


def sources() -> dict[str, Transducer]:
    return {name: build() for name, build in TRANSDUCERS.items()} | {"sticky-preview": sticky_preview()}


SOURCES = pytest.mark.parametrize("source", sources().values(), ids=lambda source: source.name)


def probability(source: Transducer, x: tuple[int, ...], y: tuple[int, ...]) -> float:
    """P(y | x) as a product of matrices; a step with no input takes the mean over the inputs' stationary labels."""
    joint, vector = source.joint.numpy(), source.initial.numpy()
    shares = source.inputs(1).log_prob(torch.arange(source.input_dim).unsqueeze(-1)).exp().numpy()
    unread = sum(share * table for share, table in zip(shares, joint, strict=True))
    for t, symbol in enumerate(y):
        place = t + source.lookahead
        vector = vector @ (joint[x[place]] if place < len(x) else unread)[symbol]
    return float(vector.sum())


def joint_law(source: Transducer, duration: int) -> dict[tuple[tuple[int, ...], tuple[int, ...]], float]:
    """P(x, y) of every pair of words."""
    asked = itertools.product(range(source.input_dim), repeat=duration)
    p = {x: float(source.inputs(duration).log_prob(torch.tensor(x)).exp()) for x in asked}
    answers = list(itertools.product(range(source.alphabet_size), repeat=duration))
    return {(x, y): p[x] * probability(source, x, y) for x in p for y in answers}


def conditional_entropy(law: dict[Any, float], event: Any, given: Any) -> float:
    """H(event | given) of two functions of (x, y)."""
    both: dict[Any, float] = {}
    known: dict[Any, float] = {}
    for pair, p in law.items():
        both[event(*pair), given(*pair)] = both.get((event(*pair), given(*pair)), 0.0) + p
        known[given(*pair)] = known.get(given(*pair), 0.0) + p
    return sum(math.log(q) * q for q in known.values() if q > 0) - sum(math.log(q) * q for q in both.values() if q > 0)


# The law.


@SOURCES
@pytest.mark.parametrize("duration", [1, 2, 4])
def test_answers_have_the_probability_of_the_matrix_product(source: Transducer, duration: int) -> None:
    x, y = all_words(source.input_dim, duration), all_words(source.alphabet_size, duration)
    law = source(duration, inputs=x)
    assert law.batch_shape == (len(x),)
    found = law.log_prob(y.unsqueeze(1)).exp()
    expected = [[probability(source, tuple(a), tuple(b)) for a in x.tolist()] for b in y.tolist()]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(found.sum(0), np.ones(len(x)), rtol=1e-12)


@SOURCES
def test_the_contract_agrees_and_the_program_too(source: Transducer) -> None:
    x = source.draw_conditions(5, 4, torch.Generator().manual_seed(0)).inputs
    assert x is not None
    law = source(4, inputs=x)
    y = law.sample(generator=torch.Generator().manual_seed(1))
    for n in range(5):
        alone = source(4, inputs=x[n : n + 1])
        assert float(alone.log_prob(y[n])) == pytest.approx(float(law.log_prob(y)[n]), abs=1e-12)
        assert contract_log_prob(alone, y[n].tolist()) == pytest.approx(float(law.log_prob(y)[n]), abs=1e-12)
    trace = pyro.poutine.trace(stepwise).get_trace(source, Sequences(y, source.alphabet_size, inputs=x), mediators=True)
    assert float(trace.log_prob_sum()) == pytest.approx(float(law.log_prob(y).sum()), abs=1e-11)


def test_a_forbidden_answer_is_minus_infinity_for_good() -> None:
    law = processes.shared_coin(flip=0.0)(4, inputs=torch.tensor([[0, 0, 0, 0], [0, 1, 0, 1]]))
    log_p = law.log_prob(torch.tensor([[0, 0, 1, 1], [0, 0, 0, 0], [0, 1, 0, 1]]).unsqueeze(1))
    expected = [[0.0, 0.0], [0.5, 0.0], [0.0, 0.5]]
    assert torch.equal(log_p.exp(), torch.tensor(expected, dtype=torch.double))


def test_samples_have_the_right_frequencies() -> None:
    source, x = processes.random_transducer(k=2, seed=2), torch.tensor([[0, 1, 1]])
    drawn = source(3, inputs=x).sample((20_000,), generator=torch.Generator().manual_seed(0)).squeeze(1)
    counts = torch.bincount((drawn * torch.tensor([4, 2, 1])).sum(-1), minlength=8)
    p = torch.tensor([probability(source, (0, 1, 1), tuple(y)) for y in all_words(2, 3).tolist()])
    chi = float(((counts - 20_000 * p) ** 2 / (20_000 * p)).sum())
    assert chi < 24.3  # 7 degrees of freedom, one in a thousand


def test_long_words_do_not_underflow() -> None:
    x = processes.biased_coin()(1500).sample((2,), generator=torch.Generator().manual_seed(0))
    source = processes.gilbert_elliott()
    y = source(1500, inputs=x).sample(generator=torch.Generator().manual_seed(1))
    log_p = source(1500, inputs=x).log_prob(y) / 1500
    assert bool((log_p + source.entropy_rate()).abs().max() < 0.05)


# Conditions, trees and scores.


@SOURCES
def test_conditions_are_all_input_words(source: Transducer) -> None:
    known = source.conditions(4)
    assert known.sides.inputs is not None
    p = dict.fromkeys(itertools.product(range(source.input_dim), repeat=4), 0.0)
    for x, share in zip(known.sides.inputs.tolist(), known.shares.tolist(), strict=True):
        p[tuple(x)] = share
    for x, share in p.items():
        assert share == pytest.approx(float(source.inputs(4).log_prob(torch.tensor(x)).exp()), abs=1e-14)
    assert sum(p.values()) == pytest.approx(1.0)


@SOURCES
def test_the_truth_scores_zero_and_a_model_its_expected_loss(source: Transducer) -> None:
    T = 3
    exact = score(source, source, T)
    assert exact.divergence == pytest.approx(0.0, abs=1e-12)
    law = joint_law(source, T)
    whole = conditional_entropy(law, lambda x, y: y, lambda x, y: x)
    assert exact.entropy == pytest.approx(whole, abs=1e-12)
    assert source.block_entropy(T) == pytest.approx(whole, abs=1e-12)
    model = models.Recurrent(source.alphabet_size, 3, input_dim=source.input_dim, feedback="none").double()
    expected = -sum(
        p * float(model(T, inputs=torch.tensor([x])).log_prob(torch.tensor(y)).detach())
        for (x, y), p in law.items()
        if p
    )
    assert score(model, source, T).cross_entropy == pytest.approx(expected, abs=1e-10)
    drawn = score(model, source, T, num_sequences=2000)
    assert abs(drawn.divergence - (expected - whole)) < 4 * drawn.standard_error
    deaf = models.Markov(source.alphabet_size, 0)  # it is told nothing
    assert score(deaf, source, T).divergence >= 0


def test_a_tree_of_a_source_without_conditions_is_that_of_its_law() -> None:
    even = processes.even()
    one, other = PrefixTree.from_source(even, 5), PrefixTree.from_law(even(5))
    assert one.num_nodes == other.num_nodes
    assert torch.equal(one.entropies(), other.entropies())


# Entropies.


@SOURCES
def test_step_entropies_against_sums_over_pairs(source: Transducer) -> None:
    T = 3
    law, found = joint_law(source, T), step_entropies(source, T)
    for t in range(T):
        known: dict[str, Any] = {
            "given_all": lambda x, y, t=t: (x, y[:t]),
            "causal": lambda x, y, t=t: (x[: t + 1], y[:t]),
            "without_feedback": lambda x, y, t=t: x[: t + 1],
        }
        for name, given in known.items():
            expected = conditional_entropy(law, lambda x, y, t=t: y[t], given)
            assert float(getattr(found, name)[t]) == pytest.approx(expected, abs=1e-12)
    np.testing.assert_allclose(found.given_all, source.conditional_entropies(T), atol=1e-12)
    assert bool((found.feedback_gain > -1e-12).all())
    assert bool((found.lookahead_gain > -1e-12).all())
    assert (float(found.lookahead_gain.sum()) < 1e-12) == (source.lookahead == 0)


def test_gains_in_closed_form() -> None:
    T, p = 5, 0.2
    noise = coin_entropy(p)
    memoryless = step_entropies(processes.binary_symmetric(p), T)
    late = step_entropies(processes.delay(2, p), T)
    for found in (memoryless, late):
        for entropies in found:
            np.testing.assert_allclose(entropies, [noise] * T, atol=1e-12)
    parity = step_entropies(processes.running_parity(p), T)
    np.testing.assert_allclose(parity.causal, [noise] * T, atol=1e-12)
    odd = [(1 - (1 - 2 * p) ** t) / 2 for t in range(1, T + 1)]  # an odd number of flips up to t
    np.testing.assert_allclose(parity.without_feedback, [coin_entropy(q) for q in odd], atol=1e-12)
    coin = step_entropies(processes.shared_coin(0.0), T)
    np.testing.assert_allclose(coin.feedback_gain, [0.0] + [LN2] * (T - 1), atol=1e-12)
    np.testing.assert_allclose(coin.without_feedback, [LN2] * T, atol=1e-12)
    ahead = step_entropies(processes.preview(2, p), T)
    np.testing.assert_allclose(ahead.given_all, [noise] * (T - 2) + [LN2] * 2, atol=1e-12)
    np.testing.assert_allclose(ahead.causal, [LN2] * T, atol=1e-12)
    burst = step_entropies(processes.gilbert_elliott(0.1, 0.1), T)  # one noise in both states: no memory
    np.testing.assert_allclose(burst.feedback_gain, np.zeros(T), atol=1e-12)


def test_rates() -> None:
    for source in (processes.binary_symmetric(0.2), processes.running_parity(0.2), processes.preview(1, 0.2)):
        assert source.entropy_rate() == pytest.approx(coin_entropy(0.2), abs=1e-9)
    assert processes.delay(3, 0.2).entropy_rate() == pytest.approx(coin_entropy(0.2), abs=1e-9)
    for source in (processes.gilbert_elliott(), processes.random_transducer(k=2)):
        steps = source.conditional_entropies(8)
        assert float(steps[-1]) == pytest.approx(source.entropy_rate(1e-5), abs=2e-3)
    with pytest.raises(InputError, match="2 classes that are never left; take its block_entropy"):
        processes.shared_coin().entropy_rate()


# Names and files.


@EVERY
def test_a_name_builds_it_again(name: str) -> None:
    source = TRANSDUCERS[name]()
    assert torch.equal(parse(source.name).joint, source.joint)
    assert repr(source).startswith(f"Transducer('{name}(")


@SOURCES
def test_files_keep_the_channel_and_its_inputs(source: Transducer, tmp_path: Path) -> None:
    save(source, tmp_path / "channel")
    again = load(tmp_path / "channel")
    assert repr(again) == repr(source)
    assert torch.equal(pairs_of_words(again, 3), pairs_of_words(source, 3))
    assert again.parameter_count(3) == source.parameter_count(3)


def test_free_parameters_are_what_a_row_leaves_open() -> None:
    assert processes.random_transducer(2, 3, 2).parameter_count(5) == (2 * 3 * 2 * 2 + 2, 2 * 2 * (3 * 2 - 1) + 1)
    assert processes.shared_coin(0.0).parameter_count(5).free == 1  # the coin's bias


def test_numbers_stay_exact_whatever_the_module_is_cast_to() -> None:
    source = processes.gilbert_elliott().float()
    assert source.joint.dtype == source.inputs.joint.dtype == torch.double


# Bad input.

ROW = [[[[1.0]], [[0.0]]], [[[0.0]], [[1.0]]]]
X = torch.tensor([[0, 1, 1]])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (
            lambda: processes.binary_symmetric()(3),
            "inputs: expected one for each step, of dimension 2",
        ),
        (lambda: processes.binary_symmetric()(4, inputs=X), "inputs: expected 4 steps, as many as symbols"),
        (lambda: processes.binary_symmetric()(3, inputs=X + 1), r"inputs: expected labels in 0\.\.1, got 2"),
        (lambda: processes.binary_symmetric()(3, inputs=X[0]), r"inputs: expected labels of shape \(G, 3\)"),
        (lambda: processes.binary_symmetric()(3, inputs=X.double().unsqueeze(-1)), "inputs: expected integer labels"),
        (lambda: processes.binary_symmetric()(3, inputs=X, context=X[:, 0]), "context: expected None"),
        (lambda: processes.even()(3, inputs=X), "inputs: expected None, because Process takes no inputs"),
        (lambda: processes.binary_symmetric(1.5), r"flip: expected a number in \[0, 1\]"),
        (lambda: processes.delay(0), r"steps: expected an integer in 1\.\.8"),
        (lambda: processes.preview(-1), "steps: expected an integer of at least 1"),
        (lambda: Transducer(ROW[0], [1.0]), r"joint: expected shape \(K, k, S, S\)"),
        (lambda: Transducer([ROW[0], [[[0.5]], [[0.4]]]], [1.0]), r"joint\[1\]: expected joint\[1\]\[:, s, :\] to sum"),
        (lambda: Transducer(ROW, [0.5, 0.5]), "initial: expected 1 probabilities"),
        (lambda: Transducer(ROW, [1.0], processes.mess3()), "inputs: expected a process over the 2 labels"),
        (lambda: Transducer(ROW, [1.0], lookahead=-1), "lookahead: expected an integer of at least 0"),
        (lambda: step_entropies(processes.even(), 3), "source: expected a source of words given inputs alone"),
        (
            lambda: step_entropies(models.Recurrent(2, 3, input_dim=2), 3),
            "source: expected a source with finitely",
        ),
        (lambda: step_entropies(processes.delay(), 20), "duration: expected at most"),
        (lambda: processes.delay().conditional_entropies(30), "enumerate_support: expected at most"),
        (lambda: score(processes.delay(), processes.delay(), 14), "duration: expected at most .* score with num_seq"),
        (lambda: Sequences([[0, 1]], 2, inputs=[[0, 1, 1]]), "inputs: expected vectors of shape .1, 2, D"),
        (lambda: Sequences([[0, 1]], 2, inputs=[[[0.0], [math.nan]]]), "inputs: expected finite numbers"),
    ],
)
def test_bad_input_is_refused(call: Any, says: str) -> None:
    with pytest.raises(InputError, match=f"^{says}"):
        call()
