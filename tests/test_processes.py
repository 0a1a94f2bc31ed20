"""The law of a process and the process itself, against enumeration and high precision."""

from __future__ import annotations

import itertools
import math

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pgm_rnn.checks import InputError
from pgm_rnn.prefix_tree import PrefixTree
from pgm_rnn.processes import (
    PROCESSES,
    HiddenMarkovLaw,
    Process,
    even,
    golden_mean,
    mess3,
    parse,
    random_machine,
    rrxor,
)
from pgm_rnn.processes.chains import recurrent_classes, stationary_distribution

EVERY = pytest.mark.parametrize("name", sorted(PROCESSES))
COIN = [[[0.5]], [[0.5]]]


def dense_process(states: int, k: int, seed: int, zeros: float = 0.4) -> Process:
    """A process with random zeros, made irreducible by a cycle."""
    generator = np.random.default_rng(seed)
    joint = generator.random((k, states, states)) * (generator.random((k, states, states)) > zeros)
    joint[0, np.arange(states), np.roll(np.arange(states), -1)] += 0.1
    return Process(joint / joint.sum((0, 2))[None, :, None])


def product(process: Process, word: tuple[int, ...]) -> float:
    """P(word) as a product of matrices, in numpy."""
    vector = process.initial.numpy()
    for symbol in word:
        vector = vector @ process.joint.numpy()[symbol]
    return float(vector.sum())


def words_of(k: int, duration: int) -> list[tuple[int, ...]]:
    return list(itertools.product(range(k), repeat=duration))


def precise(process: Process, word: list[int]) -> float:
    """log P(word) as an unscaled product of matrices, in numbers of 30 digits that do not underflow."""
    with mpmath.workdps(30):
        joint = [mpmath.matrix(matrix) for matrix in process.joint.tolist()]
        vector = mpmath.matrix([process.initial.tolist()])
        for symbol in word:
            vector = vector * joint[symbol]
        total = mpmath.fsum(vector)
        return float(mpmath.log(total)) if total else -math.inf


# The law.


@EVERY
def test_words_have_the_probability_of_the_matrix_product(name: str) -> None:
    process = PROCESSES[name]()
    words = words_of(process.alphabet_size, 4)
    expected = torch.tensor([product(process, word) for word in words], dtype=torch.double)
    found = process(4).log_prob(torch.tensor(words))
    torch.testing.assert_close(found.exp(), expected, atol=1e-14, rtol=1e-12)
    assert torch.equal(torch.isneginf(found), expected == 0)


@EVERY
def test_first_symbol_sums_out(name: str) -> None:
    process = PROCESSES[name]()
    k = process.alphabet_size
    longer, shorter = (process(T).log_prob(process(T).enumerate_support()).exp() for T in (4, 3))
    torch.testing.assert_close(longer.reshape(k, -1).sum(0), shorter, atol=1e-14, rtol=1e-12)


@settings(max_examples=25, deadline=None)
@given(states=st.integers(1, 5), k=st.integers(2, 3), seed=st.integers(0, 10**6))
def test_any_machine_against_the_matrix_product(states: int, k: int, seed: int) -> None:
    process = dense_process(states, k, seed)
    words = words_of(k, 5)
    expected = torch.tensor([product(process, word) for word in words], dtype=torch.double)
    found = process(5).log_prob(torch.tensor(words))
    torch.testing.assert_close(found.exp(), expected, atol=1e-14, rtol=1e-10)
    assert math.isclose(float(found.exp().sum()), 1.0, abs_tol=1e-13)
    allowed = int((expected > 0).sum())
    assert process(5).support_size() == allowed
    assert PrefixTree.from_law(process(5)).levels[-1].weights.gt(0).sum() == allowed


@pytest.mark.parametrize("process", [mess3(), even()], ids=lambda p: p.name)
def test_long_words(process: Process) -> None:
    word = process(10_000).sample(generator=torch.Generator().manual_seed(1))
    assert math.isclose(float(process(10_000).log_prob(word)), precise(process, word.tolist()), abs_tol=1e-8)


