"""The study of sharing over t: its rule on made-up results, its grid, and its measurement by other means."""

from __future__ import annotations

import json
import math
import sys
from itertools import product
from typing import Any

import pandas as pd
import pytest
import torch

from pgm_rnn import processes
from pgm_rnn.experiment.discovery import find_study
from pgm_rnn.experiment.table import flatten, to_frame

STUDY = find_study("stationarity")
MODULE: Any = sys.modules[STUDY.grid.__module__]
CPU = torch.device("cpu")
H = MODULE.FAVOURITE


def measured(source: str, excess: float, *, price: float = 1.0, seeds: int = 5, converged: bool = True) -> list[dict]:
    """Rows in which the RNN loses ``excess`` nats per word more than on the twin, give or take a tenth."""
    rows: list[dict[str, Any]] = []
    for order, kl in ((0, 2 * price), (1, 1.5 * price), (2, 1.2 * price)):
        row = {"source": source, "kind": "chain", "order": order, "kl_nats_per_word": kl}
        rows.append(row | {"price_nats_per_word": price * (1 if order == 2 else 7)})
    for seed, setting, hidden_dim in product(range(seeds), MODULE.SETTINGS, (4, H)):
        own = excess if hidden_dim == H else 0.5 - excess  # what is not the favourite must not matter
        kl = 0.1 + {"plain": own * (1 + 0.1 * (-1) ** seed), "twin": 0.0, "clock": 9.0}[setting]
        row = {"source": source, "kind": "network", "setting": setting, "hidden_dim": hidden_dim, "seed": seed, "T": 10}
        row |= {"kl_nats_per_word": kl, "converged": converged}
        rows.append(row | {"unseen_kl_nats_per_symbol": 0.5 if setting == "plain" else 0.001})
    return rows


def results(excess: dict[str, float], **kwargs: Any) -> pd.DataFrame:
    return pd.DataFrame([row for source, value in excess.items() for row in measured(source, value, **kwargs)])


PAYS = dict.fromkeys(MODULE.MOVING, 0.5)
FREE = dict.fromkeys(MODULE.MOVING, 0.001)


def test_three_of_four_that_pay_support() -> None:
    verdict = STUDY.decide(results({**PAYS, "drifting": 0.001}))
    assert verdict.verdict == "supported"
    assert verdict.value == pytest.approx((3 * 0.5 + 0.001) / 4, rel=0.1)
    assert verdict.low < verdict.value < verdict.high


def test_three_of_four_that_are_free_refute() -> None:
    verdict = STUDY.decide(results({**FREE, "erratic": 0.5}))
    assert verdict.verdict == "refuted"
    assert "free to the RNN on 3, and it pays on 1," in verdict.reason
    assert verdict.reason.count("0.5 on the source and 0.001 on the twin") == 4


def test_the_reason_tells_of_unseen_positions_and_of_smaller_networks() -> None:
    frame = results(FREE)
    reason = STUDY.decide(frame).reason
    assert "At unseen t the same RNN does pay, by the same measure, on alternating, cyclostationary" in reason
    assert reason.endswith("With H = 4, 16 hidden units sharing is free on 0, 4 of the sources.")
    quiet = frame.assign(unseen_kl_nats_per_symbol=0.002)
    assert "At unseen t" not in STUDY.decide(quiet).reason


def test_two_and_two_are_inconclusive() -> None:
    assert STUDY.decide(results({**FREE, "erratic": 0.5, "drifting": 0.5})).verdict == "inconclusive"


def test_what_counts_is_a_tenth_of_the_price_of_the_nearest_chain() -> None:
    assert STUDY.decide(results(PAYS, price=1.0)).verdict == "supported"
    assert STUDY.decide(results(PAYS, price=100.0)).verdict == "refuted"
    noisy = results(dict.fromkeys(MODULE.MOVING, 0.1))  # a tenth of the price, give or take: neither
    assert STUDY.decide(noisy).verdict == "inconclusive"


def test_losing_less_than_on_the_twin_is_free() -> None:
    assert STUDY.decide(results(dict.fromkeys(MODULE.MOVING, -0.05))).verdict == "refuted"


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (results(FREE, seeds=4), "4 seeds"),
        (results({"erratic": 0.001, "settling": 0.5}), "1 of the four"),
        (results(FREE, converged=False), "0% of the deciding fits"),
    ],
)
def test_too_little_is_inconclusive(frame: pd.DataFrame, reason: str) -> None:
    verdict = STUDY.decide(frame)
    assert (verdict.verdict, reason in verdict.reason) == ("inconclusive", True), verdict.reason


