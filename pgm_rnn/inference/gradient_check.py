"""The lecture's gradients against autograd and against central differences, node by node."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import grad, vmap
from torch.nn.functional import one_hot

from pgm_rnn.inference.bptt import Gradients, Parameters, backward, check_batch, forward, parameters
from pgm_rnn.models import Recurrent

STEP = 1e-5
"""Of central differences, whose error in float64 is some ten times its square."""


class Difference(NamedTuple):
    """The largest difference between entries of two gradients of one node, relative to the largest entry."""

    autograd: float
    central: float


def shifted_loss(weights: Parameters, words: Tensor, shift: Gradients) -> Tensor:
    """The loss of a tanh network on ``words (N, T)``, with a shift added to every node and parameter.

    At zero, the gradient with respect to a shift is that of its node: one program serves autograd, and central
    differences, which move the shifts for real. It shares nothing with :mod:`pgm_rnn.inference.bptt` but names.

    Args:
        weights: the network's tensors.
        words: symbols.
        shift: one tensor of each node's shape, those of ``W_t`` and ``U_t`` acting at step t alone.
    """
    U, W, V, b, c = weights
    loss, h = W.new_zeros(()), W.new_zeros(len(words), len(b))
    for t in range(words.shape[1]):
        x = one_hot(words[:, t - 1], len(c)).to(W) if t else W.new_zeros(len(words), len(c))
        step_W, step_U = W + shift.W + shift.W_t[t], U + shift.U + shift.U_t[t]
        a = b + shift.b + h @ step_W.T + x @ step_U.T + shift.a[:, t]
        h = a.tanh() + shift.h[:, t]
        o = c + shift.c + h @ (V + shift.V).T + shift.o[:, t]
        yhat = o.softmax(-1) + shift.yhat[:, t]
        L = -yhat.gather(-1, words[:, t : t + 1]).squeeze(-1).log() + shift.L[:, t]
        loss = loss + L.sum()
    return loss


def gradient_differences(model: Recurrent, words: Tensor) -> dict[str, Difference]:
    """How far each formula of :func:`pgm_rnn.inference.bptt.backward` is from autograd and from central differences.

    Args:
        model: a tanh network without replicates, best in float64.
        words: symbols ``(N, T)``, few and short: every entry of every node is moved on its own.

    Example:
        >>> model, words = Recurrent(2, hidden_dim=3).double(), torch.tensor([[0, 1, 1], [1, 0, 1]])
        >>> differences = gradient_differences(model, words)
        >>> differences["W"].autograd < 1e-10, differences["W"].central < 1e-6
        (True, True)
    """
    words = check_batch(model, words)
    ours = backward(model, words, forward(model, words))
    loss = partial(shifted_loss, parameters(model), words)
    still = Gradients(*map(torch.zeros_like, ours))
    differences = {}
    for name, gradient, exact in zip(Gradients._fields, ours, grad(loss)(still), strict=True):
        moved = vmap(lambda shift, name=name: loss(still._replace(**{name: shift})))
        steps = STEP * torch.eye(gradient.numel(), dtype=gradient.dtype, device=gradient.device)
        steps = steps.reshape(-1, *gradient.shape)
        central = (moved(steps) - moved(-steps)) / (2 * STEP)
        differences[name] = Difference(_relative(gradient, exact), _relative(gradient, central.reshape(gradient.shape)))
    return differences


def _relative(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).abs().max() / theirs.abs().max())
