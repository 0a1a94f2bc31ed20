"""Claim 2: its rule on made-up results, its grid, and its measurements against what is known of them."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from pgm_rnn.experiment.discovery import find_study
from pgm_rnn.experiment.table import flatten, to_frame
from pgm_rnn.inference import bptt
from pgm_rnn.inference.newton import dependent_steps
from pgm_rnn.report.backpropagation import FORMULAS

STUDY = find_study("bptt")
MODULE: Any = sys.modules[STUDY.grid.__module__]
CPU = torch.device("cpu")

EXPONENTS = {  # of time and memory, as the lecture and the theory have them
    "dropped": (1.0, 0.0),
    "forward": (1.0, 1.0),
    "backward": (1.0, 1.0),
    "segments": (1.0, 0.5),
}


def checks(difference: float = 1e-15, central: float = 1e-9, seeds: int = 5) -> list[dict[str, Any]]:
    rows = []
    for seed in range(seeds):
        for node in MODULE.NODES:
            row = {"kind": "check", "seed": seed, "node": node, "autograd_relative_difference": difference}
            rows.append(row | {"central_relative_difference": central})
    return rows


def costs(
    seeds: int = 5, longest: int = 4096, noise: float = 0.0, **changes: tuple[float, float]
) -> list[dict[str, Any]]:
    """Exact power laws, whose exponents differ between repeats by ``noise``, to and fro."""
    rows = []
    for seed in range(seeds):
        for way, (time, memory) in (EXPONENTS | changes).items():
            for T in (64, 256, longest):
                row = {"kind": "cost", "seed": seed, "T": T, "way": way}
                rows.append(row | {"seconds": T ** (time + noise * (-1) ** seed), "peak_bytes": 100.0 * T**memory})
    return rows


def solved(
    steps: int = 120, reached: bool = True, seeds: int = 5, longest: int = 4096, wild: bool = False
) -> list[dict[str, Any]]:
    """Networks with small gains, that need so many dependent steps, and chaotic ones that are not reached."""
    rows = []
    for seed in range(seeds):
        for gain, exponent in ((0.5, -0.9), (1.0, -0.3), (3.0, 0.2)):
            for T in (8, longest):
                mine = {"dependent_steps": steps, "reached": reached} if gain < 2 else {"dependent_steps": 9999}
                row = {"kind": "newton", "seed": seed, "gain": gain, "T": T, "net": f"g = {gain}", "reached": wild}
                row |= {"lyapunov_nats_per_step": exponent, "iterations": 5, "residual": 1.0, "difference": 1.0}
                rows.append(row | {"newton_seconds": 1.0, "sequential_seconds": 1.0} | mine)
    return rows


def results(*parts: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame([row for part in parts for row in part])


def outcomes(*parts: list[dict[str, Any]]) -> dict[str, str]:
    """What the rule says of the claim and of each of its parts."""
    verdict = STUDY.decide(results(*parts))
    lines = (line.split(". ")[0].split(": ") for line in verdict.reason.splitlines()[:3])
    return {"claim": verdict.verdict, **dict(lines)}


def test_all_parts_supported_support_the_claim() -> None:
    sequential = solved(reached=False)
    assert outcomes(checks(), costs(), sequential) == {
        "claim": "supported",
        "Formulas": "supported",
        "Cost": "supported",
        "Inherently sequential": "supported",
    }


def test_reaching_all_states_in_fewer_steps_refutes() -> None:
    said = outcomes(checks(), costs(), solved())
    assert said["claim"] == said["Inherently sequential"] == "refuted"
    assert said["Formulas"] == said["Cost"] == "supported"
    verdict = STUDY.decide(results(checks(), costs(), solved()))
    assert verdict.value == pytest.approx(120 / 4096)
    assert verdict.low <= verdict.value <= verdict.high
    assert "reaches 10 of 10 with a Lyapunov exponent below 0 and 0 of 5 with one above 0" in verdict.reason


def test_more_steps_than_the_sequential_pass_support() -> None:
    assert outcomes(checks(), costs(), solved(steps=5000))["Inherently sequential"] == "supported"


def test_chaotic_networks_and_shorter_words_do_not_decide() -> None:
    rows = [row | ({"dependent_steps": 10**6, "reached": False} if row["T"] == 8 else {}) for row in solved(wild=True)]
    assert outcomes(checks(), costs(), rows)["Inherently sequential"] == "refuted"


def test_some_networks_not_reached_leave_it_open() -> None:
    rows = [row | {"reached": row["reached"] and row["seed"] != 0} for row in solved()]
    assert outcomes(checks(), costs(), rows)["Inherently sequential"] == "open"


@pytest.mark.parametrize("wrong", [{"difference": 1e-9}, {"central": 1e-5}])
def test_a_wrong_gradient_refutes(wrong: dict[str, float]) -> None:
    said = outcomes(checks(**wrong), costs(), solved(reached=False))
    assert said["claim"] == said["Formulas"] == "refuted"


def test_a_node_that_was_not_checked_refutes() -> None:
    rows = [row for row in checks() if row["node"] != "W_t"]
    assert outcomes(rows, costs(), solved())["Formulas"] == "refuted"


@pytest.mark.parametrize(
    "changes",
    [
        {"backward": (2.0, 1.0)},  # time is quadratic
        {"backward": (1.0, 2.0)},  # memory is quadratic
        {"backward": (1.0, 0.5)},  # memory is not linear although states are kept
        {"dropped": (1.0, 1.0)},  # memory is linear even when they are not: something else takes it
        {"segments": (1.0, 1.0)},
    ],
)
def test_other_exponents_refute(changes: dict[str, tuple[float, float]]) -> None:
    said = outcomes(checks(), costs(**changes), solved(reached=False))
    assert said["claim"] == said["Cost"] == "refuted"


def test_noisy_exponents_leave_the_cost_open() -> None:
    said = outcomes(checks(), costs(noise=0.4), solved(reached=False))
    assert (said["claim"], said["Cost"]) == ("inconclusive", "open")


@pytest.mark.parametrize(
    ("parts", "part", "reason"),
    [
        ((checks(seeds=4), costs(), solved(reached=False)), "Formulas", "Only 4 seeds."),
        ((checks(), costs(seeds=2), solved(reached=False)), "Cost", "Only 2 seeds."),
        ((checks(), costs(longest=512), solved(reached=False)), "Cost", "Only up to T = 512."),
        ((checks(), costs(), solved(seeds=4)), "Inherently sequential", "Only 4 seeds."),
        ((checks(), costs(), solved(longest=512)), "Inherently sequential", "Only up to T = 512."),
    ],
)
def test_too_little_is_inconclusive(parts: tuple[list[dict[str, Any]], ...], part: str, reason: str) -> None:
    said = outcomes(*parts)
    assert (said["claim"], said[part]) == ("inconclusive", "open")
    assert f"{part}: open. {reason}" in STUDY.decide(results(*parts)).reason


@pytest.mark.parametrize("scale", ["standard", "full"])
def test_the_grid_can_decide(scale: str) -> None:
    specs = [cell.spec for cell in STUDY.cells(scale)]
    for kind in ("check", "cost", "newton"):
        mine = [spec for spec in specs if spec["kind"] == kind]
        assert len({seed for spec in mine for seed in spec["seeds"]}) >= MODULE.MIN_SEEDS
        assert kind == "check" or all(max(spec["durations"]) == 4096 for spec in mine)
    gains = {spec["gain"] for spec in specs if "gain" in spec}
    assert min(gains) < MODULE.CONTRACTING < max(gains)
    assert {f"g = {gain}" for gain in gains} <= set(MODULE.NETS)


def test_newton_gives_up_only_when_nothing_is_left_to_win() -> None:
    for T in MODULE.NEWTON_T:
        assert MODULE.CAP >= T or dependent_steps(MODULE.CAP, T) > T


def test_every_node_has_its_formula() -> None:
    assert set(FORMULAS) == set(MODULE.NODES) == set(bptt.Gradients._fields)


def test_the_check_sees_a_wrong_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = {"kind": "check", "seeds": [3] * len(MODULE.NODES)}
    right = {row["node"]: row for row in STUDY.measure(spec, CPU)}
    assert set(right) == set(MODULE.NODES)
    assert all(row["autograd_relative_difference"] < 1e-13 for row in right.values())
    assert all(row["central_relative_difference"] < 1e-7 for row in right.values())

    def swapped(model: Any, words: Any, nodes: Any) -> Any:
        gradients = bptt.backward(model, words, nodes)
        return gradients._replace(W=gradients.W.T)

    monkeypatch.setattr("pgm_rnn.inference.gradient_check.backward", swapped)
    wrong = {row["node"]: row for row in STUDY.measure(spec, CPU)}
    assert wrong["W"]["autograd_relative_difference"] > 1e-2
    assert wrong["W"]["central_relative_difference"] > 1e-2
    assert wrong["V"] == right["V"]


def test_the_ways_compute_the_same_and_keep_what_they_say() -> None:
    spec = {"kind": "cost", "durations": [64, 256], "rounds": 1, "seeds": [0] * 8}
    rows = {(row["way"], row["T"]): row for row in STUDY.measure(spec, CPU)}
    assert set(rows) == {(way, T) for way in MODULE.WAYS for T in (64, 256)}
    memory = {key: row["peak_bytes"] for key, row in rows.items()}
    assert memory["dropped", 64] == memory["dropped", 256]
    states = 192 * MODULE.WORDS * MODULE.WIDTH * 8  # what 192 more steps keep in states alone, float64
    assert memory["backward", 256] - memory["backward", 64] > states
    assert memory["segments", 256] < memory["backward", 256] / 4
    assert all(row["seconds"] > 0 for row in rows.values())


def test_newton_is_measured_against_the_sequential_pass() -> None:
    spec = {"kind": "newton", "durations": [8, 128], "gain": 0.5, "seeds": [0, 7] * 2}
    rows = STUDY.measure(spec, CPU)
    assert [row["T"] for row in rows] == [8, 8, 128, 128]
    assert all(row["reached"] and row["lyapunov_nats_per_step"] < 0 for row in rows)
    assert all(row["dependent_steps"] == dependent_steps(row["iterations"], row["T"]) for row in rows)
    wild = STUDY.measure({**spec, "durations": [512], "gain": 4.0, "seeds": [0, 7]}, CPU)
    assert [(row["reached"], row["iterations"]) for row in wild] == [(False, MODULE.CAP)] * 2


def test_gains_are_those_of_the_weights() -> None:
    for gain in (0.5, 2.0):
        spread = [float(model.W.detach().var()) for model, _ in MODULE.random_networks(gain, list(range(40)), 5)]
        assert np.mean(spread) == pytest.approx(gain**2 / MODULE.UNITS, rel=0.05)


def test_trained_networks_read_words_of_their_process() -> None:
    spec = {"kind": "newton", "durations": [64], "process": "golden-mean", "seeds": [0, 1]}
    rows = STUDY.measure(spec, CPU)
    assert [row["net"] for row in rows] == ["trained: golden-mean"] * 2
    assert all(row["reached"] for row in rows)
    assert rows[0]["lyapunov_nats_per_step"] != rows[1]["lyapunov_nats_per_step"]


def test_figures_and_tables_of_a_tiny_run() -> None:
    cells = [
        {"kind": "check", "seeds": [0] * 12},
        {"kind": "newton", "durations": [8, 32], "gain": 3.0, "seeds": [0, 0]},
    ]
    cells += [{"kind": "cost", "durations": [64, 128], "rounds": 1, "seeds": [0] * 8}]
    records = [
        {**flatten(spec, replicate), **row} for spec in cells for replicate, row in enumerate(STUDY.measure(spec, CPU))
    ]
    columns = dict.fromkeys(name for record in records for name in record)
    frame = to_frame([{**dict.fromkeys(columns), **record} for record in records])
    assert all(figure.draw(frame).axes for figure in STUDY.figures.values())
    gradients, cost, newton = (table for _, table in STUDY.tables(frame))
    assert gradients["gradient"].tolist() == [f"d{node}" for node in MODULE.NODES]
    assert cost["way"].tolist() == [way.label for way in MODULE.WAYS.values()]
    assert newton["reached"].tolist() in (["1 of 1"], ["0 of 1"])
    verdict = STUDY.decide(frame)
    assert verdict.verdict == "inconclusive"
    assert math.isinf(verdict.high)
