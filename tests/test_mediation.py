"""What passes through h_t: information against loops over all words, probes against normal equations, interventions."""

from __future__ import annotations

import math
from collections import defaultdict
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from families import randomise
from oracles import all_words, matrix_product_probability
from torch import Tensor

from pgm_rnn import PrefixTree, fit, summarise
from pgm_rnn.checks import InputError
from pgm_rnn.distribution import SequenceDistribution
from pgm_rnn.family import Family
from pgm_rnn.mediation import (
    information_through,
    linear_probe,
    mutual_information,
    nats_kept,
    past_by_future,
    past_symbols,
    possible_words,
    probe_belief,
    quantise,
)
from pgm_rnn.models import Markov, Recurrent, Tabular
from pgm_rnn.processes import PROCESSES, Process
from pgm_rnn.report.mediation import window_keeps

GENERATOR = np.random.default_rng(5)
JOINT = GENERATOR.dirichlet(np.ones(24)).reshape(6, 4)


def network(**arguments: object) -> Recurrent:
    model = Recurrent(3, 4, **arguments).double()  # type: ignore[arg-type]  # settings of the constructor
    randomise(model)
    return model


def information_by_loops(joint: np.ndarray) -> float:
    rows, columns = joint.sum(1), joint.sum(0)
    cells = ((i, j) for i, j in np.ndindex(*joint.shape) if joint[i, j] > 0)
    return sum(joint[i, j] * math.log(joint[i, j] / (rows[i] * columns[j])) for i, j in cells)


# Information.


def test_the_joint_law_is_that_of_the_matrix_product() -> None:
    process = PROCESSES["even"]()
    joint = past_by_future(process(5), 2)
    for (i, past), (j, future) in product(enumerate(product((0, 1), repeat=2)), enumerate(product((0, 1), repeat=3))):
        p = matrix_product_probability(process.joint, process.initial, (*past, *future))
        assert float(joint[i, j]) == pytest.approx(p, abs=1e-14)


def test_information_is_the_sum_over_all_cells() -> None:
    joint = torch.from_numpy(JOINT)
    assert mutual_information(joint) == pytest.approx(information_by_loops(JOINT), abs=1e-14)
    assert mutual_information(joint.sum(1, keepdim=True) * joint.sum(0)) == pytest.approx(0.0, abs=1e-14)
    process = PROCESSES["even"]()
    parts = [process.block_entropy(n) for n in (3, 4, 7)]
    assert mutual_information(past_by_future(process(7), 3)) == pytest.approx(parts[0] + parts[1] - parts[2], abs=1e-12)


@pytest.mark.parametrize("labels", [[0, 1, 0, 2, 2, 0], [[0, 1], [0, 0], [0, 1], [1, 1], [0, 1], [9, 9]]])
def test_pasts_with_one_label_are_one(labels: list) -> None:
    merged: dict[object, np.ndarray] = defaultdict(lambda: np.zeros(4))
    for label, row in zip(labels, JOINT, strict=True):
        merged[str(label)] = merged[str(label)] + row
    expected = information_by_loops(np.stack(list(merged.values())))
    assert information_through(torch.from_numpy(JOINT), torch.tensor(labels)) == pytest.approx(expected, abs=1e-14)


def test_names_of_all_pasts_tell_all_and_one_name_nothing() -> None:
    joint = torch.from_numpy(JOINT)
    assert information_through(joint, torch.arange(6)) == pytest.approx(mutual_information(joint), abs=1e-14)
    assert information_through(joint, torch.zeros(6)) == pytest.approx(0.0, abs=1e-14)


def test_cells_are_of_equal_width() -> None:
    states = torch.tensor([-1.0, -0.51, -0.5, -1e-9, 0.0, 0.49, 0.5, 1.0], dtype=torch.double)
    assert quantise(states, 0).tolist() == [0] * 8
    assert quantise(states, 1).tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert quantise(states, 2).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    many = torch.rand(1000, dtype=torch.double) * 2 - 1
    edges = np.linspace(-1, 1, 2**5 + 1)[1:-1]
    np.testing.assert_array_equal(quantise(many, 5).numpy(), np.digitize(many.numpy(), edges))


@pytest.mark.parametrize("name", ["even", "mess3"])
def test_more_bits_tell_more_and_never_more_than_the_past(name: str) -> None:
    process = PROCESSES[name]()
    joint = past_by_future(process(6), 3)
    model = Recurrent(process.alphabet_size, 3).double()
    randomise(model)
    states = summarise(model, all_words(process.alphabet_size, 3)).detach()
    told = [information_through(joint, quantise(states, bits)) for bits in range(14)]
    assert told[0] == pytest.approx(0.0, abs=1e-12)
    assert all(less <= more + 1e-12 for less, more in pairwise(told))
    assert told[1] < told[-1] - 1e-3
    assert told[-1] == pytest.approx(mutual_information(joint), abs=1e-12)  # a real number names its prefix: trivial


# Nothing passes by h_t in the network's own law.


