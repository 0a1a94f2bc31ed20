"""Models: families with parameters to learn, and their one registry."""

from __future__ import annotations

from collections.abc import Callable

from pgm_rnn.family import Family
from pgm_rnn.models.markov import Markov
from pgm_rnn.models.recurrent import Recurrent
from pgm_rnn.models.tabular import Tabular

MODELS: dict[str, Callable[..., Family]] = {"tabular": Tabular, "markov": Markov, "recurrent": Recurrent}

__all__ = ["MODELS", "Markov", "Recurrent", "Tabular"]
