"""A prior on the weights of a model, which makes its Pyro programs Bayesian."""

from __future__ import annotations

from typing import Any

import pyro
import pyro.distributions as dist
from torch import Tensor
from torch.func import functional_call

from pgm_rnn.checks import check_number
from pgm_rnn.distribution import SequenceDistribution
from pgm_rnn.family import Family
from pgm_rnn.sequences import Sequences


class Bayesian:
    """A family whose weights are drawn anew at every call: see :func:`bayesian`."""

    def __init__(self, model: Family, scale: float) -> None:
        self.model = model
        self.scale = scale

    def __call__(self, duration: int, **sides: Any) -> SequenceDistribution:
        plates = 1 if self.model.replicates is None else 2
        weights = {}
        for name, parameter in self.model.named_parameters():
            prior = dist.Normal(parameter.new_zeros(()), self.scale).expand(parameter.shape).to_event(parameter.ndim)
            weights[name] = _without_own_plates(pyro.sample(name, prior), parameter.ndim, plates)
        return functional_call(self.model, weights, (duration,), sides)

    def read(self, words: Sequences) -> Sequences:
        """Words as the model reads them, with END behind them where it ends."""
        return self.model.read(words)


def bayesian(model: Family, prior_scale: float = 1.0) -> Bayesian:
    r"""The family of ``model`` with weights drawn anew at every call, :math:`\theta_i \sim \mathcal N(0, \sigma^2)`.

    Every parameter is one site with the parameter's own name and shape, replicates included. The model itself stays as
    it is: a posterior draw ``{"U": ..., ...}`` gives a law by ``torch.func.functional_call(model, draw, (T,))``.

    Args:
        model: its parameters' names, shapes, dtype and device are those of the sites; its values are not used.
        prior_scale: the standard deviation :math:`\sigma > 0` of every weight.

    Example:
        >>> from pgm_rnn.models import Recurrent
        >>> from pgm_rnn.programs import stepwise
        >>> trace = pyro.poutine.trace(stepwise).get_trace(bayesian(Recurrent(2, 4)), duration=1)
        >>> trace.stochastic_nodes[:5]
        ['U', 'W', 'V', 'b', 'c']
    """
    return Bayesian(model, check_number("prior_scale", prior_scale, 0.0, float("inf"), open_ends=True))


def _without_own_plates(draws: Tensor, event_dim: int, plates: int) -> Tensor:
    """Draws without the dimensions of size 1 that parallel draws leave for the program's own plates, as a law does."""
    for _ in range(plates):
        if draws.ndim > event_dim and draws.shape[-event_dim - 1] == 1:
            draws = draws.squeeze(-event_dim - 1)
    return draws
