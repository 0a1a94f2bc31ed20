"""States after prefixes, against a recurrence written out in numpy and against what the laws do with them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from families import randomise

from pgm_rnn import summarise
from pgm_rnn.checks import InputError
from pgm_rnn.models import Markov, Recurrent
from pgm_rnn.processes import PROCESSES
from pgm_rnn.summaries import trajectory

PREFIXES = torch.tensor([[0, 1, 2, 2], [2, 0, 1, 1], [1, 1, 1, 0]])


def by_hand(model: Recurrent, prefix: list[int]) -> np.ndarray:
    U, W, b = (parameter.detach().double().numpy() for parameter in (model.U, model.W, model.b))
    h = np.tanh(b)
    for symbol in prefix:
        h = np.tanh(b + W @ h + U[:, symbol])
    return h


def test_states_are_those_of_the_recurrence() -> None:
    model = Recurrent(3, 5).double()
    randomise(model)
    states = trajectory(model, PREFIXES).detach().numpy()
    assert states.shape == (3, 5, 5)
    for n, prefix in enumerate(PREFIXES.tolist()):
        for t in range(5):
            np.testing.assert_allclose(states[n, t], by_hand(model, prefix[:t]), atol=1e-12)


def test_what_is_beyond_a_length_is_not_read() -> None:
    model = Recurrent(3, 5).double()
    lengths = torch.tensor([0, 2, 4])
    states = summarise(model, PREFIXES, lengths).detach().numpy()
    for n, length in enumerate(lengths.tolist()):
        np.testing.assert_allclose(states[n], by_hand(model, PREFIXES[n, :length].tolist()), atol=1e-12)
    changed = PREFIXES.clone()
    changed[0], changed[1, 2:] = -7, 99
    assert torch.equal(summarise(model, changed, lengths), summarise(model, PREFIXES, lengths))


def test_replicates_lead_and_nothing_read_is_the_first_state() -> None:
    model = Recurrent(3, 5, replicates=2).double()
    states = summarise(model, PREFIXES)
    assert states.shape == (2, 3, 5)
    for r in range(2):
        torch.testing.assert_close(states[r], summarise(model.replicate(r), PREFIXES))
    nothing = summarise(model, torch.empty(3, 0))
    torch.testing.assert_close(nothing, model.b.tanh().unsqueeze(1).expand(2, 3, 5))


def test_the_gradient_reaches_the_parameters() -> None:
    model = Recurrent(3, 5)
    summarise(model, PREFIXES).sum().backward()
    assert model.W.grad is not None
    assert bool((model.W.grad != 0).all())


def test_a_process_keeps_its_belief() -> None:
    """After a word that synchronises, the state is known; before any, it is the stationary distribution."""
    golden = PROCESSES["golden-mean"]()
    beliefs = summarise(golden, torch.tensor([[0], [1]])).exp()
    torch.testing.assert_close(beliefs, torch.tensor([[0.0, 1.0], [1.0, 0.0]], dtype=torch.double))
    start = trajectory(golden, torch.tensor([[0]]))[:, 0].exp()
    torch.testing.assert_close(start, torch.tensor([[2 / 3, 1 / 3]], dtype=torch.double))


@pytest.mark.parametrize(
    ("prefixes", "lengths", "message"),
    [
        ([[0, 3]], None, r"prefixes: expected symbols in 0\.\.2"),
        ([0, 1], None, r"prefixes: expected shape \(N, t\)"),
        ([[0, 1]], [3], r"lengths: expected integers in 0\.\.2, got \[3\]"),
        ([[0, 1]], [1.0], r"lengths: expected integers in 0\.\.2"),
        ([[0, 1]], [1, 1], r"lengths: expected one for each of the prefixes"),
    ],
)
def test_bad_input_is_refused(prefixes: list[list[int]], lengths: list[int] | None, message: str) -> None:
    given = None if lengths is None else torch.tensor(lengths)
    with pytest.raises(InputError, match=message):
        summarise(Recurrent(3, 4), torch.tensor(prefixes), given)


def test_a_chain_has_no_state_to_show() -> None:
    with pytest.raises(InputError, match="expected a family with a mediator"):
        summarise(Markov(3, 1), PREFIXES)


def test_a_context_and_inputs_enter_the_states() -> None:
    """Given as vectors they act as a bias of each step."""
    model = Recurrent(3, 5, context_dim=2, input_dim=1).double()
    randomise(model)
    x, inputs = torch.randn(3, 2, dtype=torch.double), torch.randn(3, 5, 1, dtype=torch.double)
    states = trajectory(model, PREFIXES, context=x, inputs=inputs)
    h = torch.zeros(3, 5, dtype=torch.double)
    for t in range(5):
        a = model.b + x @ model.R + inputs[:, t] @ model.X.T + h @ model.W.T
        h = torch.tanh(a + model.U.T[PREFIXES[:, t - 1]] if t else a)
        torch.testing.assert_close(states[:, t], h)
    with pytest.raises(InputError, match="prefixes: expected leading dimensions"):
        summarise(model, PREFIXES[:2], context=x, inputs=inputs)


@pytest.mark.parametrize("model", [3, Recurrent(3, 4)(3)], ids=["number", "law"])
def test_only_a_family_has_summaries(model: object) -> None:
    with pytest.raises(InputError, match="model: expected a family with a mediator"):
        summarise(model, PREFIXES)  # type: ignore[arg-type]  # that it is refused is the test
