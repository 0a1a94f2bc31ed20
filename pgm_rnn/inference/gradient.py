"""Maximum likelihood by gradients: all replicates, restarts and weight decays of a model in one batched descent."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call

from pgm_rnn.checks import reject
from pgm_rnn.distribution import SequenceDistribution
from pgm_rnn.family import Family
from pgm_rnn.inference.descent import Descent, Loss, descend, stack
from pgm_rnn.inference.result import Fit
from pgm_rnn.prefix_tree import PrefixTree
from pgm_rnn.progress import Report
from pgm_rnn.sides import NO_SIDES, Sides
from pgm_rnn.tree_layout import lanes_at_once

WEIGHT_DECAYS = (0.0, 3.0, 10.0)
"""Precisions of the Gaussian prior on the parameters that held-out words choose between."""


SMALL = 2**14
"""Cells, counted over all rows that train together, below which one thread is best."""


Likelihood = Callable[[PrefixTree, SequenceDistribution], Tensor]
"""Maps a tree of words and a law to nats per word, one for each of the law's leading axes."""


class Variants:
    """Variants of a model, with replicates such as ``lead = (J, R)``, as the rows of points ``(J * R, P)``."""

    def __init__(self, model: Family, lead: tuple[int, ...]) -> None:
        self.model, self.lead = model, lead
        self.names = [name for name, _ in model.named_parameters()]
        self.shapes = [parameter.shape[len(model.lead) :] for parameter in model.parameters()]
        self.sizes = [shape.numel() for shape in self.shapes]

    def parameters(self, points: Tensor) -> dict[str, Tensor]:
        """The rows of ``points`` as named tensors with leading axes ``lead``."""
        parts = zip(self.names, points.split(self.sizes, -1), self.shapes, strict=True)
        return {name: part.reshape(*self.lead, *shape) for name, part, shape in parts}

    def law(self, points: Tensor, duration: int, sides: Sides = NO_SIDES) -> SequenceDistribution:
        """All variants' laws as one, with batch shape ``(*lead, 1)``, or ``(*lead, G)`` given the sides of G roots."""
        return functional_call(self.model, self.parameters(points), (duration,), sides.given)


class Problem:
    r"""Training ``J`` variants of a model on ``R`` data sets: points ``(J * R, P)`` to values and gradients.

    The value of a row is :math:`-\sum_w \hat P(w) \log Q_\theta(w) + \frac{\lambda}{2 N} |\theta|^2` in nats per word:
    minus the log-posterior per word under a Gaussian prior of precision :math:`\lambda`, which vanishes as N grows.
    Another ``likelihood`` than the words' own may stand in the first term.
    """

    def __init__(self, model: Family, tree: PrefixTree, decays: Tensor, likelihood: Likelihood) -> None:
        self.tree, self.likelihood = tree, likelihood
        self.variants = Variants(model, (len(decays), *model.lead))
        penalty = decays.reshape(-1, *(1,) * len(model.lead)) / (2.0 * tree.totals)
        self.penalty = penalty.expand(self.variants.lead).reshape(-1).to(next(model.parameters()).dtype)

    def loss(self, points: Tensor, tree: PrefixTree) -> Tensor:
        """Nats per word of a tree, ``(J * R,)``."""
        return -self.likelihood(tree, self.variants.law(points, tree.duration, tree.sides)).reshape(-1)

    def held_out(self, tree: PrefixTree) -> Loss:
        """The loss on another tree, without gradients."""

        def loss(points: Tensor) -> Tensor:
            with torch.no_grad():
                return self.loss(points, tree)

        return loss

    def __call__(self, points: Tensor) -> tuple[Tensor, Tensor]:
        points = points.detach().requires_grad_()
        with torch.enable_grad():
            values = self.loss(points, self.tree) + self.penalty * (points * points).sum(-1)
            (gradients,) = torch.autograd.grad(values.sum(), points)
        return values.detach(), gradients


