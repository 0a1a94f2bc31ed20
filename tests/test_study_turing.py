"""Claim 11: its rule on made-up results, its grid, and its measurements against other means."""

from __future__ import annotations

import sys
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from pgm_rnn.experiment.discovery import find_study
from pgm_rnn.experiment.table import flatten, to_frame
from pgm_rnn.turing import MACHINES, find_machine, simulate

STUDY = find_study("turing")
MODULE: Any = sys.modules[STUDY.grid.__module__]
CPU = torch.device("cpu")


def followed(machine: str, **changes: Any) -> dict[str, Any]:
    row = {"kind": "lockstep", "machine": machine, "units": 100 + len(machine), "machine_steps": 50}
    return row | {"differing_steps": 0, "confused": True} | changes


def looked(arithmetic: str, **changes: Any) -> dict[str, Any]:
    row = {"kind": "palindromes", "machine": "palindrome", "arithmetic": arithmetic}
    row |= {"predicted_inexact": 20.0, "measured_inexact": 20.0, "predicted_wrong": np.nan, "measured_wrong": np.nan}
    return row | changes


NAMED = [followed(name) for name in MACHINES for _ in range(2)]
DRAWN = [followed("drawn") for _ in range(150)]
LOOKED = [looked(arithmetic) for arithmetic in ("float32", "float64", "tanh-8") for _ in range(50)]


def decide(*extra: dict[str, Any], named: list = NAMED, drawn: list = DRAWN, runs: list = LOOKED) -> Any:
    return STUDY.decide(pd.DataFrame([*named, *drawn, *runs, *extra]))


def test_no_difference_supports() -> None:
    verdict = decide()
    assert verdict.verdict == "supported"
    assert (verdict.value, verdict.high) == (1, 1)
    assert 0.97 < verdict.low < 1
    assert "identity" in verdict.reason


@pytest.mark.parametrize("machine", ["copy", "drawn"])
def test_one_differing_step_refutes(machine: str) -> None:
    verdict = decide(followed(machine, differing_steps=1))
    assert verdict.verdict == "refuted"
    assert f"the first of them of {machine}" in verdict.reason


def test_a_size_that_depends_on_the_word_refutes() -> None:
    verdict = decide(followed("copy", units=7))
    assert verdict.verdict == "refuted"
    assert "The network of copy is not of one size" in verdict.reason
    assert decide(followed("drawn", units=7)).verdict == "supported"  # drawn machines are of many sizes


def test_an_output_that_tells_everything_refutes() -> None:
    named = [row | {"confused": row["machine"] != "universal"} for row in NAMED]
    assert decide(named=named).verdict == "refuted"
    assert decide(followed("increment", confused=False)).verdict == "supported"


@pytest.mark.parametrize(
    "surprise",
    [
        looked("float64", measured_wrong=41.0),
        looked("float32", predicted_inexact=24.0),
        looked("float32", predicted_wrong=41.0, measured_wrong=45.0),
    ],
)
def test_a_surprise_in_floating_point_is_inconclusive(surprise: dict[str, Any]) -> None:
    verdict = decide(surprise)
    assert verdict.verdict == "inconclusive"
    assert "Not every boundary" in verdict.reason


def test_tanh_may_surprise_now_and_then() -> None:
    surprise = looked("tanh-8", measured_wrong=41.0)
    assert decide(*[surprise] * 2).verdict == "supported"
    assert decide(*[surprise] * 4).verdict == "inconclusive"
    assert decide(looked("tanh-8", measured_inexact=4.0)).verdict == "supported"  # every tanh is inexact at once


@pytest.mark.parametrize(
    "less",
    [{"named": NAMED[2:]}, {"drawn": DRAWN[:99]}, {"runs": LOOKED[:99]}],
)
def test_too_little_is_inconclusive(less: dict[str, Any]) -> None:
    verdict = decide(**less)
    assert verdict.verdict == "inconclusive"
    assert verdict.reason.startswith("Only ")


def test_a_single_tanh_is_not_among_the_predictions() -> None:
    assert decide(looked(f"{MODULE.ONE_TANH}, gain 1", measured_wrong=3.0)).verdict == "supported"


