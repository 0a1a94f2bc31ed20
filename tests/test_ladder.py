"""The ladder on words that come with something: who is told, who wins, who is left out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pgm_rnn import Sequences
from pgm_rnn.experiment import ladder
from pgm_rnn.experiment.ladder import HIDDEN_DIMS, compare_ladder
from pgm_rnn.models import EndSymbol

NETWORKS = {f"rnn-{hidden_dim}" for hidden_dim in HIDDEN_DIMS}
ALL = {"iid", "markov", "table", *NETWORKS}


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training of a few steps, which these words do not need more of."""
    trained = ladder.fit
    monkeypatch.setattr(ladder, "fit", lambda *args, **how: trained(*args, **how, max_steps=60, restarts=1))


def coins(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Two hundred labels, and words of coins that mostly fall as the label says."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(2, (200,), generator=generator)
    flips = torch.rand(200, 4, generator=generator) < 0.05
    return labels, labels.unsqueeze(1) ^ flips


@pytest.mark.usefixtures("short")
def test_all_are_told_a_label() -> None:
    labels, symbols = coins()
    table = compare_ladder(Sequences(symbols, 2, context=labels), progress=False)
    assert set(table.index) == ALL
    told = -(0.05 * np.log(0.05) + 0.95 * np.log(0.95))
    assert table.nats_per_symbol.to_dict() == pytest.approx(dict.fromkeys(ALL, told), abs=0.1)
    assert table.stored["iid"] == 4  # two labels of two symbols
    untold = compare_ladder(Sequences(symbols, 2), progress=False)
    assert float(untold.nats_per_symbol["iid"]) == pytest.approx(np.log(2), abs=0.02)


@pytest.mark.usefixtures("short")
def test_all_are_told_the_label_of_each_step() -> None:
    labels, _ = coins()
    inputs = labels.reshape(50, 4)
    table = compare_ladder(Sequences(1 - inputs, 2, inputs=inputs), progress=False)
    assert set(table.index) == ALL
    assert float(table.nats_per_symbol.max()) < 0.2


@pytest.mark.usefixtures("short")
def test_networks_alone_are_told_a_vector() -> None:
    labels, symbols = coins()
    table = compare_ladder(Sequences(symbols, 2, context=labels.double().unsqueeze(1)), progress=False)
    assert set(table.index) == NETWORKS
    assert float(table.nats_per_symbol.max()) < 0.4


@pytest.mark.usefixtures("short")
def test_words_with_inputs_need_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their length is told, so every symbol is predicted and no END; words with a context need one."""
    labels, symbols = coins()
    lengths = 1 + labels
    inputs = labels.unsqueeze(1).expand(-1, 4)
    told = compare_ladder(Sequences(symbols, 2, lengths, inputs=inputs), progress=False)
    assert told.stored["iid"] == 4
    monkeypatch.setattr(ladder, "ladder", lambda *given: {"iid": ladder_of(*given)["iid"]})
    ended = compare_ladder(Sequences(symbols, 2, lengths, context=labels), progress=False)
    assert ended.stored["iid"] == 6


ladder_of = ladder.ladder


def test_the_models_of_words_that_end_are_over_end_too() -> None:
    assert EndSymbol(ladder_of(3, 5)["table"]).alphabet_size == 3
