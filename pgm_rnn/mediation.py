r"""What the mediator ``h_t`` carries from the past to the future: information, nats kept and linear probes.

A real-valued ``h_t`` is almost surely a different one for every prefix, with any weights. Then it *is* the past, and
:math:`I(h_t; \text{future}) = I(\text{past}; \text{future})` for an untrained network as for a trained one: the number
says nothing. What says something is what is left of it when ``h_t`` is read with finite precision, linearly, or by
the network's own read-out; those are measured here, exactly, by sums over all words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from pgm_rnn.checks import check_integer, reject
from pgm_rnn.distribution import SequenceDistribution, check_law
from pgm_rnn.prefix_tree import PrefixTree
from pgm_rnn.processes import Process
from pgm_rnn.summaries import trajectory

MAX_BITS = 52
"""Bits per unit that a float64 in (-1, 1) can tell apart everywhere."""


def nats_kept(tree: PrefixTree, law: SequenceDistribution) -> Tensor:
    r"""What a law's memory saves at every step, :math:`H(y_t) - E[-\log Q(y_t \mid y_{<t})]`: ``(T,)`` or ``(R, T)``.

    The entropies and the expectation are under the tree's weights. No law keeps more in sum than the one whose
    tree it is, which keeps :math:`\sum_t [H(y_t) - H(y_t \mid y_{<t})]`; one without memory keeps at most nothing.

    Example:
        >>> from pgm_rnn import processes
        >>> periodic = processes.periodic("01")
        >>> nats_kept(PrefixTree.from_law(periodic(3)), periodic(3))
        tensor([0.0000, 0.6931, 0.6931], dtype=torch.float64)
    """
    marginals = torch.stack([level.weights.sum(-2) for level in tree.levels], -2)  # (..., T, k)
    return tree.expected_log_probs(law) - torch.xlogy(marginals, marginals).sum(-1)


def past_by_future(law: SequenceDistribution, past: int) -> Tensor:
    """The joint law of the first ``past`` symbols and those that follow: ``(k^past, k^(T - past))``, lexicographic.

    Raises:
        InputError: if ``past`` is not in ``0..T``, the law has replicates, or all its words are too many.

    Example:
        >>> from pgm_rnn import processes
        >>> past_by_future(processes.golden_mean()(2), 1)
        tensor([[0.0000, 0.3333],
                [0.3333, 0.3333]], dtype=torch.float64)
    """
    past = check_integer("past", past, 0, check_law("law", law).duration)
    if law.batch_shape:
        raise reject("law", "a law without replicates", f"batch shape {tuple(law.batch_shape)}")
    with torch.no_grad():
        return law.log_prob(law.enumerate_support()).double().exp().reshape(law.alphabet_size**past, -1)


def mutual_information(joint: Tensor) -> float:
    r""":math:`\sum_{ij} P_{ij} \log \frac{P_{ij}}{P_i P_j}` in nats of a joint law ``(n, m)``.

    Example:
        >>> round(mutual_information(torch.eye(2) / 2), 6)
        0.693147
    """
    rows, columns = joint.sum(1), joint.sum(0)
    return float(sum(sign * torch.xlogy(p, p).sum() for sign, p in ((1, joint), (-1, rows), (-1, columns))))


def information_through(joint: Tensor, labels: Tensor) -> float:
    r""":math:`I(\ell; \text{future})` in nats of a label of the past: rows with the same label are one.

    A label is a function of the past, so with it given the past still says
    :math:`I(\text{past}; \text{future} \mid \ell) = I(\text{past}; \text{future}) - I(\ell; \text{future}) \ge 0`.

    Args:
        joint: ``(n, m)``, the joint law of past and future.
        labels: ``(n,)``, integers, or ``(n, H)``, of which every distinct row is one label.

    Raises:
        InputError: if there is not one label for each past.

    Example:
        >>> joint = torch.tensor([[0.2, 0.0], [0.3, 0.0], [0.0, 0.5]])
        >>> round(information_through(joint, torch.tensor([7, 7, 9])), 6)
        0.693147
    """
    if labels.ndim not in (1, 2) or len(labels) != len(joint):
        raise reject("labels", f"one for each of the {len(joint)} pasts", tuple(labels.shape))
    distinct, index = torch.unique(labels, dim=0, return_inverse=True)
    return mutual_information(joint.new_zeros(len(distinct), joint.shape[1]).index_add(0, index, joint))


def quantise(states: Tensor, bits: int) -> Tensor:
    """Each unit's cell among ``2^bits`` cells of equal width on (-1, 1), where tanh lives: integers like ``states``.

    More bits split cells and never join them, so what the cells tell of anything does not fall as bits grow.

    Raises:
        InputError: if a state is outside [-1, 1], or bits are not in 0..52.

    Example:
        >>> quantise(torch.tensor([[-0.9, -0.1, 0.1, 1.0]]), bits=2)
        tensor([[0, 1, 2, 3]])
    """
    bits = check_integer("bits", bits, 0, MAX_BITS)
    if not bool((states.abs() <= 1).all()):
        raise reject("states", "numbers in [-1, 1], such as those of tanh units", f"{float(states.abs().max()):g}")
    cells = 2**bits
    return ((states.double() + 1) * (cells / 2)).floor().clamp(max=cells - 1).long()


class Probe(NamedTuple):
    """A weighted linear regression: ``image (N, S)``, and the share of the targets' variance that it explains."""

    image: Tensor
    explained: float


