"""Limited-memory BFGS on many independent problems at once, each with its own steps and its own end."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Objective = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Maps points ``(B, P)`` to values ``(B,)`` and gradients ``(B, P)``; problem b's depend on row b alone."""


class BatchedLBFGS:
    r"""Minimise ``B`` functions of ``P`` numbers, one row each, with one batched evaluation per call.

    Every call of :meth:`step` evaluates all rows at their own trial points. A row whose trial decreases its function
    enough (Armijo) accepts it, learns from it and takes a new quasi-Newton direction; a row whose trial does not
    shortens its step by quadratic interpolation. So no row waits for another, and each row's path is what it would
    be alone.

    Source: Nocedal and Wright, *Numerical Optimization* (2006), algorithms 7.4 (two-loop recursion) and 3.1, 3.5.

    Args:
        objective: see :data:`Objective`.
        points: the starting points ``(B, P)``.
        memory: the number of remembered updates.
    """

    ARMIJO = 1e-4
    SHORTEST = 1e-10

    def __init__(self, objective: Objective, points: Tensor, memory: int = 20) -> None:
        self.objective = objective
        self.points = points.detach().clone()
        self.values, self.gradients = objective(self.points)
        batch, size = points.shape
        self._moves = points.new_zeros(memory, batch, size)
        self._turns = points.new_zeros(memory, batch, size)
        self._rho = points.new_zeros(memory, batch)
        self._scale = 1.0 / self.gradients.norm(dim=-1).clamp_min(1.0)
        self._direction = -self._scale.unsqueeze(-1) * self.gradients
        self._length = torch.ones_like(self.values)
        self.accepted = torch.zeros_like(self.values, dtype=torch.long)
        self.stuck = torch.zeros_like(self.values, dtype=torch.bool)

    @property
    def gradient_norm(self) -> Tensor:
        """The largest entry of each row's gradient, ``(B,)``."""
        return self.gradients.abs().amax(-1)

    def step(self, active: Tensor) -> Tensor:
        """One evaluation; returns which of the ``active`` rows moved."""
        move = self._length.unsqueeze(-1) * self._direction
        values, gradients = self.objective(self.points + move)
        slope = (self._direction * self.gradients).sum(-1)
        better = values <= self.values + self.ARMIJO * self._length * slope
        accept = active & better & torch.isfinite(gradients).all(-1)
        self._learn(accept, move, gradients - self.gradients)
        self._backtrack(active & ~accept, values, slope)
        row = accept.unsqueeze(-1)
        self.points = torch.where(row, self.points + move, self.points)
        self.gradients = torch.where(row, gradients, self.gradients)
        self.values = torch.where(accept, values, self.values)
        self.accepted += accept
        self._length = torch.where(accept, 1.0, self._length)
        self._direction = torch.where(row, self._quasi_newton(), self._direction)
        return accept

    def _learn(self, accept: Tensor, move: Tensor, turn: Tensor) -> None:
        """Remember the accepted moves whose curvature is positive."""
        curvature = (move * turn).sum(-1)
        size = (turn * turn).sum(-1)
        learn = accept & (curvature > 1e-12 * size.sqrt() * (move * move).sum(-1).sqrt())
        row = learn.unsqueeze(-1)
        for memory, new in ((self._moves, move), (self._turns, turn)):
            memory.copy_(torch.where(row, torch.cat([memory[1:], new.unsqueeze(0)]), memory))
        rho = torch.where(learn, 1.0 / curvature, 0.0)
        self._rho = torch.where(learn, torch.cat([self._rho[1:], rho.unsqueeze(0)]), self._rho)
        self._scale = torch.where(learn, curvature / size.clamp_min(1e-300), self._scale)

    def _backtrack(self, rows: Tensor, values: Tensor, slope: Tensor) -> None:
        """Shorten to the minimum of the parabola through what is known, within a tenth and a half."""
        bend = 2.0 * (values - self.values - slope * self._length)
        wanted = -slope * self._length / bend
        factor = torch.where(torch.isfinite(wanted), wanted, 0.1).clamp(0.1, 0.5)
        self._length = torch.where(rows, self._length * factor, self._length)
        short = rows & (self._length < self.SHORTEST)
        fresh = short & (self._rho.abs().sum(0) > 0)  # forget what misled the direction, once, then give up
        self.stuck |= short & ~fresh
        keep = (~fresh).to(self.points.dtype)
        self._rho = self._rho * keep
        self._direction = torch.where(fresh.unsqueeze(-1), -self._scale.unsqueeze(-1) * self.gradients, self._direction)
        self._length = torch.where(fresh, 1.0, self._length)

    def _quasi_newton(self) -> Tensor:
        """The two-loop recursion; empty memory (rho = 0) is skipped by arithmetic."""
        q = self.gradients
        alphas = []
        for move, turn, rho in zip(reversed(self._moves), reversed(self._turns), reversed(self._rho), strict=True):
            alpha = rho * (move * q).sum(-1)
            q = q - alpha.unsqueeze(-1) * turn
            alphas.append(alpha)
        q = q * self._scale.unsqueeze(-1)
        for move, turn, rho, alpha in zip(self._moves, self._turns, self._rho, reversed(alphas), strict=True):
            beta = rho * (turn * q).sum(-1)
            q = q + (alpha - beta).unsqueeze(-1) * move
        return -q
