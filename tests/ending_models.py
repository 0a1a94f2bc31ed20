"""Every model with an ending, and the finite words it is tested on."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from families import randomise
from torch import Tensor

from pgm_rnn import Sequences
from pgm_rnn.family import Family
from pgm_rnn.models import BernoulliHalt, EndSymbol, Markov, PredictedLength, Recurrent, Tabular

L, T = 4, 5
WORDS = {tau: list(itertools.product((0, 1), repeat=tau)) for tau in range(1, L + 1)}

MODELS: dict[str, Callable[..., Family]] = {
    "end-symbol, table": lambda R=None: EndSymbol(Tabular(3, T, replicates=R)),
    "end-symbol, chain": lambda R=None: EndSymbol(Markov(3, 1, replicates=R)),
    "end-symbol, network": lambda R=None: EndSymbol(Recurrent(3, 3, replicates=R)),
    "halt, table": lambda R=None: BernoulliHalt(Tabular(2, T, replicates=R)),
    "halt, chain": lambda R=None: BernoulliHalt(Markov(2, 1, replicates=R)),
    "halt, network": lambda R=None: BernoulliHalt(Recurrent(2, 3, replicates=R)),
    "halt, gru": lambda R=None: BernoulliHalt(Recurrent(2, 2, cell="gru", replicates=R)),
    "halt, lstm": lambda R=None: BernoulliHalt(Recurrent(2, 2, cell="lstm", replicates=R)),
    "length, table": lambda R=None: PredictedLength(Tabular(2, L, replicates=R, context_dim=L), L),
    "length, chain": lambda R=None: PredictedLength(Markov(2, 1, replicates=R, context_dim=L), L),
    "length, network": lambda R=None: PredictedLength(Recurrent(2, 3, replicates=R, context_dim=L), L),
    "length, lstm": lambda R=None: PredictedLength(Recurrent(2, 2, "lstm", replicates=R, context_dim=L), L),
    "remaining, table": lambda R=None: PredictedLength(Tabular(2, L, replicates=R, input_dim=L), L, remaining=True),
    "remaining, chain": lambda R=None: PredictedLength(Markov(2, 1, replicates=R, input_dim=L), L, remaining=True),
    "remaining, network": lambda R=None: PredictedLength(Recurrent(2, 3, replicates=R, input_dim=L), L, remaining=True),
    "remaining, gru": lambda R=None: PredictedLength(Recurrent(2, 2, "gru", replicates=R, input_dim=L), L, True),
}
every = pytest.mark.parametrize("name", MODELS)
predicted = pytest.mark.parametrize("name", [name for name in MODELS if name.split(",")[0] in ("length", "remaining")])
counted = pytest.mark.parametrize("name", [name for name in MODELS if name.endswith(("table", "chain"))])


def made(name: str, replicates: int | None = None) -> Family:
    model = MODELS[name](replicates).double()
    randomise(model)
    return model


def ended(words: list[tuple[int, ...]], steps: int = T) -> Tensor:
    """Words with END behind them, up to ``steps`` symbols."""
    return torch.tensor([[*word, *[2] * (steps - len(word))] for word in words])


def finite_words(seed: int = 0, count: int = 60) -> Sequences:
    """Words of one to L symbols in which a 1 is likely to be the last."""
    generator = torch.Generator().manual_seed(seed)
    symbols = torch.randint(2, (count, L), generator=generator)
    lengths = torch.where(symbols.any(-1), symbols.argmax(-1) + 1, L)
    longer = torch.rand(count, generator=generator) < 0.3
    return Sequences(symbols, 2, torch.where(longer, L, lengths))
