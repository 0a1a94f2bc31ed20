"""Tables, chains and networks: their counts, their closed forms, and what they refuse."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pgm_rnn import InputError, Sequences, count_parameters, fit, models
from pgm_rnn.models.rows import suffix_rows


def test_stored_and_free_parameters_of_the_table() -> None:
    assert count_parameters(models.Tabular(3, 6), 6) == (1092, 728)
    assert sum(parameter.numel() for parameter in models.Tabular(3, 6).parameters()) == 1092


@pytest.mark.parametrize(("k", "order"), [(2, 0), (2, 3), (3, 2), (5, 1)])
def test_parameters_of_the_chain(k: int, order: int) -> None:
    model = models.Markov(k, order)
    assert count_parameters(model, 10) == (sum(k ** (j + 1) for j in range(order + 1)), k ** (order + 1) - 1)
    assert sum(parameter.numel() for parameter in model.parameters()) == count_parameters(model, 10).stored


@pytest.mark.parametrize(("k", "H"), [(2, 1), (3, 16)])
def test_stored_parameters_of_the_network(k: int, H: int) -> None:
    model = models.Recurrent(k, H)
    assert count_parameters(model, 10).stored == sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(("k", "H", "T"), [(2, 1, 6), (3, 2, 5)])
def test_free_parameters_are_the_directions_the_law_depends_on(k: int, H: int, T: int) -> None:
    model = models.Recurrent(k, H).double()
    words = torch.tensor(list(itertools.product(range(k), repeat=T)))
    names, values = zip(*model.named_parameters(), strict=True)

    def log_prob(*tensors: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(model, dict(zip(names, tensors, strict=True)), (T,)).log_prob(words)

    jacobian = torch.autograd.functional.jacobian(log_prob, values)
    matrix = torch.cat([part.reshape(len(words), -1) for part in jacobian], -1)
    assert int(torch.linalg.matrix_rank(matrix, rtol=1e-10)) == count_parameters(model, T).free


def test_counts_do_not_grow_with_the_duration_unless_they_must() -> None:
    assert count_parameters(models.Recurrent(4, 8), 3) == count_parameters(models.Recurrent(4, 8), 3000)
    assert count_parameters(models.Tabular(2, 12), 12).stored == 2**13 - 2


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 4), st.integers(0, 3), st.integers(0, 3))
def test_suffix_rows_point_to_the_last_symbols(k: int, max_length: int, length: int) -> None:
    contexts = [c for j in range(max_length + 1) for c in itertools.product(range(k), repeat=j)]
    where = {context: row for row, context in enumerate(contexts)}
    cut = [context[-length:] if length else () for context in contexts]
    expected = [where[c] for c in cut]
    assert suffix_rows(k, max_length, length).tolist() == expected


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_the_chain_s_closed_form_is_smoothed_counting(data: st.DataObject) -> None:
    k, T = data.draw(st.integers(2, 3)), data.draw(st.integers(1, 5))
    order, beta = data.draw(st.integers(0, 3)), data.draw(st.sampled_from([0.0, 0.5, 2.0]))
    words = data.draw(st.lists(st.lists(st.integers(0, k - 1), min_size=T, max_size=T), min_size=1, max_size=6))
    law = fit(models.Markov(k, order, pseudocount=beta), Sequences(words, k)).model(T)
    counts: dict[tuple[int, ...], list[float]] = {}
    for word in words:
        for t, symbol in enumerate(word):
            row = counts.setdefault(tuple(word[max(0, t - order) : t]), [beta] * k)
            row[symbol] += 1
    for word in itertools.product(range(k), repeat=T):
        p = 1.0
        for t, symbol in enumerate(word):
            row = counts.get(word[max(0, t - order) : t], [beta] * k)
            p *= row[symbol] / sum(row) if sum(row) else 1 / k
        assert float(law.log_prob(torch.tensor(word)).detach().exp()) == pytest.approx(p, abs=1e-12)


def test_the_table_is_the_chain_that_forgets_nothing() -> None:
    words = Sequences(torch.randint(3, (50, 4), generator=torch.Generator().manual_seed(0)), 3)
    table, chain = fit(models.Tabular(3, 4), words).model(4), fit(models.Markov(3, 3), words).model(4)
    torch.testing.assert_close(table.log_prob(table.enumerate_support()), chain.log_prob(chain.enumerate_support()))


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: models.Tabular(4, 20), "Markov or a Recurrent"),
        (lambda: models.Tabular(2, 20, replicates=1000), "Markov or a Recurrent"),
        (lambda: models.Markov(4, 19), "order: expected"),
        (lambda: models.Tabular(2, 0), "duration: expected an integer of at least 1, got 0"),
        (lambda: models.Tabular(1, 3), "alphabet_size: expected an integer of at least 2, got 1"),
        (lambda: models.Recurrent(2, 0), "hidden_dim: expected"),
        (lambda: models.Recurrent(2, 4, cell="tanhh"), "did you mean 'tanh'"),
        (lambda: models.Recurrent(2, 4, recurrence="none"), "recurrence: expected one of"),
        (lambda: models.Markov(2, -1), "order: expected an integer of at least 0, got -1"),
        (lambda: models.Markov(2, 1, pseudocount=-1.0), "pseudocount: expected"),
        (lambda: models.Tabular(2, 3)(4), "a table is undefined beyond its duration"),
        (lambda: models.Recurrent(2, 3, replicates=0), "replicates: expected"),
        (lambda: models.Recurrent(2, 10**6), "hidden_dim: expected at most"),
        (lambda: models.Recurrent(2, 10**30), "hidden_dim: expected at most"),
        (lambda: models.Recurrent(10**12, 3), "hidden_dim: expected at most"),
        (lambda: models.Recurrent(2, np.array([2, 3])), "hidden_dim: expected an integer"),
        (lambda: models.Recurrent(2, 3)(10**30), "duration: expected at most 1,048,576 steps, got 1.0e30"),
        (lambda: models.Tabular(4, 10**12), "duration: expected at most"),
        (lambda: models.Markov(4, 10**12), "order: expected at most"),
        (lambda: models.Markov(2, -(10**5000)), "order: expected an integer of at least 0, got -1.0e5000"),
        (lambda: models.Markov(2, 1, pseudocount=torch.ones(2)), "pseudocount: expected"),
        (lambda: models.Recurrent(2, 3)(3, context=[1.0]), "takes no context"),
        (lambda: models.Recurrent(2, 3)(3, context=torch.zeros(1, 2)), "takes no context"),
        (lambda: models.Recurrent(2, 3).replicate(0), "replicates"),
    ],
)
def test_refusals_name_the_argument_and_the_way_out(build, says: str) -> None:
    with pytest.raises(InputError, match=r"expected .*, got ") as caught:
        build()
    assert says in str(caught.value)
