"""The gradient by lag against the lecture's product of Jacobians, against finite differences, and where it is zero."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from families import randomise
from oracles import matrix_product_probability

from pgm_rnn import InputError, processes
from pgm_rnn.gradient_flow import gradient_by_lag
from pgm_rnn.models import Markov, Recurrent

T = 5


def network(**settings: Any) -> Recurrent:
    model = Recurrent(2, 3, **settings).double()
    randomise(model)
    return model


def last_loss(p: dict[str, np.ndarray], word: tuple[int, ...], step: int = -1, shift: float | np.ndarray = 0.0) -> Any:
    """The last loss, all states and the gradient at the last, in numpy, with ``shift`` added to the state of a step."""
    states, a = [], p["b"]
    for t, y in enumerate(word):
        h = np.tanh(a) + (shift if t == step else 0.0)
        states.append(h)
        o = p["c"] + p["V"] @ h
        a = p["b"] + p["U"][:, y] + p.get("W", np.zeros((len(h), len(h)))) @ h
    yhat = np.exp(o) / np.exp(o).sum()
    return -np.log(yhat[word[-1]]), states, p["V"].T @ (yhat - np.eye(2)[word[-1]])


def as_hidden(model: Recurrent) -> dict[str, np.ndarray]:
    """The parameters, a vector fed back being a hidden recurrence through W V with W c in the bias of later steps."""
    p = {name: parameter.detach().numpy() for name, parameter in model.named_parameters()}
    if model.feedback == "vector":
        p |= {"U": p["U"] + (p["W"] @ p["c"])[:, None], "W": p["W"] @ p["V"]}
    return p


def words(process: processes.Process) -> list[tuple[tuple[int, ...], float]]:
    candidates = itertools.product((0, 1), repeat=T)
    weighted = [(word, matrix_product_probability(process.joint, process.initial, word)) for word in candidates]
    return [(word, float(p)) for word, p in weighted if p > 0]


SETTINGS: list[dict[str, Any]] = [{}, {"recurrence": "output", "feedback": "vector"}]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_it_is_the_product_of_jacobians(settings: dict[str, Any]) -> None:
    model, process = network(**settings), processes.even()
    p, expected = as_hidden(model), np.zeros(T)
    for word, probability in words(process):
        _, states, gradient = last_loss(p, word)
        for lag in range(T):
            expected[lag] += probability * np.linalg.norm(gradient)
            gradient = p["W"].T @ ((1 - states[T - 1 - lag] ** 2) * gradient)
    np.testing.assert_allclose(gradient_by_lag(model, process, T), expected, rtol=1e-12)


def test_it_is_what_finite_differences_say() -> None:
    model, process, step = network(), processes.golden_mean(), 1e-6
    p, expected = as_hidden(model), np.zeros(T)
    for word, probability in words(process):
        for lag in range(T):
            ends = [[last_loss(p, word, T - 1 - lag, sign * step * unit)[0] for sign in (1, -1)] for unit in np.eye(3)]
            expected[lag] += probability * np.linalg.norm([(up - down) / (2 * step) for up, down in ends])
    np.testing.assert_allclose(gradient_by_lag(model, process, T), expected, rtol=1e-7)


def test_where_the_symbol_alone_is_fed_back_nothing_flows() -> None:
    found = gradient_by_lag(network(recurrence="output"), processes.even(), T)
    assert found[0] > 0.1
    assert found[1:].tolist() == [0.0] * (T - 1)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_other_cells_have_states_too(cell: str) -> None:
    assert bool((gradient_by_lag(network(cell=cell), processes.even(), T) > 0).all())


def test_replicates_are_as_alone() -> None:
    model = network(replicates=2)
    alone = torch.stack([gradient_by_lag(model.replicate(r), processes.even(), T) for r in range(2)])
    torch.testing.assert_close(gradient_by_lag(model, processes.even(), T), alone)


@pytest.mark.parametrize(
    ("model", "process", "says"),
    [
        (Markov(2, 1), processes.even(), "a family with a mediator"),
        (Recurrent(2, 3), processes.mess3(), "alphabet_size 2, as in the model, got 3"),
    ],
)
def test_what_has_no_such_gradient_is_refused(model: Any, process: processes.Process, says: str) -> None:
    with pytest.raises(InputError, match=says):
        gradient_by_lag(model, process, T)
