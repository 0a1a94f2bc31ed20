"""The check of gradients checked: on a network of one unit by hand, and on formulas that are wrong."""

from __future__ import annotations

import math

import pytest
import torch

from pgm_rnn.inference.bptt import Gradients, Parameters, backward, forward
from pgm_rnn.inference.gradient_check import gradient_differences, shifted_loss
from pgm_rnn.models import Recurrent


def test_the_shifted_loss_of_one_unit_by_hand() -> None:
    """Two steps, two symbols, H = 1, and a shift at every node, in plain numbers."""
    column = torch.tensor([[0.3], [-0.2]], dtype=torch.double)
    row, one = column.T.contiguous(), torch.tensor([0.4], dtype=torch.double)
    weights = Parameters(U=row, W=one[:, None] * 2, V=column, b=one, c=torch.tensor([0.1, 0.0], dtype=torch.double))
    nodes = {"L": (1, 2), "yhat": (1, 2, 2), "o": (1, 2, 2), "h": (1, 2, 1), "a": (1, 2, 1), "c": (2,), "V": (2, 1)}
    nodes |= {"b": (1,), "W": (1, 1), "U": (1, 2), "W_t": (2, 1, 1), "U_t": (2, 1, 2)}
    size = {name: 0.01 * (i + 1) for i, name in enumerate(nodes)}
    shift = Gradients(**{name: torch.full(shape, size[name], dtype=torch.double) for name, shape in nodes.items()})
    s = Gradients(**size)  # type: ignore[arg-type]  # numbers in place of tensors

    def step(h: float, u: float, target: int) -> tuple[float, float]:
        h = math.tanh(0.4 + s.b + (0.8 + s.W + s.W_t) * h + u + s.a) + s.h
        o = [0.1 + s.c + (0.3 + s.V) * h + s.o, s.c + (-0.2 + s.V) * h + s.o]
        return h, s.L - math.log(math.exp(o[target]) / (math.exp(o[0]) + math.exp(o[1])) + s.yhat)

    h, first = step(0.0, 0.0, 1)
    _, second = step(h, -0.2 + s.U + s.U_t, 0)
    loss = shifted_loss(weights, torch.tensor([[1, 0]]), shift)
    assert loss.item() == pytest.approx(first + second, abs=1e-14)


@pytest.mark.parametrize("name", Gradients._fields)
def test_a_wrong_formula_is_seen_at_its_node_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, words = Recurrent(2, 3).double(), torch.tensor([[0, 1, 1], [1, 0, 1]])
    gradients = backward(model, words, forward(model, words))
    wrong = gradients._replace(**{name: getattr(gradients, name) * 1.001})
    monkeypatch.setattr("pgm_rnn.inference.gradient_check.backward", lambda *_: wrong)
    for node, difference in gradient_differences(model, words).items():
        assert (difference.autograd > 1e-4) == (node == name)
        assert (difference.central > 1e-4) == (node == name)
