"""The loss of words step by step, with all states kept for the backward pass, or recomputed in segments."""

from __future__ import annotations

import math

from torch import Tensor
from torch.utils.checkpoint import checkpoint

from pgm_rnn.distribution import SequenceDistribution
from pgm_rnn.lanes import State


def loss_along(law: SequenceDistribution, state: State, words: Tensor) -> tuple[Tensor, State]:
    r""":math:`-\sum_t \log P(y_t \mid y_{<t})` summed over ``words (N, T)``, in nats, and the state that they lead to.

    One step after the other, by the law's contract. What the backward pass needs of each step is kept, so its memory
    grows like T; under ``torch.no_grad`` nothing is, and it does not grow.

    Args:
        law: a law without replicates.
        state: the law's state before the first of ``words``, for N lanes.
        words: symbols ``(N, T)``.

    Example:
        >>> import torch
        >>> from pgm_rnn.models import Recurrent
        >>> law, words = Recurrent(2, hidden_dim=4)(3), torch.tensor([[0, 1, 1], [1, 0, 1]])
        >>> loss, _ = loss_along(law, law.initial_state((2,)), words)
        >>> torch.allclose(loss, -law.log_prob(words).sum())
        True
    """
    loss = words.new_zeros((), dtype=law.next_logits(state).dtype)
    for symbol in words.unbind(-1):
        loss = loss - law.next_logits(state).log_softmax(-1).gather(-1, symbol.unsqueeze(-1)).sum()
        state = law.update(state, symbol)
    return loss, state


def loss_in_segments(law: SequenceDistribution, state: State, words: Tensor) -> Tensor:
    r"""The loss of :func:`loss_along`, in :math:`\sqrt T` segments of :math:`\sqrt T` steps.

    Only the states between segments are kept. The backward pass takes the segments from the last to the first and
    recomputes each one's states in its turn: memory like :math:`\sqrt T`, for one more forward pass.

    Source: Chen, Xu, Zhang and Guestrin, *Training deep nets with sublinear memory cost* (2016), arXiv:1604.06174.
    """
    loss = words.new_zeros((), dtype=law.next_logits(state).dtype)
    for segment in words.split(math.isqrt(words.shape[1]), dim=1):
        # reentrant: the other kind hands each tensor that it keeps to Python, which takes three times as long
        part, state = checkpoint(loss_along, law, state, segment, use_reentrant=True, preserve_rng_state=False)
        loss = loss + part
    return loss
