"""Cells and recurrences against torch's own modules, loops written out in numpy, and tables."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from families import randomise
from torch import Tensor, nn

from pgm_rnn import count_parameters, fit, models, processes, summarise
from pgm_rnn.checks import InputError
from pgm_rnn.models import Recurrent

K, H, T = 3, 4, 5
WORDS = torch.tensor(list(itertools.product(range(K), repeat=T)))


def network(**settings: Any) -> Recurrent:
    model = Recurrent(K, H, **settings).double()
    randomise(model)
    return model


def peer_log_prob(peer: nn.GRU | nn.LSTM, model: Recurrent) -> Tensor:
    """Log-probabilities of all words by torch's module, which first reads an input of zeros and then the one-hots."""
    inputs = nn.functional.pad(nn.functional.one_hot(WORDS[:, :-1], K).double(), (0, 0, 1, 0))  # (N, T, k)
    h, _ = peer(inputs)
    return (h @ model.V.T + model.c).log_softmax(-1).gather(-1, WORDS.unsqueeze(-1)).squeeze(-1).sum(-1)


@torch.no_grad()
def test_the_gru_is_torch_s() -> None:
    model, peer = network(cell="gru"), nn.GRU(K, H, batch_first=True).double()
    peer.weight_ih_l0.copy_(model.U)
    peer.weight_hh_l0.copy_(model.W)
    peer.bias_ih_l0.copy_(model.b[: 3 * H])
    peer.bias_hh_l0.copy_(torch.cat([torch.zeros(2 * H), model.b[3 * H :]]))
    torch.testing.assert_close(model(T).log_prob(WORDS), peer_log_prob(peer, model), rtol=1e-12, atol=1e-12)


@torch.no_grad()
def test_the_lstm_is_torch_s() -> None:
    model, peer = network(cell="lstm"), nn.LSTM(K, H, batch_first=True).double()
    peer.weight_ih_l0.copy_(model.U)
    peer.weight_hh_l0.copy_(model.W)
    peer.bias_ih_l0.copy_(model.b)
    peer.bias_hh_l0.zero_()
    torch.testing.assert_close(model(T).log_prob(WORDS), peer_log_prob(peer, model), rtol=1e-12, atol=1e-12)


