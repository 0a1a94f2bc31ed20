"""What a law keeps of the past: its states after prefixes, with no output asked for."""

from __future__ import annotations

import torch
from torch import Tensor

from pgm_rnn.checks import as_tensor, check_broadcast, check_duration, check_symbols, reject
from pgm_rnn.family import Family


def trajectory(model: Family, prefixes: Tensor, **sides: Tensor) -> Tensor:
    r"""The states :math:`h_1, \ldots, h_{t+1}` along prefixes ``(N, t)``: ``(N, t + 1, H)``, or ``(R, N, t + 1, H)``.

    A model that takes a ``context`` or ``inputs`` is given those of the N prefixes, inputs for ``t + 1`` steps.

    Raises:
        InputError: if the prefixes are no symbols of shape ``(N, t)``, or nothing mediates the model's past.

    Example:
        >>> from pgm_rnn.models import Recurrent
        >>> trajectory(Recurrent(2, hidden_dim=4), torch.tensor([[0, 1, 1], [1, 0, 1]])).shape
        torch.Size([2, 4, 4])
    """
    if not isinstance(model, Family):
        raise reject("model", "a family with a mediator, such as Recurrent", type(model).__name__)
    prefixes = as_tensor("prefixes", prefixes)
    if prefixes.ndim != 2 or not len(prefixes):
        raise reject("prefixes", "shape (N, t) with N at least 1", tuple(prefixes.shape))
    prefixes = check_symbols("prefixes", prefixes if prefixes.numel() else prefixes.long(), model.alphabet_size)
    law = model(check_duration(prefixes.shape[1] + 1), **sides)
    lanes = (*law.batch_shape[:-1], len(prefixes))
    check_broadcast("prefixes", lanes, law.batch_shape)
    state = law.initial_state(lanes)
    states = [law.mediator(state)]
    for symbol in prefixes.to(law.device).unbind(-1):
        state = law.update(state, symbol.expand(lanes))
        states.append(law.mediator(state))
    if states[0] is None:
        way_out = "its past acts on the future directly"
        raise reject("model", "a family with a mediator, such as Recurrent", type(model).__name__, way_out)
    return torch.stack([state.expand(*lanes, -1) for state in states if state is not None], -2)


def summarise(model: Family, prefixes: Tensor, lengths: Tensor | None = None, **sides: Tensor) -> Tensor:
    r"""The state that a prefix leads to: a network that reads a sequence and gives no output until asked.

    .. math:: h_{t+1} = f(h_t, y_t) = g_{t+1}(y_t, \ldots, y_1)

    For a process it is the logarithm of the belief over hidden states, which is all that matters for what is to come.

    Args:
        model: a family with a mediator, such as ``Recurrent`` or a ``Process``.
        prefixes: symbols ``(N, t)``; ``t`` may be 0.
        lengths: ``(N,)``, how many symbols of each prefix to read; what is beyond is never looked at. All of them if
            None.
        sides: ``context`` and ``inputs``, as in :func:`trajectory`.

    Returns:
        ``(N, H)``, or ``(R, N, H)`` with replicates; differentiable in the parameters.

    Raises:
        InputError: as :func:`trajectory`, or if a length is not in ``0..t``.

    Source: *Deep Learning* (2016), section 10.1, equation 10.7, and figure 10.5.

    Example:
        >>> from pgm_rnn import processes
        >>> summarise(processes.even(), torch.tensor([[1, 1, 0]])).exp().round(decimals=6).tolist()
        [[1.0, 0.0]]
    """
    prefixes = as_tensor("prefixes", prefixes)
    if lengths is None:
        return trajectory(model, prefixes, **sides)[..., -1, :]
    lengths = as_tensor("lengths", lengths)
    if prefixes.ndim != 2 or lengths.shape != prefixes.shape[:1]:
        raise reject("lengths", f"one for each of the prefixes {tuple(prefixes.shape)}", tuple(lengths.shape))
    if lengths.is_floating_point() or bool(((lengths < 0) | (lengths > prefixes.shape[1])).any()):
        raise reject("lengths", f"integers in 0..{prefixes.shape[1]}", lengths.tolist())
    unread = torch.arange(prefixes.shape[1], device=prefixes.device) >= lengths.unsqueeze(-1)
    states = trajectory(model, prefixes.masked_fill(unread, 0), **sides)
    index = lengths.to(states.device, torch.long).reshape(-1, 1, 1).expand(*states.shape[:-2], 1, states.shape[-1])
    return states.gather(-2, index).squeeze(-2)
