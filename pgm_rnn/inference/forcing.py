r"""What a network is fed while it trains: the true past, its own, a mixture of both, or its output vectors.

All modes ask for the true :math:`y_t` at every step, with loss :math:`-\log q(y_t \mid \text{what was fed})`. The
chain rule :math:`\log p(y_1, y_2) = \log p(y_2 \mid y_1) + \log p(y_1)` makes this the likelihood where the true past
is fed: that is teacher forcing, and its lowest loss is the block entropy H(T). A past that the model has drawn itself
is independent of :math:`y_t`, and so is one of output vectors, which no symbol ever enters. There the lowest expected
loss is :math:`\sum_t H(y_t) \ge H(T)`, reached by the product of the one-step marginals: an improper objective, which
rewards forgetting the past (Huszar 2015, *How (not) to train your generative model*, arXiv:1511.05101).

Sources: Williams and Zipser (1989), *A learning algorithm for continually running fully recurrent neural networks*
(teacher forcing); Bengio et al. (2015), *Scheduled sampling for sequence prediction*, arXiv:1506.03099; *Deep Learning*
(2016), section 10.2.1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pgm_rnn.checks import reject
from pgm_rnn.distribution import SequenceDistribution, invert
from pgm_rnn.inference.gradient import Likelihood
from pgm_rnn.models.recurrent import RecurrentLaw
from pgm_rnn.prefix_tree import PrefixTree

Share = Callable[[float], float]
"""From the share of training that is done to the probability with which a fed symbol is the true one."""

TRUE_SHARES: dict[str, Share] = {"scheduled": lambda done: 1.0 - done, "free-running": lambda done: 0.0}
"""The modes that feed symbols of the network's own, which it draws."""


@torch.no_grad()
def feed_words(
    law: SequenceDistribution, words: Tensor, true_share: float, generators: Sequence[torch.Generator]
) -> Tensor:
    """What a law is fed in place of ``words``: each symbol the true one, or the law's own draw given what it was fed.

    Args:
        law: with batch shape ``(rows, 1)``.
        words: ``(rows, N, T)``.
        true_share: the probability of the true symbol, apart for every symbol.
        generators: one for each row, so that a row's numbers do not depend on the others.

    Returns:
        ``(rows, N, T)``; the last symbol, which nothing follows, is the true one.
    """
    if true_share == 1.0:
        return words
    numbers = [torch.rand((2, *words.shape[1:]), generator=own, dtype=torch.double) for own in generators]
    coins, draws = torch.stack(numbers, 1).to(words.device)
    fed, state = words.clone(), law.initial_state(words.shape[:-1])
    for t in range(words.shape[-1] - 1):
        own = invert(law.next_logits(state), draws[..., t])
        fed[..., t] = torch.where(coins[..., t] < true_share, words[..., t], own)
        state = law.update(state, fed[..., t])
    return fed


def fed_log_prob(law: SequenceDistribution, words: Tensor, fed: Tensor) -> Tensor:
    r""":math:`\sum_t \log q(y_t \mid z_{<t})` for words y ``(..., T)`` when z was fed; differentiable given z."""
    return law.conditional_laws(fed).gather(-1, words.unsqueeze(-1)).sum((-2, -1))


def open_loop_log_prob(tree: PrefixTree, law: SequenceDistribution) -> Tensor:
    r""":math:`\sum_t \sum_y P(y_t = y) \log \mathrm{softmax}(o_t)_y` when every :math:`o_t` is fed back as it is.

    .. math:: a_{t+1} = b + W h_t + U o_t

    No symbol enters, so the words of ``tree`` matter through their one-step marginals alone.

    Returns:
        Nats per word, one for each of the law's leading axes.
    """
    if not isinstance(law, RecurrentLaw):
        raise reject("model", "a Recurrent network with mode 'output-vector'", type(law).__name__)
    if tree.sides.given:
        raise reject("data", "words without context and inputs with mode 'output-vector'", ", ".join(tree.sides.given))
    state = law.initial_state((*law.batch_shape[:-1], 1))
    terms = []
    for level in tree.levels:
        logits = law.next_logits(state)  # (*rows, 1, k)
        marginal = level.weights.sum(-2).to(logits.dtype)  # (k,) or (R, k)
        terms.append((marginal * logits.squeeze(-2).log_softmax(-1)).sum(-1))
        state = law.feed(state, logits)
    return torch.stack(terms).sum(0)


TEACHER_FORCING = "teacher-forcing"

LIKELIHOODS: dict[str, Likelihood] = {
    TEACHER_FORCING: PrefixTree.expected_log_prob,
    "output-vector": open_loop_log_prob,
}
"""The modes that draw nothing, by what they maximise: a function of the parameters, exact on a prefix tree."""

MODES = (*LIKELIHOODS, *TRUE_SHARES)
