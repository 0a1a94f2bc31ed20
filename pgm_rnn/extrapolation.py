"""A model beyond the words that it was trained on: what it loses at every position, and where its states go."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from pgm_rnn.checks import check_integer, check_seed, reject
from pgm_rnn.family import Family
from pgm_rnn.prefix_tree import PrefixTree
from pgm_rnn.scoring import double, score
from pgm_rnn.summaries import trajectory


def excess(
    model: Family, process: Family, duration: int, exact: int, *, num_sequences: int = 4096, seed: int = 0
) -> tuple[Tensor, Tensor]:
    r"""What the model loses above the floor at each position, and its standard error: two of ``(T,)`` or ``(R, T)``.

    .. math:: E_t = E_{y_{<t} \sim P} \; KL(P(\cdot \mid y_{<t}) \| Q(\cdot \mid y_{<t}))
                  = E[-\log Q(y_t \mid y_{<t})] - H(y_t \mid y_{<t})

    The sum over prefixes is complete up to position ``exact``, where the error is 0, and sampled beyond; in nats.

    Raises:
        InputError: as :func:`pgm_rnn.score`, or if the model is not made for words of T symbols.

    Example:
        >>> from pgm_rnn import processes
        >>> nats, error = excess(processes.biased_coin(), processes.golden_mean(), 64, exact=10, num_sequences=8)
        >>> nats[:2].numpy().round(6), bool(error[:10].any())
        (array([0.056633, 0.231049]), False)
    """
    far = score(model, process, duration, num_sequences=num_sequences, seed=seed)
    near = score(model, process, min(exact, duration))
    pairs = (
        (near.divergence_by_position, far.divergence_by_position),
        (near.standard_error_by_position, far.standard_error_by_position),
    )
    joined = [torch.cat([a, b[..., exact:]], -1) for a, b in pairs if a is not None and b is not None]
    return joined[0], joined[1]


ROUNDING = 1e-12
"""States no further apart than this are one."""


class Octave(NamedTuple):
    """Positions ``first .. last``, the mean of their excess, and a bound on its standard error, nats per symbol."""

    first: int
    last: int
    excess: float
    standard_error: float


def worst_octave(nats: Tensor, errors: Tensor, trained: int) -> Octave:
    """Of the unseen positions ``T + 1 .. 2T, 2T + 1 .. 4T, ...`` those that lose most, from :func:`excess` ``(T,)``.

    The errors of positions come from the same words; their mean is what they can be together at most.

    Example:
        >>> worst_octave(torch.tensor([0.0, 0.0, 0.2, 0.4, 0.1, 0.1]), torch.zeros(6), trained=2)
        Octave(first=3, last=4, excess=0.3..., standard_error=0.0)
    """
    ends = [trained]
    while ends[-1] < len(nats):
        ends.append(min(2 * ends[-1], len(nats)))
    octaves = [
        Octave(end + 1, last, float(nats[end:last].mean()), float(errors[end:last].mean()))
        for end, last in pairwise(ends)
    ]
    return max(octaves, key=lambda octave: octave.excess)


def drift(
    model: Family, process: Family, trained: int, steps: Sequence[int], *, num_sequences: int = 256, seed: int = 0
) -> Tensor:
    r"""Distance from :math:`h_t` to the nearest state of any shorter prefix that training visited, by step.

    .. math:: d_t = \frac 1 \sigma \sqrt{E_{y_{<t} \sim P} \min_{s} \min_{y_{<s}'} \| h_t - h_s(y_{<s}') \|^2}, \qquad
              1 \le s < t, \; s \le T,

    with :math:`T` the duration trained on and :math:`\sigma` the spread of the states visited there: the root mean
    square of their distance to their mean, under P and averaged over the steps. Up to T it says how new a
    state is when training first gets to it, and beyond T how far the network is from all that it was trained on.

    Args:
        model: a family with a mediator.
        process: the truth P.
        trained: T, at least 2.
        steps: values of t, at least 2, within the training's and beyond.
        num_sequences: words sampled from P for the expectation.
        seed: of those words.

    Returns:
        ``(len(steps),)``, or ``(R, len(steps))`` with replicates; float64, in units of :math:`\sigma`.

    Raises:
        InputError: if an argument is out of range, nothing mediates the model's past, or its states are all the same.

    Example:
        >>> from pgm_rnn import models, processes
        >>> drift(models.Recurrent(2, 4, replicates=3), processes.even(), trained=4, steps=[2, 64]).shape
        torch.Size([3, 2])
    """
    trained, count = check_integer("trained", trained, 2), check_integer("num_sequences", num_sequences, 1)
    last = max((check_integer("steps", step, 2) for step in steps), default=0)
    if not last:
        raise reject("steps", "at least one step", "none")
    model = double("model", model)
    words = process(last).sample((count,), generator=torch.Generator().manual_seed(check_seed(seed)))
    with torch.no_grad():
        paths = trajectory(model, words[:, :-1])  # (*R, N, last, H)
        visited, weights, lengths = visited_states(model, process, trained)
        centre = (weights * visited).sum(-2, keepdim=True)
        spread = (weights * (visited - centre) ** 2).sum((-2, -1)).sqrt()
        if not bool((spread > ROUNDING).all()):
            raise reject("model", "states that differ from prefix to prefix", "one state for all")
        gaps = [torch.cdist(paths[..., t - 1, :], visited[..., lengths < t - 1, :]).amin(-1) for t in steps]
    return torch.stack([(gap**2).mean(-1).sqrt() / spread for gap in gaps], -1)


def visited_states(model: Family, process: Family, duration: int) -> tuple[Tensor, Tensor, Tensor]:
    """States ``(*R, M, H)`` after the M prefixes shorter than ``duration``, their shares ``(M, 1)``, their lengths."""
    law, tree = model(duration), PrefixTree.from_law(process(duration))
    states = law.states_along(*tree.roots_and_edges(law))
    weights = torch.cat([level.weights.sum(-1) for level in tree.levels]) / duration
    lengths = torch.arange(duration).repeat_interleave(torch.tensor([len(level.weights) for level in tree.levels]))
    mediators = [law.mediator(state) for state in states]
    return torch.cat([h for h in mediators if h is not None], -2), weights.unsqueeze(-1), lengths