def twins() -> dict[str, Recurrent]:
    """Networks whose h_t is the same for many prefixes."""
    alike = network()
    with torch.no_grad():
        alike.U[:, 2] = alike.U[:, 1]  # symbols 1 and 2 act alike
    forgetful = network()
    with torch.no_grad():
        forgetful.W.zero_()
    return {"alike": alike, "forgetful": forgetful, "symbol": network(recurrence="output", feedback="symbol")}


@pytest.mark.parametrize("name", ["alike", "forgetful", "symbol"])
def test_given_the_state_the_past_tells_nothing_of_the_future(name: str) -> None:
    """I(past; future | h) = I(past; future) - I(h; future) = 0 in the network's own law, and not in another's."""
    model, past = twins()[name], 3
    states = summarise(model, all_words(3, past)).detach()
    labels = (states * 1e10).round().long()
    assert len(labels.unique(dim=0)) < 3**past  # h does not name the prefix, so this can fail
    own = past_by_future(model(6), past)
    total = mutual_information(own)
    assert total > 1e-3
    assert information_through(own, labels) == pytest.approx(total, abs=1e-12)
    other = past_by_future(network()(6), past)
    assert information_through(other, labels) < mutual_information(other) - 1e-3


def continue_from(law: SequenceDistribution, prefix: Tensor, mediator: Tensor | None, futures: Tensor) -> Tensor:
    """Log-probabilities of ``futures`` after a prefix whose mediator may have been replaced, step by step."""
    lanes = (len(futures),)
    state = law.initial_state(lanes)
    for symbol in prefix:
        state = law.update(state, symbol.expand(lanes))
    if mediator is not None:
        state = law.with_mediator(state, mediator.expand(*lanes, -1))
    total = torch.zeros(lanes, dtype=torch.double)
    for symbol in futures.unbind(-1):
        total = total + law.next_logits(state).log_softmax(-1).expand(*lanes, -1).gather(-1, symbol[:, None])[:, 0]
        state = law.update(state, symbol)
    return total


@pytest.mark.parametrize(
    "family",
    [
        network(),
        network(cell="gru"),
        network(cell="lstm"),
        network(recurrence="output", feedback="symbol"),
        network(recurrence="output", feedback="vector"),
        network(clock=3),
        PROCESSES["mess3"](),
    ],
    ids=["tanh", "gru", "lstm", "symbol", "vector", "clock", "process"],
)
@torch.no_grad()
def test_with_the_state_of_another_prefix_the_future_is_that_prefixs(family: Family) -> None:
    """do(h_3 := h_3(w')) after w: the law of the future is that after w', by the words' own probabilities."""
    law, futures = family(5), all_words(3, 3)
    for word, other in product(all_words(3, 2), repeat=2):
        mediator = summarise(family, other[None])
        intervened = continue_from(law, word, mediator, futures)
        joint = torch.cat([other.expand(len(futures), -1), futures], -1)
        expected = law.log_prob(joint) - law.log_prob(joint).logsumexp(0)
        torch.testing.assert_close(intervened, expected, rtol=0, atol=1e-12)
        if word[-1] != other[-1]:
            assert float((intervened - continue_from(law, word, None, futures)).abs().max()) > 1e-3


# Nats kept.


def test_nats_kept_against_sums_over_all_words() -> None:
    process, model, T = PROCESSES["even"](), Recurrent(2, 3, replicates=2).double(), 4
    randomise(model)
    kept = nats_kept(PrefixTree.from_law(process(T)), model(T)).detach()
    assert kept.shape == (2, T)
    words = [
        (word, matrix_product_probability(process.joint, process.initial, word)) for word in product((0, 1), repeat=T)
    ]
    for r, t in product(range(2), range(T)):
        parts = model.replicate(r)(T).conditional_log_probs(torch.tensor([word for word, _ in words])).detach()
        ones = sum(p for word, p in words if word[t] == 1)
        marginal = -sum(p * math.log(p) for p in (ones, 1 - ones))
        loss = -sum(p * float(parts[n, t]) for n, (_, p) in enumerate(words))
        assert float(kept[r, t]) == pytest.approx(marginal - loss, abs=1e-12)


@pytest.mark.parametrize("name", ["even", "rrxor", "mess3"])
def test_the_truth_keeps_most_and_windows_what_their_laws_keep(name: str) -> None:
    process, T = PROCESSES[name](), 5
    tree, k = PrefixTree.from_law(process(T)), process.alphabet_size
    most = float(nats_kept(tree, process(T)).sum())
    assert most == pytest.approx(float((process.conditional_entropies(T)[0] - process.conditional_entropies(T)).sum()))
    assert most == pytest.approx(window_keeps(process, T, T - 1), abs=1e-12)
    for m in (0, 1, 2):
        chain = fit(Markov(k, m, pseudocount=0.0), process(T)).model
        assert float(nats_kept(tree, chain(T)).detach().sum()) == pytest.approx(window_keeps(process, T, m), abs=1e-9)
    table = fit(Tabular(k, T, pseudocount=0.0), process(T)).model
    assert float(nats_kept(tree, table(T)).detach().sum()) == pytest.approx(most, abs=1e-9)


# Probes.


