"""Probabilistic graphical models of symbol sequences, compared: the full table, Markov chains and recurrent networks.

Everything public is imported from here; names are loaded when first used, so that the command line starts fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "InputError": "checks",
    "Fit": "inference",
    "PrefixTree": "prefix_tree",
    "Score": "scoring",
    "SequenceDistribution": "distribution",
    "Sequences": "sequences",
    "compare_models": "experiment.comparison",
    "count_parameters": "scoring",
    "fit": "inference",
    "fused": "programs",
    "load": "storage",
    "render_report": "report",
    "run_study": "experiment.runner",
    "save": "storage",
    "score": "scoring",
    "stepwise": "programs",
    "summarise": "summaries",
    "tabulate": "scoring",
}
_MODULES = ("models", "processes")

if TYPE_CHECKING:
    from pgm_rnn import models, processes
    from pgm_rnn.checks import InputError
    from pgm_rnn.distribution import SequenceDistribution
    from pgm_rnn.experiment.comparison import compare_models
    from pgm_rnn.experiment.runner import run_study
    from pgm_rnn.inference import Fit, fit
    from pgm_rnn.prefix_tree import PrefixTree
    from pgm_rnn.programs import fused, stepwise
    from pgm_rnn.report import render_report
    from pgm_rnn.scoring import Score, count_parameters, score, tabulate
    from pgm_rnn.sequences import Sequences
    from pgm_rnn.storage import load, save
    from pgm_rnn.summaries import summarise

__all__ = [
    "Fit", "InputError", "PrefixTree", "Score", "SequenceDistribution", "Sequences", "compare_models",
    "count_parameters", "fit", "fused", "load", "models", "processes", "render_report", "run_study", "save", "score",
    "stepwise", "summarise", "tabulate",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"pgm_rnn.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'pgm_rnn' has no attribute {name!r}")
    return getattr(import_module(f"pgm_rnn.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*_HOME, *_MODULES, "__version__"])