def test_the_word_where_an_unscaled_product_underflows() -> None:
    process = mess3()
    word = torch.arange(702) % 3
    exact = precise(process, word.tolist())
    assert exact < math.log(torch.finfo(torch.double).tiny)
    assert math.isclose(float(process(702).log_prob(word)), exact, abs_tol=1e-9)


def test_forbidden_words_stay_forbidden() -> None:
    word = torch.ones(1000, dtype=torch.long)
    word[:2] = 0
    assert golden_mean()(1000).log_prob(word) == -math.inf
    word[:2] = torch.tensor([0, 1])
    assert torch.isfinite(golden_mean()(1000).log_prob(word))


def leaking(stay: float) -> Process:
    """0 almost always keeps A and B apart; only B can emit 2, so a long run of 0 makes its belief underflow."""
    joint = torch.zeros(3, 2, 2, dtype=torch.double)
    joint[0, 0, 0], joint[1, 0, 1] = stay, 1 - stay
    joint[0, 1, 1], joint[2, 1, 0] = 1 - stay, stay
    return Process(joint)


@pytest.mark.parametrize("run", [100, 320, 700])
def test_a_belief_that_underflows_is_still_right(run: int) -> None:
    process = leaking(0.9)
    found = float(process(run + 2).log_prob(torch.tensor([0] * run + [2, 0])))
    assert math.isclose(found, precise(process, [0] * run + [2, 0]), rel_tol=1e-12)
    law = process(run + 1)
    state = law.initial_state((1,))
    for _ in range(run):
        state = law.update(state, torch.tensor([0]))
    assert math.isclose(
        float(law.mediator(state)[0, 1]), (run + 1) * math.log(0.1 / 0.9), rel_tol=1e-9
    )  # pi is (0.9, 0.1)


def test_probabilities_at_the_end_of_the_range() -> None:
    tiny = 1e-300
    joint = torch.zeros(2, 2, 2, dtype=torch.double)
    joint[0, 0, 0], joint[1, 0, 1], joint[0, 1, 0], joint[1, 1, 1] = 1 - tiny, tiny, 1 - tiny, tiny
    found = Process(joint)(3).log_prob(torch.tensor([1, 1, 1]))
    assert math.isclose(float(found), 3 * math.log(tiny), rel_tol=1e-12)


@pytest.mark.parametrize("process", [golden_mean(0.3), rrxor()], ids=lambda p: p.name)
def test_gradients_are_finite_and_right(process: Process) -> None:
    words = torch.tensor(words_of(2, 5))
    joint = process.joint.clone().requires_grad_()
    log_p = HiddenMarkovLaw(5, joint, process.initial).log_prob(words)
    assert torch.isneginf(log_p).any()
    log_p[torch.isfinite(log_p)].sum().backward()
    assert joint.grad is not None
    assert torch.isfinite(joint.grad).all()
    possible = process.joint > 0

    def by_matrices(matrices: torch.Tensor) -> torch.Tensor:
        terms = []
        for word in words[torch.isfinite(log_p)].tolist():
            vector = process.initial
            for symbol in word:  # every step normalised, as the law's softmax does
                reached = torch.stack([vector @ matrix for matrix in matrices])
                terms.append((reached[symbol].sum() / reached.sum()).log())
                vector = reached[symbol] / reached[symbol].sum()
        return torch.stack(terms).sum()

    other = process.joint.clone().requires_grad_()
    by_matrices(other).backward()
    assert other.grad is not None
    torch.testing.assert_close(joint.grad[possible], other.grad[possible], rtol=1e-8, atol=1e-10)


def test_gradients_through_forbidden_and_underflowing_words() -> None:
    process = leaking(0.9)
    joint = process.joint.clone().requires_grad_()
    words = torch.tensor([[0] * 400 + [2, 0], [0] * 400 + [1, 1], [2] * 402])
    log_p = HiddenMarkovLaw(402, joint, process.initial).log_prob(words)
    assert torch.isfinite(log_p).tolist() == [True, False, False]
    log_p.sum().backward()
    assert joint.grad is not None
    assert torch.isfinite(joint.grad).all()


def test_beliefs_are_bayes() -> None:
    process, law = dense_process(3, 2, 1), dense_process(3, 2, 1)(4)
    state = law.initial_state((1,))
    word = [1, 0, 0]
    vector = process.initial
    for symbol in word:
        state = law.update(state, torch.tensor([symbol]))
        vector = vector @ process.joint[symbol]
    torch.testing.assert_close(law.mediator(state).exp()[0], vector / vector.sum())


