"""Beyond the words trained on: loss above the floor by position, and distances of states, against plain enumeration."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from pgm_rnn import InputError, fit, models, processes
from pgm_rnn.extrapolation import Octave, drift, excess, worst_octave


def states_by_hand(model: models.Recurrent, word: tuple[int, ...]) -> list[np.ndarray]:
    """h_1 .. h_(n+1) after each prefix of a word of n symbols, in numpy."""
    U, W, b = (getattr(model, name).detach().double().numpy() for name in ("U", "W", "b"))
    states = [np.tanh(b)]
    for symbol in word:
        states.append(np.tanh(b + U[:, symbol] + W @ states[-1]))
    return states


def probability(process: processes.Process, word: tuple[int, ...]) -> float:
    belief = process.initial.numpy()
    for symbol in word:
        belief = belief @ process.joint[symbol].numpy()
    return float(belief.sum())


@pytest.mark.parametrize("replicates", [None, 2])
def test_drift_is_the_distance_to_the_nearest_state_of_a_shorter_prefix_in_training(replicates: int | None) -> None:
    """On the words that drift samples itself: prefixes, states, spread and nearest neighbours all listed in numpy."""
    process, T, steps, count = processes.golden_mean(), 4, [2, 3, 4, 5, 9], 20
    model = models.Recurrent(2, 3, replicates=replicates)
    words = process(9).sample((count,), generator=torch.Generator().manual_seed(7)).tolist()
    measured = drift(model, process, T, steps, num_sequences=count, seed=7).reshape(replicates or 1, -1)
    for r in range(replicates or 1):
        alone = model if replicates is None else model.replicate(r)
        visited = [
            (n, probability(process, word), states_by_hand(alone, word)[-1])
            for n in range(T)
            for word in product(range(2), repeat=n)
            if probability(process, word) > 0
        ]
        centre = sum(p * h for _, p, h in visited) / T
        spread = np.sqrt(sum(p * ((h - centre) ** 2).sum() for _, p, h in visited) / T)
        for column, t in enumerate(steps):
            squares = []
            for word in words:
                h = states_by_hand(alone, tuple(word))[t - 1]
                squares.append(min(((h - other) ** 2).sum() for n, _, other in visited if n < t - 1))
            assert float(measured[r, column]) == pytest.approx(np.sqrt(np.mean(squares)) / spread, rel=1e-9)


def test_states_that_training_visited_already_do_not_drift() -> None:
    """Of a process with two beliefs every later belief is one of them; the network's states are another matter."""
    even = processes.even()
    known = drift(models.Recurrent(2, 2), even, 3, [2, 40])
    assert bool((known > 0).all())
    forgetful = models.Recurrent(2, 2)
    with torch.no_grad():
        forgetful.W.zero_()  # h_t is a function of the last symbol: nothing is new from t = 3 on
    new = drift(forgetful, even, 3, [2, 3, 40])
    assert float(new[0]) > 0.1
    torch.testing.assert_close(new[1:], torch.zeros(2, dtype=torch.double), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: drift(models.Recurrent(2, 2), processes.even(), 1, [2]), "trained: expected"),
        (lambda: drift(models.Recurrent(2, 2), processes.even(), 3, [1]), "steps: expected"),
        (lambda: drift(models.Markov(2, 1), processes.even(), 3, [4]), "a family with a mediator"),
        (lambda: drift(constant(), processes.even(), 3, [4]), "states that differ"),
        (lambda: excess(models.Tabular(2, 4), processes.even(), 5, 4), "at most 4, the table's own"),
    ],
)
def test_refusals(call, says: str) -> None:
    with pytest.raises(InputError, match=r"expected .*, got ") as caught:
        call()
    assert says in str(caught.value)


def constant() -> models.Recurrent:
    model = models.Recurrent(2, 2)
    with torch.no_grad():
        model.W.zero_()
        model.U.zero_()
    return model


def test_excess_of_a_window_is_what_it_forgets() -> None:
    """A chain of order 3 from words of 4 symbols: H(y_4 | y_<4) - H(y_t | y_<t), exact at first and sampled beyond."""
    process, T = processes.even(), 40
    chain = fit(models.Markov(2, 3), process(4)).model
    nats, error = excess(chain, process, T, exact=9, num_sequences=3000)
    h = process.conditional_entropies(T)
    expected = (h[3] - h).clamp(min=0.0)
    expected[:4] = 0.0
    assert float((nats[:9] - expected[:9]).abs().max()) < 1e-12
    assert not bool(error[:9].any())
    assert bool((error[9:] > 0).all())
    assert bool(((nats - expected).abs() <= 4 * error + 1e-12).all())


def test_short_words_are_exact_throughout() -> None:
    model = models.Recurrent(2, 2, replicates=3)
    nats, error = excess(model, processes.even(), 4, exact=12, num_sequences=2)
    assert nats.shape == error.shape == (3, 4)
    assert not bool(error.any())


def test_octaves_start_behind_training_and_end_with_the_word() -> None:
    errors = torch.full((20,), 0.5)
    loses_at_the_end = torch.tensor([9.0] * 3 + [0.0] * 14 + [1.0] * 3)  # what is trained does not count
    assert worst_octave(loses_at_the_end, errors, 3) == Octave(13, 20, 0.375, 0.5)
    loses_between = torch.tensor([0.0] * 6 + [1.0] * 6 + [0.9] * 8)
    assert worst_octave(loses_between, errors, 3) == Octave(7, 12, 1.0, 0.5)
