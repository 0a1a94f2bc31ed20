"""What the library is checked against: literal programs and enumeration, sharing no code with it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pyro
import pyro.distributions as dist
import torch
from torch import Tensor


def all_words(alphabet_size: int, duration: int) -> Tensor:
    """Every word, in lexicographic order."""
    return torch.tensor(list(itertools.product(range(alphabet_size), repeat=duration)))


def matrix_product_probability(joint: Tensor, initial: Tensor, word: Sequence[int]) -> float:
    """``initial J[y_1] ... J[y_T] 1`` of a hidden Markov process."""
    vector = initial.double().numpy()
    for symbol in word:
        vector = vector @ joint[symbol].double().numpy()
    return float(vector.sum())


def log_softmax(logits: Tensor) -> np.ndarray:
    row = logits.detach().double().numpy()
    return row - np.logaddexp.reduce(row, axis=-1, keepdims=True)


def contract_log_prob(law, word: Sequence[int]) -> np.ndarray:  # type: ignore[no-untyped-def]  # any law
    """The chain rule by the contract, one word at a time: a scalar or ``(R,)``."""
    lanes = (*law.batch_shape[:-1], 1)
    state = law.initial_state(lanes)
    total = np.zeros(lanes[:-1])
    for symbol in word:
        total = total + log_softmax(law.next_logits(state).expand(*lanes, -1))[..., 0, symbol]
        state = law.update(state, torch.full(lanes, symbol))
    return total


def tanh_program(words: Tensor, U: Tensor, W: Tensor, V: Tensor, b: Tensor, c: Tensor) -> None:
    """The lecture's network, as Pyro's own examples would write it."""
    with pyro.plate("words", len(words)):
        h = torch.tanh(b).expand(len(words), -1)
        for t in range(words.shape[1]):
            pyro.sample(f"y_{t}", dist.Categorical(logits=c + h @ V.T), obs=words[:, t])
            h = torch.tanh(b + h @ W.T + U.T[words[:, t]])


def rows_program(words: Tensor, logits: dict[tuple[int, ...], Tensor], order: int) -> None:
    """A row of logits for every context of at most ``order`` symbols: the full table where ``order >= T - 1``."""
    for n, word in enumerate(words.tolist()):
        for t, symbol in enumerate(word):
            context = tuple(word[max(0, t - order) : t])
            pyro.sample(f"y_{n}_{t}", dist.Categorical(logits=logits[context]), obs=torch.tensor(symbol))


def hmm_law(joint: Tensor, initial: Tensor, duration: int) -> dist.DiscreteHMM:
    """The same process in Pyro's hidden Markov model.

    Pyro's emits from states, ours from edges; so its states are pairs (y, s'), each emitting its own y. It moves once
    before the first symbol, so its initial state is a pair with our initial s and any y.
    """
    k, S = joint.shape[:2]
    step = joint.permute(1, 0, 2).reshape(S, k * S).repeat(k, 1)  # from (y, s) to (y', s'), whatever y was
    start = torch.cat([initial, initial.new_zeros((k - 1) * S)])
    emission = torch.eye(k, dtype=joint.dtype).repeat_interleave(S, 0)
    tiny = 1e-300  # stands for zero: -inf makes nan in there
    logs = [part.clamp_min(tiny).log() for part in (start, step, emission)]
    return dist.DiscreteHMM(logs[0], logs[1], dist.Categorical(logits=logs[2]), duration=duration)


def program_log_prob(program, *arguments) -> Tensor:  # type: ignore[no-untyped-def]  # any Pyro program
    return pyro.poutine.trace(program).get_trace(*arguments).log_prob_sum()