def test_continuations() -> None:
    law = even()(6).given([1, 1, 1])
    words = torch.tensor(words_of(2, 3))
    whole = torch.cat([torch.ones(8, 3, dtype=torch.long), words], -1)
    expected = even()(6).log_prob(whole) - even()(3).log_prob(torch.tensor([1, 1, 1]))
    torch.testing.assert_close(law.log_prob(words), expected)
    with pytest.raises(InputError, match="positive probability"):
        golden_mean()(4).given([0, 0])


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0,)])
def test_shapes(shape: tuple[int, ...]) -> None:
    law = mess3()(5)
    words = law.sample(shape)
    assert words.shape == (*shape, 5)
    assert words.dtype == torch.long
    assert law.log_prob(words).shape == shape
    assert law.expand((4, 1)).sample(shape).shape == (*shape, 4, 1, 5)


@EVERY
def test_samples_follow_the_law(name: str) -> None:
    process = PROCESSES[name]()
    k, law = process.alphabet_size, process(3)
    words = law.sample((20_000,), generator=torch.Generator().manual_seed(5))
    probability = law.log_prob(law.enumerate_support()).exp()
    counts = torch.bincount(words @ torch.tensor([k * k, k, 1]), minlength=k**3).double()
    assert counts[probability == 0].sum() == 0
    expected = 20_000 * probability[probability > 0]
    statistic = float(((counts[probability > 0] - expected) ** 2 / expected).sum())
    freedom = len(expected) - 1
    assert statistic < freedom + 5 * math.sqrt(2 * max(freedom, 1)) + 10


