"""Training modes: what is fed, what is asked, which floors hold, and that a row is what it is alone."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from families import randomise

from pgm_rnn import InputError, PrefixTree, Sequences, fit, models, processes, score
from pgm_rnn.inference.batches import Batches
from pgm_rnn.inference.forcing import MODES, fed_log_prob, feed_words, open_loop_log_prob
from pgm_rnn.inference.sampled import fit_batches

SAMPLED = ("free-running", "scheduled")


def sample(process: processes.Process, duration: int, count: int, seed: int) -> Sequences:
    words = process(duration).sample((count,), generator=torch.Generator().manual_seed(seed))
    return Sequences(words, process.alphabet_size)


def network(**arguments: Any) -> models.Recurrent:
    model = models.Recurrent(**{"alphabet_size": 2, "hidden_dim": 3, **arguments}).double()
    randomise(model)
    return model


def generators(count: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in range(count)]


def marginal_floor(process: processes.Process, duration: int) -> float:
    """The sum of H(y_t), from every word."""
    words = torch.tensor(list(itertools.product(range(process.alphabet_size), repeat=duration)))
    p, total = process(duration).log_prob(words).exp().numpy(), 0.0
    for t in range(duration):
        q = np.bincount(words[:, t].numpy(), weights=p)
        total -= float((q[q > 0] * np.log(q[q > 0])).sum())
    return total


# What is fed.


def test_fed_symbols_are_the_network_s_own_or_the_true_ones() -> None:
    """Frequencies of what is fed at the second step, against the mixture in closed form."""
    model, share = network(replicates=2), 0.3
    words = torch.ones(2, 20_000, 3, dtype=torch.long)
    fed = feed_words(model(3), words, share, generators(2))
    assert torch.equal(fed[..., -1], words[..., -1])  # nothing follows the last
    for r in range(2):
        law = model.replicate(r)(3)
        first = share + (1 - share) * float(law.conditional_laws(torch.ones(3, dtype=torch.long)).detach()[0, 1].exp())
        assert float(fed[r, :, 0].double().mean()) == pytest.approx(first, abs=0.015)
        for symbol in (0, 1):
            own = float(law.conditional_laws(torch.tensor([symbol, 0, 0])).detach()[1, 1].exp())
            after = fed[r][fed[r, :, 0] == symbol]
            assert float(after[:, 1].double().mean()) == pytest.approx(share + (1 - share) * own, abs=0.025)


def test_with_nothing_but_true_symbols_the_loss_is_the_likelihood() -> None:
    model = network(replicates=3)
    words = torch.stack([sample(processes.even(), 6, 9, seed).symbols for seed in range(3)])
    fed = feed_words(model(6), words, 1.0, generators(3))
    assert torch.equal(fed, words)
    torch.testing.assert_close(fed_log_prob(model(6), words, fed), model(6).log_prob(words))


def test_the_true_symbol_is_asked_for_after_the_fed_ones() -> None:
    law, words, fed = network()(3), torch.tensor([[0, 1, 1]]), torch.tensor([[1, 1, 0]])
    by_hand = 0.0
    for t in range(3):
        own = law if t == 0 else law.given(fed[0, :t])
        by_hand += float(own.conditional_laws(words[0, t:]).detach()[0, words[0, t]])
    assert float(fed_log_prob(law, words, fed).detach()) == pytest.approx(by_hand, abs=1e-12)


# The chain rule, and the floors of the other objectives.


def test_teacher_forcing_is_the_chain_rule() -> None:
    """log p(y_1, y_2) = log p(y_2 | y_1) + log p(y_1): what is summed over steps when the true y_1 is fed."""
    law = network()(2)
    p = law.log_prob(law.enumerate_support()).detach().exp().reshape(2, 2).numpy()
    for y in itertools.product((0, 1), repeat=2):
        word, first = torch.tensor([y]), p[y[0]].sum()
        factors = math.log(first) + math.log(p[y] / first)
        assert math.log(p[y]) == pytest.approx(factors, abs=1e-12)
        assert float(fed_log_prob(law, word, word).detach()) == pytest.approx(factors, abs=1e-12)


def free_running_loss(law, process: processes.Process) -> float:
    """Exact: the sum over true words w and fed words z of P(w) Q(z) and the loss of w when z is fed."""
    every = torch.tensor(list(itertools.product(range(process.alphabet_size), repeat=law.duration)))
    p, q = process(law.duration).log_prob(every).exp(), law.log_prob(every).detach().exp()
    log_q = law.conditional_laws(every).detach()  # (words z, T, k)
    return -float(torch.einsum("z,ztk,w,wtk->", q, log_q, p, torch.eye(process.alphabet_size).double()[every]))


@pytest.mark.parametrize("process", [processes.even(), processes.golden_mean(), processes.mess3()], ids=repr)
def test_no_network_is_below_the_floors(process: processes.Process) -> None:
    """H(T) if the truth is fed; if the network's own symbols are, which say nothing of y_t, the sum of H(y_t)."""
    T, k = 4, process.alphabet_size
    floor = marginal_floor(process, T)
    assert floor == pytest.approx(T * float(process.conditional_entropies(1)[0]), abs=1e-10)  # it is stationary
    for law in (network(alphabet_size=k)(T), models.Recurrent(k, 5).double()(T), process(T)):
        if law.support_size() == k**T:  # otherwise it forbids what may be asked, at infinite loss
            assert free_running_loss(law, process) >= floor - 1e-12
        assert score(process, process, T).cross_entropy >= process.block_entropy(T) - 1e-12
    product = fit(models.Markov(k, 0), process(T)).model(T)
    assert free_running_loss(product, process) == pytest.approx(floor, abs=1e-9)


