"""A law given the length, seen symbol by symbol: a mixture over the lengths that are still possible."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pgm_rnn.distribution import SequenceDistribution
from pgm_rnn.lanes import State, map_state


class Lengths(NamedTuple):
    r"""What is known after t symbols: the inner states under each possible length, and the lengths' log-weights.

    ``inner``: states with leading dimensions ``(*shape, n)``, for the n lengths beyond t; ``longer (*shape, n)``: the
    log-posterior of those; ``now (*shape)``: that of length t itself.
    """

    inner: State
    longer: Tensor
    now: Tensor


class LengthMixtureLaw(SequenceDistribution):
    r"""The law over ``k + 1`` symbols of an open word whose length is known to the inner law and not to us.

    .. math:: P(y_t = y \mid y_{<t}, \tau \ge t - 1) = \sum_{\tau \ge t} P(\tau \mid y_{<t}) P(y \mid y_{<t}, \tau),
              \qquad P(y_t = END \mid y_{<t}, \tau \ge t - 1) = P(\tau = t - 1 \mid y_{<t})

    The posterior is filtered: each symbol multiplies it by the inner law's probability. Of a network, all that is kept
    mediates: the posterior and the hidden states under every length.

    Args:
        duration: T.
        prior: :math:`\log P(\tau)` for lengths 1..L, ``(*lead, L)``.
        inner: the law over k symbols and ``min(T, L)`` steps with a root for every length, in this order.
    """

    def __init__(self, duration: int, prior: Tensor, inner: SequenceDistribution) -> None:
        batch_shape = (*prior.shape[:-1], 1) if prior.ndim > 1 else ()
        super().__init__(inner.alphabet_size + 1, duration, batch_shape, prior.device)
        self.prior = prior
        self.inner = inner

    def initial_state(self, shape: Sequence[int]) -> Lengths:
        lane, count = len(shape) - 1, self.prior.shape[-1]
        roots = self.inner.initial_state((*shape[:-1], count))
        inner = map_state(lambda x: x.unsqueeze(lane).expand(*shape, *x.shape[lane:]), roots)
        longer = self.prior.unsqueeze(-2).expand(*shape, count)
        return Lengths(inner, longer, torch.zeros_like(longer[..., 0]))

    def next_logits(self, state: Lengths) -> Tensor:
        if not state.longer.shape[-1]:
            symbols = state.now.new_full((*state.now.shape, self.alphabet_size - 1), -torch.inf)
        else:
            symbols = mix(state.longer.unsqueeze(-1) + self._inner_log_probs(state))
        return torch.cat([symbols, state.now.unsqueeze(-1)], -1)

    def update(self, state: Lengths, symbol: Tensor) -> Lengths:
        """The posterior after one more symbol; where no length allows it, or it is END, some finite one."""
        if not state.longer.shape[-1]:
            return state._replace(now=torch.zeros_like(state.now))
        symbol = symbol.clamp(max=self.alphabet_size - 2).expand(state.now.shape)
        index = symbol.reshape(*symbol.shape, 1, 1).expand(*state.longer.shape, 1)
        joint = state.longer + self._inner_log_probs(state).gather(-1, index).squeeze(-1)
        joint = torch.where(joint.isneginf().all(-1, keepdim=True), 0.0, joint)
        posterior = joint - joint.logsumexp(-1, keepdim=True)
        lane = symbol.ndim - 1
        inner = map_state(lambda x: x.narrow(lane + 1, 1, x.shape[lane + 1] - 1), state.inner)
        if posterior.shape[-1] > 1:
            read = symbol.unsqueeze(-1).expand(*symbol.shape, posterior.shape[-1] - 1).flatten(lane)
            inner = _split(self.inner.update(_flat(inner, lane), read), lane, symbol.shape[-1])
        return Lengths(inner, posterior[..., 1:], posterior[..., 0])

    def mediator(self, state: Lengths) -> Tensor | None:
        hidden = self.inner.mediator(_flat(state.inner, state.now.ndim - 1))
        if hidden is None:
            return None
        hidden = (
            hidden.reshape(*state.now.shape, -1) if state.longer.shape[-1] else hidden.new_zeros(*state.now.shape, 0)
        )
        return torch.cat([state.longer, state.now.unsqueeze(-1), hidden], -1)

    def with_mediator(self, state: Lengths, mediator: Tensor) -> Lengths:
        count = state.longer.shape[-1]
        longer, now, hidden = mediator.split([count, 1, mediator.shape[-1] - count - 1], -1)
        inner, lane = state.inner, now.ndim - 2
        if count:
            hidden = hidden.unflatten(-1, (count, -1)).flatten(lane, lane + 1)
            inner = _split(self.inner.with_mediator(_flat(inner, lane), hidden), lane, now.shape[lane])
        return Lengths(inner, longer, now.squeeze(-1))

    def _inner_log_probs(self, state: Lengths) -> Tensor:
        """The inner law's of the next symbol under every length, ``(*shape, n, k)``."""
        lane = state.now.ndim - 1
        log_p = self.inner.next_logits(_flat(state.inner, lane)).log_softmax(-1)
        return log_p.unflatten(lane, (state.now.shape[-1], -1))


def mix(joint: Tensor) -> Tensor:
    """The logarithm of sums over the last dimension but one of ``exp(joint)``; the gradient of a sum of zeros is 0."""
    impossible = joint.isneginf().all(-2)
    return joint.masked_fill(impossible.unsqueeze(-2), 0.0).logsumexp(-2).masked_fill(impossible, -torch.inf)


def _flat(state: State, lane: int) -> State:
    """A state ``(*shape, n)`` with the lengths as lanes of their own."""
    return map_state(lambda x: x.flatten(lane, lane + 1), state)


def _split(state: State, lane: int, lanes: int) -> State:
    return map_state(lambda x: x.unflatten(lane, (lanes, -1)), state)
