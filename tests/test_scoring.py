"""Scores against brute force, closed forms and known values; comparison with paired errors; tabulation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from pgm_rnn import (
    InputError,
    PrefixTree,
    Sequences,
    compare_models,
    count_parameters,
    fit,
    models,
    processes,
    score,
    tabulate,
    tree_layout,
)
from pgm_rnn.distribution import SequenceDistribution
from pgm_rnn.experiment import ladder
from pgm_rnn.family import Family
from pgm_rnn.theory import table_risk


def with_nan() -> models.Recurrent:
    model = models.Recurrent(2, 2)
    with torch.no_grad():
        model.W[0, 0] = torch.nan
    return model


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


@pytest.mark.parametrize("replicates", [None, 3])
def test_tables_are_filled_in_parts(replicates: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    law = models.Recurrent(3, 4, replicates=replicates).double()(5)
    whole = tabulate(law).logits
    monkeypatch.setattr(tree_layout, "GROW_LANES", 7)
    torch.testing.assert_close(tabulate(law).logits, whole, rtol=1e-12, atol=1e-12)
    words = law.enumerate_support()
    torch.testing.assert_close(tabulate(law).log_prob(words), law.log_prob(words), rtol=1e-10, atol=1e-10)


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
    """Infinite from the step on at which the model forbids what may follow, never NaN, and finite before."""
    exact = score(processes.golden_mean(), processes.biased_coin(), 4)
    few = score(processes.golden_mean(), processes.biased_coin(), 4, num_sequences=100)
    for result in (exact, few):
        assert result.divergence == result.cross_entropy == math.inf
        assert result.divergence_by_position.isinf().tolist() == [False, True, True, True]
    assert few.standard_error == math.inf
    assert few.standard_error_by_position.isinf().tolist() == [False, True, True, True]
    reverse = score(processes.biased_coin(), processes.golden_mean(), 4, num_sequences=100)
    assert math.isfinite(reverse.divergence)


@pytest.mark.parametrize("process", [processes.even(), processes.mess3(0.1, 0.7), processes.rrxor()], ids=repr)
@pytest.mark.parametrize("replicates", [None, 2])
def test_monte_carlo_brackets_the_exact_value(process: processes.Process, replicates: int | None) -> None:
    model = models.Recurrent(process.alphabet_size, 3, replicates=replicates)
    exact = score(model, process, 6)
    drawn = score(model, process, 6, num_sequences=4000, seed=1)
    assert drawn.method == "monte-carlo"
    assert bool((abs(torch.as_tensor(drawn.divergence - exact.divergence)) < 4 * drawn.standard_error).all())
    for name in ("cross_entropy", "entropy"):
        np.testing.assert_allclose(getattr(drawn, name), getattr(exact, name), atol=0.05)
    np.testing.assert_allclose(drawn.cross_entropy - drawn.entropy, drawn.divergence, atol=1e-12)
    by_position, errors = drawn.divergence_by_position, drawn.standard_error_by_position
    assert by_position.shape == errors.shape == exact.standard_error_by_position.shape
    assert bool(((by_position - exact.divergence_by_position).abs() <= 4 * errors + 1e-12).all())
    assert bool((errors[..., 0].abs() < 1e-12).all())  # before the first symbol there is nothing to sample
    assert not bool(exact.standard_error_by_position.any())
    np.testing.assert_allclose(by_position.sum(-1), drawn.divergence)


@pytest.mark.parametrize(("model", "gain"), [(models.Recurrent(2, 3), 1.0), (processes.even(0.52), 8.0)], ids=repr)
def test_conditional_divergences_are_the_log_ratios_without_their_noise(model: Family, gain: float) -> None:
    """On the same words: the mean of log P/Q within its own error, never negative, and less noisy near the truth."""
    process, count = processes.even(), 3000
    drawn = score(model, process, 8, num_sequences=count, seed=5)
    words = process(8).sample((count,), generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        ratios = process(8).conditional_log_probs(words) - model.double()(8).conditional_log_probs(words)
    errors = ratios.std(0) / count**0.5
    assert bool(((ratios.mean(0) - drawn.divergence_by_position).abs() < 4 * errors).all())
    assert bool((gain * drawn.standard_error_by_position < errors).all())
    assert gain * drawn.standard_error < float(ratios.sum(-1).std()) / count**0.5
    assert bool((drawn.divergence_by_position >= 0).all())


def test_long_words_are_scored_beyond_what_can_be_summed() -> None:
    """A chain of the wrong order at T = 256, where every position has a closed form: h_2 of the source less its h_t."""
    process, T = processes.even(), 256
    chain = fit(models.Markov(2, 1), process(8)).model
    drawn = score(chain, process, T, num_sequences=2000)
    entropies = process.conditional_entropies(T)
    expected = entropies[1] - entropies[1:]
    gaps = (drawn.divergence_by_position[1:] - expected).abs()
    assert bool((gaps <= 4 * drawn.standard_error_by_position[1:] + 1e-9).all())


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
        (
            lambda: compare_models({"a": models.Markov(2, 1)}, Sequences([[0, 1]], 2), reference=""),
            "reference: expected one of a",
        ),
        (lambda: Sequences([[0, 1]], 2**63), "alphabet_size: expected at most"),
        (lambda: models.Markov(2, 1, replicates=torch.tensor([1, 2])), "replicates: expected an integer"),
        (lambda: score(models.Recurrent(2, 2)(3), processes.even(), 3), "model: expected a model"),
        (lambda: score(models.Recurrent(2, 2), None, 3), "process: expected a model or a process"),
        (lambda: score(with_nan(), processes.even(), 3), "NaN in W"),
        (lambda: score(with_nan(), Sequences([[0, 1]], 2)), "NaN in W"),
        (lambda: PrefixTree.from_law(with_nan()(3)), "NaN"),
        (lambda: PrefixTree.from_law(processes.even()), "law: expected a law"),
        (lambda: score(models.Recurrent(2, 2), processes.even(), 3, num_sequences=9, seed=-1), "seed: expected"),
        (lambda: score(models.Recurrent(2, 2), processes.even(), 3, num_sequences=9, seed=2**70), "seed: expected"),
        (
            lambda: score(models.Recurrent(2, 2), models.Recurrent(2, 2, replicates=2), 3, num_sequences=9),
            "process: expected a truth without replicates",
        ),
        (lambda: score(models.Recurrent(2, 2), Sequences([[0, 1]], 2, context=[[1.0]])), "context: expected None"),
        (lambda: tabulate(processes.even()), "law: expected a law"),
        (lambda: PrefixTree.from_law(models.Recurrent(4, 2, replicates=64)(10)), "duration: expected at most"),
        (lambda: count_parameters(None, 3), "model: expected"),
        (lambda: compare_models({"a": models.Markov(2, 1)}, torch.zeros(2, 2)), "data: expected Sequences"),
        (lambda: compare_models([models.Markov(2, 1)], Sequences([[0, 1]], 2)), "models: expected a mapping"),
        (lambda: compare_models({"a": 3}, Sequences([[0, 1]], 2)), "models['a']: expected a model"),
        (
            lambda: compare_models({"truth": models.Markov(2, 1)}, Sequences([[0, 1]], 2), processes.even()),
            "models: expected names other",
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


def test_monte_carlo_goes_in_parts_that_no_number_depends_on(monkeypatch: pytest.MonkeyPatch) -> None:
    model, process = models.Recurrent(2, 2, replicates=2), processes.even()
    whole = score(model, process, 5, num_sequences=40)
    monkeypatch.setattr(tree_layout, "MAX_CELLS", 70)  # 7 words of 5 symbols under 2 replicates
    asked: list[int] = []
    usual = SequenceDistribution.conditional_laws

    def watched(law: SequenceDistribution, words: torch.Tensor) -> torch.Tensor:
        asked.append(len(words) * law.duration * law.batch_shape.numel())
        return usual(law, words)

    monkeypatch.setattr(SequenceDistribution, "conditional_laws", watched)
    parts = score(model, process, 5, num_sequences=40)
    assert max(asked) <= 70
    torch.testing.assert_close(parts.divergence, whole.divergence)


def test_the_ladder_judges_by_the_words_it_was_fitted_to(monkeypatch: pytest.MonkeyPatch) -> None:
    chains = {"iid": models.Markov(2, 0), "markov": models.Markov(2, 1)}
    monkeypatch.setattr(ladder, "ladder", lambda *_: chains)
    words = Sequences(processes.even()(4).sample((100,), generator=torch.Generator().manual_seed(0)), 2)
    table = ladder.compare_ladder(words, device="cpu", progress=False)
    training, held_out = words.split(ladder.HELD_OUT_SHARE, 0)
    fitted = {name: fit(model, training).model for name, model in chains.items()}
    for name, row in table.iterrows():
        loss = score(fitted[name], held_out).cross_entropy
        assert row["nats_per_symbol"] == pytest.approx(loss / 4)
        total = score(fitted[name], training).cross_entropy * len(training)
        assert row["aic_nats"] == pytest.approx(2 * row["free"] + 2 * total)
        assert row["bic_nats"] == pytest.approx(math.log(len(training)) * row["free"] + 2 * total)


def test_a_loss_below_the_entropy_is_no_score(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing reaches it but a mistake, here in the entropies."""
    entropies = PrefixTree.entropies
    monkeypatch.setattr(PrefixTree, "entropies", lambda tree: entropies(tree) + 1e-6)
    with pytest.raises(ArithmeticError, match="nats below the entropy"):
        score(processes.even(), processes.even(), 4)
