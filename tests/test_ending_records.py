"""Rows about when words end: what is shown of a sampler, and the length at which one without an ending is cut."""

from __future__ import annotations

import json

import pytest
import torch

from pgm_rnn import fit, models, processes
from pgm_rnn.experiment.endings import SHOWN, as_shown, cut_records, ending_records, source_sample, usual_length


def test_of_lengths_equally_frequent_the_shortest_is_usual() -> None:
    assert usual_length(torch.tensor([0.0, 0.25, 0.25 + 1e-12, 0.25 - 1e-12], dtype=torch.double)) == 1
    assert usual_length(torch.tensor([0.0, 0.2, 0.5, 0.3], dtype=torch.double)) == 2
    source = processes.parse("uniform-length")
    assert isinstance(source, processes.FiniteWords)
    law = source.length_law(8)
    assert usual_length(law[:-1]) == int(law.nonzero()[0])


def test_shown_words_are_told_apart() -> None:
    words = torch.tensor([[0, 1, 2, 2, 2], [0, 0, 1, 2, 2], [0, 1, 0, 1, 2], [0, 1, 0, 1, 0], [1, 2, 2, 2, 2]])
    shown = json.loads(as_shown(words, processes.brackets(longest=4)))
    assert shown == [["01", True], ["001", False], ["0101", True], ["01010", False], ["1", False]]


def test_what_is_shown_of_the_source_is_complete() -> None:
    shown = json.loads(source_sample(processes.brackets(longest=4), 5))
    assert len(shown) == SHOWN
    assert all(complete for _, complete in shown)


def test_a_model_that_never_ends_is_cut_whatever_it_says() -> None:
    """Fair coins on brackets: a pair is one word of four, and the law of the length is a point."""
    source = processes.brackets(longest=4)
    for row in cut_records(models.Tabular(2, 5, replicates=2), source, 4):
        true = source.length_law(4)
        assert row["incomplete"] == pytest.approx(0.75)
        assert row["length_distance"] == pytest.approx(1 - float(true[2]))
        assert json.loads(row["lengths"]) == [0.0, 0.0, 1.0, 0.0, 0.0, 0.0]
        assert all(len(word) == 4 for word, _ in json.loads(row["samples"]))


def test_the_source_itself_loses_nothing() -> None:
    """As a table with an END that is counted on it; every replicate has a row."""
    source = processes.brackets(longest=4)
    (row,) = ending_records(tabulated(source), source, 4)
    for name in ("kl_nats_per_word", "kl_length_nats", "kl_words_nats", "length_distance", "incomplete", "cut"):
        assert row[name] == pytest.approx(0.0, abs=1e-12)
    assert json.loads(row["lengths"])[2] == pytest.approx(float(source.length_law(4)[2]))


def tabulated(source: processes.FiniteWords) -> models.EndSymbol:
    table = models.EndSymbol(models.Tabular(3, 5, pseudocount=0.0, replicates=1))
    fitted = fit(table, source(5)).model
    assert isinstance(fitted, models.EndSymbol)  # as it was before
    return fitted
