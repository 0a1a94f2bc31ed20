"""The exact divergence of a network from a process with all 2^16 words: on the tree, against every word by itself."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from benchmarks.harness import Comparison, Settings, interleave, require_close
from pgm_rnn import PrefixTree, processes
from pgm_rnn.models import Recurrent

HIDDEN = 16
DURATION = 16


def measure(settings: Settings) -> Iterator[Comparison]:
    """A binary chain of order 2, T = 16, H = 16, in float64; what depends on the process alone is not timed."""
    process = processes.random_markov(2, 2, seed=0).to(settings.device)
    law = process(DURATION)
    tree = PrefixTree.from_law(law)
    model = Recurrent(2, HIDDEN).to(settings.device, torch.double)
    words = law.enumerate_support().to(settings.device)
    truth = law.log_prob(words)
    network = WordByWord(model, words)

    @torch.no_grad()
    def ours() -> Tensor:
        return -tree.entropies().sum() - tree.expected_log_prob(model(DURATION))

    @torch.no_grad()
    def peer() -> Tensor:
        return (truth.exp() * (truth - network.log_prob())).sum()

    name = f"exact divergence, {len(words):,} words, float64"
    require_close(name, ours(), peer(), 1e-10)
    seconds = interleave({"ours": ours, "peer": peer}, settings)
    yield Comparison(name, seconds["ours"], seconds["peer"], target=6.0)


class WordByWord:
    """The same network as a ``torch.nn.RNN`` that reads every word from its first symbol on."""

    def __init__(self, model: Recurrent, words: Tensor) -> None:
        k = model.alphabet_size
        self.words = words
        self.V, self.c = model.V, model.c
        self.rnn = torch.nn.RNN(k, model.hidden_dim, batch_first=True).to(words.device, model.W.dtype)
        letters = {"weight_ih_l0": model.U, "weight_hh_l0": model.W, "bias_ih_l0": model.b, "bias_hh_l0": 0 * model.b}
        self.rnn.load_state_dict(letters)
        one_hot = torch.nn.functional.one_hot(words[:, :-1], k).to(model.W.dtype)
        self.inputs = torch.nn.functional.pad(one_hot, (0, 0, 1, 0))  # no symbol has been seen at the first step

    def log_prob(self) -> Tensor:
        h, _ = self.rnn(self.inputs)
        log_p = (self.c + h @ self.V.T).log_softmax(-1)
        return log_p.gather(-1, self.words.unsqueeze(-1)).sum((-2, -1))
