"""What endings store, and how many of these numbers are free: the rank of the probabilities of all words."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from ending_models import MODELS, WORDS, L, T, ended
from families import randomise
from torch import Tensor

import pgm_rnn
from pgm_rnn.family import Family
from pgm_rnn.models import BernoulliHalt, EndSymbol, Markov, PredictedLength, Recurrent


def rank(model: Family) -> int:
    """In how many directions the probabilities of finite words move with the parameters."""
    words = torch.cat([ended(words) for words in WORDS.values()])
    still_open = torch.tensor(list(itertools.product((0, 1), repeat=T)))
    words = words if isinstance(model, PredictedLength) else torch.cat([words, still_open])
    names, values = zip(*model.named_parameters(), strict=True)

    def log_prob(*tensors: Tensor) -> Tensor:
        return torch.func.functional_call(model, dict(zip(names, tensors, strict=True)), (T,)).log_prob(words)

    columns = [part.reshape(len(words), -1) for part in torch.autograd.functional.jacobian(log_prob, values)]
    return int(torch.linalg.matrix_rank(torch.cat(columns, -1), rtol=1e-13))  # rounding is below 1e-15


SMALL: dict[str, Callable[[], Family]] = {
    "symbol alone, H=1": lambda: EndSymbol(Recurrent(3, 1, recurrence="output")),
    "symbol alone, H=2": lambda: EndSymbol(Recurrent(3, 2, recurrence="output")),
    "symbol alone, H=8": lambda: EndSymbol(Recurrent(3, 8, recurrence="output")),
    "symbol alone, halt, H=8": lambda: BernoulliHalt(Recurrent(2, 8, recurrence="output")),
    "symbol alone, halt, clock 2": lambda: BernoulliHalt(Recurrent(2, 2, clock=2, recurrence="output")),
    "symbol alone, halt, clock 3": lambda: BernoulliHalt(Recurrent(2, 2, clock=3, recurrence="output")),
    "symbol alone, clock 3": lambda: EndSymbol(Recurrent(3, 3, clock=3, recurrence="output")),
    "symbol alone, length": lambda: PredictedLength(Recurrent(2, 2, context_dim=L, recurrence="output"), L),
    "symbol alone, remaining": lambda: PredictedLength(Recurrent(2, 8, input_dim=L, recurrence="output"), L, True),
    "symbol alone, length, clock": lambda: PredictedLength(
        Recurrent(2, 8, context_dim=L, recurrence="output", clock=2), L
    ),
    "symbol alone, halt": lambda: BernoulliHalt(Recurrent(2, 2, recurrence="output")),
    "vector": lambda: EndSymbol(Recurrent(3, 2, recurrence="output", feedback="vector")),
    "vector, halt": lambda: BernoulliHalt(Recurrent(2, 2, recurrence="output", feedback="vector")),
    "order 0": lambda: EndSymbol(Markov(3, 0)),
    "order 0, halt": lambda: BernoulliHalt(Markov(2, 0)),
    "order 2": lambda: EndSymbol(Markov(3, 2)),
    "order 2, halt": lambda: BernoulliHalt(Markov(2, 2)),
    "network": lambda: EndSymbol(Recurrent(3, 2)),
    "network, halt": lambda: BernoulliHalt(Recurrent(2, 2)),
    "gru, halt": lambda: BernoulliHalt(Recurrent(2, 1, cell="gru")),
    "lstm": lambda: EndSymbol(Recurrent(3, 1, cell="lstm")),
    "table": MODELS["end-symbol, table"],
    "table, halt": MODELS["halt, table"],
    "table, length": MODELS["length, table"],
    "chain, length": MODELS["length, chain"],
    "table, remaining": MODELS["remaining, table"],
    "chain, remaining": MODELS["remaining, chain"],
    "order 2, remaining": lambda: PredictedLength(Markov(2, 2, input_dim=L), L, remaining=True),
    "network, remaining, not fed": lambda: PredictedLength(
        Recurrent(2, 1, input_dim=L, feedback="none"), L, remaining=True
    ),
    "network, remaining": lambda: PredictedLength(Recurrent(2, 2, input_dim=L), L, remaining=True),
}


@pytest.mark.parametrize("name", SMALL)
def test_free_parameters_are_the_directions_the_law_depends_on(name: str) -> None:
    model = SMALL[name]().double()
    randomise(model)
    count = pgm_rnn.count_parameters(model, T)
    assert count.stored == sum(parameter.numel() for parameter in model.parameters())
    assert count.free == rank(model)


def test_a_label_says_no_more_than_its_words_can_show() -> None:
    """Of H = 2 numbers that tell the length 1 of two symbols, one can be seen."""
    model = PredictedLength(Recurrent(2, 2, context_dim=L), L).double()
    randomise(model)
    assert rank(model) == pgm_rnn.count_parameters(model, T).free - 1
