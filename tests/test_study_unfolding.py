"""The study of unseen lengths: the identity behind it, its rule on made-up results, its grid and its measurement."""

from __future__ import annotations

import json
import sys
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pyro
import pytest
import torch
from matplotlib.figure import Figure

from pgm_rnn import Sequences, models, processes, stepwise
from pgm_rnn.experiment.discovery import find_study
from pgm_rnn.experiment.extrapolation import EXACT
from pgm_rnn.experiment.table import flatten, to_frame

STUDY = find_study("unfolding")
MODULE: Any = sys.modules[STUDY.grid.__module__]
CPU = torch.device("cpu")

# The identity: f repeated is g_t written out.


def g(past: tuple[int, ...], U: np.ndarray, W: np.ndarray, b: np.ndarray) -> np.ndarray:
    """h_t as a function of the whole past, nested from the outside: g_t(y_(t-1), ..., y_1)."""
    if not past:
        return np.tanh(b)
    return np.tanh(b + U @ np.eye(U.shape[1])[past[-1]] + W @ g(past[:-1], U, W, b))


def g_4_in_one_line(past: tuple[int, ...], U: np.ndarray, W: np.ndarray, b: np.ndarray) -> np.ndarray:
    y1, y2, y3 = past
    return np.tanh(b + U[:, y3] + W @ np.tanh(b + U[:, y2] + W @ np.tanh(b + U[:, y1] + W @ np.tanh(b))))