def test_samples_come_from_the_generator_alone() -> None:
    law = mess3()(7)
    first, second = (law.sample((9,), generator=torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, second)
    state = torch.random.get_rng_state()
    law.sample((9,), generator=torch.Generator().manual_seed(3))
    assert torch.equal(state, torch.random.get_rng_state())


def test_counts_of_allowed_words() -> None:
    assert [golden_mean()(T).support_size() for T in range(1, 7)] == [2, 3, 5, 8, 13, 21]
    before, now = 1, 2
    for _ in range(999):
        before, now = now, before + now
    assert golden_mean()(1000).support_size() == now
    assert mess3()(1000).support_size() == 3**1000
    contexts = [len(level.weights) for level in PrefixTree.from_law(even()(10)).levels]
    assert contexts == [1, 2, 4, 7, 12, 20, 33, 54, 88, 143]


def test_too_many_supports_fall_back_to_all_words() -> None:
    process = dense_process(14, 2, 0, zeros=0.93)
    size = process(40).support_size()
    assert size <= 2**40
    assert size >= process(12).support_size()


# The process.


def test_stationary_distribution() -> None:
    for seed in range(5):
        process = dense_process(6, 2, seed, zeros=0.8)
        torch.testing.assert_close(process.initial @ process.joint.sum(0), process.initial, atol=1e-16, rtol=1e-14)
    cycle = torch.roll(torch.eye(4, dtype=torch.double), 1, 1)
    assert stationary_distribution(cycle).tolist() == [0.25] * 4
    rare = torch.tensor([[1 - 1e-200, 1e-200], [0.5, 0.5]], dtype=torch.double)
    assert math.isclose(float(stationary_distribution(rare)[1]), 2e-200, rel_tol=1e-12)


def test_recurrent_classes() -> None:
    chain = torch.tensor([[0.5, 0.25, 0.25, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    assert sorted(states.tolist() for states in recurrent_classes(chain)) == [[1, 2], [3]]


BAD = {
    "two dimensions": ([[0.5, 0.5], [1, 0]], r"shape \(k, S, S\)"),
    "one symbol": ([[[1.0]]], "k >= 2"),
    "not square": ([[[0.5, 0.0]], [[0.5, 0.0]]], r"shape \(k, S, S\)"),
    "ragged": ([[[0.5]], [[0.5, 0.0]]], "rectangular"),
    "NaN": ([[[0.5]], [[math.nan]]], r"nan at index \(1, 0, 0\)"),
    "infinite": ([[[0.5]], [[math.inf]]], "finite"),
    "negative": ([[[1.5]], [[-0.5]]], r"-0.5 at index \(1, 0, 0\)"),
    "row sum": ([[[0.5, 0.0], [0.0, 0.5]], [[0.0, 0.5], [0.4, 0.0]]], r"0.9 for s = 1"),
    "reducible": ([[[0.5, 0.0], [0.5, 0.0]], [[0.5, 0.0], [0.0, 0.5]]], "state 0, which never leads to state 1"),
    "text": ("even", "joint"),
    "booleans": ([[[True]], [[False]]], "bool"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_matrices(kind: str) -> None:
    joint, message = BAD[kind]
    with pytest.raises(InputError, match=message):
        Process(joint)  # type: ignore[arg-type]


def test_single_precision_is_made_exact() -> None:
    process = Process(torch.tensor([[[0.1, 0.2], [0.3, 0.0]], [[0.3, 0.4], [0.0, 0.7]]]))
    assert process.joint.dtype == torch.double
    torch.testing.assert_close(process.joint.sum((0, 2)), torch.ones(2).double(), atol=1e-15, rtol=0)


def test_casts_keep_the_truth_exact() -> None:
    process, before = mess3(), mess3().joint
    for cast in (process.float(), process.half(), process.to(torch.float32), process.to("cpu")):
        assert cast is process
        assert torch.equal(cast.joint, before)
        assert cast(3).log_prob(torch.tensor([0, 1, 2])).dtype == torch.double
    assert process.to("meta").joint.is_meta


def test_files_hold_what_is_checked() -> None:
    process = mess3()
    blank = Process.blank(**process.configuration())
    blank.load_state_dict(process.state_dict())
    assert torch.equal(blank.joint, process.joint)
    assert repr(blank) == repr(process) == "Process('mess3(x=0.05, a=0.85)', k=3, states=3)"
    wrong = {**process.state_dict(), "initial": torch.tensor([0.5, 0.3, 0.2]).double()}
    with pytest.raises(InputError, match="stationary"):
        blank.load_state_dict(wrong)
    with pytest.raises(InputError, match="sum to 1"):
        blank.load_state_dict({**process.state_dict(), "joint": process.joint * 2})
    with pytest.raises(InputError, match="float64"):
        blank.load_state_dict({**process.state_dict(), "joint": process.joint.float()})


def test_parameter_counts() -> None:
    assert golden_mean().parameter_count(10) == (8, 1)
    assert mess3().parameter_count(1) == (27, 24)
    assert random_machine(7, 3, seed=2).parameter_count(5).stored == 3 * 49


@pytest.mark.parametrize("duration", [0, -1, 2.0, True, None])
def test_bad_durations(duration: object) -> None:
    with pytest.raises(InputError, match="duration"):
        even()(duration)
    with pytest.raises(InputError, match="duration"):
        even().conditional_entropies(duration)  # type: ignore[arg-type]


def test_no_context_or_inputs() -> None:
    with pytest.raises(InputError, match="context"):
        even()(3, context=torch.zeros(1, 2))


def test_parse() -> None:
    assert torch.equal(parse("mess3(x=0.1, a=0.8)").joint, mess3(0.1, 0.8).joint)
    for name in sorted(PROCESSES):  # a process's name builds it again
        process = PROCESSES[name]()
        assert torch.equal(parse(process.name).joint, process.joint)
    with pytest.raises(InputError, match=r"golden-mean.*did you mean 'golden-mean'"):
        parse("golden-men")
    with pytest.raises(InputError, match=r"x=0.05, a=0.85"):
        parse("mess3(y=1)")
    with pytest.raises(InputError, match="process"):
        parse("mess3(x=__import__('os'))")


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu() -> None:
    here, there = mess3(), mess3().to("cuda")
    words = there(20).sample((50,), generator=torch.Generator("cuda").manual_seed(0))
    assert words.is_cuda
    torch.testing.assert_close(there(20).log_prob(words).cpu(), here(20).log_prob(words.cpu()))
    assert math.isclose(there.entropy_rate(), here.entropy_rate(), abs_tol=1e-10)
