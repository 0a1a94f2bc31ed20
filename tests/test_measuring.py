"""What measurements share: likelihoods by counting, arrivals, parameters counted and predicted, cells that are lost."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch

from pgm_rnn import Sequences, models
from pgm_rnn.experiment.breakdown import lost_cells
from pgm_rnn.experiment.counting import parameter_records
from pgm_rnn.experiment.measuring import arrival, log_likelihoods


def test_every_replicate_is_scored_on_its_own_words() -> None:
    model = models.Recurrent(2, 3, replicates=2).double()
    samples = [Sequences(torch.tensor([[0, 1, 1], [0, 1, 1]]), 2), Sequences(torch.tensor([[1, 0, 0]]), 2)]
    expected = [float(model.replicate(r)(3).log_prob(words.symbols).sum().detach()) for r, words in enumerate(samples)]
    assert log_likelihoods(model, samples) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("level", "evaluations"), [(0.91, 1.0), (0.11, 3.0), (0.1, 4.0), (0.06, math.inf)])
def test_arrivals(level: float, evaluations: float) -> None:
    assert arrival(np.array([0.9, 0.5, 0.105, 0.1]), level) == evaluations


def test_what_is_predicted_of_a_table_is_what_is_counted() -> None:
    """Whether it is there or refused: the prediction is asked for where the count is known."""

    def refuse(T: int) -> models.Tabular:
        models.Tabular(3, 60)
        raise AssertionError

    there = parameter_records(lambda T: models.Tabular(3, T), 3, range(1, 7))
    refused = parameter_records(refuse, 3, range(1, 7))
    for counted, predicted in zip(there, refused, strict=True):
        assert counted["counted_parameters"] == counted["stored_parameters"]
        assert (counted["fits_in_memory"], predicted["fits_in_memory"]) == (True, False)
        assert predicted | {"fits_in_memory": True} == {n: v for n, v in counted.items() if n != "counted_parameters"}


def test_cells_that_are_lost_are_told_by_process_and_winner() -> None:
    """At the longest T and finite N alone; a tie with the favourite is a cell that it does not win alone."""
    kl = {
        "even": {10: (0.2, 0.1), 1000: (0.1, 0.2), 10_000: (0.2, 0.1)},
        "mess3": {10: (0.1, 0.1), math.inf: (0.2, 0.1)},
    }
    lines = [
        {"process": process, "T": T, "N": N, "seed": seed, "model": model, "kl_nats_per_word": value if T == 8 else i}
        for process, sizes in kl.items()
        for T in (4, 8)
        for N, values in sizes.items()
        for seed in (0, 1)
        for i, (model, value) in enumerate(zip(("rnn", "table"), values, strict=True))
    ]
    labels = {"rnn": "RNN", "table": "table"}
    found = lost_cells(pd.DataFrame(lines), labels, "rnn", "table")
    assert found == "even, table at N = 10 and 10,000; mess3, RNN, table at N = 10"
