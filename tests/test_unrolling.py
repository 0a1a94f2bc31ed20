"""The hand-written backward pass against numerical gradients, and against autograd's of the same steps."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pgm_rnn import PrefixTree, Sequences, models, processes
from pgm_rnn.distribution import SequenceDistribution
from pgm_rnn.edges import Edges
from pgm_rnn.lanes import select_lanes
from pgm_rnn.models.unrolling import outer_sum, unroll

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


def plain(root: Tensor, matrix: Tensor, drive: Tensor, edges: Edges) -> Tensor:
    """The same states by autograd, step by step."""
    states = [root]
    for (parent, _), push in zip(edges, drive.split(edges.widths[1:], -2), strict=True):
        above = states[-1] if parent is None else select_lanes(states[-1], parent)
        states.append((push + above @ matrix).tanh())
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


@pytest.mark.parametrize("name", CASES)
def test_gradients_by_hand_are_the_gradients(name: str) -> None:
    edges, batch, lead = CASES[name]
    lanes = sum(edges.widths[1:])
    inputs = (drawn(*batch, edges.roots, 3), drawn(*lead, 3, 3), drawn(*batch, lanes, 3))
    torch.testing.assert_close(unroll(*inputs, edges), plain(*inputs, edges), rtol=1e-12, atol=1e-12)
    assert torch.autograd.gradcheck(lambda *tensors: unroll(*tensors, edges), inputs)
    weights = torch.randn(*batch, edges.roots + lanes, 3, dtype=torch.double, generator=GENERATOR)
    ours, theirs = (torch.autograd.grad((f(*inputs, edges) * weights).sum(), inputs) for f in (unroll, plain))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-12)


def test_second_derivatives() -> None:
    inputs, edges = (drawn(2, 2), drawn(2, 2), drawn(8, 2)), branching()
    assert torch.autograd.gradgradcheck(lambda *tensors: unroll(*tensors, edges), inputs)


def test_outer_sums_fold_all_that_precedes_the_replicates() -> None:
    left, right = drawn(5, 2, 7, 3), drawn(5, 2, 7, 3)
    expected = torch.einsum("srni,srnj->rij", left, right)
    torch.testing.assert_close(outer_sum(left, right, torch.Size((2, 3, 3))), expected)
    torch.testing.assert_close(outer_sum(left, right, torch.Size((3, 3))), expected.sum(0))


@pytest.mark.parametrize("layout", ["union", "forest", "batch"])
def test_the_law_s_shortcut_is_its_steps(layout: str) -> None:
    words = [processes.even()(7).sample((30,), generator=torch.Generator().manual_seed(s)) for s in range(2)]
    tree = PrefixTree.from_sequences([Sequences(part, 2) for part in words], layout)
    law = models.Recurrent(2, 4, replicates=2).double()(7)
    state, edges = tree.roots_and_edges(law)
    stepwise = SequenceDistribution.logits_along(law, state, edges)
    torch.testing.assert_close(law.logits_along(state, edges), stepwise, rtol=1e-12, atol=1e-12)
