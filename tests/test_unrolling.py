"""The hand-written backward pass against numerical gradients, and against autograd's of the same steps."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch
from families import MODEL_ARGUMENTS
from torch import Tensor

from pgm_rnn import PrefixTree, Sequences, models, processes
from pgm_rnn.distribution import SequenceDistribution
from pgm_rnn.edges import Edges
from pgm_rnn.lanes import select_lanes
from pgm_rnn.models.cells import CELLS, Cell
from pgm_rnn.models.unrolling import outer_sum, unroll

RECURRENT_ARGUMENTS = MODEL_ARGUMENTS["recurrent"]
GENERATOR = torch.Generator().manual_seed(0)


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.double, generator=GENERATOR).requires_grad_()


def branching(*lead: int) -> Edges:
    """Three levels from two roots: lanes with two, one and no children, shared or by replicate."""
    parents = (torch.tensor([0, 0, 1]), torch.tensor([0, 2, 2, 2]), torch.tensor([3]))
    pairs = [(p.expand(*lead, -1), torch.zeros_like(p).expand(*lead, -1)) for p in parents]
    return Edges(pairs, roots=2)


def paths(*lead: int) -> Edges:
    return Edges([(None, torch.zeros(*lead, 3, dtype=torch.long)) for _ in range(3)], roots=3)


def tanh(push: Tensor, above: Tensor, matrix: Tensor) -> Tensor:
    return (push + above @ matrix).tanh()


def gru(push: Tensor, above: Tensor, matrix: Tensor) -> Tensor:
    """Symbols and state act on the blocks 2 and 3 apart; on the others together."""
    r, z, n, m = (push + above @ matrix).chunk(4, -1)
    z = torch.sigmoid(z)
    return (1 - z) * torch.tanh(n + torch.sigmoid(r) * m) + z * above


def lstm(push: Tensor, above: Tensor, matrix: Tensor) -> Tensor:
    h, s = above.chunk(2, -1)
    i, f, g, q = (push + h @ matrix).chunk(4, -1)
    s = torch.sigmoid(f) * s + torch.sigmoid(i) * torch.tanh(g)
    return torch.cat([torch.sigmoid(q) * torch.tanh(s), s], -1)


STEPS = {"tanh": tanh, "gru": gru, "lstm": lstm}


def plain(root: Tensor, matrix: Tensor, drive: Tensor, edges: Edges, cell: str) -> Tensor:
    """The same states by autograd, step by step."""
    states = [root]
    for (parent, _), push in zip(edges, drive.split(edges.widths[1:], -2), strict=True):
        above = states[-1] if parent is None else select_lanes(states[-1], parent)
        states.append(STEPS[cell](push, above, matrix))
    return torch.cat(states, -2)


CASES = {
    "tree": (branching(), (), ()),
    "words": (paths(), (), ()),
    "replicates on one tree": (branching(1), (2,), (2,)),
    "replicates on a forest": (branching(2), (2,), (2,)),
    "one network on a forest": (branching(2), (2,), ()),
    "restarts of replicates": (branching(1, 1), (3, 2), (3, 2)),
    "replicates under a sample shape": (paths(4, 2), (4, 2), (2,)),
    "one network under a sample shape": (paths(4, 2), (4, 2), ()),
}


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", CASES)
def test_gradients_by_hand_are_the_gradients(name: str, cell: str) -> None:
    edges, batch, lead = CASES[name]
    parts, blocks, lanes = CELLS[cell].parts, CELLS[cell].blocks, sum(edges.widths[1:])
    inputs = (drawn(*batch, edges.roots, parts * 3), drawn(*lead, 3, blocks * 3), drawn(*batch, lanes, blocks * 3))
    ours, theirs = unroll(*inputs, edges, CELLS[cell]), plain(*inputs, edges, cell)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    assert torch.autograd.gradcheck(lambda *tensors: unroll(*tensors, edges, CELLS[cell]), inputs, fast_mode=True)
    weights = torch.randn(ours.shape, dtype=torch.double, generator=GENERATOR)
    got, expected = (torch.autograd.grad((states * weights).sum(), inputs) for states in (ours, theirs))
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("cell", CELLS.values())
def test_second_derivatives(cell: Cell) -> None:
    inputs, edges = (drawn(2, cell.parts * 2), drawn(2, cell.blocks * 2), drawn(8, cell.blocks * 2)), branching()
    assert torch.autograd.gradcheck(lambda *tensors: unroll(*tensors, edges, cell), inputs)
    assert torch.autograd.gradgradcheck(lambda *tensors: unroll(*tensors, edges, cell), inputs)


def test_outer_sums_fold_all_that_precedes_the_replicates() -> None:
    left, right = drawn(5, 2, 7, 3), drawn(5, 2, 7, 3)
    expected = torch.einsum("srni,srnj->rij", left, right)
    torch.testing.assert_close(outer_sum(left, right, torch.Size((2, 3, 3))), expected)
    torch.testing.assert_close(outer_sum(left, right, torch.Size((3, 3))), expected.sum(0))


@pytest.mark.parametrize("layout", ["union", "forest", "batch"])
@pytest.mark.parametrize("settings", RECURRENT_ARGUMENTS, ids=str)
@pytest.mark.parametrize("large", [0, sys.maxsize])
def test_the_law_s_shortcut_is_its_steps(
    settings: dict[str, Any], layout: str, large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By hand or, where that is the slower engine, by autograd."""
    monkeypatch.setattr(models.recurrent_law, "LARGE", large)
    words = [processes.even()(7).sample((30,), generator=torch.Generator().manual_seed(s)) for s in range(2)]
    tree = PrefixTree.from_sequences([Sequences(part, 2) for part in words], layout)
    law = models.Recurrent(2, replicates=2, **settings).double()(7)
    state, edges = tree.roots_and_edges(law)
    stepwise = SequenceDistribution.logits_along(law, state, edges)
    torch.testing.assert_close(law.logits_along(state, edges), stepwise, rtol=1e-12, atol=1e-12)
