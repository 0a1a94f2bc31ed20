"""Markov chains of any order, given or drawn, and random unifilar machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pgm_rnn.checks import (
    MAX_DURATION,
    MAX_TABLE_BYTES,
    as_tensor,
    check_budget,
    check_finite,
    check_integer,
    check_number,
    reject,
)
from pgm_rnn.processes.chains import recurrent_classes
from pgm_rnn.processes.process import Process
from pgm_rnn.processes.source import ROUNDING
from pgm_rnn.processes.zoo import named

UNIT = "bytes for the transition matrices"


@named
def markov(rows: Tensor | np.ndarray | Sequence[Any] = ((0.9, 0.1), (0.3, 0.7))) -> Process:
    """The chain of order m with ``rows[context] = P(symbol | last m symbols)``.

    Args:
        rows: shape ``(k, ..., k)``, one axis for each of the last m symbols, oldest first, and one for the next; or
            ``(k^m, k)`` with the contexts in lexicographic order. Contexts that do not come back are left out.

    >>> golden_mean = markov([[0.0, 1.0], [0.5, 0.5]])
    >>> golden_mean(3).log_prob(torch.tensor([1, 0, 1])).exp()
    tensor(0.3333, dtype=torch.float64)
    """
    table = as_tensor("rows", rows)
    k = table.shape[-1] if table.ndim else 0
    contexts = table.numel() // max(k, 1)
    order = round(np.emath.logn(k, contexts)) if k > 1 and contexts else -1
    if k < 2 or contexts != k**order or table.shape not in ((contexts, k), (k,) * (order + 1)):
        raise reject("rows", "shape (k, ..., k) or (k^m, k) with k >= 2", tuple(table.shape))
    check_budget("rows", 8 * k * contexts**2, MAX_TABLE_BYTES, UNIT, "use a smaller order")
    table = check_finite("rows", table.double().reshape(contexts, k))
    wrong = ((table < 0).any(-1) | ((table.sum(-1) - 1).abs() > ROUNDING)).nonzero().flatten().tolist()
    if wrong:
        context = np.unravel_index(wrong[0], (k,) * order) if order else ()
        got = f"{table[wrong[0]].tolist()} after context {tuple(int(symbol) for symbol in context)}"
        raise reject("rows", "non-negative rows that sum to 1", got)
    return Process(_recurrent(chain_of_rows(table)))


def chain_of_rows(rows: Tensor) -> Tensor:
    """Labelled transition matrices ``(k, k^m, k^m)`` on all contexts of the chain with ``rows (k^m, k)``."""
    contexts, k = rows.shape
    context, symbol = torch.meshgrid(torch.arange(contexts), torch.arange(k), indexing="ij")
    joint = rows.new_zeros(k, contexts, contexts)
    joint[symbol, context, (context * k + symbol) % contexts] = rows
    return joint


def _recurrent(joint: Tensor) -> Tensor:
    classes = recurrent_classes(joint.sum(0))
    if len(classes) > 1:
        listed = " and ".join(str(states.tolist()[:8]) for states in classes[:2])
        raise reject("rows", "one class of contexts that lead to each other", f"{len(classes)}: contexts {listed}")
    return joint[:, classes[0]][:, :, classes[0]]


@named
def random_markov(k: int = 4, order: int = 2, concentration: float = 1.0, seed: int = 0) -> Process:
    r"""A chain over ``k`` symbols whose rows are drawn from the symmetric Dirichlet law with ``concentration`` a.

    The expected entropy of a row is :math:`\psi(k a + 1) - \psi(a + 1)` nats.

    >>> random_markov(k=2, order=1, seed=3)
    Process('random-markov(k=2, order=1, concentration=1.0, seed=3)', k=2, states=2)
    """
    k, order = check_integer("k", k, 2), check_integer("order", order, 0)
    concentration = check_number("concentration", concentration, 0, 1e9, open_ends=True)
    generator = np.random.default_rng(check_integer("seed", seed, 0))
    check_budget("order", order, MAX_DURATION, "symbols", "use a smaller order")
    size = 8 * k ** (2 * order + 1)
    check_budget("order", size, MAX_TABLE_BYTES, UNIT, "use a smaller order")
    rows = generator.dirichlet([concentration] * k, size=k**order)
    return Process(_recurrent(chain_of_rows(torch.from_numpy(rows))))


@named
def random_machine(states: int = 5, k: int = 2, seed: int = 0) -> Process:
    """A random unifilar machine: one edge of every state closes a cycle through all of them, so it is irreducible.

    Every other symbol is possible with probability 1/2 and leads anywhere; probabilities are drawn uniformly.

    >>> random_machine(4, 3, seed=1)
    Process('random-machine(states=4, k=3, seed=1)', k=3, states=4)
    """
    states, k = check_integer("states", states, 1), check_integer("k", k, 2)
    size = 8 * k * states**2
    check_budget("states", size, MAX_TABLE_BYTES, UNIT, "use fewer states")
    generator = np.random.default_rng(check_integer("seed", seed, 0))
    cycle = generator.permutation(states)
    target = generator.integers(states, size=(states, k))
    possible = generator.random((states, k)) < 0.5
    onward = generator.integers(k, size=states)
    target[cycle, onward], possible[cycle, onward] = np.roll(cycle, -1), True
    weights = generator.exponential(size=(states, k)) * possible
    joint = np.zeros((k, states, states))
    joint[np.arange(k), np.arange(states)[:, None], target] = weights / weights.sum(-1, keepdims=True)
    return Process(joint)