def starting_points(model: Family, seed: int, restarts: int, spread: bool) -> Tensor:
    """Points ``(restarts, R, P)`` or ``(restarts, P)``, each from its own seed.

    With ``spread`` replicate r starts as a single model would at seed ``seed + r``; otherwise all start alike, so that
    a data set gives the same fit alone as among others.
    """
    points = []
    for restart in range(restarts):
        seeds = [mix(seed + (r if spread else 0), restart) for r in range(model.replicates or 1)]
        model.reset_parameters(seeds)
        points.append(torch.cat([p.detach().reshape(*model.lead, -1) for p in model.parameters()], -1))
    return torch.stack(points)


def mix(*numbers: int) -> int:
    """A seed from several."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def fit_gradient(
    model: Family,
    tree: PrefixTree,
    held_out: PrefixTree | None,
    *,
    max_steps: int,
    restarts: int,
    seed: int,
    likelihood: Likelihood = PrefixTree.expected_log_prob,
    progress: Report | None = None,
) -> Fit:
    """Train ``model`` in place on ``tree``, with a leading axis R in every field of the result.

    Restarts, and weight decays if there are ``held_out`` words to choose on, are variants: a further leading axis, cut
    into parts where memory asks for it, which no number depends on.
    """
    started = time.perf_counter()
    decays = torch.tensor((0.0,) if held_out is None else WEIGHT_DECAYS, dtype=torch.double, device=tree.totals.device)
    starts = starting_points(model, seed, restarts, spread=tree.replicates is None)
    rows = model.replicates or 1
    together = max(1, lanes_at_once(tree.law(model)) // tree.num_cells)
    variants = [(decay, restart) for decay in range(len(decays)) for restart in range(restarts)]
    results = []
    for first in range(0, len(variants), together):
        now = variants[first : first + together]
        problem = Problem(model, tree, decays[[decay for decay, _ in now]], likelihood)
        start = starts[[restart for _, restart in now]].flatten(0, -2)
        share = None if progress is None else _share(progress, first / len(variants), len(now) / len(variants))
        watched = None if held_out is None else problem.held_out(held_out)
        with few_threads(tree.num_cells * len(start)):
            results.append(descend(problem, start, max_steps, watched, share))
    best, which = choose(stack(results), rows)
    load_points(model, best.points)
    settings = [{"weight_decay": float(decays[decay]), "restart": restart} for decay, restart in variants]
    chosen = [settings[variant] for variant in which]
    fields = (best.losses, best.validation_losses, best.steps, best.converged, best.gradient_norm, best.slope)
    return Fit(model, *fields, chosen, time.perf_counter() - started)


@contextmanager
def few_threads(cells: int) -> Iterator[None]:
    """One thread for small problems, as many as before for others, and as many as before in the end.

    On a few thousand cells threads gain nothing, and lose a factor of ten when another program keeps a core busy.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1 if cells < SMALL else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _share(progress: Report, done: float, part: float) -> Report:
    """Progress of one of several descents as progress of the whole."""
    return lambda step, total: progress(round(total * (done + part * step / total)), total)


def choose(all_rows: Descent, replicates: int) -> tuple[Descent, list[int]]:
    """The best variant of every replicate, by the criterion of its rows, and the number of that variant."""
    criterion = all_rows.criterion.nan_to_num(nan=math.inf).reshape(-1, replicates)
    best = criterion.argmin(0)
    if not bool(torch.isfinite(criterion.amin(0)).all()):
        raise reject("data", "words to which the model gives a finite likelihood", "a loss that is not finite")
    return all_rows.select(best * replicates + torch.arange(replicates, device=best.device)), best.tolist()


@torch.no_grad()
def load_points(model: Family, points: Tensor) -> None:
    """Write points ``(R, P)`` into the model's parameters."""
    sizes = [parameter.numel() // len(points) for parameter in model.parameters()]
    for parameter, part in zip(model.parameters(), points.split(sizes, -1), strict=True):
        parameter.copy_(part.reshape(parameter.shape))
