"""Drawing 4096 words of 256 symbols from a process, against a Pyro program with a sample site for each step."""

from __future__ import annotations

from collections.abc import Iterator

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from benchmarks.harness import Comparison, Settings, interleave, require_close
from pgm_rnn import processes

NUM_SEQUENCES = 4096
DURATION = 256


def measure(settings: Settings) -> Iterator[Comparison]:
    """mess3; both ways must give the same frequencies of pairs of symbols, to a fiftieth."""
    process = processes.mess3().to(settings.device)
    law = process(DURATION)
    k, states, _ = process.joint.shape
    rows = process.joint.permute(1, 0, 2).reshape(states, k * states)  # (S, (y, s'))

    def ours() -> Tensor:
        return law.sample((NUM_SEQUENCES,))

    def peer() -> Tensor:
        return state_by_state(process.initial, rows)

    name = f"sampling, mess3, {NUM_SEQUENCES} words of {DURATION} symbols"
    require_close(f"{name}: pairs", _pair_frequencies(ours(), k), _pair_frequencies(peer(), k), 0.02)
    seconds = interleave({"ours": ours, "peer": peer}, settings)
    yield Comparison(name, seconds["ours"], seconds["peer"], target=5.0)


def state_by_state(initial: Tensor, rows: Tensor) -> Tensor:
    """A site for the first state, then at each step one site for the symbol and the next state together."""
    symbols = []
    with pyro.plate("sequences", NUM_SEQUENCES):
        state = pyro.sample("s_0", dist.Categorical(initial))
        for t in range(DURATION):
            edge = pyro.sample(f"e_{t + 1}", dist.Categorical(rows[state]))
            state = edge % len(initial)
            symbols.append(edge // len(initial))
    return torch.stack(symbols, -1)


def _pair_frequencies(words: Tensor, k: int) -> Tensor:
    pairs = words[:, :-1] * k + words[:, 1:]
    return torch.bincount(pairs.flatten(), minlength=k * k) / pairs.numel()
