"""Entropies, excess entropy and complexity of any machine, against enumeration, the resolvent and each other."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_processes import dense_process

from pgm_rnn import processes
from pgm_rnn.checks import InputError
from pgm_rnn.prefix_tree import PrefixTree
from pgm_rnn.processes import Process, mixed_states
from pgm_rnn.processes.chains import is_unifilar, lump
from pgm_rnn.processes.mixed_states import presentation


def enumerated(process: Process, duration: int, start: np.ndarray) -> list[float]:
    """H(y_t | y_<t) for t = 1..T from all words, started with belief ``start``."""
    joint, blocks = process.joint.numpy(), [0.0]
    for t in range(1, duration + 1):
        total = 0.0
        for word in itertools.product(range(len(joint)), repeat=t):
            vector = start
            for symbol in word:
                vector = vector @ joint[symbol]
            total -= vector.sum() * math.log(vector.sum()) if vector.sum() > 0 else 0.0
        blocks.append(total)
    return np.diff(blocks).tolist()


def doubled(process: Process) -> Process:
    """The same words from twice the states: every edge leads to either copy of its end, unevenly."""
    copy = torch.tensor([[0.3, 0.7], [0.7, 0.3]], dtype=torch.double)
    return Process(torch.stack([torch.kron(matrix, copy) for matrix in process.joint]))


@settings(max_examples=15, deadline=None)
@given(states=st.integers(1, 4), k=st.integers(2, 3), seed=st.integers(0, 10**6))
def test_any_machine_against_all_words(states: int, k: int, seed: int) -> None:
    process = dense_process(states, k, seed)
    expected = enumerated(process, 5, process.initial.numpy())
    assert process.conditional_entropies(5).tolist() == pytest.approx(expected, abs=1e-12)
    assert process.block_entropy(5) == pytest.approx(sum(expected), abs=1e-12)
    low, high = process.entropy_rate_bracket(5)
    told = [enumerated(process, 5, row)[-1] for row in np.eye(states)]
    assert high == pytest.approx(expected[-1], abs=1e-12)
    assert low == pytest.approx(float(process.initial.numpy() @ told), abs=1e-12) or is_unifilar(lump(process.joint))
    rate, tolerance = rate_that_can_be_had(process)
    assert low - tolerance <= rate <= high + tolerance


def rate_that_can_be_had(process: Process) -> tuple[float, float]:
    """The entropy rate to 1e-6, or else to the tolerance that the refusal names."""
    try:
        return process.entropy_rate(tolerance=1e-6), 1e-6
    except InputError as refusal:
        tolerance = float(str(refusal).rpartition("pass tolerance=")[2])
    return process.entropy_rate(tolerance=tolerance), tolerance


@pytest.mark.parametrize("seed", range(6))
def test_bracket_closes_monotonically(seed: int) -> None:
    process = dense_process(3, 2, seed, zeros=0.2)
    brackets = [process.entropy_rate_bracket(T) for T in range(1, 15)]
    lows, highs = zip(*brackets, strict=True)
    assert all(later >= earlier - 1e-13 for earlier, later in itertools.pairwise(lows))
    assert all(later <= earlier + 1e-13 for earlier, later in itertools.pairwise(highs))
    assert lows[-1] - 1e-10 <= process.entropy_rate() <= highs[-1] + 1e-10


@pytest.mark.parametrize(("x", "a"), [(0.05, 0.85), (0.15, 0.6), (0.1, 0.9)])
def test_extrapolated_rate_lies_in_a_later_bracket(x: float, a: float) -> None:
    process = processes.mess3(x, a)
    low, high = process.entropy_rate_bracket(11)
    assert low < process.entropy_rate() < high
    assert high - low < 1e-4


def test_long_durations_are_quick_where_beliefs_are_few() -> None:
    for process in (processes.even(), processes.golden_mean(), processes.rrxor(), processes.simple_nonunifilar()):
        entropies = process.conditional_entropies(200)
        assert entropies.shape == (200,)
        assert entropies.dtype == torch.double
        assert float(entropies[-1]) == pytest.approx(process.entropy_rate(), abs=1e-6)
        assert bool((entropies.diff() < 1e-13).all())


@pytest.mark.parametrize("seed", range(4))
def test_entropies_of_the_prefix_tree(seed: int) -> None:
    process = processes.random_machine(6, 2, seed)
    tree = PrefixTree.from_law(process(9))
    torch.testing.assert_close(process.conditional_entropies(9), tree.entropies(), atol=1e-12, rtol=0)


# Excess entropy and statistical complexity.


def resolvent(process: Process) -> float:
    """E from the mixed-state presentation: start (I - P + 1 mu)^-1 (entropies - h)."""
    joint = presentation(process.joint).numpy()
    chain, n = joint.sum(0), joint.shape[1]
    values, vectors = np.linalg.eig(chain.T)
    stationary = np.real(vectors[:, np.argmin(abs(values - 1))])
    stationary = stationary / stationary.sum()
    rows = torch.special.entr(torch.from_numpy(joint.sum(-1))).sum(0).numpy()
    excess = np.linalg.solve(np.eye(n) - chain + np.outer(np.ones(n), stationary), rows - stationary @ rows)
    return float(excess[0])


@pytest.mark.parametrize(
    "process",
    [
        processes.golden_mean(0.3),
        processes.even(0.7),
        processes.rrxor(),
        processes.zero_one_random(),
        processes.simple_nonunifilar(0.4, 0.6),
        processes.noisy_random_phase_slip(),
        processes.random_markov(3, 2, seed=1),
        processes.random_machine(4, 2, seed=0),
    ],
    ids=lambda p: p.name,
)
def test_excess_entropy_by_the_resolvent(process: Process) -> None:
    assert process.excess_entropy() == pytest.approx(resolvent(process), abs=1e-9)


def test_rrxor_has_36_mixed_states() -> None:
    assert presentation(processes.rrxor().joint).shape == (2, 36, 36)


@pytest.mark.parametrize("process", [processes.even(), processes.rrxor(), processes.simple_nonunifilar()], ids=str)
def test_presentation_has_the_same_words(process: Process) -> None:
    unifilar = presentation(process.joint)
    assert is_unifilar(unifilar)
    for word in itertools.product(range(2), repeat=7):
        vector = torch.eye(unifilar.shape[1], dtype=torch.double)[0]
        for symbol in word:
            vector = vector @ unifilar[symbol]
        p = process(7).log_prob(torch.tensor(word)).exp()
        torch.testing.assert_close(vector.sum(), p, atol=1e-13, rtol=0)


@pytest.mark.parametrize(
    "process", [processes.even(0.3), processes.nemo(), processes.random_machine(5, 3, seed=2)], ids=lambda p: p.name
)
def test_superfluous_states_change_nothing(process: Process) -> None:
    twice = doubled(process)
    assert lump(twice.joint).shape == lump(process.joint).shape
    assert twice.statistical_complexity() == pytest.approx(process.statistical_complexity(), abs=1e-12)
    assert twice.entropy_rate() == pytest.approx(process.entropy_rate(), abs=1e-12)
    assert twice.excess_entropy() == pytest.approx(process.excess_entropy(), abs=1e-9)


def test_complexity_by_hidden_runs() -> None:
    """Simple nonunifilar, p = q = 1/2: the causal state counts the ones since 0, n with probability ~ (n + 1) 2^-n."""
    weights = np.array([(n + 1) * 0.5**n for n in range(200)])
    weights /= weights.sum()
    expected = -(weights * np.log(weights, where=weights > 0, out=np.zeros(200))).sum()
    assert processes.simple_nonunifilar().statistical_complexity() == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("seed", range(5))
def test_excess_entropy_is_no_more_than_complexity(seed: int) -> None:
    process = processes.random_machine(4, 2, seed)
    assert -1e-12 <= process.excess_entropy() <= process.statistical_complexity() + 1e-9


@pytest.fixture
def small_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixed_states, "MAX_NUMBERS", 2**15)


def test_uncountable_causal_states_are_refused() -> None:
    with pytest.raises(InputError, match=r"1,024 mixed states.*whole past"):
        processes.mess3().statistical_complexity()
    with pytest.raises(InputError, match=r"1,024 mixed states"):  # although it forgets quickly
        processes.mess3(0.33, 0.4).statistical_complexity()


@pytest.mark.usefixtures("small_budget")
@pytest.mark.parametrize("quantity", ["entropy_rate", "excess_entropy"])
def test_the_tolerance_that_an_error_names_can_be_had(quantity: str) -> None:
    process = processes.mess3(0.02, 0.7)
    with pytest.raises(InputError, match=rf"{quantity.replace('_', ' ')}.*no end in sight; pass tolerance=") as error:
        getattr(process, quantity)()
    tolerance = float(str(error.value).rpartition("=")[2])
    assert tolerance < 0.1
    assert math.isfinite(getattr(process, quantity)(tolerance=tolerance))


def test_excess_entropy_keeps_its_tolerance() -> None:
    fine = processes.mess3().excess_entropy(tolerance=1e-5)
    for tolerance in (1e-1, 1e-2, 1e-3):
        assert abs(processes.mess3().excess_entropy(tolerance) - fine) <= tolerance


@pytest.mark.usefixtures("small_budget")
def test_too_many_beliefs_are_refused() -> None:
    with pytest.raises(InputError, match=r"mixed states grow without end; use a smaller duration"):
        processes.mess3().block_entropy(40)


@pytest.mark.parametrize("tolerance", [0, -1, 2, math.nan, "small"])
def test_bad_tolerances(tolerance: object) -> None:
    with pytest.raises(InputError, match="tolerance"):
        processes.mess3().entropy_rate(tolerance)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="tolerance"):
        processes.even().excess_entropy(tolerance)  # type: ignore[arg-type]
