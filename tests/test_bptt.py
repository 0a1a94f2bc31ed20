"""The lecture's gradients against autograd on a literal graph, gradcheck, central differences and the engine."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import Function, gradcheck

from pgm_rnn import PrefixTree, Sequences
from pgm_rnn.checks import InputError
from pgm_rnn.inference.bptt import Gradients, Nodes, backward, forward
from pgm_rnn.models import Recurrent, Tabular

PARAMETERS = ("U", "W", "V", "b", "c")
NODES = ("a", "h", "o", "yhat", "L")


def example(N: int = 3, T: int = 5, k: int = 3, H: int = 4, seed: int = 0) -> tuple[Recurrent, Tensor]:
    model = Recurrent(k, H).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.double))
    return model, torch.randint(0, k, (N, T), generator=generator)


def literal(model: Recurrent, words: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The unfolded graph, step by step and word by word, with copies of W and U at each step: values, and gradients."""
    N, T = words.shape
    U, W, V, b, c = (getattr(model, name).detach().requires_grad_() for name in PARAMETERS)
    copies = {"W_t": [W.clone() for _ in range(T)], "U_t": [U.clone() for _ in range(T)]}
    grid: dict[str, list[list[Tensor]]] = {name: [] for name in NODES}
    for n in range(N):
        h = torch.zeros(len(b), dtype=torch.double)
        rows: dict[str, list[Tensor]] = {name: [] for name in NODES}
        for t in range(T):
            x = torch.zeros(len(c), dtype=torch.double)
            if t:
                x[words[n, t - 1]] = 1.0
            a = b + copies["W_t"][t] @ h + copies["U_t"][t] @ x
            h = torch.tanh(a)
            o = c + V @ h
            yhat = torch.exp(o) / torch.exp(o).sum()
            L = -torch.log(yhat[words[n, t]])
            for name, node in zip(NODES, (a, h, o, yhat, L), strict=True):
                node.retain_grad()
                rows[name].append(node)
        for name in NODES:
            grid[name].append(rows[name])
    for copy in (*copies["W_t"], *copies["U_t"]):
        copy.retain_grad()
    total = sum((L for row in grid["L"] for L in row), torch.zeros((), dtype=torch.double))
    total.backward()
    values = {name: torch.stack([torch.stack(row) for row in grid[name]]).detach() for name in NODES}
    grads = {name: torch.stack([torch.stack([filled(node) for node in row]) for row in grid[name]]) for name in NODES}
    grads |= {name: torch.stack([filled(copy) for copy in copies[name]]) for name in copies}
    grads |= {name: filled(leaf) for name, leaf in zip(PARAMETERS, (U, W, V, b, c), strict=True)}
    return values, grads


def filled(node: Tensor) -> Tensor:
    """Its gradient; the copies of the first step, which act on nothing but zeros, have one too."""
    assert node.grad is not None
    return node.grad


def require_close(ours: Tensor, theirs: Tensor, name: str, tolerance: float = 1e-10) -> None:
    """Relative to the largest entry of the node."""
    assert ours.shape == theirs.shape, name
    assert float((ours - theirs).abs().max()) <= tolerance * max(float(theirs.abs().max()), 1e-30), name


