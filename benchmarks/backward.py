"""The gradient written by hand against autograd through the same steps: which of them should train?"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from benchmarks.gradient_step import HIDDEN
from benchmarks.harness import Comparison, Settings, interleave, require_close
from pgm_rnn import PrefixTree, Sequences, processes
from pgm_rnn.distribution import SequenceDistribution
from pgm_rnn.edges import Edges
from pgm_rnn.models import Recurrent, recurrent_law

CASES = (
    ("union", processes.even(), 10, 10_000, 0.0),
    ("union", processes.mess3(), 8, 10_000, 0.0),
    ("batch", processes.mess3(), 32, 64, 1.3),
    ("batch", processes.mess3(), 32, 4_096, 0.0),
)
"""Layout, process, T, number of words, and the ratio that we promise, or 0: large batches are bound by memory, and
there training takes autograd (:data:`pgm_rnn.models.recurrent_law.LARGE`)."""

Engine = Callable[[SequenceDistribution, Any, Edges], Tensor]


def measure(settings: Settings) -> Iterator[Comparison]:
    """The logits of all prefixes and their gradient, H = 16: the fewer lanes a step has, the more its calls cost."""
    for layout, process, T, count, target in CASES:
        words = process(T).sample((count,), generator=torch.Generator().manual_seed(0))
        tree = PrefixTree.from_sequences(Sequences(words, process.alphabet_size).to(settings.device), layout)
        model = Recurrent(process.alphabet_size, HIDDEN).to(settings.device, torch.float32)
        ours = gradient(model, tree, by_hand)
        peer = gradient(model, tree, SequenceDistribution.logits_along)  # what every family has, by autograd
        name = f"backward by hand, {process.name}, T = {T}, {layout} of {tree.num_cells:,} cells"
        require_close(name, ours(), peer(), 1e-5)
        seconds = interleave({"ours": ours, "peer": peer}, settings)
        yield Comparison(name, seconds["ours"], seconds["peer"], target)


def by_hand(law: SequenceDistribution, state: Any, edges: Edges) -> Tensor:
    """The engine at any size: training leaves it where it is the slower one."""
    with patch.object(recurrent_law, "LARGE", sys.maxsize):
        return law.logits_along(state, edges)


def gradient(model: Recurrent, tree: PrefixTree, engine: Engine) -> Callable[[], Tensor]:
    """Forward and backward: the gradient of a fixed weighted sum of the logits, as one vector."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(tree.num_cells, model.alphabet_size, generator=generator).to(model.b.device)
    parameters = list(model.parameters())

    def step() -> Tensor:
        law = model(tree.duration)
        logits = engine(law, *tree.roots_and_edges(law))
        return torch.cat([part.flatten() for part in torch.autograd.grad((weights * logits).sum(), parameters)])

    return step
