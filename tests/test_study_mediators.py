"""The study of mediators: its rule on made-up results, its grid, and its measurement against words written out."""

from __future__ import annotations

import json
import math
import sys
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from oracles import matrix_product_probability

from pgm_rnn import processes
from pgm_rnn.experiment.discovery import find_study
from pgm_rnn.experiment.table import flatten, to_frame
from pgm_rnn.report.figures import house_style
from pgm_rnn.report.simplex import CORNERS, side_by_side

STUDY = find_study("mediators")
MODULE: Any = sys.modules[STUDY.grid.__module__]
CPU = torch.device("cpu")


def graphs(**wrong: int) -> list[dict[str, Any]]:
    """The rows of the real graphs, with the number of separated steps changed for ``given`` nodes."""
    rows = []
    for model in MODULE.GRAPHS:
        for row in STUDY.measure({"kind": "graph", "model": model, "T": 6}, CPU):
            changed = {"separated_steps": wrong[row["given"]]} if row["given"] in wrong else {}
            rows.append({"kind": "graph", "model": model, "T": 6} | row | changed)
    return rows


def memory(process: str, missing: float, *, seeds: int = 5, converged: bool = True, r2: float = 0.99) -> list[dict]:
    """Rows in which a network with 32 units misses that share of the nats, give or take a tenth of it."""
    rows = []
    for H, seed in product((1, 32), range(seeds)):
        share = (missing if H == 32 else 0.5) * (1 + 0.1 * (-1) ** seed)  # what few units miss must not matter
        row = {"kind": "memory", "process": process, "T": 7, "H": H, "seed": seed, "missing_share": share}
        row |= {"available_nats": 2.0, "kept_nats": 2.0 * (1 - share), "converged": converged}
        rows.append(row | {"r2_trained": r2 - 1e-3 * seed, "r2_untrained": 0.5, "r2_past_symbols": 0.7})
    return rows


def results(missing: dict[str, float], graph: list[dict[str, Any]] | None = None, **kwargs: Any) -> pd.DataFrame:
    rows = [row for process, share in missing.items() for row in memory(process, share, **kwargs)]
    return pd.DataFrame([*(graphs() if graph is None else graph), *rows])


KEPT = dict.fromkeys(MODULE.PROBED, 0.001)


def test_little_missing_everywhere_supports() -> None:
    verdict = STUDY.decide(results(KEPT))
    assert verdict.verdict == "supported"
    assert verdict.value == pytest.approx(0.1, rel=0.1)  # per cent
    assert verdict.low < verdict.value < verdict.high
    assert verdict.reason.count("belief readable") == 3


@pytest.mark.parametrize("process", MODULE.PROBED)
def test_much_missing_on_one_process_refutes(process: str) -> None:
    verdict = STUDY.decide(results({**KEPT, process: 0.05}))
    assert verdict.verdict == "refuted"
    assert f"{process} (H = 32): 0.051 [0.044, 0.058] of the nats missing, lost" in verdict.reason


@pytest.mark.parametrize("wrong", [{"h_t": 4}, {"y_(t-1)": 1}, {"y_(t-2)": 3}])
def test_a_graph_that_says_otherwise_refutes(wrong: dict[str, int]) -> None:
    assert STUDY.decide(results(KEPT, graphs(**wrong))).verdict == "refuted"


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (results(KEPT, seeds=4), "Only 4 seeds"),
        (results({"even": 0.001, "mess3": 0.001}), "Only 2 of the three"),
        (results({**KEPT, "even": 0.0101}), "Kept on 2 and lost on 0"),
        (results({**KEPT, "even": 0.05}, converged=False), "Kept on 2 and lost on 0"),
    ],
    ids=["seeds", "processes", "within noise", "cut off"],
)
def test_too_little_is_inconclusive(frame: pd.DataFrame, reason: str) -> None:
    verdict = STUDY.decide(frame)
    assert (verdict.verdict, reason in verdict.reason) == ("inconclusive", True), verdict.reason


def test_a_fit_cut_off_early_may_support_but_the_probe_may_not() -> None:
    verdict = STUDY.decide(results(KEPT, converged=False, r2=0.6))
    assert verdict.verdict == "supported"
    assert verdict.reason.count("belief not readable") == 3
    lost = STUDY.decide(results(dict.fromkeys(MODULE.PROBED, 0.2), r2=1.0))
    assert lost.verdict == "refuted"
    assert lost.reason.count("belief readable") == 3


@pytest.mark.parametrize("scale", ["standard", "full"])
def test_the_grid_can_decide(scale: str) -> None:
    specs = [cell.spec for cell in STUDY.cells(scale)]
    fits = [spec for spec in specs if spec["kind"] == "memory"]
    assert {spec["process"] for spec in fits} == set(MODULE.PROBED)
    assert all(len(spec["seeds"]) >= MODULE.MIN_SEEDS for spec in fits)
    assert {1, 2, 3, 4, 8, 16, 32} <= {spec["H"] for spec in fits}
    (picture,) = (spec for spec in fits if spec["picture"])
    assert (picture["process"], picture["H"]) == ("mess3", 32)
    assert {spec["model"] for spec in specs if spec["kind"] == "graph"} == set(MODULE.GRAPHS)


SPEC = {"kind": "memory", "process": "even", "T": 4, "half": 2, "H": 2, "seeds": [0, 3], "picture": False}


