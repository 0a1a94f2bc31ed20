"""Models: families with parameters to learn, and their one registry."""

from __future__ import annotations

from collections.abc import Callable

from pgm_rnn.family import Family
from pgm_rnn.models.endings import BernoulliHalt, EndSymbol
from pgm_rnn.models.markov import Markov
from pgm_rnn.models.predicted_length import PredictedLength
from pgm_rnn.models.recurrent import Recurrent
from pgm_rnn.models.tabular import Tabular
from pgm_rnn.models.with_ending import ENDING_NAMES, with_ending

MODELS: dict[str, Callable[..., Family]] = {"tabular": Tabular, "markov": Markov, "recurrent": Recurrent}

ENDINGS: dict[str, Callable[..., Family]] = {
    "end-symbol": EndSymbol,
    "halt": BernoulliHalt,
    "predicted-length": PredictedLength,
}
"""Wrappers of a model, which make it one over finite words."""

__all__ = [
    "ENDINGS", "ENDING_NAMES", "MODELS", "BernoulliHalt", "EndSymbol", "Markov", "PredictedLength", "Recurrent",
    "Tabular", "with_ending",
]  # fmt: skip
