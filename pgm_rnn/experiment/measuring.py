"""What the measurements of all studies share: words by seed, their likelihood, the record of a fit, and its curves."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pgm_rnn.family import Family
from pgm_rnn.inference import Fit
from pgm_rnn.prefix_tree import PrefixTree
from pgm_rnn.processes import Source
from pgm_rnn.sequences import Sequences


def draw_words(process: Source, spec: Mapping[str, Any], role: str, seed: int, count: int) -> Sequences:
    """Words of the process, and what each is given, by a generator of their own: every model sees the same ones.

    Args:
        process: the source.
        spec: a cell's specification; ``process`` (its name) and ``T`` are read.
        role: what the words are for, such as ``"train"`` or ``"test"``: each role has its own words.
        seed, count: the data seed and N.
    """
    text = f"{role} {spec['process']} {spec['T']} {count} {seed}"
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")
    return process.draw(count, spec["T"], torch.Generator().manual_seed(number))


def log_likelihoods(model: Family, samples: Sequence[Sequences]) -> list[float]:
    """Log-likelihood in nats of every replicate on its own words.

    >>> from pgm_rnn.models import Markov
    >>> log_likelihoods(Markov(2, 0, replicates=1), [Sequences(torch.tensor([[0, 1], [1, 1]]), 2)])  # 4 log 1/2
    [-2.772...]
    """
    tree = PrefixTree.from_sequences(samples)
    with torch.no_grad():
        return (tree.totals * tree.expected_log_prob(tree.law(model))).tolist()


def training_record(fitted: Fit, r: int) -> dict[str, Any]:
    """The columns that tell how replicate ``r`` of a fit came about."""
    return {
        "converged": bool(fitted.converged[r]),
        "gradient_norm_nats": float(fitted.gradient_norm[r]),
        "slope_nats_per_step": float(fitted.slope[r]),
        "steps": int(fitted.steps[r]),
        "chosen": json.dumps(fitted.chosen[r]),
        "fit_seconds": fitted.seconds / len(fitted.converged),  # replicates are trained together
    }


def even_in_logarithm(last: int, ratio: float) -> list[int]:
    """Whole numbers from 1 to ``last``, each some ``ratio`` times the one before: the points kept of a long curve.

    >>> even_in_logarithm(20, 2.0)
    [1, 2, 4, 8, 16, 20]
    """
    return sorted({last, *(round(ratio**i) for i in range(math.ceil(math.log(last, ratio))))})


def arrival(curve: np.ndarray, level: float) -> float:
    """After how many evaluations a curve, with a value for each, is not above a level; infinite if it never is.

    >>> [arrival(np.array([0.9, 0.5, 0.1]), level) for level in (0.5, 0.0)]
    [2.0, inf]
    """
    below = curve <= level
    return float(below.argmax() + 1) if below.any() else math.inf


def loss_curve(losses: Tensor, points: int = 40) -> dict[str, Any]:
    """The last loss, and a curve: at steps even in logarithm the mean since the one before, because batches vary."""
    ends = np.unique(np.geomspace(1, len(losses), points).round().astype(int)).tolist()
    means = [float(losses[start:end].mean()) for start, end in zip([0, *ends], ends, strict=False)]
    curve = {"loss_steps": json.dumps(ends), "losses_nats_per_word": json.dumps(means)}
    return {"loss_nats_per_word": float(losses[-1]), **curve}
