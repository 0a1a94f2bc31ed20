"""A recurrence unrolled over the edges of words or of a prefix tree, with its gradient by hand."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from pgm_rnn.edges import Edges
from pgm_rnn.lanes import add_lanes, select_lanes, times
from pgm_rnn.models.cells import Cell


def unroll(root: Tensor, matrix: Tensor, drive: Tensor, edges: Edges, cell: Cell) -> Tensor:
    r"""All states below ``root``, which comes first: those of the pre-activations :math:`a = d + W h_{\text{parent}}`.

    Backpropagation through time is the lecture's, along edges in place of steps: a lane sends
    :math:`W^T \mathrm{diag}(1 - h^2)\, dh` (for other cells than tanh, :math:`W^T da`) to its parent, and lanes with
    the same parent add up there. By hand it is some forty calls where autograd records a hundred and twenty, which is
    what small trees cost; ``benchmarks/backward.py`` says where that ends.

    Args:
        root: ``(*batch, roots, parts * H)``.
        matrix: :math:`W^T`, ``(*lead, H, blocks * H)``, where ``batch`` ends with ``lead``.
        drive: what symbols and biases add, ``(*batch, lanes below the roots, blocks * H)``.
        edges: how the lanes stem from each other.
        cell: from pre-activations to states.

    Returns:
        ``(*batch, all lanes, parts * H)``; differentiable any number of times.
    """
    return _Unrolled.apply(root, matrix, drive, edges, cell)


def affine(shift: Tensor, vectors: Tensor, matrix: Tensor) -> Tensor:
    """``shift + vectors @ matrix``, in one call where torch has one for these shapes."""
    if vectors.ndim == matrix.ndim == 2:
        return torch.addmm(shift, vectors, matrix)
    if vectors.ndim == matrix.ndim == 3 and len(vectors) == len(matrix):
        return torch.baddbmm(shift, vectors, matrix)
    return shift + times(vectors, matrix)


def visible(state: Tensor, hidden_dim: int) -> Tensor:
    """The part h of a state, which is all that is read out and fed back."""
    return state if state.shape[-1] == hidden_dim else state[..., :hidden_dim]


class _Unrolled(Function):
    @staticmethod
    def forward(ctx: Any, root: Tensor, matrix: Tensor, drive: Tensor, edges: Edges, cell: Cell) -> Tensor:
        states, H = [root], matrix.shape[-2]
        for (parent, _), push in zip(edges, drive.split(edges.widths[1:], -2), strict=True):
            above = states[-1] if parent is None else select_lanes(states[-1], parent)
            states.append(cell.step(affine(push, visible(above, H), matrix), above))
        out = torch.cat(states, -2)
        ctx.save_for_backward(matrix, out, drive if cell.blocks > 1 else None)
        ctx.edges, ctx.cell = edges, cell
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        (gradient,) = gradients
        matrix, out, drive = ctx.saved_tensors
        edges, cell, H = ctx.edges, ctx.cell, matrix.shape[-2]
        below, origins = out[..., edges.roots :, :], edges.origins
        before = out[..., : below.shape[-2], :] if origins is None else select_lanes(out, origins)
        a = None if drive is None else affine(drive, visible(before, H), matrix)
        slopes = cell.slopes(a, before, below).split(edges.widths[1:], -2)
        *above, here = gradient.split(edges.widths, -2)
        back, pulls = matrix.mT, []
        for (parent, _), slope, sent in zip(reversed(edges.levels), reversed(slopes), reversed(above), strict=True):
            pull, past = cell.send_back(here, slope)
            pulls.append(pull)
            carried = times(pull, back)
            if past is not None:
                carried = past + torch.nn.functional.pad(carried, (0, past.shape[-1] - H))
            here = add_lanes(sent, parent, carried)
        pull = torch.cat(pulls[::-1], -2)
        return here, outer_sum(visible(before, H), pull, matrix.shape), pull, None, None


def outer_sum(left: Tensor, right: Tensor, shape: torch.Size) -> Tensor:
    r""":math:`\sum_n a_n b_n^T` over lanes and over what precedes the replicates, as ``shape (*lead, H, H)``."""
    lead = len(shape) - 2
    folded = [
        part.flatten(0, -(lead + 3)).movedim(0, -3).flatten(-3, -2) if part.ndim > lead + 2 else part
        for part in (left, right)
    ]
    return (folded[0].mT @ folded[1]).sum_to_size(shape)
