"""Columns about when words end: of models that end their words, and of samplers that never do and are cut."""

from __future__ import annotations

import json
import math
from typing import Any

import torch
from torch import Tensor

from pgm_rnn.family import Family
from pgm_rnn.lengths import incomplete_when_cut, score_endings
from pgm_rnn.processes import FiniteWords
from pgm_rnn.scoring import score

SHOWN = 16
"""Words of each sampler that are kept to be shown."""


def ending_records(model: Family, source: FiniteWords, longest: int) -> list[dict[str, Any]]:
    """When the words of each replicate end, and how much of its divergence is that.

    Args:
        model: with replicates, over the source's symbols and its END.
        source: the truth.
        longest: symbols of its longest word.

    Example:
        >>> from pgm_rnn import models, processes
        >>> halt = models.BernoulliHalt(models.Tabular(2, 5, replicates=1))
        >>> (row,) = ending_records(halt, processes.brackets(longest=4), 4)
        >>> row["kl_nats_per_word"] == row["kl_length_nats"] + row["kl_words_nats"]
        True
    """
    steps = longest + 1
    divergence, found = score(model, source, steps).divergence, score_endings(model, source, longest)
    words = _first_words(model, steps)[..., 0, :]  # (SHOWN, R, steps)
    return [
        {
            "kl_nats_per_word": float(divergence[r]),
            "kl_length_nats": float(found.divergence[r]),
            "kl_words_nats": float(divergence[r] - found.divergence[r]),
            "length_distance": float(found.distance[r]),
            "incomplete": float(found.incomplete[r]),
            "cut": float(found.cut[r]),
            "lengths": json.dumps(found.lengths[r].tolist()),
            "samples": as_shown(words[:, r], source),
        }
        for r in range(len(divergence))
    ]


def cut_records(model: Family, source: FiniteWords, longest: int) -> list[dict[str, Any]]:
    """The same of samplers that never end, cut where the source's words end most often: as many lengths are right as
    one fixed length can make."""
    true, incomplete = source.length_law(longest), incomplete_when_cut(model, source, longest)
    usual = usual_length(true[:-1])
    lengths = torch.zeros_like(true)
    lengths[usual] = 1.0
    words = _first_words(model, 2 * usual)[..., 0, :]
    words = torch.nn.functional.pad(words, (0, 1), value=source.alphabet_size - 1)  # as if it had ended
    return [
        {
            "length_distance": 1 - float(true[usual]),
            "incomplete": float(shares[usual - 1]),
            "incomplete_when_cut": json.dumps(shares.tolist()),
            "lengths": json.dumps(lengths.tolist()),
            "samples": as_shown(words[:, r], source),
        }
        for r, shares in enumerate(incomplete)
    ]


def source_sample(source: FiniteWords, steps: int) -> str:
    """Words of the source itself as :func:`as_shown` has them, by the random numbers that models are shown with."""
    return as_shown(_first_words(source, steps), source)


def _first_words(family: Family, steps: int) -> Tensor:
    """Words ``(SHOWN, *batch, steps)``, from the same random numbers for every family."""
    return family(steps).sample((SHOWN,), generator=torch.Generator().manual_seed(0))


def usual_length(true: Tensor) -> int:
    """The most probable length, given the probabilities of 0, 1, ...; of equals, which rounding may tell apart, the
    shortest.

    >>> usual_length(torch.tensor([0.2, 0.4, 0.4]))
    1
    """
    return int((true >= true.max() - 1e-9).nonzero()[0])


def as_shown(words: Tensor, source: Family) -> str:
    """Words ``(n, T)`` as texts, and whether each is a complete word of the source: JSON of pairs."""
    end = source.alphabet_size - 1
    complete = (source(words.shape[-1]).log_prob(words) > -math.inf) & (words[:, -1] == end)
    texts = ["".join(str(y) for y in word if y != end) for word in words.tolist()]
    return json.dumps(list(zip(texts, complete.tolist(), strict=True)))
