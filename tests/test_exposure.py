"""Exposure bias against plain enumeration over words, and what must hold of it exactly."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from families import randomise

from pgm_rnn import InputError, models, processes, score
from pgm_rnn.exposure import exposure_bias
from pgm_rnn.family import Family


def probability(family: Family, word: tuple[int, ...]) -> float:
    return float(family.double()(len(word)).log_prob(torch.tensor(word)).detach().exp()) if word else 1.0


def by_enumeration(model: Family, process: Family, duration: int) -> np.ndarray:
    """``(T, 3)``: after true words, after own words that the truth allows, and own mass outside, word by word."""
    rows = []
    for length in range(duration):
        true = own = inside = 0.0
        for prefix in itertools.product(range(process.alphabet_size), repeat=length):
            p, q = probability(process, prefix), probability(model, prefix)
            if p == 0:
                continue
            divergence = 0.0
            for symbol in range(process.alphabet_size):
                p_next = probability(process, (*prefix, symbol)) / p
                if p_next:
                    divergence += p_next * math.log(p_next * q / probability(model, (*prefix, symbol)))
            true, own, inside = true + p * divergence, own + q * divergence, inside + q
        rows.append((true, own / inside, 1 - inside))
    return np.array(rows)


def network(k: int, replicates: int | None = None) -> models.Recurrent:
    model = models.Recurrent(k, 3, replicates=replicates).double()
    randomise(model)
    return model


@pytest.mark.parametrize("process", [processes.even(), processes.golden_mean(), processes.mess3()], ids=repr)
def test_every_horizon_is_the_sum_over_words(process: processes.Process) -> None:
    T = 4 if process.alphabet_size == 3 else 6
    model = network(process.alphabet_size)
    found = exposure_bias(model, process, T)
    ours = torch.stack([found.after_true, found.after_own, found.mass_outside], -1)
    np.testing.assert_allclose(ours, by_enumeration(model, process, T), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(found.bias, found.after_own - found.after_true)


def test_after_true_words_it_is_the_score() -> None:
    model = network(2)
    by_position = score(model, processes.even(), 8).divergence_by_position
    torch.testing.assert_close(exposure_bias(model, processes.even(), 8).after_true, by_position, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("process", [processes.even(), processes.mess3()], ids=repr)
def test_the_truth_has_none(process: processes.Process) -> None:
    found = exposure_bias(process, process, 6)
    for numbers in (found.after_true, found.after_own, found.mass_outside, found.unrestricted):
        assert float(numbers.abs().max()) < 1e-14


def test_at_the_first_horizon_there_is_no_past_and_no_bias() -> None:
    found = exposure_bias(network(2), processes.golden_mean(), 3)
    assert float(found.bias[0]) == 0.0
    assert float(found.mass_outside[0]) == float(found.mass_outside[1]) == 0.0  # 0 and 1 are both possible


def test_unrestricted_only_where_no_word_was_left_out() -> None:
    full, cut = (exposure_bias(network(p.alphabet_size), p, 5) for p in (processes.mess3(), processes.even()))
    assert torch.equal(full.unrestricted, full.bias)
    assert float(full.mass_outside.max()) == 0.0
    assert cut.unrestricted.isnan().tolist() == [False, False, False, True, True]  # 010 is the first forbidden word


def test_tiny_masses_do_not_drown_in_rounding() -> None:
    """A model that leaves the support with probability 1e-30 says so; one minus the rest would be zero."""
    chain = models.Markov(2, 1, pseudocount=0.0)
    with torch.no_grad():
        chain.logits.copy_(torch.tensor([[0.0, 0.0], [math.log(1e-30), 0.0], [0.0, 0.0]]))  # 00 is forbidden
    found = exposure_bias(chain, processes.golden_mean(), 3)
    assert float(found.mass_outside[2]) == pytest.approx(0.5e-30, rel=1e-6)


def test_own_words_may_be_the_easier_ones() -> None:
    """A model that is wrong after 1 alone, and writes 0 instead: its own words flatter it."""
    coin = processes.biased_coin(0.5)
    chain = models.Markov(2, 1, pseudocount=0.0)
    with torch.no_grad():
        chain.logits.copy_(torch.tensor([[3.0, 0.0], [0.0, 0.0], [3.0, 0.0]]))
    assert float(exposure_bias(chain, coin, 4).bias[1]) < -0.1


def test_what_the_model_forbids_is_infinite() -> None:
    found = exposure_bias(processes.golden_mean(), processes.biased_coin(0.5), 3)
    assert torch.isfinite(found.after_true).tolist() == [True, False, False]
    assert torch.isfinite(found.after_own).tolist() == [True, False, False]
    assert found.bias.isnan().tolist() == [False, True, True]
    assert float(found.mass_outside.max()) == 0.0  # the coin allows every word


def test_replicates_are_what_they_are_alone() -> None:
    model = network(2, replicates=3)
    together = exposure_bias(model, processes.even(), 7)
    for r in range(3):
        alone = exposure_bias(model.replicate(r), processes.even(), 7)
        for name in ("after_true", "after_own", "mass_outside"):
            torch.testing.assert_close(getattr(together, name)[r], getattr(alone, name), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: exposure_bias(network(2), processes.mess3(), 4), "model: expected alphabet_size 3"),
        (
            lambda: exposure_bias(network(2), network(2, replicates=2), 4),
            "process: expected a truth without replicates",
        ),
        (lambda: exposure_bias(network(2), processes.biased_coin(), 40), "duration: expected at most"),
        (lambda: exposure_bias(network(2, replicates=9), processes.biased_coin(), 20), "duration: expected at most"),
        (lambda: exposure_bias(network(2), processes.even(), 0), "duration: expected an integer of at least 1"),
        (lambda: exposure_bias("rnn", processes.even(), 3), "model: expected a model or a process"),
    ],
)
def test_refusals(call, says: str) -> None:
    with pytest.raises(InputError) as caught:
        call()
    assert says in str(caught.value)
