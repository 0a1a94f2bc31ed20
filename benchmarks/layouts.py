"""The planner's choice among union, forest and batch, against evaluating every word by itself."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from benchmarks.gradient_step import HIDDEN, NUM_SEQUENCES, on_the_tree
from benchmarks.harness import Comparison, Settings, interleave
from pgm_rnn import PrefixTree, Sequences, processes
from pgm_rnn.models import Recurrent

DURATION = 10


def measure(settings: Settings) -> Iterator[Comparison]:
    """A random order-2 chain with k = 4 and T = 10, N = 10 000, at R = 1, 4, 16: never much slower than the batch."""
    process = processes.random_markov(4, 2, seed=0)
    law = process(DURATION)
    for replicates in (1, 4, 16):
        words = [law.sample((NUM_SEQUENCES,), generator=torch.Generator().manual_seed(r)) for r in range(replicates)]
        sets = [Sequences(symbols, process.alphabet_size).to(settings.device) for symbols in words]
        model = Recurrent(process.alphabet_size, HIDDEN, replicates=replicates).to(settings.device, torch.float32)
        chosen = PrefixTree.from_sequences(sets).layout
        trees = {layout: PrefixTree.from_sequences(sets, layout=layout) for layout in ("union", "forest", "batch")}
        seconds = interleave({layout: on_the_tree(model, tree) for layout, tree in trees.items()}, settings)
        for layout, tree in trees.items():
            name = f"layout against batch, R = {replicates}: {layout}, {tree.num_cells:,} cells"
            name, target = (f"{name}, chosen", 1 / 1.1) if layout == chosen else (name, 0.0)
            yield Comparison(name, seconds[layout], seconds["batch"], target)
