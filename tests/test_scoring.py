"""Scores against brute force, closed forms and known values; comparison with paired errors; tabulation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from pgm_rnn import InputError, Sequences, compare_models, fit, models, processes, score, tabulate
from pgm_rnn.family import Family
from pgm_rnn.theory import table_risk


def brute_force(model: Family, process: Family, duration: int) -> float:
    """KL by listing every word: no tree, no blocks."""
    words = torch.tensor(list(itertools.product(range(process.alphabet_size), repeat=duration)))
    p = process.double()(duration).log_prob(words)
    q = model.double()(duration).log_prob(words)
    real = torch.isfinite(p)
    return float((p[real].exp() * (p - q)[real]).sum().detach())


@pytest.mark.parametrize("process", [processes.even(), processes.mess3(0.1, 0.7), processes.rrxor()], ids=repr)
@pytest.mark.parametrize(
    "build", [lambda k: models.Recurrent(k, 3), lambda k: models.Markov(k, 2), lambda k: models.Tabular(k, 5)]
)
def test_exact_divergence_is_brute_force(process: processes.Process, build) -> None:
    model = build(process.alphabet_size)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()
    result = score(model, process, 5)
    assert result.divergence == pytest.approx(brute_force(model, process, 5), abs=1e-11)
    assert result.divergence == pytest.approx(result.cross_entropy - result.entropy, abs=1e-12)
    assert float(result.divergence_by_position.sum()) == pytest.approx(result.divergence, abs=1e-12)
    assert bool((result.divergence_by_position > -1e-14).all())
    assert (result.method, result.standard_error) == ("exact", 0.0)


@pytest.mark.parametrize("name", sorted(processes.PROCESSES))
def test_the_truth_scores_zero(name: str) -> None:
    process = processes.PROCESSES[name]()
    assert abs(score(process, process, 5).divergence) < 1e-12


@pytest.mark.parametrize(("order", "kl"), [(0, 1.127537379), (1, 0.852362273), (2, 0.399298175)])
def test_best_markov_models_of_even(order: int, kl: float) -> None:
    chain = fit(models.Markov(2, order), processes.even()(10)).model
    assert score(chain, processes.even(), 10).divergence == pytest.approx(kl, abs=1e-9)
    h = processes.even().conditional_entropies(10)
    assert kl == pytest.approx(float((h[order] - h[order + 1 :]).sum()), abs=1e-9)


def test_golden_mean_against_another() -> None:
    value = score(processes.golden_mean(0.6), processes.golden_mean(0.5), 10).divergence
    assert value == pytest.approx(0.127854296, abs=1e-9)


def test_a_forbidden_word_costs_everything() -> None:
    assert score(processes.golden_mean(), processes.biased_coin(), 4).divergence == math.inf
    few = score(processes.golden_mean(), processes.biased_coin(), 4, num_sequences=100)
    assert few.divergence == math.inf


def test_monte_carlo_brackets_the_exact_value() -> None:
    model = models.Recurrent(2, 3)
    exact = score(model, processes.even(), 8)
    drawn = score(model, processes.even(), 8, num_sequences=4000, seed=1)
    assert drawn.method == "monte-carlo"
    assert abs(drawn.divergence - exact.divergence) < 4 * drawn.standard_error
    unpaired = float(drawn.cross_entropy) - exact.entropy
    assert 0 < drawn.standard_error < abs(unpaired)
    np.testing.assert_allclose(drawn.divergence_by_position.sum(), drawn.divergence)


def test_replicates_score_as_they_do_alone() -> None:
    model = models.Recurrent(2, 3, replicates=3)
    together = score(model, processes.even(), 6)
    for r in range(3):
        assert float(together.divergence[r]) == pytest.approx(
            score(model.replicate(r), processes.even(), 6).divergence, abs=1e-12
        )
    assert together.divergence_by_position.shape == (3, 6)


def test_words_without_a_truth() -> None:
    words = Sequences(torch.randint(2, (40, 5), generator=torch.Generator().manual_seed(0)), 2)
    model = models.Recurrent(2, 3)
    result = score(model, words)
    losses = -model.double()(5).log_prob(words.symbols)
    assert result.cross_entropy == pytest.approx(float(losses.detach().mean()))
    assert result.standard_error == pytest.approx(float(losses.detach().std()) / 40**0.5)
    assert (result.divergence, result.method) == (None, "data")


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: score(models.Recurrent(4, 2), processes.random_markov(4, 2), 20), "num_sequences"),
        (lambda: score(models.Recurrent(3, 2), processes.even(), 4), "alphabet_size"),
        (lambda: score(models.Recurrent(2, 2), processes.even()), "duration: expected"),
        (lambda: score(models.Recurrent(2, 2), processes.even(), 0), "duration: expected"),
        (lambda: score(models.Recurrent(2, 2), processes.even(), 4, num_sequences=1), "num_sequences: expected"),
        (lambda: score(models.Recurrent(3, 2), Sequences([[0, 1]], 2)), "alphabet_size"),
        (lambda: tabulate(models.Recurrent(4, 2)(20)), "law: expected at most"),
        (lambda: compare_models({}, Sequences([[0, 1]], 2)), "at least one model"),
        (
            lambda: compare_models({"a": models.Markov(2, 1)}, Sequences([[0, 1]], 2), reference="b"),
            "reference: expected one of a",
        ),
        (lambda: compare_models({"a": models.Markov(2, 1, replicates=2)}, Sequences([[0, 1]], 2)), "replicate(r)"),
    ],
)
def test_refusals(call, says: str) -> None:
    with pytest.raises(InputError, match=r"expected .*, got ") as caught:
        call()
    assert says in str(caught.value)


def test_comparison_ranks_by_loss_with_paired_errors() -> None:
    process = processes.even()
    words = Sequences(process(6).sample((500,), generator=torch.Generator().manual_seed(0)), 2)
    ladder = {f"markov-{m}": fit(models.Markov(2, m), words).model for m in (0, 1, 3)}
    table = compare_models(ladder, words, process=process, reference="markov-1")
    assert table.loc["markov-1", "difference_nats_per_symbol"] == 0
    assert list(table["rank"]) == [1, 2, 3, 4]
    assert table["nats_per_symbol"].is_monotonic_increasing
    assert abs(table.loc["truth", "kl_nats_per_word"]) < 1e-12
    gaps = (ladder["markov-1"](6).log_prob(words.symbols) - ladder["markov-0"](6).log_prob(words.symbols)).detach() / 6
    assert table.loc["markov-0", "difference_nats_per_symbol"] == pytest.approx(float(gaps.mean()))
    assert table.loc["markov-0", "standard_error_nats_per_symbol"] == pytest.approx(float(gaps.std()) / 500**0.5)
    total = -float(ladder["markov-0"](6).log_prob(words.symbols).detach().sum())
    assert table.loc["markov-0", "aic_nats"] == pytest.approx(2 * 1 + 2 * total)
    assert table.loc["markov-0", "bic_nats"] == pytest.approx(math.log(500) * 1 + 2 * total)


def test_tables_from_theory() -> None:
    assert table_risk(processes.golden_mean(), 4, 100) == pytest.approx(0.0553640966, abs=1e-10)
    assert table_risk(processes.golden_mean(), 4, 100, pseudocount=0.0) == math.inf
    one_row = table_risk(processes.biased_coin(0.3), 1, 100)
    assert one_row == pytest.approx(0.00497905181, abs=1e-11)


def test_tables_from_theory_by_enumeration_of_counts() -> None:
    """One step, k = 3: every multinomial outcome, listed."""
    process, N, beta = processes.mess3(0.1, 0.6), 7, 0.5
    p = process(1).log_prob(torch.arange(3).unsqueeze(-1)).exp().tolist()
    risk = 0.0
    for a, b in itertools.product(range(N + 1), repeat=2):
        if a + b <= N:
            n = (a, b, N - a - b)
            ways = math.factorial(N) / math.prod(map(math.factorial, n))
            q = [(count + beta) / (N + 3 * beta) for count in n]
            risk += (
                ways
                * math.prod(x**c for x, c in zip(p, n, strict=True))
                * sum(x * math.log(x / y) for x, y in zip(p, q, strict=True))
            )
    assert table_risk(process, 1, N, beta) == pytest.approx(risk, abs=1e-12)


def test_theory_is_what_fits_cost_on_average() -> None:
    process, T, N = processes.golden_mean(), 3, 50
    sets = [Sequences(process(T).sample((N,), generator=torch.Generator().manual_seed(s)), 2) for s in range(400)]
    risks = score(fit(models.Tabular(2, T), sets).model, process, T).divergence
    error = float(risks.std()) / len(sets) ** 0.5
    assert abs(float(risks.mean()) - table_risk(process, T, N)) < 4 * error
