"""What a fit gives back."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from torch import Tensor

from pgm_rnn.family import Family


@dataclass(frozen=True)
class Fit:
    """A fitted model and how it came about; with replicates every field but the first and last has a leading axis R.

    Attributes:
        model: the fitted family; the one given to ``fit`` is as it was.
        losses: training loss after every step, nats per word, ``(steps + 1,)``; ended replicates repeat their last.
        validation_losses: likewise on held-out words, as often as they were looked at; None without any.
        steps: the step whose parameters were kept.
        converged: whether the fit ended by itself: gradient and slope vanished, or the validation loss had long stopped
            falling.
        gradient_norm: the largest entry of the training objective's gradient where training ended.
        slope: the objective's fall per step over the last 100 steps, nats per word; infinite before there were as many.
        chosen: the settings that were chosen: pseudocount (and order), or weight decay and restart.
        seconds: wall time of the whole fit.
    """

    model: Family
    losses: Tensor
    validation_losses: Tensor | None
    steps: Any
    converged: Any
    gradient_norm: Any
    slope: Any
    chosen: Any
    seconds: float

    def alone(self) -> Fit:
        """The result of a single replicate without its axis: numbers in place of tensors of one."""
        names = [field.name for field in fields(self) if field.name not in ("model", "seconds")]
        return replace(self, **{name: _first(getattr(self, name)) for name in names})


def _first(values: Any) -> Any:
    if isinstance(values, Tensor):
        return values[0] if values.ndim > 1 else values[0].item()
    return values if values is None else values[0]
