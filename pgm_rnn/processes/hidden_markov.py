"""The law of a hidden Markov process, exact to any duration."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pgm_rnn.distribution import SequenceDistribution


class HiddenMarkovLaw(SequenceDistribution):
    r"""Words of an edge-labelled hidden Markov chain, filtered in logarithms.

    With :math:`J_y[s, s'] = P(y, s' \mid s)` and belief :math:`\beta_t(s) = P(s_t = s \mid y_{<t})`,

    .. math:: P(y \mid \beta) = \sum_{s, s'} \beta(s) J_y[s, s'], \qquad
              \beta'(s') = \frac{\sum_s \beta(s) J_y[s, s']}{P(y \mid \beta)}.

    The state is :math:`\log\beta`, so no mass underflows however long the word. After a forbidden symbol the initial
    belief stands in: the word's ``-inf`` has been counted.

    Args:
        duration: T.
        log_joint: ``(k, S, S)``, :math:`\log J`.
        log_initial: ``(S,)``.
    """

    def __init__(self, duration: int, log_joint: Tensor, log_initial: Tensor) -> None:
        super().__init__(log_joint.shape[0], duration)
        self.log_joint = log_joint
        self.log_initial = log_initial
        k, S = log_joint.shape[:2]
        self._joint = log_joint.permute(1, 0, 2).reshape(S, k * S).exp()  # J[s, (y, s')]
        self._log_emission = log_joint.logsumexp(-1).mT  # (S, k)
        self._emission = self._log_emission.exp()

    def initial_state(self, shape: Sequence[int]) -> Tensor:
        return self.log_initial.expand(*shape, -1)

    def next_logits(self, state: Tensor) -> Tensor:
        return log_product(state, self._emission, self._log_emission)

    def update(self, state: Tensor, symbol: Tensor) -> Tensor:
        k, S = self.log_joint.shape[:2]
        shape = torch.broadcast_shapes(state.shape[:-1], symbol.shape)
        ahead = log_product(state, self._joint, self.log_joint.permute(1, 0, 2).reshape(S, k * S))
        ahead = ahead.unflatten(-1, (k, S)).expand(*shape, k, S)
        index = symbol.expand(shape)[..., None, None].expand(*shape, 1, S)
        chosen = ahead.gather(-2, index).squeeze(-2)
        total = chosen.logsumexp(-1, keepdim=True)
        dead = torch.isneginf(total)
        return torch.where(dead, self.log_initial, chosen - total.masked_fill(dead, 0.0))

    def mediator(self, state: Tensor) -> Tensor:
        return state

    def state_logits(self, states: Sequence[Tensor]) -> Tensor:
        return self.next_logits(torch.cat(list(states), -2))


def log_product(log_vector: Tensor, matrix: Tensor, log_matrix: Tensor) -> Tensor:
    r""":math:`\log \sum_s e^{v_s} M_{sj}` for ``v (..., S)`` and ``M (S, J)``, exact although parts underflow.

    A product of scaled probabilities is right wherever it is a normal number; the few entries that underflow although
    they are possible are summed again in logarithms.
    """
    peak = log_vector.amax(-1, keepdim=True).detach()
    scaled = (log_vector - peak).exp() @ matrix
    tiny = scaled < torch.finfo(scaled.dtype).tiny * 1e16
    if bool(tiny.any()):
        possible = torch.isfinite(log_vector).to(matrix.dtype) @ torch.isfinite(log_matrix).to(matrix.dtype) > 0
        lanes = (tiny & possible).any(-1)
        result = scaled.masked_fill(tiny, 1.0).log().masked_fill(tiny, -torch.inf) + peak
        if bool(lanes.any()):
            exact = torch.logsumexp(log_vector[lanes].unsqueeze(-1) + log_matrix, -2)
            result = result.index_put((lanes,), exact) if result.ndim > 1 else exact.squeeze(0)
        return result
    return scaled.log() + peak