@pytest.mark.parametrize("scale", ["standard", "full"])
def test_the_grid_can_decide(scale: str) -> None:
    networks = [cell.spec for cell in STUDY.cells(scale) if cell.spec["kind"] == "network"]
    for source in MODULE.MOVING:
        deciding = [spec for spec in networks if (spec["source"], spec["hidden_dim"]) == (source, H)]
        assert {spec["setting"] for spec in deciding} == {"plain", "clock", "twin"}
        assert all(len(spec["seeds"]) >= MODULE.MIN_SEEDS for spec in deciding)
    T = networks[0]["T"]
    k, hidden = 2, [spec["hidden_dim"] for spec in networks]
    assert max(h * h + 2 * k * h + h + k for h in hidden) < k**T - 1  # no network can just hold the table
    assert processes.erratic().joint.shape[0] >= networks[0]["far"]  # it moves at unseen t too


def test_a_chain_is_measured_as_by_hand() -> None:
    """Two dice in turn: the shared die is their mean."""
    spec = {"kind": "chain", "source": "alternating", "T": 5, "far": 7, "order": 1}
    (row,) = STUDY.measure(spec, CPU)
    h2 = lambda p: -p * math.log(p) - (1 - p) * math.log(1 - p)  # noqa: E731  # binary entropy, as the books write it
    assert row["price_nats_per_word"] == pytest.approx(4 * h2(0.6) - 2 * h2(0.9) - 2 * h2(0.3), abs=1e-12)
    assert row["kl_nats_per_word"] == pytest.approx(row["price_nats_per_word"], abs=1e-12)
    by_position = [0.0, *[h2(0.6) - h2(p) + (p - 0.6) * math.log(0.4 / 0.6) for p in (0.9, 0.3) * 3]]
    assert json.loads(row["kl_by_position_nats"]) == pytest.approx(by_position, abs=1e-12)
    assert (row["free_parameters"], row["per_step_free_parameters"]) == (3, 1 + 4 * 2)


@pytest.mark.parametrize("setting", ["plain", "clock", "twin"])
def test_a_network_is_measured_against_its_own_truth(setting: str) -> None:
    spec = {"kind": "network", "source": "settling", "T": 3, "far": 5, "setting": setting, "hidden_dim": 2}
    rows = STUDY.measure({**spec, "seeds": [0, 1], "settings": {"max_steps": 3, "restarts": 1}}, CPU)
    assert len(rows) == 2
    for row in rows:
        by_position = json.loads(row["kl_by_position_nats"])
        assert sum(by_position[:3]) == pytest.approx(row["kl_nats_per_word"], abs=1e-12)
        assert sum(by_position[3:]) / 2 == pytest.approx(row["unseen_kl_nats_per_symbol"], abs=1e-12)
        assert row["kl_nats_per_word"] > 0
        assert row["converged"] is False
        assert row["free_parameters"] == 13 + {"clock": (3 - 2) * 2}.get(setting, 0)


def test_a_network_counts_what_a_chain_cannot() -> None:
    """Training reaches far below the exact floor of every shared chain, on a law that alternates."""
    spec = {"kind": "network", "source": "alternating", "T": 5, "far": 8, "setting": "plain", "hidden_dim": 6}
    (row,) = STUDY.measure({**spec, "seeds": [0], "settings": {"max_steps": 400, "restarts": 2}}, CPU)
    floor = min(STUDY.measure({**spec, "kind": "chain", "order": m}, CPU)[0]["kl_nats_per_word"] for m in (0, 1, 2))
    assert -1e-12 < row["kl_nats_per_word"] < 0.01 * floor
    assert row["unseen_kl_nats_per_symbol"] < 0.01 * floor


def test_figures_and_tables_of_quick_cells() -> None:
    records = []
    for cell in STUDY.cells("smoke"):
        spec = cell.spec if cell.spec["kind"] == "chain" else {**cell.spec, "settings": {"max_steps": 2, "restarts": 1}}
        records += [{**flatten(spec, r), **row} for r, row in enumerate(STUDY.measure(spec, CPU))]
    columns = dict.fromkeys(name for record in records for name in record)
    frame = to_frame([{**columns, **record} for record in records])
    assert all(figure.draw(frame).axes for figure in STUDY.figures.values())
    prices, networks = (table for _, table in STUDY.tables(frame))
    assert prices.shape[0] == 2 * 3
    assert networks.shape[0] == 2 * 3 * 2
    assert STUDY.decide(frame).verdict == "inconclusive"