def test_what_training_sees_is_the_exact_loss_on_average() -> None:
    model, process, count = network(replicates=1), processes.even(), 40_000
    words = process(4).sample((1, count), generator=torch.Generator().manual_seed(9))
    losses = -fed_log_prob(model(4), words, feed_words(model(4), words, 0.0, generators(1))).detach()
    exact = free_running_loss(model.replicate(0)(4), process)
    assert abs(float(losses.mean()) - exact) < 4 * float(losses.std()) / count**0.5


@pytest.mark.parametrize("cell", ["tanh", "gru", "lstm"])
def test_output_vectors_by_hand(cell: str) -> None:
    model, process, T = network(cell=cell), processes.golden_mean(), 4
    found = float(open_loop_log_prob(PrefixTree.from_law(process(T)), model(T)).detach())
    law, total = model(T), 0.0
    state = law.initial_state((1,))
    for _ in range(T):
        o = law.next_logits(state).detach()
        total += float((torch.tensor([1 / 3, 2 / 3], dtype=torch.double) * o[0].log_softmax(-1)).sum())
        mixed = [law.update(state, torch.tensor([y])) for y in (0, 1)]
        state = law.feed(state, o)
        assert not any(torch.allclose(state, other) for other in mixed)
    assert found == pytest.approx(total, abs=1e-12)
    assert -found >= marginal_floor(process, T)


def test_the_tanh_step_with_an_output_vector_is_the_lecture_s() -> None:
    for arguments in ({}, {"recurrence": "output"}, {"recurrence": "output", "feedback": "vector"}):
        model = network(**arguments)
        U, V, b, c = (p.detach().numpy() for p in (model.U, model.V, model.b, model.c))
        h = np.tanh(b)
        o = c + V @ h
        a = b + U @ o
        if not arguments:
            a = a + model.W.detach().numpy() @ h
        elif "feedback" in arguments:
            a = a + model.W.detach().numpy() @ o
        law = model(2)
        state = law.initial_state((1,))
        fed = law.feed(state, law.next_logits(state)).detach().numpy()
        np.testing.assert_allclose(fed[0], np.tanh(a), atol=1e-12)


def test_output_vectors_reach_the_product_of_the_marginals() -> None:
    process, T = processes.even(), 5
    result = fit(models.Recurrent(2, 4), process(T), mode="output-vector", restarts=2)
    assert result.converged
    floor = marginal_floor(process, T)
    assert floor - 1e-12 < float(result.losses[-1]) < floor + 1e-5
    on_words = fit(models.Recurrent(2, 4), sample(process, T, 200, 0), mode="output-vector", restarts=1)
    assert on_words.validation_losses is not None  # words are split, as ever


@pytest.mark.parametrize("mode", SAMPLED)
def test_sampled_modes_approach_the_floor_of_a_network_that_forgets(mode: str) -> None:
    """The free-running objective is improper: the best network for it is not the truth, however long it trains."""
    process, T = processes.golden_mean(), 4
    result = fit(models.Recurrent(2, 4), process(T), mode=mode, restarts=1, max_steps=300)
    floor = marginal_floor(process, T)
    assert float(result.losses[-1]) == pytest.approx(floor, abs=0.06)  # 10 000 words: three standard errors
    divergence = score(result.model, process, T).divergence
    assert divergence > 0.5 * (floor - process.block_entropy(T))
    forced = fit_batches(
        models.Recurrent(2, 4).double(), Batches(process(T)), lambda done: 1.0, max_steps=300, restarts=1, seed=0
    )
    assert score(forced.model, process, T).divergence < 0.1 * divergence


# Rows, seeds and records.


@pytest.mark.parametrize("mode", SAMPLED)
def test_a_replicate_is_what_it_is_alone(mode: str) -> None:
    sets = [sample(processes.even(), 5, count, seed) for seed, count in enumerate((60, 200))]
    settings = {"mode": mode, "max_steps": 25, "restarts": 2, "seed": 3}
    together = fit(models.Recurrent(2, 3), sets, **settings)
    for r, words in enumerate(sets):
        alone = fit(models.Recurrent(2, 3), words, **settings)
        torch.testing.assert_close(together.losses[r], alone.losses, rtol=1e-9, atol=1e-9)
        assert alone.chosen == together.chosen[r]


def test_replicates_on_one_law_are_fits_at_successive_seeds() -> None:
    settings = {"mode": "scheduled", "max_steps": 20, "restarts": 1}
    together = fit(models.Recurrent(2, 3, replicates=2), processes.even()(4), seed=5, **settings)
    alone = fit(models.Recurrent(2, 3), processes.even()(4), seed=6, **settings)
    torch.testing.assert_close(together.losses[1], alone.losses, rtol=1e-9, atol=1e-9)


