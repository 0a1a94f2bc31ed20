r"""What answering an input word costs, by what may be known at step t: all of x, x so far, and y so far or not.

A network that reads :math:`x_t`, then writes :math:`y_t`, has no access to later inputs. With its outputs fed back the
best it can do is the causally conditioned entropy :math:`H(y \| x) = \sum_t H(y_t \mid y_{<t}, x_1 \ldots x_t)`;
without, :math:`\sum_t H(y_t \mid x_1 \ldots x_t)`. Neither is the conditional entropy
:math:`H(y \mid x) = \sum_t H(y_t \mid y_{<t}, x_1 \ldots x_T)` unless something is independent of something.

Source: Kramer (1998), *Directed information for channels with feedback*, chapter 3; Massey (1990), *Causality,
feedback and directed information*.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pgm_rnn.checks import MAX_TABLE_BYTES, check_budget, check_duration, reject
from pgm_rnn.family import Family


class StepEntropies(NamedTuple):
    r"""Entropies of every step in nats, each ``(T,)``, from what knows most to what knows least.

    ``given_all``: :math:`H(y_t \mid y_{<t}, x_1 \ldots x_T)`. ``causal``:
    :math:`H(y_t \mid y_{<t}, x_1 \ldots x_t)`. ``without_feedback``: :math:`H(y_t \mid x_1 \ldots x_t)`.
    """

    given_all: Tensor
    causal: Tensor
    without_feedback: Tensor

    @property
    def feedback_gain(self) -> Tensor:
        r""":math:`I(y_t; y_{<t} \mid x_1 \ldots x_t)`: what feeding the outputs back saves."""
        return self.without_feedback - self.causal

    @property
    def lookahead_gain(self) -> Tensor:
        r""":math:`I(y_t; x_{t+1} \ldots x_T \mid y_{<t}, x_1 \ldots x_t)`: what knowing later inputs would save.

        Its sum over t is the directed information from y to later x, which is zero if and only if y answers causally.
        """
        return self.causal - self.given_all


def step_entropies(source: Family, duration: int) -> StepEntropies:
    """All three for a source of words given input labels, by sums over all pairs of words.

    Raises:
        InputError: if the source takes no input labels, or the pairs are too many, before they are allocated.

    Example:
        >>> from pgm_rnn.processes.channels import shared_coin
        >>> step_entropies(shared_coin(flip=0.0), 3).feedback_gain
        tensor([0.0000, 0.6931, 0.6931], dtype=torch.float64)
    """
    T = check_duration(duration)
    joint = pairs_of_words(source, T)
    K, k = source.input_dim or 1, source.alphabet_size
    rows = []
    for t in range(1, T + 1):
        later_y = k ** (T - t)
        known = joint.reshape(K**T, k**t, later_y).sum(-1)  # x_1 .. x_T, y_1 .. y_t
        so_far = known.reshape(K**t, -1, k**t).sum(1)  # x_1 .. x_t, y_1 .. y_t
        alone = so_far.reshape(K**t, -1, k).sum(1)  # x_1 .. x_t, y_t
        rows.append(torch.stack([last_symbol_entropy(table, k) for table in (known, so_far, alone)]))
    return StepEntropies(*torch.stack(rows, -1))


def pairs_of_words(source: Family, duration: int) -> Tensor:
    r""":math:`P(x_1 \ldots x_T, y_1 \ldots y_T)` of all pairs, both in lexicographic order: ``(K^T, k^T)``."""
    K, k = source.input_dim, source.alphabet_size
    if K is None or source.context_dim is not None:
        raise reject("source", "a source of words given inputs alone", type(source).__name__)
    needed = 8 * (K * k) ** duration
    check_budget("duration", needed, MAX_TABLE_BYTES, "bytes for all pairs of words", "use a smaller duration")
    known = source.conditions(duration)
    if known is None or known.sides.inputs is None or known.sides.inputs.dtype.is_floating_point:
        raise reject("source", "a source with finitely many input words", type(source).__name__)
    law = source(duration, **known.sides.given)
    digits = K ** torch.arange(duration - 1, -1, -1, device=law.device)
    with torch.no_grad():
        conditional = law.log_prob(law.enumerate_support(expand=False)).exp().mT  # (G, k^T)
    joint = conditional.new_zeros(K**duration, k**duration)
    return joint.index_copy(0, (known.sides.inputs * digits).sum(-1), known.shares.unsqueeze(-1) * conditional)


def last_symbol_entropy(table: Tensor, k: int) -> Tensor:
    """The entropy of a joint law's last symbol given all before it: ``table (..., n k)``, the symbol the fastest."""
    before = table.unflatten(-1, (-1, k)).sum(-1)
    return torch.xlogy(before, before).sum() - torch.xlogy(table, table).sum()
