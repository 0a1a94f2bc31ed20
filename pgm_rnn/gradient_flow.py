"""How much of the last loss's gradient reaches the states before it: what vanishes with the lag, and what explodes."""

from __future__ import annotations

import torch
from torch import Tensor

from pgm_rnn.checks import check_duration, reject
from pgm_rnn.family import Family
from pgm_rnn.mediation import possible_words
from pgm_rnn.processes import Process
from pgm_rnn.scoring import double


def gradient_by_lag(model: Family, process: Process, duration: int) -> Tensor:
    r"""The expected norm of the gradient that the last loss sends back over a lag, exactly, by summing over words.

    .. math:: g_l = \sum_w P(w) \left\| \frac{d L_T}{d h_{T-l}} \right\|, \qquad L_T = -\log Q(y_T \mid y_{<T}),
              \qquad l = 0, \ldots, T - 1

    The derivative is total: through every later state, with the symbols of the word held fixed. In the tanh network it
    is :math:`\prod_{s = T-l}^{T-1} W^T \mathrm{diag}(1 - h_{s+1}^2)` times :math:`V^T (\hat y_T - 1_{y_T})`; where no
    state acts on the next it is zero at every lag but 0.

    Args:
        model: a family with a mediator h.
        process: the truth P.
        duration: T.

    Returns:
        ``(T,)``, or ``(R, T)`` with replicates: nats per unit of h, by lag, in float64.

    Raises:
        InputError: if nothing mediates the model's past, or alphabets differ, or the words are too many.

    Source: Pascanu, Mikolov and Bengio (2013), *On the difficulty of training recurrent neural networks*, section 2.1.

    Example:
        >>> from pgm_rnn import models, processes
        >>> network = models.Recurrent(2, 4, recurrence="output")
        >>> (gradient_by_lag(network, processes.even(), 4) > 0).tolist()
        [True, False, False, False]
    """
    law = double("model", model)(check_duration(duration))
    if process.alphabet_size != law.alphabet_size:
        raise reject("process", f"alphabet_size {law.alphabet_size}, as in the model", process.alphabet_size)
    words, weights = possible_words(process, duration)
    words, weights = words.to(law.device), weights.to(law.device)
    lanes = (*law.batch_shape[:-1], len(words))
    state, shifts = law.initial_state(lanes), list[Tensor]()
    for t in range(duration):
        state = law.update(state, words[:, t - 1].expand(lanes)) if t else state
        h = law.mediator(state)
        if h is None:
            way_out = "its past acts on the future directly"
            raise reject("model", "a family with a mediator, such as Recurrent", type(model).__name__, way_out)
        shifts.append(torch.zeros_like(h).requires_grad_())  # a dummy added to h_t has h_t's total derivative
        state = law.with_mediator(state, h + shifts[-1])
    index = words[:, -1:].expand(*lanes, 1)
    loss = -law.next_logits(state).log_softmax(-1).gather(-1, index).sum()  # words do not act on each other
    gradients = torch.autograd.grad(loss, shifts[::-1], materialize_grads=True)
    return torch.stack([(weights * gradient.norm(dim=-1)).sum(-1) for gradient in gradients], -1)