def test_a_mode_is_seeded_and_leaves_everything_as_it_was() -> None:
    model, law = models.Recurrent(2, 3), processes.even()(4)
    before, random_state = model.W.detach().clone(), torch.get_rng_state()
    first, again, other = (fit(model, law, mode="free-running", max_steps=10, seed=s) for s in (1, 1, 2))
    assert torch.equal(first.losses, again.losses)
    assert not torch.equal(first.losses, other.losses)
    assert torch.equal(model.W, before)
    assert torch.equal(torch.get_rng_state(), random_state)


def test_what_a_sampled_fit_says_of_itself() -> None:
    result = fit(models.Recurrent(2, 3), processes.even()(4), mode="scheduled", max_steps=210, restarts=2)
    assert result.losses.shape == (211,)
    assert (result.converged, result.steps, result.validation_losses) == (False, 210, None)
    by_hand = float(result.losses[10:110].mean() - result.losses[110:210].mean()) / 100
    assert result.slope == pytest.approx(by_hand, abs=1e-12)
    short = fit(models.Recurrent(2, 3), processes.even()(4), mode="scheduled", max_steps=5, restarts=1)
    assert short.slope == math.inf
    assert set(result.chosen) == {"restart"}


def test_the_restart_with_the_lowest_last_loss_is_kept() -> None:
    settings = {"mode": "free-running", "max_steps": 3, "seed": 1}
    losses = [
        float(fit(models.Recurrent(2, 3), processes.even()(4), restarts=n, **settings).losses[-1]) for n in (1, 3)
    ]
    assert losses[0] > losses[1]  # another than the first of the three, at this seed


def test_the_schedule_goes_from_the_truth_to_the_network_s_own() -> None:
    asked: list[float] = []

    def share(done: float) -> float:
        asked.append(done)
        return 1.0

    fit_batches(models.Recurrent(2, 3).double(), Batches(processes.even()(2)), share, max_steps=4, restarts=1, seed=0)
    assert asked[:4] == [0.0, 0.25, 0.5, 0.75]
    assert set(asked[4:]) == {1.0}


def test_words_are_drawn_from_the_own_data_set() -> None:
    ones, zeros = (Sequences(torch.full((n, 3), y), 2) for n, y in ((5, 1), (7, 0)))
    batches = Batches([ones, zeros])
    assert next(batches.stream(0, torch.Generator())).unique().tolist() == [1]
    assert next(batches.stream(1, torch.Generator())).unique().tolist() == [0]
    words = Sequences([[0, 0], [0, 1], [1, 1]], 2)
    drawn = torch.cat([next(Batches(words).stream(0, g)) for g in generators(30)])
    counts = np.unique(drawn.numpy(), axis=0, return_counts=True)[1]
    np.testing.assert_allclose(counts / counts.sum(), 1 / 3, atol=0.04)


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_trains_every_wiring(mode: str) -> None:
    for arguments in ({"cell": "gru"}, {"cell": "lstm"}, {"recurrence": "output"}, {"clock": 2}):
        result = fit(models.Recurrent(2, 3, **arguments), sample(processes.even(), 3, 30, 0), mode=mode, max_steps=5)
        assert torch.isfinite(result.losses).all()
    one = fit(models.Recurrent(2, 3), sample(processes.even(), 1, 30, 0), mode=mode, max_steps=5)
    assert torch.isfinite(one.losses).all()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: fit(models.Recurrent(2, 2), processes.even()(3), mode="scheduld"), "did you mean 'scheduled'?"),
        (lambda: fit(models.Tabular(2, 3), processes.even()(3), mode="scheduled"), "its rows are counted"),
        (lambda: fit(models.Markov(2, 1), processes.even()(3), mode="output-vector"), "'teacher-forcing' for Markov"),
        (
            lambda: fit(models.Recurrent(2, 2), PrefixTree.from_law(processes.even()(3)), mode="free-running"),
            "to draw words from, got PrefixTree",
        ),
        (
            lambda: fit(
                models.Recurrent(2, 2), processes.even()(3), mode="free-running", validation=processes.even()(3)
            ),
            "validation: expected None with mode 'free-running'",
        ),
        (
            lambda: fit(models.Recurrent(2, 2), models.Recurrent(2, 2, replicates=3)(3), mode="free-running"),
            "a law without replicates",
        ),
        (lambda: fit(models.Recurrent(2, 2), [], mode="free-running"), "at least one data set"),
        (lambda: fit(models.Recurrent(3, 2), processes.even()(3), mode="free-running"), "alphabet_size 2"),
        (
            lambda: fit(models.Recurrent(2, 2), processes.even(), mode="free-running"),
            "data: expected Sequences, a list of them, or a law",
        ),
    ],
)
def test_refusals(call, says: str) -> None:
    with pytest.raises(InputError, match=r"expected .*, got ") as caught:
        call()
    assert says in str(caught.value)
