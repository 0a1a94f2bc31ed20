"""What the measurements of all studies share: words by seed, and the record of a fit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch

from pgm_rnn.family import Family
from pgm_rnn.inference import Fit
from pgm_rnn.sequences import Sequences


def draw_words(process: Family, spec: Mapping[str, Any], role: str, seed: int, count: int) -> Sequences:
    """Words of the process by a generator of their own, so that every model sees the same ones.

    Args:
        process: the source.
        spec: a cell's specification; ``process`` (its name) and ``T`` are read.
        role: what the words are for, such as ``"train"`` or ``"test"``: each role has its own words.
        seed, count: the data seed and N.
    """
    text = f"{role} {spec['process']} {spec['T']} {count} {seed}"
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")
    generator = torch.Generator().manual_seed(number)
    return Sequences(process(spec["T"]).sample((count,), generator=generator), process.alphabet_size)


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
