r"""Laws of a length by their hazards, :math:`P(\tau = \ell \mid \tau \ge \ell)`: the last holds from there on."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pgm_rnn.checks import check_integer, check_number
from pgm_rnn.processes.time_varying import MAX_HORIZON


def hazards(probabilities: Tensor) -> Tensor:
    r""":math:`P(\tau = \ell \mid \tau \ge \ell)` from :math:`P(\tau = \ell)`, :math:`\ell = 1..L`, the last positive.

    >>> hazards(torch.tensor([0.25, 0.25, 0.5]))
    tensor([0.2500, 0.3333, 1.0000])
    """
    return probabilities / probabilities.flip(0).cumsum(0).flip(0)


def geometric(halt: float = 0.25) -> Tensor:
    r""":math:`P(\tau) = h (1 - h)^{\tau - 1}` with h = ``halt``."""
    return torch.tensor([check_number("halt", halt, 0, 1, open_ends=True)], dtype=torch.double)


def uniform(longest: int = 8) -> Tensor:
    r""":math:`P(\tau) = 1 / L` for lengths up to L = ``longest``."""
    return hazards(torch.ones(check_integer("longest", longest, 1, MAX_HORIZON), dtype=torch.double))


def bimodal(short: int = 2, long: int = 7, share: float = 0.5) -> Tensor:
    """``short`` words or ``long`` ones, a ``share`` of the first: each kind is of its length, or with half the
    probability of that one symbol more or less."""
    short = check_integer("short", short, 2)
    long = check_integer("long", long, short, MAX_HORIZON)
    share = check_number("share", share, 0, 1, open_ends=True)
    probabilities = torch.zeros(long + 1, dtype=torch.double)
    for length, weight in ((short, share), (long, 1 - share)):
        probabilities[length - 2 : length + 1] += weight * torch.tensor([0.25, 0.5, 0.25], dtype=torch.double)
    return hazards(probabilities)


LENGTH_LAWS: dict[str, Callable[..., Tensor]] = {"bimodal": bimodal, "geometric": geometric, "uniform": uniform}
"""Laws that ask nothing of the symbols."""
