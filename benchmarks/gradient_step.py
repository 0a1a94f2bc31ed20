"""One full-data gradient step: on the prefix tree, against the per-step Pyro program."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pyro
import pyro.distributions as dist
import pyro.optim
import torch
from pyro.infer import SVI, Trace_ELBO
from torch import Tensor, nn

from benchmarks.harness import Comparison, Settings, Step, interleave, require_close
from pgm_rnn import PrefixTree, Sequences, processes
from pgm_rnn.models import Recurrent

HIDDEN = 16
NUM_SEQUENCES = 10_000
LEARNING_RATE = 1e-3


def measure(settings: Settings) -> Iterator[Comparison]:
    """even at T = 10 and mess3 at T = 8, N = 10 000, H = 16: alone, and per replicate at R = 16.

    What can be won depends on how many of the words' prefixes are distinct: few in even, all 3^t of them in mess3.
    """
    for process, duration, targets in ((processes.even(), 10, (25.0, 100.0)), (processes.mess3(), 8, (8.0, 12.0))):
        law = process(duration)
        for replicates, target in zip((None, 16), targets, strict=True):
            seeds = range(replicates or 1)
            words = [law.sample((NUM_SEQUENCES,), generator=torch.Generator().manual_seed(seed)) for seed in seeds]
            sets = [Sequences(symbols, process.alphabet_size).to(settings.device) for symbols in words]
            model = Recurrent(process.alphabet_size, HIDDEN, replicates=replicates).to(settings.device, torch.float32)
            alone = model if replicates is None else model.replicate(0)
            tree = PrefixTree.from_sequences(sets if replicates else sets[0])
            name = f"gradient step, {process.name}, T = {duration}, R = {replicates or 1}"
            _require_same_gradient(name, model, tree, alone, sets[0])
            ways = {"ours": on_the_tree(model, tree), "peer": step_by_step(alone, sets[0])}
            seconds = interleave(ways, settings)
            yield Comparison(name, seconds["ours"], seconds["peer"], target, share=len(sets))


def on_the_tree(model: Recurrent, tree: PrefixTree) -> Step:
    """Ours: a step of Adam on the exact mean log-likelihood of every replicate."""
    model = copy.deepcopy(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=True)

    def step() -> None:
        optimizer.zero_grad()
        (-tree.expected_log_prob(model(tree.duration))).sum().backward()
        optimizer.step()

    return step


def per_step_program(words: Tensor, net: Recurrent) -> None:
    """The network as Pyro's own examples would write it: a plate of words, a sample site for each step."""
    pyro.module("net", net)
    with pyro.plate("sequences", len(words)):
        h = torch.tanh(net.b).expand(len(words), -1)
        for t in range(words.shape[1]):
            if t:
                h = torch.tanh(net.b + h @ net.W.T + net.U.T[words[:, t - 1]])
            pyro.sample(f"y_{t + 1}", dist.Categorical(logits=net.c + h @ net.V.T), obs=words[:, t])


def no_guide(words: Tensor, net: Recurrent) -> None:
    """Nothing is latent."""


def step_by_step(net: Recurrent, data: Sequences) -> Step:
    """The peer: a step of Pyro's SVI with Adam on all words at once."""
    pyro.clear_param_store()
    net = copy.deepcopy(net)
    adam = pyro.optim.Adam({"lr": LEARNING_RATE})  # type: ignore[attr-defined]  # the module makes it as it loads
    svi = SVI(per_step_program, no_guide, adam, Trace_ELBO())
    return lambda: svi.step(data.symbols, net)


def _require_same_gradient(name: str, model: Recurrent, tree: PrefixTree, alone: Recurrent, data: Sequences) -> None:
    """Replicate 0 on the tree and the per-step program have the same loss and the same gradient."""
    model, net = copy.deepcopy(model), copy.deepcopy(alone)
    loss = -tree.expected_log_prob(model(tree.duration))
    loss.sum().backward()
    pyro.clear_param_store()
    peer_loss = Trace_ELBO().loss_and_grads(per_step_program, no_guide, data.symbols, net) / len(data)
    require_close(f"{name}: loss", loss.detach().reshape(-1)[:1], torch.tensor([peer_loss]), 1e-5)
    require_close(f"{name}: gradient", _gradient(model, len(loss.shape)), _gradient(net, 0) / len(data), 1e-5)


def _gradient(model: nn.Module, lead: int) -> Tensor:
    """The gradient of replicate 0 as one vector; ``lead`` is 1 where there is a replicate axis."""
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    return torch.cat([(gradient[0] if lead else gradient).flatten() for gradient in gradients])