@pytest.mark.parametrize("scale", ["standard", "full"])
def test_the_grid_can_decide(scale: str) -> None:
    specs = [cell.spec for cell in STUDY.cells(scale)]
    lockstep = [spec for spec in specs if spec["kind"] == "lockstep"]
    assert {spec["machine"] for spec in lockstep} == {*MACHINES, MODULE.DRAWN}
    assert sum(len(spec.get("seeds", [])) for spec in lockstep) >= 200
    lengths = {spec["length"] for spec in specs if "length" in spec}
    assert max(lengths) * find_machine("palindrome").bits > 26  # beyond what float64 holds
    palindromes = [spec for spec in specs if "length" in spec]
    assert all(len(spec["seeds"]) >= 5 for spec in palindromes)


def test_every_machine_has_words_of_several_lengths_but_the_one_that_starts_empty() -> None:
    assert set(MODULE.WORDS) == set(MACHINES)
    for name, words in MODULE.WORDS.items():
        assert all(find_machine(name).check_word(word) == word for word in words)
        assert len({len(word) for word in words}) == len(words) or name == "universal"


def test_palindromes_are_what_they_are_called_and_differ_by_seed() -> None:
    for length in (0, 1, 5, 8):
        words = {MODULE.draw_palindrome(length, seed) for seed in range(20)}
        assert all(word == word[::-1] and len(word) == length for word in words)
        assert len(words) > length / 2


def test_drawn_machines_are_the_same_at_every_call() -> None:
    assert MODULE.draw_machine(3) == MODULE.draw_machine(3)
    assert MODULE.draw_machine(3) != MODULE.draw_machine(4)
    assert {machine.bits for machine, _ in map(MODULE.draw_machine, range(20))} == {1, 2, 3}


def test_what_a_run_is_measured_to_be() -> None:
    (row,) = STUDY.measure({"kind": "lockstep", "machine": "busy-beaver", "words": [""]}, CPU)
    run = list(simulate(find_machine("busy-beaver"), ""))
    outputs = [f"{moment.state}, {moment.right[:1] or '0'}" for moment in run]
    assert (row["machine_steps"], row["net_steps"], row["differing_steps"], row["halts"]) == (107, 428, 0, True)
    assert (row["states"], row["symbols"], row["bits"], row["units"]) == (5, 2, 1, 55)
    first, second = row["first_moment"], row["second_moment"]
    assert outputs[first] == outputs[second] == row["both_show"]
    assert (outputs[first + 1], outputs[second + 1]) == (row["first_goes_on"], row["second_goes_on"])
    assert row["first_goes_on"] != row["second_goes_on"]
    assert row["first_tape"] == f"{run[first].left}[{run[first].right[:1] or '0'}]{run[first].right[1:]}"
    assert row["first_tape"] != row["second_tape"]
    kinds = [*pairwise(outputs)]
    best = sum(max(kinds.count((before, after)) for after in {*outputs}) for before in {*outputs})
    assert row["best_share_from_output"] == pytest.approx(best / 107)


def test_figures_and_tables_of_a_small_run() -> None:
    records = []
    wanted = {"increment", "palindrome"}
    for cell in STUDY.cells("smoke"):
        if cell.spec["machine"] in wanted and cell.spec.get("length") != 8:
            rows = STUDY.measure(cell.spec, CPU)
            records += [{**flatten(cell.spec, replicate), **row} for replicate, row in enumerate(rows)]
    columns = dict.fromkeys(name for record in records for name in record)
    frame = to_frame([{**columns, **record} for record in records])
    assert all(figure.draw(frame).axes for figure in STUDY.figures.values())
    sizes, agreements, precision, one_tanh, confused = (table for _, table in STUDY.tables(frame))
    assert sizes.set_index("machine").loc["increment", ["units", "differing steps"]].tolist() == [51, 0]
    assert (agreements["runs"] == agreements["as predicted"]).all()
    assert (precision["inexact, predicted"] == precision["measured"]).all()
    assert one_tanh["first wrong, t"].notna().all()
    assert set(confused["machine"]) == wanted
    assert STUDY.decide(frame).verdict == "inconclusive"
