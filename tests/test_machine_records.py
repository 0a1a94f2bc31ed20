"""Rows about runs of machines: in exact numbers nothing differs, and an arithmetic is right until it is not."""

from __future__ import annotations

import pytest

from pgm_rnn.experiment.machines import ONE_TANH, boundary_record, lockstep_record
from pgm_rnn.turing import find_machine


def test_right_steps_are_counted_from_the_first_configuration() -> None:
    """Seven ones in float32: the bottom comes back after seven steps, and reads wrong."""
    row = boundary_record(find_machine("palindrome"), "1" * 7, "float32", 100)
    assert (row["word_bits"], row["machine_steps"]) == (14, 36)
    assert row["measured_wrong"] == 4 * (7 + row["right_steps"]) + 1
    assert row["right_steps"] == row["predicted_right_steps"] == 7
    whole = boundary_record(find_machine("palindrome"), "1" * 5, "float32", 100)
    assert whole["right_steps"] == whole["machine_steps"] == 21


@pytest.mark.parametrize("name", ["increment", "busy-beaver"])
def test_a_run_is_cut_at_the_steps_that_are_allowed(name: str) -> None:
    row = lockstep_record(find_machine(name), find_machine(name).example, 3)
    assert (row["machine_steps"], row["net_steps"], row["differing_steps"], row["halts"]) == (3, 12, 0, False)


def test_of_one_tanh_nothing_is_predicted() -> None:
    row = boundary_record(find_machine("increment"), "1011", f"{ONE_TANH}, gain 4", 100)
    assert (row["predicted_wrong"], row["predicted_inexact"], row["earliest_wrong"]) == (None, None, None)
    assert row["measured_wrong"] >= 0
    assert row["right_steps"] < row["predicted_right_steps"] == row["machine_steps"]
