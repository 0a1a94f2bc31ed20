"""One descent of many rows: when each has converged, and where its held-out loss was lowest."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pgm_rnn.inference.lbfgs import BatchedLBFGS, Objective
from pgm_rnn.progress import Report

WINDOW = 100
"""Steps over which a slope is taken."""

GRADIENT_TOLERANCE = 1e-3
SLOPE_TOLERANCE = 1e-7
"""Converged: the largest entry of the gradient and the fall per step (nats per word) are below these."""

Loss = Callable[[Tensor], Tensor]
"""Maps points ``(B, P)`` to held-out losses ``(B,)``."""


@dataclass
class Descent:
    """What a descent of ``B`` rows left behind; every field has a leading axis ``B``."""

    points: Tensor
    losses: Tensor
    validation_losses: Tensor | None
    steps: Tensor
    converged: Tensor
    gradient_norm: Tensor
    slope: Tensor

    @property
    def criterion(self) -> Tensor:
        """What rows are chosen by, ``(B,)``: the lowest validation loss, or else the last training loss."""
        if self.validation_losses is None:
            return self.losses[:, -1]
        return self.validation_losses.amin(-1)

    def select(self, index: Tensor) -> Descent:
        """The given rows alone."""
        parts: dict[str, Any] = {name: None if part is None else part[index] for name, part in vars(self).items()}
        return Descent(**parts)


def descend(
    objective: Objective, start: Tensor, max_steps: int, held_out: Loss | None = None, progress: Report | None = None
) -> Descent:
    """Minimise every row until its slope and gradient vanish, or its held-out loss has long stopped falling.

    With a held-out loss a row ends at the point of lowest held-out loss, looked at in steps that grow by a tenth,
    once no lower one has come for as many steps again, and at least :data:`WINDOW`.
    """
    optimizer = BatchedLBFGS(objective, start)
    active = torch.ones(len(start), dtype=torch.bool, device=start.device)
    history = [optimizer.values]
    watch = None if held_out is None else Watch(held_out, start)
    steps = torch.zeros_like(active, dtype=torch.long)
    converged = torch.zeros_like(active)
    slope = torch.full_like(optimizer.values, math.inf)
    for step in range(1, max_steps + 1):
        optimizer.step(active)
        history.append(optimizer.values)
        steps += active
        if step >= WINDOW:
            slope = torch.where(active, (history[-1 - WINDOW] - history[-1]) / WINDOW, slope)
        flat = (optimizer.gradient_norm < GRADIENT_TOLERANCE) & ((slope < SLOPE_TOLERANCE) | optimizer.stuck)
        if watch is not None:
            flat = watch.look(step, optimizer.points, active) | flat
        converged |= active & flat
        active = active & ~flat & ~optimizer.stuck
        if progress is not None:
            progress(step, max_steps)
        if not bool(active.any()):
            break
    losses = torch.stack(history, -1)
    if watch is None:
        return Descent(optimizer.points, losses, None, steps, converged, optimizer.gradient_norm, slope)
    return Descent(
        watch.best_points, losses, watch.history(), watch.best_step, converged, optimizer.gradient_norm, slope
    )


class Watch:
    """The held-out loss of every row as it trains, and where it was lowest."""

    def __init__(self, loss: Loss, start: Tensor) -> None:
        self.loss = loss
        self.best_points, self.best_step = start, torch.zeros(len(start), dtype=torch.long, device=start.device)
        self.best = loss(start)
        self._losses = [self.best]

    def look(self, step: int, points: Tensor, active: Tensor) -> Tensor:
        """Which rows have gone on long enough without a lower loss."""
        if step % max(1, step // 10) == 0:
            loss = torch.where(active, self.loss(points), self._losses[-1])
            self._losses.append(loss)
            lower = active & (loss < self.best)
            self.best = torch.where(lower, loss, self.best)
            self.best_points = torch.where(lower.unsqueeze(-1), points, self.best_points)
            self.best_step = torch.where(lower, step, self.best_step)
        return step >= (2 * self.best_step).clamp_min(WINDOW)

    def history(self) -> Tensor:
        return torch.stack(self._losses, -1)


def stack(parts: list[Descent]) -> Descent:
    """Several descents as one, shorter histories padded with their last values."""
    columns = {name: [getattr(part, name) for part in parts] for name in vars(parts[0])}
    for name in ("losses", "validation_losses"):
        if columns[name][0] is not None:
            longest = max(values.shape[-1] for values in columns[name])
            columns[name] = [torch.cat([v, v[:, -1:].expand(-1, longest - v.shape[-1])], -1) for v in columns[name]]
    joined: dict[str, Any] = {name: None if v[0] is None else torch.cat(v) for name, v in columns.items()}
    return Descent(**joined)