@pytest.mark.parametrize("k", [2, 3])
def test_the_recurrent_and_the_unfolded_graph_give_the_same_numbers(k: int) -> None:
    model, T = models.Recurrent(k, 5).double(), 6
    words = torch.tensor(list(product(range(k), repeat=T)))
    U, W, V, b, c = (getattr(model, name).detach().numpy() for name in "UWVbc")
    expected = []
    for word in words.tolist():
        total = 0.0
        for t in range(T):
            o = c + V @ g(tuple(word[:t]), U, W, b)
            total += o[word[t]] - np.log(np.exp(o).sum())
        expected.append(total)
    np.testing.assert_allclose(model(T).log_prob(words).detach().numpy(), expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(g((1, 0, 1), U, W, b), g_4_in_one_line((1, 0, 1), U, W, b), rtol=0, atol=1e-15)
    trace = pyro.poutine.trace(stepwise).get_trace(model, Sequences(words, k), mediators=True)
    trace.compute_log_prob()
    total = sum(trace.nodes[f"y_{t}"]["log_prob"] for t in range(1, T + 1))
    np.testing.assert_allclose(total.detach().numpy(), expected, rtol=0, atol=1e-12)
    h_4 = np.stack([g(tuple(word[:3]), U, W, b) for word in words.tolist()])
    np.testing.assert_allclose(trace.nodes["h_4"]["value"].detach().numpy(), h_4, rtol=0, atol=1e-12)


# The rule.


def counted(**changes: Any) -> list[dict[str, Any]]:
    rows = [{"kind": "counting", "model": "rnn-16", "T": T, "free_parameters": 321} for T in (1, 8, 256)]
    rows[-1] |= changes
    return [*rows, *({"kind": "counting", "model": "table", "T": T, "free_parameters": 2**T - 1} for T in (1, 8, 256))]


def results(levels: dict[str, float], *, seeds: int = 10, trained: float = 1e-5, noise: float = 0.1) -> pd.DataFrame:
    """Networks that lose so many nats per symbol at unseen positions of each process, give or take the noise."""
    rows = []
    for process, level in levels.items():
        for seed in range(seeds):
            row = {"kind": "unseen", "process": process, "model": "rnn-16", "T": 8, "seed": seed, "converged": True}
            row |= {"excess_unseen_nats_per_symbol": level * (1 + noise * (-1) ** seed)}
            row |= {"standard_error_unseen_nats_per_symbol": 1e-6, "excess_trained_nats_per_symbol": trained}
            rows.append(row)
            rows.append(row | {"T": 4, "excess_unseen_nats_per_symbol": 5.0})  # other lengths must not matter
    return pd.DataFrame([*counted(), *rows])


GOOD = dict.fromkeys(MODULE.SOURCES, 1e-4)
BAD = dict.fromkeys(MODULE.SOURCES, 0.3)


def mixed(bad: int) -> dict[str, float]:
    return {**GOOD, **dict.fromkeys(MODULE.SOURCES[:bad], 0.3)}


@pytest.mark.parametrize(
    ("bad", "verdict"), [(0, "supported"), (3, "supported"), (4, "inconclusive"), (5, "refuted"), (9, "refuted")]
)
def test_the_verdict_is_by_how_many_processes_it_holds_on(bad: int, verdict: str) -> None:
    result = STUDY.decide(results(mixed(bad)))
    assert (result.verdict, result.value, result.low, result.high) == (verdict, 9 - bad, 9 - bad, 9 - bad)
    assert result.reason.count("refuted for this process") == bad
    assert f"by training length: 9 of 9 at T = 4, {bad} of 9 at T = 8." in result.reason


def test_a_process_of_which_seeds_disagree_is_open() -> None:
    frame = results({**GOOD, "even": 0.02}, noise=0.99)
    (trial,) = [trial for trial in MODULE.hold_trials(frame) if trial.process == "even"]
    assert trial.interval.low < MODULE.TOLERANCE < trial.interval.high
    assert trial.outcome == "open"
    verdict = STUDY.decide(frame)
    assert (verdict.value, verdict.low, verdict.high) == (8, 8, 9)


def test_sampling_noise_opens_what_seeds_alone_would_decide() -> None:
    frame = results({**GOOD, "even": 0.009})
    outcomes = {trial.process: trial.outcome for trial in MODULE.hold_trials(frame)}
    assert outcomes["even"] == "holds"
    noisy = frame.assign(standard_error_unseen_nats_per_symbol=0.001)
    assert {trial.process: trial.outcome for trial in MODULE.hold_trials(noisy)}["even"] == "open"


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (results(GOOD, seeds=4), "Only 4 seeds"),
        (results(GOOD).query("kind == 'unseen'"), "No parameters were counted"),
        (results(GOOD).assign(excess_unseen_nats_per_symbol=float("nan")), "Only 0 seeds"),
        (results({"even": 1e-4, "rrxor": 0.3}), "Only 2 of the nine"),
        (results(GOOD, trained=0.002), "Only 0 of the nine processes were learned"),
        (pd.DataFrame([*counted(), *results(GOOD, seeds=1).to_dict("records")]), "Only 1 seeds"),
    ],
)
def test_too_little_is_inconclusive(frame: pd.DataFrame, reason: str) -> None:
    verdict = STUDY.decide(frame)
    assert (verdict.verdict, reason in verdict.reason) == ("inconclusive", True), verdict.reason


def test_parameters_that_grow_refute() -> None:
    frame = results(GOOD)
    rows = [*counted(free_parameters=400), *frame[frame["kind"] == "unseen"].to_dict("records")]
    assert STUDY.decide(pd.DataFrame(rows)).verdict == "refuted"


# The grid and the measurement.


@pytest.mark.parametrize("scale", ["standard", "full"])
def test_the_grid_can_decide(scale: str) -> None:
    specs = [cell.spec for cell in STUDY.cells(scale) if cell.spec["kind"] == "unseen"]
    deciding = [spec for spec in specs if (spec["model"], spec["T"]) == ("rnn-16", 8)]
    assert {spec["process"] for spec in deciding} == set(MODULE.SOURCES)
    assert len(MODULE.SOURCES) == 9  # as the rule says
    assert all(len(spec["seeds"]) >= MODULE.MIN_SEEDS for spec in deciding)
    assert {spec["model"] for spec in specs} == set(MODULE.CONTESTANTS)


