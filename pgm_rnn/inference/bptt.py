"""Backpropagation through time by the lecture's formulas, as written: every node, every parameter, no autograd."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from pgm_rnn.checks import as_tensor, check_symbols, reject
from pgm_rnn.models import Recurrent


class Parameters(NamedTuple):
    """The tensors of a tanh network: ``U (H, k)``, ``W (H, H)``, ``V (k, H)``, ``b (H,)``, ``c (k,)``."""

    U: Tensor
    W: Tensor
    V: Tensor
    b: Tensor
    c: Tensor


class Nodes(NamedTuple):
    """The unfolded graph on N words of T steps; ``L_t`` in nats.

    Shapes: ``x (N, T, k)``, ``a (N, T, H)``, ``h (N, T, H)``, ``o (N, T, k)``, ``yhat (N, T, k)``, ``L (N, T)``.
    """

    x: Tensor
    a: Tensor
    h: Tensor
    o: Tensor
    yhat: Tensor
    L: Tensor

    @property
    def loss(self) -> Tensor:
        """The sum of ``L_t`` over steps and words."""
        return self.L.sum()


class Gradients(NamedTuple):
    """Derivatives of the loss with respect to what a field is named after, and of the same shape.

    ``W_t (T, H, H)`` and ``U_t (T, H, k)`` belong to dummies: copies of W and U that serve step t alone.
    """

    L: Tensor
    yhat: Tensor
    o: Tensor
    h: Tensor
    a: Tensor
    c: Tensor
    V: Tensor
    b: Tensor
    W: Tensor
    U: Tensor
    W_t: Tensor
    U_t: Tensor


@torch.no_grad()
def forward(model: Recurrent, words: Tensor) -> Nodes:
    r"""Every node of the unfolded graph on ``words (N, T)``.

    .. math:: a_t = b + W h_{t-1} + U x_t, \quad h_t = \tanh(a_t), \quad o_t = c + V h_t, \quad
              \hat y_t = \mathrm{softmax}(o_t), \quad L_t = -\log P(y_t \mid y_{<t})

    The input :math:`x_t` is the one-hot of :math:`y_{t-1}`. The first step has seen nothing: :math:`h_0 = 0`,
    :math:`x_1 = 0`, so :math:`h_1 = \tanh(b)`.

    Raises:
        InputError: if the model is no tanh network without replicates, or the words are no symbols ``(N, T)``.

    Source: *Deep Learning* (2016), section 10.2, equations 10.8-10.11, and section 10.2.3 for :math:`x_t`.

    Example:
        >>> nodes = forward(Recurrent(2, hidden_dim=4), torch.tensor([[0, 1, 1], [1, 0, 1]]))
        >>> nodes.h.shape, nodes.L.shape
        (torch.Size([2, 3, 4]), torch.Size([2, 3]))
    """
    U, W, V, b, c = parameters(model)
    y = check_batch(model, words)
    x = inputs(y, model)
    a, h, h_t = [], [], b.new_zeros(len(y), len(b))
    for x_t in x.unbind(1):
        a_t = b + h_t @ W.T + x_t @ U.T
        h_t = a_t.tanh()
        a.append(a_t)
        h.append(h_t)
    o = c + torch.stack(h, 1) @ V.T
    L = -o.log_softmax(-1).gather(-1, y.unsqueeze(-1)).squeeze(-1)
    return Nodes(x, torch.stack(a, 1), torch.stack(h, 1), o, o.softmax(-1), L)


@torch.no_grad()
def backward(model: Recurrent, words: Tensor, nodes: Nodes) -> Gradients:
    r"""The gradient of the loss, summed over steps and words, with respect to every node and parameter.

    .. math::
        \nabla_{L_t} &= 1, \qquad (\nabla_{o_t})_i = \hat y_{t,i} - 1_{i = y_t} \\
        \nabla_{h_T} &= V^\top \nabla_{o_T} \\
        \nabla_{h_t} &= W^\top \mathrm{diag}(1 - h_{t+1}^2)\, \nabla_{h_{t+1}} + V^\top \nabla_{o_t} \\
        \nabla_c &= \sum_t \nabla_{o_t}, \qquad \nabla_V = \sum_t \nabla_{o_t} h_t^\top, \qquad
        \nabla_b = \sum_t \mathrm{diag}(1 - h_t^2)\, \nabla_{h_t} \\
        \nabla_W &= \sum_t \mathrm{diag}(1 - h_t^2)\, \nabla_{h_t} h_{t-1}^\top, \qquad
        \nabla_U = \sum_t \mathrm{diag}(1 - h_t^2)\, \nabla_{h_t} x_t^\top

    The terms of the last two sums are :math:`\nabla_{W_t}` and :math:`\nabla_{U_t}`. Between the lecture's nodes stand
    :math:`\nabla_{a_t} = \mathrm{diag}(1 - h_t^2)\, \nabla_{h_t}` and :math:`(\nabla_{\hat y_t})_i = -1_{i = y_t} /
    \hat y_{t,i}`.

    Erratum: the lecture's slide has the last two factors of the recursion swapped, :math:`W^\top \nabla_{h_{t+1}}
    \mathrm{diag}(1 - h_{t+1}^2)`, a column times a matrix, which does not conform.

    Args:
        model, words: as in :func:`forward`.
        nodes: what :func:`forward` gave.

    Source: *Deep Learning* (2016), section 10.2.2, equations 10.17-10.28.

    Example:
        >>> model, words = Recurrent(2, hidden_dim=4).double(), torch.tensor([[0, 1, 1]])
        >>> gradients = backward(model, words, forward(model, words))
        >>> torch.allclose(gradients.W_t.sum(0), gradients.W), bool(gradients.W_t[0].any())
        (True, False)
    """
    _, W, V, _, c = parameters(model)
    x, _, h, o, yhat, L = nodes
    target = nn.functional.one_hot(check_batch(model, words), len(c)).to(o)

    d_L = torch.ones_like(L)
    d_yhat = torch.where(target > 0, -L.unsqueeze(-1).exp(), 0.0)
    d_o = yhat - target
    d_h = d_o @ V  # row by row V^T d_o, which is all of d_h at the last step
    for t in reversed(range(h.shape[1] - 1)):
        d_h[:, t] += ((1 - h[:, t + 1] ** 2) * d_h[:, t + 1]) @ W
    d_a = (1 - h**2) * d_h
    d_W_t = torch.einsum("nti,ntj->tij", d_a, before(h))
    d_U_t = torch.einsum("nti,ntj->tij", d_a, x)
    d_V = torch.einsum("nti,ntj->ij", d_o, h)
    d_c, d_b = d_o.sum((0, 1)), d_a.sum((0, 1))
    return Gradients(d_L, d_yhat, d_o, d_h, d_a, d_c, d_V, d_b, d_W_t.sum(0), d_U_t.sum(0), d_W_t, d_U_t)


def parameters(model: Recurrent) -> Parameters:
    """The tensors of a tanh network.

    Raises:
        InputError: for another model, cell or recurrence, further inputs, or replicates.
    """
    expected = "a tanh Recurrent from h to h, without replicates and without further inputs"
    if not isinstance(model, Recurrent):
        raise reject("model", expected, type(model).__name__)
    if model.replicates is not None:
        raise reject("model", expected, f"{model.replicates} replicates", "take model.replicate(r)")
    tensors = {name: parameter.detach() for name, parameter in model.named_parameters()}
    if (model.cell, model.recurrence) != ("tanh", "hidden") or set(tensors) != set(Parameters._fields):
        raise reject("model", expected, f"cell {model.cell!r}, recurrence {model.recurrence!r}, {', '.join(tensors)}")
    return Parameters(**tensors)


def check_batch(model: Recurrent, words: Tensor) -> Tensor:
    """``words`` as int64 symbols ``(N, T)`` with T at least 1, where the model is."""
    y = as_tensor("words", words)
    if y.ndim != 2 or 0 in y.shape:
        raise reject("words", "shape (N, T) with N and T at least 1", tuple(y.shape))
    return check_symbols("words", y, model.alphabet_size).to(model.b.device)


def inputs(y: Tensor, model: Recurrent) -> Tensor:
    """What step t is given: the one-hot of ``y_(t-1)``, and zeros at the first step; ``(N, T, k)``."""
    return before(nn.functional.one_hot(y, model.alphabet_size).to(model.b.dtype))


def before(nodes: Tensor) -> Tensor:
    """``(N, T, ...)`` moved one step on: at t what was at t - 1, and 0 at the first step."""
    return nn.functional.pad(nodes, (0, 0, 1, 0))[:, :-1]
