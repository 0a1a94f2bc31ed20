"""Named channels: with memory of the inputs, of the outputs or of their own, and one that looks ahead."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from pgm_rnn.checks import check_integer, check_number, check_seed
from pgm_rnn.processes.time_varying import repeating
from pgm_rnn.processes.transducers import Transducer
from pgm_rnn.processes.zoo import named

MAX_MEMORY = 8
"""Inputs that a delay remembers at most: it has ``2^steps`` states."""


def rewriting(step: Callable[[int, int], tuple[int, int]], states: int, flip: float) -> Tensor:
    """Tables ``(2, 2, S, S)`` of the machine ``(x, s) -> (y, s')``, whose bit y is flipped on its way out."""
    flip = check_number("flip", flip, 0, 1)
    joint = torch.zeros(2, 2, states, states, dtype=torch.double)
    for x in range(2):
        for s in range(states):
            y, following = step(x, s)
            joint[x, y, s, following] = 1.0
    return (1 - flip) * joint + flip * joint.flip(1)


@named
def binary_symmetric(flip: float = 0.1) -> Transducer:
    """Each bit comes out as it went in, but for a ``flip`` of independent noise: nothing to remember.

    >>> round(binary_symmetric(0.3).entropy_rate(), 10)
    0.6108643021
    """
    return Transducer(rewriting(lambda x, s: (x, s), 1, flip), [1.0])


@named
def gilbert_elliott(good: float = 0.01, bad: float = 0.5, worsen: float = 0.1, recover: float = 0.1) -> Transducer:
    """Noise in bursts: the channel flips a bit with probability ``good`` or ``bad``, and drifts between the two states
    unseen; what it did to earlier bits tells in which it is.

    Source: Gilbert (1960), *Capacity of a burst-noise channel*; Elliott (1963).

    >>> gilbert_elliott()
    Transducer('gilbert-elliott(good=0.01, bad=0.5, worsen=0.1, recover=0.1)', labels=2, k=2, states=2)
    """
    flips = [check_number(name, value, 0, 1) for name, value in (("good", good), ("bad", bad))]
    worsen = check_number("worsen", worsen, 0, 1, open_ends=True)
    recover = check_number("recover", recover, 0, 1, open_ends=True)
    drift = torch.tensor([[1 - worsen, worsen], [recover, 1 - recover]], dtype=torch.double)
    noise = torch.stack([repeating(1 - flip).sum(-1) for flip in flips])  # P(y | x), (state, y, x)
    start = [recover / (worsen + recover), worsen / (worsen + recover)]
    return Transducer(torch.einsum("syx,st->xyst", noise, drift), start)


@named
def delay(steps: int = 2, flip: float = 0.1) -> Transducer:
    """``y_t = x_(t - steps)`` under noise, with zeros before the first input: all memory is of the inputs.

    >>> delay(steps=1, flip=0.0)(3, inputs=torch.tensor([[1, 1, 0]])).log_prob(torch.tensor([0, 1, 1])).exp()
    tensor([1.], dtype=torch.float64)
    """
    states = 2 ** check_integer("steps", steps, 1, MAX_MEMORY)
    start = torch.eye(states, dtype=torch.double)[0]
    return Transducer(rewriting(lambda x, s: (2 * s // states, (2 * s + x) % states), states, flip), start)


@named
def running_parity(flip: float = 0.1) -> Transducer:
    """``y_t = y_(t-1) + x_t + n_t`` modulo 2, from ``y_0 = 0``: the parity of the inputs, and of all noise so far.

    Given ``y_(t-1)`` only one bit of noise is unknown; without it ``P(n_1 + .. + n_t = 1) = (1 - (1 - 2 flip)^t) / 2``
    goes to a half.

    >>> running_parity()(2, inputs=torch.tensor([[1, 0]])).log_prob(torch.tensor([0, 0])).exp()  # 0.1 * 0.9
    tensor([0.0900], dtype=torch.float64)
    """
    flip = check_number("flip", flip, 0, 1)
    joint = rewriting(lambda x, s: (x ^ s, x ^ s), 2, 0.0)
    return Transducer((1 - flip) * joint + flip * joint.flip(1, 3), [1.0, 0.0])


@named
def shared_coin(flip: float = 0.1) -> Transducer:
    """``y_t = x_t + c`` modulo 2 under noise, with one fair coin c for the word: each ``y_t`` alone is a fair coin
    whatever the inputs are, and without noise the first one tells all others.

    >>> shared_coin(flip=0.0)(2, inputs=torch.tensor([[0, 1]])).log_prob(torch.tensor([[0, 1], [0, 0]])).exp().flatten()
    tensor([0.5000, 0.0000], dtype=torch.float64)
    """
    return Transducer(rewriting(lambda x, s: (x ^ s, s), 2, flip), [0.5, 0.5])


@named
def preview(steps: int = 1, flip: float = 0.1) -> Transducer:
    """``y_t = x_(t + steps)`` under noise; the last ``steps`` symbols are fair coins. It answers what is yet to come.

    >>> preview(flip=0.0)(3, inputs=torch.tensor([[0, 1, 1]])).log_prob(torch.tensor([1, 1, 0])).exp()
    tensor([0.5000], dtype=torch.float64)
    """
    return Transducer(rewriting(lambda x, s: (x, s), 1, flip), [1.0], lookahead=check_integer("steps", steps, 1))


@named
def random_transducer(input_labels: int = 2, k: int = 3, states: int = 2, seed: int = 0) -> Transducer:
    """Rows ``P(y, s' | s, x)`` drawn uniformly from all distributions, and the first state with equal chances.

    >>> random_transducer(input_labels=3, k=2, seed=1)
    Transducer('random-transducer(input_labels=3, k=2, states=2, seed=1)', labels=3, k=2, states=2)
    """
    K, k = check_integer("input_labels", input_labels, 2), check_integer("k", k, 2)
    states = check_integer("states", states, 1)
    rows = np.random.default_rng(check_seed(seed)).dirichlet([1.0] * (k * states), size=(K, states))
    joint = torch.from_numpy(rows).unflatten(-1, (k, states)).transpose(1, 2)  # (K, k, S, S)
    return Transducer(joint, torch.full((states,), 1 / states, dtype=torch.double))
