"""fit: what it reaches, what it chooses, and that replicates are what they are alone."""

from __future__ import annotations

import pytest
import torch

from pgm_rnn import InputError, PrefixTree, Sequences, fit, models, processes, score
from pgm_rnn.inference.gradient import few_threads, fit_gradient


def sample(process: processes.Process, duration: int, count: int, seed: int) -> Sequences:
    words = process(duration).sample((count,), generator=torch.Generator().manual_seed(seed))
    return Sequences(words, process.alphabet_size)


@pytest.mark.parametrize(
    ("process", "duration", "bound"), [(processes.even(), 10, 3e-4), (processes.golden_mean(), 8, 2e-4)]
)
def test_defaults_reach_the_law(process: processes.Process, duration: int, bound: float) -> None:
    result = fit(models.Recurrent(2, 16), process(duration))
    assert -1e-12 < score(result.model, process, duration).divergence < bound
    assert result.converged


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("process", "duration", "bound"), [(processes.mess3(), 8, 1e-3), (processes.rrxor(), 9, 5e-3)])
def test_defaults_reach_harder_laws(process: processes.Process, duration: int, bound: float, seed: int) -> None:
    result = fit(models.Recurrent(process.alphabet_size, 16), process(duration), seed=seed)
    assert score(result.model, process, duration).divergence < bound


@pytest.mark.slow
@pytest.mark.parametrize(
    "process",
    [
        processes.even(0.3),
        processes.golden_mean(0.75),
        processes.mess3(0.1, 0.7),
        processes.nemo(0.35, 0.6),
        processes.simple_nonunifilar(0.4, 0.7),
        processes.noisy_random_phase_slip(),
        processes.random_machine(4, 2, 3),
        processes.random_markov(3, 1, 0.5, 5),
    ],
    ids=repr,
)
def test_defaults_reach_processes_with_planted_parameters(process: processes.Process) -> None:
    duration = 7
    iid = fit(models.Markov(process.alphabet_size, 0), process(duration)).model
    result = fit(models.Recurrent(process.alphabet_size, 16), process(duration))
    assert score(result.model, process, duration).divergence < 0.02 * score(iid, process, duration).divergence


def test_a_fit_that_is_cut_short_says_so() -> None:
    result = fit(models.Recurrent(2, 4), processes.even()(6), max_steps=50)
    assert not result.converged
    assert result.slope == float("inf")
    assert result.steps == 50


def test_the_given_model_is_not_changed_and_nothing_global_is() -> None:
    model = models.Recurrent(2, 3)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    random_state, dtype = torch.get_rng_state(), torch.get_default_dtype()
    fit(model, sample(processes.even(), 5, 50, 0), max_steps=20)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])
    assert torch.equal(torch.get_rng_state(), random_state)
    assert torch.get_default_dtype() == dtype


@pytest.mark.parametrize("cells", [1, 2**20])
def test_threads_are_given_back(cells: int) -> None:
    before = torch.get_num_threads()
    seen = []

    def interrupted() -> None:
        with few_threads(cells):
            seen.append(torch.get_num_threads())
            raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError, match="interrupted"):
        interrupted()
    assert seen == [1 if cells == 1 else before]
    assert torch.get_num_threads() == before


def test_two_fits_in_a_row_are_the_same_fit() -> None:
    words = sample(processes.even(), 6, 200, 1)
    first, second = (fit(models.Recurrent(2, 4), words, max_steps=60, seed=3) for _ in range(2))
    assert torch.equal(first.losses, second.losses)
    other = fit(models.Recurrent(2, 4), words, max_steps=60, seed=4)
    assert not torch.equal(first.losses, other.losses)


@pytest.mark.parametrize(
    "model", [models.Recurrent(2, 4), models.Markov(2, None, pseudocount=None), models.Tabular(2, 6, pseudocount=None)]
)
def test_a_replicate_is_what_it_is_alone(model: models.Recurrent) -> None:
    sets = [sample(processes.even(), 6, count, seed) for seed, count in enumerate((60, 200, 35))]
    together = fit(model, sets, max_steps=30, seed=2)
    for r, words in enumerate(sets):
        alone = fit(model, words, max_steps=30, seed=2)
        assert alone.chosen == together.chosen[r]
        law, own = together.model.replicate(r)(6), alone.model(6)
        every = own.enumerate_support()
        torch.testing.assert_close(law.log_prob(every), own.log_prob(every), rtol=1e-6, atol=1e-6)
        assert alone.steps == int(together.steps[r])


def test_replicates_on_one_law_are_fits_at_successive_seeds() -> None:
    law = processes.even()(5)
    together = fit(models.Recurrent(2, 3, replicates=2), law, max_steps=30, restarts=2, seed=5)
    alone = fit(models.Recurrent(2, 3), law, max_steps=30, restarts=2, seed=6)
    torch.testing.assert_close(together.losses[1], alone.losses, rtol=1e-9, atol=1e-9)