def test_a_network_is_measured_as_by_hand() -> None:
    """Trained for three steps, by the same fit; the losses by words, the information by pasts and futures."""
    settings = {"max_steps": 3, "restarts": 1}
    process = processes.even()
    rows = STUDY.measure({**SPEC, "settings": settings}, CPU)
    untrained = MODULE.Recurrent(2, 2, replicates=2).double()
    trained = MODULE.fit(untrained, process(4), seed=0, **settings).model
    untrained.reset_parameters([0, 3])

    def probability(word: tuple[int, ...]) -> float:
        return matrix_product_probability(process.joint, process.initial, word)

    marginal = -sum(p * math.log(p) for p in (probability((0,)), probability((1,))))
    entropy = -sum(p * math.log(p) for w in product((0, 1), repeat=4) if (p := probability(w)) > 0)
    for r, row in enumerate(rows):
        law = trained.replicate(r)(4)
        loss = -sum(probability(w) * law.log_prob(torch.tensor(w)).item() for w in product((0, 1), repeat=4))
        assert row["kept_nats"] == pytest.approx(4 * marginal - loss, abs=1e-12)
        assert row["available_nats"] == pytest.approx(4 * marginal - entropy, abs=1e-12)
        assert row["missing_share"] == pytest.approx((loss - entropy) / (4 * marginal - entropy), abs=1e-12)
        assert row["missing_share"] > 0
        for name, model in (("trained", trained), ("untrained", untrained)):
            states = {w: MODULE.summarise(model.replicate(r), torch.tensor([w]))[0] for w in product((0, 1), repeat=2)}
            for b, told in zip(MODULE.BITS, json.loads(row[f"information_{name}_nats"]), strict=True):
                joint: dict[tuple[Any, Any], float] = {}
                for past, future in product(states, repeat=2):
                    cell = tuple(min(int((float(h.detach()) + 1) * 2**b / 2), 2**b - 1) for h in states[past])
                    joint[cell, future] = joint.get((cell, future), 0.0) + probability((*past, *future))
                rest = [{key[side] for key in joint} for side in (0, 1)]
                cells, futures = (
                    {x: sum(p for key, p in joint.items() if key[s] == x) for x in rest[s]} for s in (0, 1)
                )
                expected = sum(p * math.log(p / (cells[c] * futures[f])) for (c, f), p in joint.items() if p > 0)
                assert told == pytest.approx(expected, abs=1e-12)
                assert told <= row["past_future_nats"] + 1e-12


@pytest.mark.parametrize("process", ["even", "mess3"])
def test_no_network_keeps_more_than_there_is(process: str) -> None:
    spec = {**SPEC, "process": process, "T": 3, "H": 4, "settings": {"max_steps": 300, "restarts": 1}}
    rows = STUDY.measure(spec, CPU)
    assert all(-1e-9 < row["missing_share"] < 0.02 for row in rows)


def test_figures_and_tables_of_a_small_run() -> None:
    """Everything that the page shows, from cells trained for two steps; the picture is of every past once."""
    records = []
    for cell in STUDY.cells("smoke"):
        spec = cell.spec | ({"settings": {"max_steps": 2, "restarts": 1}} if cell.spec["kind"] == "memory" else {})
        rows = STUDY.measure(spec, CPU)
        records += [{**flatten(spec, replicate), **row} for replicate, row in enumerate(rows)]
    columns = dict.fromkeys(name for record in records for name in record)
    frame = to_frame([{**columns, **record} for record in records])
    (image,) = frame["image_trained"].dropna()
    assert np.array(json.loads(image)).shape == (3**3, 3)
    np.testing.assert_allclose(np.array(json.loads(image)).sum(-1), 1.0, atol=2e-4)
    with house_style():
        drawn = {name: figure.draw(frame) for name, figure in STUDY.figures.items()}
    assert [len(drawn[name].axes) for name in ("nats-kept", "beliefs")] == [4, 3]
    assert [axes.get_ylabel() for axes in drawn["nats-kept"].axes][1::2] == ["", ""]
    (_, carried), (_, cuts) = STUDY.tables(frame)
    assert len(carried) == 6
    shown = cuts[cuts["graph"] == "network, h shown"].set_index("given")
    assert shown["steps t separated"].to_dict() == {"h_t": 5, "y_(t-1)": 0, "y_(t-2)": 0}
    assert STUDY.decide(frame).verdict == "inconclusive"


def test_certain_beliefs_are_corners() -> None:
    with house_style():
        figure = side_by_side({"exact": np.eye(3), "image": np.full((3, 3), 1 / 3)}, np.array([0.2, 0.3, 0.5]))
    exact, image = (axes.collections[0] for axes in figure.axes)
    placed = {tuple(np.round(place, 6)) for place in np.asarray(exact.get_offsets())}
    assert placed == {tuple(np.round(corner, 6)) for corner in CORNERS}
    np.testing.assert_allclose(np.asarray(image.get_offsets()), np.tile(CORNERS.mean(0), (3, 1)))
    np.testing.assert_array_equal(np.asarray(exact.get_facecolor())[:, :3], np.asarray(image.get_facecolor())[:, :3])
    sizes = np.asarray(exact.get_sizes())
    assert list(sizes) == sorted(sizes, reverse=True)