def test_parameters_are_counted_and_predicted() -> None:
    rows = {
        name: STUDY.measure({"kind": "counting", "model": name, "T": [1, 8, 64]}, CPU) for name in ("table", "rnn-16")
    }
    assert [row["free_parameters"] for row in rows["table"]] == [2**T - 1 for T in (1, 8, 64)]
    H, k = 16, 2
    assert {row["free_parameters"] for row in rows["rnn-16"]} == {H * H + 2 * k * H + H + k - (H + 1)}


def spec(model: str, **changes: Any) -> dict[str, Any]:
    common = {"kind": "unseen", "process": "even", "model": model, "T": 8, "seeds": [0], "words": 200}
    return {**common, "settings": {"max_steps": 3, "restarts": 1}, **changes}


def test_the_window_loses_what_it_forgets() -> None:
    (row,) = STUDY.measure(spec("window"), CPU)
    h = processes.even().conditional_entropies(256).numpy()
    positions, nats, errors = (
        np.array(json.loads(row[name]))
        for name in ("positions", "excess_by_position_nats", "standard_error_by_position_nats")
    )
    expected = np.where(positions <= 8, 0.0, h[7] - h[positions - 1])
    exact = positions <= EXACT
    np.testing.assert_allclose(nats[exact], expected[exact], atol=1e-12)
    assert not errors[exact].any()
    assert (np.abs(nats - expected)[~exact] < 4.5 * errors[~exact]).all()


def test_the_table_ends_where_its_rows_do() -> None:
    (row,) = STUDY.measure(spec("table"), CPU)
    assert json.loads(row["positions"]) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert "at most 8, the table's own, got 256" in row["refusal"]
    assert "excess_unseen_nats_per_symbol" not in row
    assert row["excess_trained_nats_per_symbol"] == pytest.approx(0.0, abs=1e-12)


def test_a_network_gives_complete_rows() -> None:
    rows = STUDY.measure(spec("rnn-16", process="even(p=0.1)", seeds=[0, 1], words=8), CPU)
    assert len(rows) == 2
    for row in rows:
        nats = json.loads(row["excess_by_position_nats"])
        assert len(nats) == len(json.loads(row["positions"])) == len(MODULE.KEPT)
        assert min(nats) > -1e-12  # no loss below the floor
        assert len(json.loads(row["drift_by_position"])) == len(nats) - 1
        losses = json.loads(row["losses_nats_per_word"])
        assert len(losses) == len(json.loads(row["loss_steps"])) == row["steps"] + 1 == 4
        assert min(losses) > row["floor_nats_per_word"]
        assert row["floor_nats_per_word"] == pytest.approx(processes.even(0.1).block_entropy(8))


def test_figures_and_tables_of_a_tiny_run() -> None:
    records = []
    for cell in STUDY.cells("smoke"):
        tiny = dict(cell.spec)
        if tiny["kind"] == "unseen":
            tiny |= {"words": 4, "settings": {"max_steps": 2, "restarts": 1}}
        records += [{**flatten(tiny, r), **row} for r, row in enumerate(STUDY.measure(tiny, CPU))]
    columns = dict.fromkeys(name for record in records for name in record)
    frame = to_frame([{**dict.fromkeys(columns), **record} for record in records])
    drawn = {name: figure.draw(frame) for name, figure in STUDY.figures.items()}
    assert all(isinstance(figure, Figure) and figure.axes for figure in drawn.values())
    assert len(drawn["graphs"].axes) == 3
    outcomes, refusals = (table for _, table in STUDY.tables(frame))
    assert list(outcomes["process"]) == ["golden-mean", "rrxor"]
    assert set(outcomes["claim"]) == {"not learned"}
    assert len(refusals) == 1
    assert STUDY.decide(frame).verdict == "inconclusive"