def test_a_probe_is_least_squares_with_every_row_as_often_as_it_weighs() -> None:
    generator = np.random.default_rng(3)
    h, z, counts = generator.normal(size=(12, 4)), generator.normal(size=(12, 2)), generator.integers(1, 5, 12)
    A = np.column_stack([h, np.ones(12)]).repeat(counts, 0)
    Z = z.repeat(counts, 0)
    solution = np.linalg.solve(A.T @ A, A.T @ Z)  # the normal equations
    left = ((Z - A @ solution) ** 2).sum() / ((Z - Z.mean(0)) ** 2).sum()
    probe = linear_probe(*(torch.from_numpy(part) for part in (h, z, counts)))
    assert probe.explained == pytest.approx(1 - left, abs=1e-12)
    np.testing.assert_allclose(probe.image.numpy(), np.column_stack([h, np.ones(12)]) @ solution, atol=1e-12)


def test_a_probe_reads_what_is_linear_and_nothing_else() -> None:
    x = torch.linspace(-1, 1, 21, dtype=torch.double).unsqueeze(-1)
    weights = torch.ones(21)
    twice = torch.cat([x, 2 * x, torch.ones_like(x)], -1)  # features that depend on each other
    assert linear_probe(twice, 5 - 3 * x, weights).explained == pytest.approx(1.0, abs=1e-12)
    assert linear_probe(x, x.square(), weights).explained == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("name", ["even", "mess3"])
def test_a_probe_of_beliefs_weighs_every_prefix_by_its_probability(name: str) -> None:
    """Every prefix once, its belief by the matrix product, in weighted normal equations."""
    process, T, model = PROCESSES[name](), 4, Recurrent(PROCESSES[name]().alphabet_size, 3).double()
    randomise(model)
    rows, targets, weights = [], [], []
    for t in range(T):
        for prefix in product(range(process.alphabet_size), repeat=t):
            if (p := matrix_product_probability(process.joint, process.initial, prefix)) > 1e-12:
                belief = process.initial.numpy()
                for symbol in prefix:
                    belief = belief @ process.joint[symbol].numpy()
                state = summarise(model, torch.tensor([prefix], dtype=torch.long).reshape(1, t))[0]
                rows.append([*state.tolist(), 1.0])
                targets.append(belief / p)
                weights.append(p)
    A, Z, p = np.array(rows), np.array(targets), np.array(weights)[:, None]
    solution = np.linalg.solve(A.T @ (p * A), A.T @ (p * Z))
    left = (p * (Z - A @ solution) ** 2).sum() / (p * (Z - (p * Z).sum(0) / p.sum()) ** 2).sum()
    probe = probe_belief(process, T, lambda words: states_along(model, words))
    assert probe.explained == pytest.approx(1 - left, abs=1e-9)
    assert probe.image.shape[-1] == Z.shape[-1]
    torch.testing.assert_close(probe.image.sum(-1), torch.ones(len(probe.image), dtype=torch.double))


def states_along(model: Recurrent, words: Tensor) -> Tensor:
    return torch.stack([summarise(model, words[:, :t]) for t in range(words.shape[1] + 1)], 1).detach()


def test_past_symbols_stand_by_their_distance() -> None:
    features = past_symbols(torch.tensor([[2, 0, 1]]), 3)[0]  # (T, (T - 1) k)
    assert features[0].sum() == 0
    assert features.argmax(-1).tolist()[1:] == [6 + 2, 3 + 2, 0 + 2]
    np.testing.assert_array_equal(features[3].reshape(3, 3).argmax(-1), [2, 0, 1])


def test_words_that_cannot_be_are_left_out() -> None:
    words, p = possible_words(PROCESSES["golden-mean"](), 4)
    assert len(words) == 8
    assert float(p.sum()) == pytest.approx(1.0)


def test_bad_input_is_refused() -> None:
    joint, process = torch.from_numpy(JOINT), PROCESSES["even"]()
    assert isinstance(process, Process)
    with pytest.raises(InputError, match=r"past: expected an integer in 0\.\.3"):
        past_by_future(process(3), 4)
    with pytest.raises(InputError, match="law: expected a law without replicates"):
        past_by_future(Recurrent(2, 3, replicates=2)(3), 1)
    with pytest.raises(InputError, match="labels: expected one for each of the 6 pasts"):
        information_through(joint, torch.arange(5))
    with pytest.raises(InputError, match=r"states: expected numbers in \[-1, 1\]"):
        quantise(torch.tensor([1.5]), 2)
    with pytest.raises(InputError, match=r"bits: expected an integer in 0\.\.52"):
        quantise(torch.zeros(1), 53)
    with pytest.raises(InputError, match="targets: expected values that vary"):
        linear_probe(torch.rand(4, 2), torch.ones(4, 1), torch.ones(4))
    with pytest.raises(InputError, match=r"shapes \(N, H\), \(N, S\) and \(N,\)"):
        linear_probe(torch.rand(4, 2), torch.ones(3, 1), torch.ones(4))
    with pytest.raises(InputError, match="duration: expected an integer of at least 2"):
        probe_belief(process, 1, lambda words: past_symbols(words, 2))
