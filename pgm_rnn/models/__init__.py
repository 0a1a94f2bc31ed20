"""Models: families with parameters to learn, and their one registry."""

from __future__ import annotations

from collections.abc import Callable

from pgm_rnn.family import Family
from pgm_rnn.models.recurrent import Recurrent

MODELS: dict[str, Callable[..., Family]] = {"recurrent": Recurrent}

__all__ = ["MODELS", "Recurrent"]