def test_restarts_are_chosen_by_training_loss_on_a_law() -> None:
    law = processes.rrxor()(6)
    single = [
        fit_gradient(models.Recurrent(2, 4).double(), PrefixTree.from_law(law), None, max_steps=40, restarts=r, seed=0)
        for r in (1, 4)
    ]
    assert single[1].losses[0, -1] <= single[0].losses[0, -1]


def test_gradients_reach_the_table_s_closed_form() -> None:
    words = sample(processes.golden_mean(), 4, 300, 2)
    tree = PrefixTree.from_sequences(words)
    counted = fit(models.Tabular(2, 4, pseudocount=0.0), words)
    trained = fit_gradient(models.Tabular(2, 4).double(), tree, None, max_steps=2000, restarts=1, seed=0)
    assert float(trained.losses[0, -1]) == pytest.approx(float(counted.losses[-1]), abs=1e-5)
    assert float(trained.losses[0, -1]) >= float(counted.losses[-1])  # the closed form is the maximum


def test_tuning_looks_at_the_split_alone() -> None:
    words = sample(processes.even(), 6, 400, 3)
    tuned = fit(models.Tabular(2, 6, pseudocount=None), words, seed=9)
    part, held_out = words.split(0.2, 9)
    losses = []
    for beta in models.Tabular.PSEUDOCOUNTS:
        law = fit(models.Tabular(2, 6, pseudocount=beta), part).model(6)
        losses.append(-float(law.log_prob(held_out.symbols).detach().mean()))
    best = min(range(len(losses)), key=losses.__getitem__)
    assert tuned.chosen["pseudocount"] == models.Tabular.PSEUDOCOUNTS[best]
    again = fit(models.Tabular(2, 6, pseudocount=tuned.chosen["pseudocount"]), words).model(6)
    torch.testing.assert_close(tuned.model(6).log_prob(words.symbols), again.log_prob(words.symbols))


def test_validation_words_replace_the_split() -> None:
    words, other = sample(processes.even(), 5, 100, 4), sample(processes.even(), 5, 100, 5)
    result = fit(models.Recurrent(2, 3), words, validation=other, max_steps=60, restarts=1)
    at_best = -float(result.model(5).log_prob(other.symbols).detach().mean())
    assert at_best == pytest.approx(float(result.validation_losses.min()), abs=1e-9)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: fit(models.Recurrent(3, 2), processes.even()(4)), "alphabet_size"),
        (lambda: fit(models.Recurrent(2, 2), processes.even()), "call it with a duration"),
        (lambda: fit(models.Recurrent(2, 2), []), "at least one data set"),
        (lambda: fit(models.Recurrent(2, 2), [Sequences([[0, 1]], 2), Sequences([[0]], 2)]), "in every data set"),
        (lambda: fit(models.Recurrent(2, 2), processes.even()(3), max_steps=0), "max_steps: expected"),
        (lambda: fit(models.Recurrent(2, 2), processes.even()(3), restarts=0), "restarts: expected"),
        (lambda: fit(models.Recurrent(2, 2), processes.even()(3), seed=-1), "seed: expected"),
        (lambda: fit(models.Recurrent(2, 2), processes.even()(3), seed=2**70), "seed: expected"),
        (lambda: fit(models.Recurrent(2, 2), processes.even()(3), dtype=torch.int64), "dtype: expected"),
        (lambda: fit(processes.even(), processes.even()(3)), "model: expected a model with parameters"),
        (lambda: fit("rnn", processes.even()(3)), "model: expected a model with parameters"),
        (lambda: fit(models.Recurrent(2, 2), Sequences([[0, 1]], 2, context=[[1.0]])), "takes no context"),
        (lambda: fit(models.Recurrent(2, 2), processes.even()(3), device="cpu:x"), "device: expected"),
        (lambda: fit(models.Tabular(2, 3), processes.even()(4)), "undefined beyond its duration"),
        (lambda: fit(models.Recurrent(2, 2), processes.even()(3), device="gpu"), "device: expected one of"),
        (lambda: fit(models.Markov(4, 1), processes.random_markov(4, 2)(20)), "duration: expected at most"),
        (
            lambda: fit(models.Recurrent(2, 2), Sequences([[0, 1], [1, 0]], 2), validation=Sequences([[0]], 2)),
            "validation: expected",
        ),
        (
            lambda: fit(models.Recurrent(2, 2), Sequences([[0, 1], [1, 0]], 2, lengths=[1, 2]), mode="free-running"),
            "with_end",
        ),
    ],
)
def test_refusals(call, says: str) -> None:
    with pytest.raises(InputError, match=r"expected .*, got ") as caught:
        call()
    assert says in str(caught.value)
