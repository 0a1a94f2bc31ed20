"""The named processes: their matrices by hand, their values to the digits known, and their arguments."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.special import digamma

from pgm_rnn import processes
from pgm_rnn.checks import InputError
from pgm_rnn.processes import PROCESSES, Process

BIT = math.log(2)


def coin(p: float) -> float:
    """H2(p) in nats."""
    return -sum(q * math.log(q) for q in (p, 1 - p) if q)


RATES = [
    (processes.biased_coin(0.3), 0.6108643021, 1e-10),
    (processes.periodic("0110"), 0.0, 1e-15),
    (processes.golden_mean(), 2 / 3 * BIT, 1e-14),
    (processes.golden_mean(0.7), coin(0.7) / 1.3, 1e-14),
    (processes.golden_mean(0.0), 0.0, 1e-15),
    (processes.even(0.2), coin(0.2) / 1.8, 1e-14),
    (processes.rrxor(), 2 / 3 * BIT, 1e-14),
    (processes.zero_one_random(), BIT / 3, 1e-14),
    (processes.mess3(), 0.79345754574, 6e-12),
    (processes.simple_nonunifilar(), 0.677867181055 * BIT, 6e-13),
    (processes.noisy_random_phase_slip(), BIT / 2, 1e-14),
    (processes.nemo(), 0.75 * BIT, 1e-14),
]
COMPLEXITIES = [
    (processes.biased_coin(0.3), 0.0, 1e-15),
    (processes.periodic("00101"), math.log(5), 1e-14),
    (processes.periodic("0101"), math.log(2), 1e-14),
    (processes.golden_mean(), 0.9182958341 * BIT, 1e-10),
    (processes.even(0.2), coin(1 / 1.8), 1e-14),
    (processes.even(0.0), 0.0, 1e-15),
    (processes.rrxor(), math.log(3) + 2 / 3 * BIT, 1e-14),
    (processes.zero_one_random(), math.log(3), 1e-14),
    (processes.simple_nonunifilar(), 2.7114687 * BIT, 6e-8),
    (processes.noisy_random_phase_slip(), 2.251629167 * BIT, 1e-9),
    (processes.nemo(), 1.5 * BIT, 1e-14),
]
EXCESSES = [
    (processes.biased_coin(0.3), 0.0, 1e-15),
    (processes.periodic("00101"), math.log(5), 1e-11),
    (processes.golden_mean(), 0.2516291674 * BIT, 6e-11),
    (processes.even(0.2), coin(1 / 1.8), 1e-10),
    (processes.rrxor(), math.log(3) + 2 / 3 * BIT, 1e-10),
]
ENTROPIES = [
    (processes.even(), [0.63651417, 0.60593916, 0.54930614, 0.53401864, 0.50570213, 0.49805838], 1.0),
    (processes.zero_one_random(), [1, 0.9182958341, 2 / 3, 1 / 3, 1 / 3, 1 / 3], BIT),
    (processes.mess3(), [1.09861229, 0.85771898, 0.81335568, 0.79811761], 1.0),
]


@pytest.mark.parametrize(("process", "rate", "digits"), RATES, ids=str)
def test_entropy_rates(process: Process, rate: float, digits: float) -> None:
    assert math.isclose(process.entropy_rate(), rate, abs_tol=digits)


@pytest.mark.parametrize(("process", "complexity", "digits"), COMPLEXITIES, ids=str)
def test_statistical_complexities(process: Process, complexity: float, digits: float) -> None:
    assert math.isclose(process.statistical_complexity(), complexity, abs_tol=digits)


@pytest.mark.parametrize(("process", "excess", "digits"), EXCESSES, ids=str)
def test_excess_entropies(process: Process, excess: float, digits: float) -> None:
    assert math.isclose(process.excess_entropy(), excess, abs_tol=digits)


@pytest.mark.parametrize(("process", "values", "unit"), ENTROPIES, ids=str)
def test_conditional_entropies(process: Process, values: list[float], unit: float) -> None:
    expected = torch.tensor(values, dtype=torch.double) * unit
    torch.testing.assert_close(process.conditional_entropies(len(values)), expected, atol=6e-9, rtol=0)


@pytest.mark.parametrize(
    ("process", "word", "probability"),
    [
        (processes.even(), [0, 1, 1, 0], 1 / 12),
        (processes.even(), [1, 1, 1, 1], 1 / 4),
        (processes.golden_mean(), [1, 0, 1, 1], 1 / 6),
        (processes.periodic([0, 2, 1]), [2, 1, 0], 1 / 3),
        (processes.nemo(0.25), [0, 0, 0], None),
    ],
    ids=str,
)
def test_word_probabilities(process: Process, word: list[int], probability: float | None) -> None:
    if probability is None:  # nemo, p = 1/4, q = 1/2: pi = (4, 3, 3) / 10; A0B0C.5 0, B0C.5 0A.75 0, C.5 0A.75 0B.. 0
        probability = 0.4 * 0.75 * 0.5 + 0.3 * 0.5 * 0.75 + 0.3 * 0.5 * 0.75
    assert math.isclose(float(process(len(word)).log_prob(torch.tensor(word)).exp()), probability, rel_tol=1e-13)


def test_orders() -> None:
    """Golden mean is a chain of order 1, so its entropies stop falling there; those of even never do."""
    golden = processes.golden_mean(0.3)
    torch.testing.assert_close(golden.conditional_entropies(6)[1:], torch.full((5,), golden.entropy_rate()).double())
    assert bool((processes.even().conditional_entropies(30).diff() < -1e-7).all())
    chain = processes.random_markov(3, 2, seed=4)
    entropies = chain.conditional_entropies(5)
    torch.testing.assert_close(entropies[2:], torch.full((3,), chain.entropy_rate()).double())
    assert entropies[1] > entropies[2] + 1e-4


def test_divergence_of_two_golden_means() -> None:
    words = processes.golden_mean()(10).enumerate_support()
    p, q = (processes.golden_mean(v)(10).log_prob(words) for v in (0.5, 0.6))
    allowed = torch.isfinite(p)
    assert math.isclose(float((p.exp() * (p - q))[allowed].sum()), 0.127854296, abs_tol=6e-10)


def test_markov_rows() -> None:
    rows = torch.tensor([[0.2, 0.8], [0.5, 0.5], [0.9, 0.1], [0.4, 0.6]], dtype=torch.double)  # after 00 01 10 11
    for shaped in (rows, rows.reshape(2, 2, 2), rows.numpy(), rows.tolist()):
        process = processes.markov(shaped)
        words = process(5).enumerate_support()
        p = process(5).log_prob(words).exp()
        for word, probability in zip(words.tolist(), p.tolist(), strict=True):
            start = process(2).log_prob(torch.tensor(word[:2])).exp().item()
            expected = start * math.prod(rows[2 * word[t - 2] + word[t - 1], word[t]].item() for t in range(2, 5))
            assert math.isclose(probability, expected, rel_tol=1e-12)
    assert processes.markov([0.2, 0.3, 0.5]).entropy_rate() == pytest.approx(1.0296530140645737)


def test_markov_leaves_out_contexts_that_do_not_come_back() -> None:
    rows = [[[0.5, 0.5], [0.0, 1.0]], [[0.0, 1.0], [0.5, 0.5]]]  # after 10 and 01 comes 1: 00 is never seen again
    assert processes.markov(rows).joint.shape == (2, 3, 3)
    with pytest.raises(InputError, match="one class of contexts"):
        processes.markov([[1.0, 0.0], [0.0, 1.0]])


def test_random_rows_are_dirichlet() -> None:
    """The mean entropy of a row is psi(k a + 1) - psi(a + 1)."""
    rows = torch.cat([processes.random_markov(3, 1, 0.7, seed).joint.sum(-1).mT for seed in range(400)])
    mean = torch.special.entr(rows).sum(-1)
    error = float(mean.std()) / math.sqrt(len(mean))
    assert abs(float(mean.mean()) - (digamma(3 * 0.7 + 1) - digamma(1.7))) < 4 * error


@pytest.mark.parametrize("seed", range(20))
def test_random_machines_are_unifilar(seed: int) -> None:
    process = processes.random_machine(6, 3, seed)
    assert process.joint.shape == (3, 6, 6)
    assert int((process.joint > 0).sum(-1).max()) == 1


def test_seeds() -> None:
    for draw in (processes.random_markov, processes.random_machine):
        assert torch.equal(draw(seed=5).joint, draw(seed=5).joint)
        assert not torch.equal(draw(seed=5).joint, draw(seed=6).joint)


def test_every_argument_has_a_default() -> None:
    for name, constructor in PROCESSES.items():
        for parameter in inspect.signature(constructor).parameters.values():
            assert parameter.default is not parameter.empty, name
        assert constructor.__name__ == name.replace("-", "_")
        assert getattr(processes, constructor.__name__) is constructor
        assert name in constructor().name


BAD: list[tuple[Callable[[], Process], str]] = [
    (lambda: processes.golden_mean(1.0), "irreducible"),
    (lambda: processes.golden_mean(1.5), "^p: expected a number"),
    (lambda: processes.golden_mean(math.nan), "^p"),
    (lambda: processes.even("0.5"), "^p"),  # type: ignore[arg-type]
    (lambda: processes.mess3(x=0.0), "irreducible"),
    (lambda: processes.mess3(x=0.6), "^x"),
    (lambda: processes.mess3(a=-0.1), "^a"),
    (lambda: processes.nemo(q=2), "^q"),
    (lambda: processes.periodic(""), "^word"),
    (lambda: processes.periodic("01a"), "^word"),
    (lambda: processes.periodic([0.5]), "^word"),  # type: ignore[list-item]
    (lambda: processes.periodic([-1, 0]), "^word"),
    (lambda: processes.periodic(7), "^word"),  # type: ignore[arg-type]
    (lambda: processes.markov([[0.5, 0.6], [0.5, 0.5]]), r"^rows.*after context \(0,\)"),
    (lambda: processes.markov([[0.5, 0.5]] * 3), "^rows: expected shape"),
    (lambda: processes.markov(0.5), "^rows"),  # type: ignore[arg-type]
    (lambda: processes.markov([[1.0]]), "^rows"),
    (lambda: processes.markov([[math.nan, 1.0], [0.5, 0.5]]), "^rows: expected finite"),
    (lambda: processes.random_markov(1), "^k"),
    (lambda: processes.random_markov(4, 20), "^order: expected at most"),
    (lambda: processes.random_markov(4, 10**30), "^order: expected at most"),
    (lambda: processes.periodic("01" * 10**4), "^word: expected at most"),
    (lambda: processes.random_markov(concentration=0), "^concentration"),
    (lambda: processes.random_markov(seed=-1), "^seed"),
    (lambda: processes.random_machine(0), "^states"),
    (lambda: processes.random_machine(10**6), "^states: expected at most"),
    (lambda: processes.random_machine(k=1), "^k"),
]


@pytest.mark.parametrize(("build", "message"), BAD, ids=lambda part: part if isinstance(part, str) else "")
def test_bad_arguments(build: Callable[[], Process], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build()


def test_numbers_of_any_kind_are_arguments() -> None:
    for p in (np.float32(0.25), torch.tensor(0.25), 0.25):
        assert processes.even(p).name == "even(p=0.25)"  # type: ignore[arg-type]
