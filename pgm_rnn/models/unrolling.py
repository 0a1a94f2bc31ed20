"""The tanh recurrence unrolled over the edges of words or of a prefix tree, with its gradient by hand."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from pgm_rnn.edges import Edges
from pgm_rnn.lanes import add_lanes, select_lanes, times


def unroll(root: Tensor, matrix: Tensor, drive: Tensor, edges: Edges) -> Tensor:
    r"""All states :math:`h = \tanh(d + W h_{\text{parent}})` below ``root``, which comes first.

    Backpropagation through time is the lecture's, along edges in place of steps: a lane sends
    :math:`W^T \mathrm{diag}(1 - h^2)\, dh` to its parent, and lanes with the same parent add up there. By hand it is
    some forty calls where autograd records a hundred and twenty, which is what small trees cost.

    Args:
        root: ``(*batch, roots, H)``.
        matrix: :math:`W^T`, ``(*lead, H, H)``, where ``batch`` ends with ``lead``.
        drive: what the symbols add, ``(*batch, lanes below the roots, H)``.
        edges: how the lanes stem from each other.

    Returns:
        ``(*batch, all lanes, H)``; differentiable any number of times.
    """
    return _Unrolled.apply(root, matrix, drive, edges)


def affine(shift: Tensor, vectors: Tensor, matrix: Tensor) -> Tensor:
    """``shift + vectors @ matrix``, in one call where torch has one for these shapes."""
    if vectors.ndim == matrix.ndim == 2:
        return torch.addmm(shift, vectors, matrix)
    if vectors.ndim == matrix.ndim == 3 and len(vectors) == len(matrix):
        return torch.baddbmm(shift, vectors, matrix)
    return shift + times(vectors, matrix)


class _Unrolled(Function):
    @staticmethod
    def forward(ctx: Any, root: Tensor, matrix: Tensor, drive: Tensor, edges: Edges) -> Tensor:
        states = [root]
        for (parent, _), push in zip(edges, drive.split(edges.widths[1:], -2), strict=True):
            above = states[-1] if parent is None else select_lanes(states[-1], parent)
            states.append(affine(push, above, matrix).tanh_())
        out = torch.cat(states, -2)
        ctx.save_for_backward(matrix, out)
        ctx.edges = edges
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        (gradient,) = gradients
        matrix, out = ctx.saved_tensors
        edges: Edges = ctx.edges
        slopes = (1 - out * out).split(edges.widths, -2)
        *above, here = gradient.split(edges.widths, -2)
        back, pulls = matrix.mT, []
        for (parent, _), slope, sent in zip(reversed(edges.levels), reversed(slopes), reversed(above), strict=False):
            pulls.append(here * slope)
            here = add_lanes(sent, parent, times(pulls[-1], back))
        pull = torch.cat(pulls[::-1], -2)
        origins = edges.origins
        parents = out[..., : pull.shape[-2], :] if origins is None else select_lanes(out, origins)
        return here, outer_sum(parents, pull, matrix.shape), pull, None


def outer_sum(left: Tensor, right: Tensor, shape: torch.Size) -> Tensor:
    r""":math:`\sum_n a_n b_n^T` over lanes and over what precedes the replicates, as ``shape (*lead, H, H)``."""
    lead = len(shape) - 2
    folded = [
        part.flatten(0, -(lead + 3)).movedim(0, -3).flatten(-3, -2) if part.ndim > lead + 2 else part
        for part in (left, right)
    ]
    return (folded[0].mT @ folded[1]).sum_to_size(shape)