@given(N=st.integers(1, 4), T=st.integers(1, 7), k=st.integers(2, 4), H=st.integers(1, 5), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_every_node_and_its_gradient_is_autograd_s(N: int, T: int, k: int, H: int, seed: int) -> None:
    model, words = example(N, T, k, H, seed)
    nodes = forward(model, words)
    gradients = backward(model, words, nodes)
    values, expected = literal(model, words)
    for name in NODES:
        require_close(getattr(nodes, name), values[name], name, 1e-12)
    assert set(expected) == set(Gradients._fields)
    for name in Gradients._fields:
        require_close(getattr(gradients, name), expected[name], name)


def test_dummies_sum_to_the_gradient_of_what_is_shared() -> None:
    model, words = example()
    gradients = backward(model, words, forward(model, words))
    _, expected = literal(model, words)
    require_close(gradients.W_t.sum(0), expected["W"], "W")
    require_close(gradients.U_t.sum(0), expected["U"], "U")
    assert not gradients.W_t[0].any()  # h_0 = 0 and x_1 = 0: the first copies act on nothing
    assert not gradients.U_t[0].any()
    assert gradients.W_t[1:].flatten(1).any(1).all()


def test_the_slide_s_order_of_factors_does_not_conform() -> None:
    W, slope, d_h = torch.ones(4, 4), torch.eye(4), torch.ones(4, 1)
    assert (W.T @ slope @ d_h).shape == (4, 1)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        W.T @ d_h @ slope


class Loss(Function):
    """The loss as a function of the parameters, with the lecture's backward pass as its derivative."""

    @staticmethod
    def forward(ctx: Any, words: Tensor, *tensors: Tensor) -> Tensor:
        ctx.model = Recurrent(tensors[4].shape[0], tensors[3].shape[0]).double()
        ctx.model.load_state_dict(dict(zip(PARAMETERS, tensors, strict=True)))
        ctx.words, ctx.nodes = words, forward(ctx.model, words)
        return ctx.nodes.loss

    @staticmethod
    def backward(ctx: Any, *above: Tensor) -> tuple[Tensor | None, ...]:
        gradients = backward(ctx.model, ctx.words, ctx.nodes)
        return (None, *(above[0] * getattr(gradients, name) for name in PARAMETERS))


def test_gradcheck() -> None:
    model, words = example()
    leaves = [getattr(model, name).detach().requires_grad_() for name in PARAMETERS]
    assert gradcheck(lambda *tensors: Loss.apply(words, *tensors), leaves)


@pytest.mark.parametrize("name", PARAMETERS)
def test_central_differences(name: str) -> None:
    model, words = example()
    ours = getattr(backward(model, words, forward(model, words)), name).flatten()
    entries, step = getattr(model, name).detach().view(-1), 1e-5
    differences = []
    for i in range(len(entries)):
        losses = []
        for sign in (1, -1):
            entries[i] += sign * step
            losses.append(forward(model, words).loss)
            entries[i] -= sign * step
        differences.append((losses[0] - losses[1]) / (2 * step))
    require_close(torch.stack(differences), ours, name, 1e-8)


@pytest.mark.parametrize("layout", ["union", "batch"])
def test_training_has_the_same_gradient(layout: str) -> None:
    """The objective of training is the mean over words, on the tree; ours is the sum."""
    model, words = example(N=20, T=4, k=2)
    tree = PrefixTree.from_sequences(Sequences(words, 2), layout)
    loss = -tree.expected_log_prob(model(4))
    loss.backward()
    nodes = forward(model, words)
    gradients = backward(model, words, nodes)
    torch.testing.assert_close(nodes.loss / 20, loss.detach(), rtol=1e-12, atol=0)
    for name in PARAMETERS:
        grad = getattr(model, name).grad
        assert grad is not None
        require_close(getattr(gradients, name) / 20, grad, name)


def test_a_wrong_formula_is_caught() -> None:
    """The comparison above can fail: the slope taken at t instead of t + 1."""
    model, words = example()
    nodes = forward(model, words)
    shifted = nodes.h.roll(1, 1)
    wrong = backward(model, words, Nodes(*nodes._replace(h=shifted)))
    _, expected = literal(model, words)
    with pytest.raises(AssertionError, match="h"):
        require_close(wrong.h, expected["h"], "h")


@pytest.mark.parametrize("symbol", [0, 1])
def test_certain_and_hopeless_words_give_no_nan(symbol: int) -> None:
    model, words = example(N=1, T=3, k=2)
    with torch.no_grad():
        model.c.copy_(torch.tensor([500.0, -500.0]))
    words = torch.full_like(words, symbol)
    nodes = forward(model, words)
    gradients = backward(model, words, nodes)
    assert nodes.loss.isfinite()
    assert all(part.isfinite().all() for part in gradients._replace(yhat=nodes.L))
    assert not gradients.yhat.isnan().any()  # -1 / yhat is -inf where yhat underflows


def test_no_autograd_inside() -> None:
    model, words = example()
    nodes = forward(model, words)
    assert not any(part.requires_grad for part in (*nodes, *backward(model, words, nodes)))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Recurrent(2, 3, replicates=2), "2 replicates; take model.replicate"),
        (Tabular(2, 3), "got Tabular"),
        (Recurrent(2, 3, cell="gru"), "got cell 'gru'"),
        (Recurrent(2, 3, recurrence="output", feedback="vector"), "recurrence 'output'"),
        (Recurrent(2, 3, clock=4), "further inputs, got .*X"),
    ],
)
def test_other_models_are_refused(model: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        forward(model, torch.zeros(2, 3, dtype=torch.long))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (torch.zeros(3, dtype=torch.long), r"words: expected shape \(N, T\)"),
        (torch.zeros(3, 0, dtype=torch.long), "T at least 1"),
        (torch.full((1, 2), 3), "symbols in 0..2"),
        (torch.zeros(1, 2), "integer symbols"),
    ],
)
def test_other_words_are_refused(words: Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        forward(example()[0], words)
