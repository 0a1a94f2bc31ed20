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

    Source: Nocedal and Wright, *Numerical Optimization* (2006), section 7.2, theorem 7.4 (compact form),
    and algorithm 3.1 with the interpolation (3.57).

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
        self._moves = points.new_zeros(batch, memory, size)
        self._turns = points.new_zeros(batch, memory, size)
        self._learned = torch.zeros(batch, dtype=torch.long, device=points.device)
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
        slot = (self._learned % self._moves.shape[1])[:, None, None].expand(-1, 1, move.shape[-1])
        for memory, new in ((self._moves, move), (self._turns, turn)):
            kept = memory.gather(1, slot)
            memory.scatter_(1, slot, torch.where(learn[:, None, None], new.unsqueeze(1), kept))
        self._learned += learn
        self._scale = torch.where(learn, curvature / size.clamp_min(1e-300), self._scale)

    def _backtrack(self, rows: Tensor, values: Tensor, slope: Tensor) -> None:
        """Shorten to the minimum of the parabola through what is known, within a tenth and a half."""
        bend = 2.0 * (values - self.values - slope * self._length)
        wanted = -slope * self._length / bend
        factor = torch.where(torch.isfinite(wanted), wanted, 0.1).clamp(0.1, 0.5)
        self._length = torch.where(rows, self._length * factor, self._length)
        short = rows & (self._length < self.SHORTEST)
        fresh = short & self._moves.any(-1).any(-1)  # forget what misled the direction, once, then give up
        self.stuck |= short & ~fresh
        for memory in (self._moves, self._turns):
            memory.masked_fill_(fresh[:, None, None], 0.0)
        self._direction = torch.where(fresh.unsqueeze(-1), -self._scale.unsqueeze(-1) * self.gradients, self._direction)
        self._length = torch.where(fresh, 1.0, self._length)

    def _quasi_newton(self) -> Tensor:
        r"""Minus the inverse Hessian's compact form times the gradient; an empty slot acts as an identity row.

        .. math:: H = \gamma I + [S, \gamma Y] \begin{pmatrix} A^{-T}(D + \gamma Y^T Y) A^{-1} & -A^{-T} \\
                  -A^{-1} & 0 \end{pmatrix} [S, \gamma Y]^T, \quad A = \mathrm{upper}(S^T Y),\; D = \mathrm{diag}(A).
        """
        moves, turns, gamma = self._moves, self._turns, self._scale[:, None, None]  # (B, m, P), (B, 1, 1)
        slots = torch.arange(moves.shape[1], device=moves.device)
        by_age = ((self._learned.unsqueeze(-1) + slots) % len(slots)).unsqueeze(-1)  # (B, m, 1): oldest slot first
        by_slot = ((slots - self._learned.unsqueeze(-1)) % len(slots)).unsqueeze(-1)
        gradient = self.gradients.unsqueeze(-1)
        products = (moves @ turns.mT).gather(1, by_age.expand(-1, -1, len(slots)))
        upper = products.gather(2, by_age.mT.expand(-1, len(slots), -1)).triu()
        diagonal = upper.diagonal(dim1=-2, dim2=-1).unsqueeze(-1)
        upper = upper + torch.diag_embed((diagonal == 0).squeeze(-1).to(upper.dtype))
        inner = torch.linalg.solve_triangular(upper, (moves @ gradient).gather(1, by_age), upper=True)
        turned = gamma * (turns.mT @ inner.gather(1, by_slot) - gradient)  # (B, P, 1)
        right = diagonal * inner + (turns @ turned).gather(1, by_age)
        outer = torch.linalg.solve_triangular(upper.mT, right, upper=False).gather(1, by_slot)
        return (turned - moves.mT @ outer).squeeze(-1)