def by_hand(model: Recurrent, word: list[int]) -> float:
    """The lecture's formulas with what is fed back by each recurrence, symbol by symbol."""
    p = {name: parameter.detach().numpy() for name, parameter in model.named_parameters()}
    total, a = 0.0, p["b"]
    for t, y in enumerate(word):
        h = np.tanh(a + (p["X"][:, t % model.clock] if model.clock else 0))
        o = p["c"] + p["V"] @ h
        total += o[y] - np.log(np.exp(o).sum())
        a = p["b"] + p["U"][:, y]
        if model.recurrence == "hidden":
            a = a + p["W"] @ h
        elif model.feedback == "vector":
            a = a + p["W"] @ o
    return float(total)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"recurrence": "output"},
        {"recurrence": "output", "feedback": "vector"},
        {"clock": 2},
        {"clock": 9},
        {"clock": 3, "recurrence": "output"},
        {"clock": 3, "recurrence": "output", "feedback": "vector"},
    ],
    ids=str,
)
def test_recurrences_by_hand(settings: dict[str, Any]) -> None:
    model = network(**settings)
    expected = torch.tensor([by_hand(model, word) for word in WORDS.tolist()], dtype=torch.double)
    torch.testing.assert_close(model(T).log_prob(WORDS).detach(), expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("replicates", [None, 2])
def test_feeding_back_the_symbol_alone_is_a_table_of_order_one(replicates: int | None) -> None:
    """Row by row the network's table is that of a Markov chain, so the laws agree at every T."""
    model, chain = network(recurrence="output", replicates=replicates), models.Markov(K, 1, replicates=replicates)
    h = torch.cat([model.b.unsqueeze(-2), model.b.unsqueeze(-2) + model.U.mT], -2).tanh()
    rows = model.c.unsqueeze(-2) + h @ model.V.mT
    chain = chain.double()
    assert chain.logits.shape == rows.shape
    chain.logits.data.copy_(rows)
    torch.testing.assert_close(model(T).log_prob(WORDS), chain(T).log_prob(WORDS), rtol=1e-12, atol=1e-12)


def test_the_best_loss_of_the_symbol_fed_network_is_the_best_chain_s() -> None:
    even = processes.even()
    h = even.conditional_entropies(6)
    floor = float(h[0] + 5 * h[1])
    reached = float(fit(Recurrent(2, 4, recurrence="output"), even(6), restarts=1).losses[-1])
    assert floor - 1e-9 < reached < floor + 1e-6


def test_a_vector_of_k_numbers_carries_more_than_a_symbol_and_less_than_h() -> None:
    """Its hidden recurrence has rank k at most: two symbols carry two numbers, whatever H is."""
    model = Recurrent(2, 8, recurrence="output", feedback="vector").double()
    law = model(4)
    assert law.W_T is not None
    assert int(torch.linalg.matrix_rank(law.W_T)) == 2


@pytest.mark.parametrize("settings", [{}, {"cell": "lstm"}, {"clock": 2}, {"recurrence": "output"}], ids=str)
def test_a_one_hot_fed_is_the_symbol_read(settings: dict[str, Any]) -> None:
    law = network(**settings)(T)
    state = law.initial_state((K,))
    for symbols in torch.tensor([[0, 1, 2], [2, 2, 1]]):
        read, fed = law.update(state, symbols), law.feed(state, nn.functional.one_hot(symbols, K).double())
        torch.testing.assert_close(law.mediator(read), law.mediator(fed))
        state = read


def test_an_lstm_s_summary_holds_its_memory() -> None:
    assert summarise(network(cell="lstm"), WORDS[:2]).shape == (2, 2 * H)
    assert summarise(network(cell="gru"), WORDS[:2]).shape == (2, H)


@pytest.mark.parametrize(
    ("settings", "k", "hidden_dim"),
    [
        ({"cell": "gru"}, 3, 2),
        ({"cell": "lstm"}, 3, 2),
        ({"recurrence": "output", "feedback": "vector"}, 2, 2),
        ({"recurrence": "output", "feedback": "vector"}, 3, 2),
        ({"recurrence": "output", "feedback": "vector"}, 2, 3),
        ({"recurrence": "output"}, 3, 1),
        ({"recurrence": "output"}, 3, 4),
        ({"recurrence": "output", "clock": 3}, 2, 4),
        ({"recurrence": "output", "clock": 2}, 3, 4),
        ({"recurrence": "output", "clock": 2}, 2, 2),
        ({"recurrence": "output", "clock": 9}, 3, 2),
        ({"clock": 7}, 3, 1),
        ({"clock": 6}, 2, 1),
        ({"clock": 2}, 2, 2),
        ({"clock": 3}, 3, 1),
        ({"clock": 2, "cell": "gru"}, 2, 1),
    ],
)
def test_free_parameters_are_the_directions_the_law_depends_on(
    settings: dict[str, Any], k: int, hidden_dim: int
) -> None:
    model, duration = Recurrent(k, hidden_dim, **settings).double(), 5
    randomise(model, scale=0.6)
    words = torch.tensor(list(itertools.product(range(k), repeat=duration)))
    names, values = zip(*model.named_parameters(), strict=True)

    def log_prob(*tensors: Tensor) -> Tensor:
        return torch.func.functional_call(model, dict(zip(names, tensors, strict=True)), (duration,)).log_prob(words)

    jacobian = torch.autograd.functional.jacobian(log_prob, values)
    matrix = torch.cat([part.reshape(len(words), -1) for part in jacobian], -1)
    counted = count_parameters(model, duration)
    assert counted.stored == matrix.shape[1]
    assert int(torch.linalg.matrix_rank(matrix, rtol=1e-14)) == counted.free


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"recurrence": "output", "feedback": "vector-alone"}, "the law is the product of its one-step laws"),
        ({"recurrence": "output", "feedback": "vectors"}, "did you mean 'vector'"),
        ({"feedback": "vector"}, "pass recurrence='output'"),
        ({"cell": "gru", "recurrence": "output"}, "cell: expected 'tanh' with recurrence='output'"),
        ({"clock": 0}, "clock: expected an integer of at least 1, got 0"),
    ],
)
def test_what_makes_no_network_is_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=r"expected .*, got ") as caught:
        Recurrent(2, 4, **settings)
    assert says in str(caught.value)
