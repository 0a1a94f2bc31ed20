"""Training where the fed past is drawn: Adam on batches of words, every row by itself."""

from __future__ import annotations

import math
import time

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LinearLR

from pgm_rnn.family import Family
from pgm_rnn.inference.batches import BATCH, Batches
from pgm_rnn.inference.descent import WINDOW, Descent
from pgm_rnn.inference.forcing import Share, fed_log_prob, feed_words
from pgm_rnn.inference.gradient import Variants, choose, few_threads, load_points, mix, starting_points
from pgm_rnn.inference.result import Fit
from pgm_rnn.progress import Report

LEARNING_RATE = 0.01
"""Adam's at the first step; it falls linearly to zero."""


def fit_batches(
    model: Family,
    batches: Batches,
    true_share: Share,
    *,
    max_steps: int,
    restarts: int,
    seed: int,
    progress: Report | None = None,
) -> Fit:
    """Train ``model`` in place by ``max_steps`` steps of Adam, with a leading axis R in every field of the result.

    Every replicate and restart is a row with a generator of its own, so it is what it would be alone. The gradient does
    not go through the sampling. What is fed changes with the parameters, so the loss is no function that a line search
    could follow, and nothing says by itself that training has ended: ``converged`` stays False. The last parameters are
    kept, since stopping by the loss after the true past would turn any mode back into teacher forcing.

    Source: Kingma and Ba (2015), *Adam: a method for stochastic optimization*, arXiv:1412.6980.
    """
    started = time.perf_counter()
    rows = model.replicates or 1
    points = starting_points(model, seed, restarts, spread=batches.replicates is None).flatten(0, -2)
    training = Training(model, points, batches, true_share, seed)
    with few_threads(len(points) * BATCH * batches.duration):
        descent = training.run(max_steps, progress)
    best, restart = choose(descent, rows)
    load_points(model, best.points)
    fields = (best.losses, None, best.steps, best.converged, best.gradient_norm, best.slope)
    return Fit(model, *fields, [{"restart": number} for number in restart], time.perf_counter() - started)


class Training:
    """Adam on the points ``(J * R, P)`` of J restarts and R replicates; elementwise, so no row knows of another."""

    def __init__(self, model: Family, points: Tensor, batches: Batches, true_share: Share, seed: int) -> None:
        self.points, self.batches, self.true_share = points.requires_grad_(), batches, true_share
        self.variants = Variants(model, (len(points),))
        self.generators, self.streams = [], []
        for row in range(len(points)):
            restart, r = divmod(row, model.replicates or 1)
            own = mix(seed + (r if batches.replicates is None else 0), restart, 1)  # the weights' has no third number
            self.generators.append(torch.Generator().manual_seed(own))
            self.streams.append(batches.stream(r, self.generators[-1]))

    def loss(self, done: float) -> Tensor:
        """Nats per word of every row's next batch, ``(J * R,)``, when a share of training is ``done``."""
        words = torch.stack([next(stream) for stream in self.streams]).to(self.points.device)
        law = self.variants.law(self.points, self.batches.duration)
        fed = feed_words(law, words, self.true_share(done), self.generators)
        return -fed_log_prob(law, words, fed).mean(-1)

    def run(self, max_steps: int, progress: Report | None) -> Descent:
        """Train; the last of the losses is the mean over many further batches."""
        optimizer = torch.optim.Adam([self.points], lr=LEARNING_RATE)
        schedule = LinearLR(optimizer, 1.0, 0.0, total_iters=max_steps)
        history = []
        for step in range(max_steps):
            losses = self.loss(step / max_steps)
            (self.points.grad,) = torch.autograd.grad(losses.sum(), self.points)
            optimizer.step()
            schedule.step()
            history.append(losses.detach())
            if progress is not None:
                progress(step + 1, max_steps)
        with torch.no_grad():
            history.append(torch.stack([self.loss(1.0) for _ in range(WINDOW)]).mean(0))
        return self._descent(torch.stack(history, -1))

    def _descent(self, losses: Tensor) -> Descent:
        count, steps = len(losses), losses.shape[-1] - 1
        slope = torch.full_like(losses[:, 0], math.inf)
        if steps >= 2 * WINDOW:
            before, after = losses[:, -1 - 2 * WINDOW : -1].unflatten(-1, (2, WINDOW)).mean(-1).unbind(-1)
            slope = (before - after) / WINDOW
        ended = torch.zeros(count, dtype=torch.bool, device=losses.device)
        assert self.points.grad is not None  # there was at least one step
        norm = self.points.grad.abs().amax(-1)
        return Descent(
            self.points.detach(), losses, None, torch.full_like(ended, steps, dtype=torch.long), ended, norm, slope
        )