def linear_probe(features: Tensor, targets: Tensor, weights: Tensor) -> Probe:
    r"""The best linear map with intercept from features to targets, in weighted least squares, in float64.

    .. math:: R^2 = 1 - \frac{\sum_n p_n |z_n - A h_n - a|^2}{\sum_n p_n |z_n - \bar z|^2}

    With the probabilities of all prefixes as weights nothing is estimated: it is the regression of the law itself.

    Args:
        features: ``(N, H)``, such as the states of a network; they may depend on each other linearly.
        targets: ``(N, S)``, such as beliefs, as probabilities.
        weights: ``(N,)``, non-negative.

    Raises:
        InputError: if shapes do not fit, or the targets do not vary.

    Example:
        >>> x = torch.tensor([[0.0], [1.0], [2.0]])
        >>> round(linear_probe(x, 3 * x - 1, torch.tensor([0.2, 0.5, 0.3])).explained, 6)
        1.0
    """
    N = len(weights)
    if weights.shape != (N,) or features.shape[:-1] != (N,) or targets.shape[:-1] != (N,):
        shapes = [tuple(part.shape) for part in (features, targets, weights)]
        raise reject("features, targets, weights", "shapes (N, H), (N, S) and (N,)", shapes)
    if bool((weights < 0).any()) or not float(weights.sum()) > 0:
        raise reject("weights", "numbers of at least 0 with a positive sum", f"sum {float(weights.sum()):g}")
    p = weights.detach().cpu().double().unsqueeze(-1) / float(weights.sum())
    h, z = (part.detach().cpu().double() for part in (features, targets))
    h, spread = h - (p * h).sum(0), z - (p * z).sum(0)
    variance = float((p * spread.square()).sum())
    if not variance > 0:
        raise reject("targets", "values that vary", f"variance {variance:g}")
    # gelsd alone drops directions in which the features do not vary; it runs on the CPU
    A = torch.linalg.lstsq(p.sqrt() * h, p.sqrt() * spread, driver="gelsd").solution
    rest = spread - h @ A
    return Probe(z - rest, 1 - float((p * rest.square()).sum()) / variance)


def probe_belief(process: Process, duration: int, features: Callable[[Tensor], Tensor]) -> Probe:
    """The linear map to a process's exact belief from features of every prefix of ``0 .. T - 1`` symbols.

    Every prefix is weighted by its probability: it stands there once for every word of ``T - 1`` that it begins.

    Args:
        process: the truth, whose belief over S hidden states is the target.
        duration: T, at least 2.
        features: from words ``(N, T - 1)`` to ``(N, T, H)``, such as a network's :func:`trajectory`.

    Returns:
        The probe, with an ``image`` of ``(N * T, S)``: the prefixes of one word after another.

    Example:
        >>> from pgm_rnn import processes
        >>> golden = processes.golden_mean()  # its belief is a function of the last symbol
        >>> round(probe_belief(golden, 4, lambda words: past_symbols(words, 2)).explained, 6)
        1.0
    """
    words, weights = possible_words(process, check_integer("duration", duration, 2) - 1)
    beliefs = trajectory(process, words).exp()
    return linear_probe(features(words).flatten(0, 1), beliefs.flatten(0, 1), weights.repeat_interleave(duration))


def possible_words(process: Process, duration: int) -> tuple[Tensor, Tensor]:
    """All words of positive probability ``(N, T)``, in lexicographic order, and their probabilities ``(N,)``."""
    law = process(duration)
    words = law.enumerate_support()
    probability = law.log_prob(words).exp()
    return words[probability > 0], probability[probability > 0]


def past_symbols(words: Tensor, alphabet_size: int) -> Tensor:
    """One-hots of all earlier symbols by their distance from the present, 0 before y_1: ``(N, T, (T - 1) k)``.

    What a linear map reads from these it has from the symbols themselves, with nobody's state in between.

    Example:
        >>> past_symbols(torch.tensor([[0, 1]]), 2)[0].int().tolist()
        [[0, 0, 0, 0], [0, 0, 1, 0], [1, 0, 0, 1]]
    """
    one_hot = torch.nn.functional.one_hot(words, alphabet_size).double()
    padded = torch.cat([torch.zeros_like(one_hot), one_hot], 1)  # (N, 2 (T - 1), k)
    return padded.unfold(1, words.shape[1], 1).transpose(2, 3).flatten(2)
