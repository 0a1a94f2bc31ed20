"""The study of claim 4: its rule on made-up results, its grid, and its measurement against other means."""

from __future__ import annotations

import json
import math
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from pgm_rnn import Sequences, fit, models, processes, score
from pgm_rnn.experiment.discovery import find_study
from pgm_rnn.experiment.table import flatten, to_frame
from pgm_rnn.exposure import exposure_bias

STUDY = find_study("teacher-forcing")
MODULE: Any = sys.modules[STUDY.grid.__module__]
CPU = torch.device("cpu")


def clocked(seconds: dict[str, float], rounds: int = 5) -> list[dict[str, Any]]:
    """Step times at the longest T, give or take a thousandth by round; what shorter ones take must not matter."""
    return [
        {
            "kind": "speed",
            "round": n,
            "wiring": wiring,
            "T": T,
            "step_seconds": (1 + 0.001 * n) * own if T == 512 else 1,
        }
        for n in range(rounds)
        for wiring, own in seconds.items()
        for T in (8, 64, 512)
    ]


def trained(process: str, share: float, *, seeds: int = 5, converged: bool = True) -> list[dict[str, Any]]:
    """Teacher forcing with this relative bias on the fewest words, give or take a hundredth by seed."""
    rows = []
    for N, seed in [(N, seed) for N in (100, 1000, math.inf) for seed in range(seeds)]:
        bias = share + 0.01 * (-1) ** seed if N == 100 else -0.5  # more words must not matter
        row = {"kind": "modes", "mode": "teacher-forcing", "process": process, "N": N, "seed": seed}
        rows.append(row | {"relative_bias": bias, "mass_outside": 0.02, "converged": converged})
    return rows


APART = {"symbol": 0.4, "hidden": 1.0, "vector": 0.9}
ALIKE = {"symbol": 0.9, "hidden": 0.95, "vector": 0.9}


def results(
    shares: dict[str, float], seconds: dict[str, float] = APART, rounds: int = 5, **kwargs: Any
) -> pd.DataFrame:
    rows = [row for process, share in shares.items() for row in trained(process, share, **kwargs)]
    return pd.DataFrame([*rows, *clocked(seconds, rounds)])


WORSE = dict.fromkeys(MODULE.SOURCES, 0.2)
NO_WORSE = dict.fromkeys(MODULE.SOURCES, 0.01)


def test_worse_on_three_processes_and_decoupled_supports() -> None:
    verdict = STUDY.decide(results({**WORSE, "even": 0.0}))
    assert verdict.verdict == "supported"
    assert verdict.low < verdict.value < verdict.high
    assert verdict.value == pytest.approx(0.15, abs=0.01)


@pytest.mark.parametrize("share", [0.01, -0.3])
def test_no_worse_after_own_pasts_refutes(share: float) -> None:
    verdict = STUDY.decide(results({**dict.fromkeys(MODULE.SOURCES, share), "mess3": 0.2}))
    assert verdict.verdict == "refuted"
    assert "less on 3" in verdict.reason


def test_steps_that_take_as_long_coupled_or_not_refute() -> None:
    assert STUDY.decide(results(WORSE, ALIKE)).verdict == "refuted"
    assert STUDY.decide(results(WORSE, {**APART, "vector": 0.42})).verdict == "refuted"


def test_two_and_two_are_inconclusive() -> None:
    assert STUDY.decide(results({**WORSE, "even": 0.0, "mess3": 0.0})).verdict == "inconclusive"


def test_a_bias_within_noise_is_neither() -> None:
    frame = results(WORSE)
    noise = np.where(frame["kind"] == "modes", 3.0 * (-1.0) ** frame["seed"].fillna(0), 0.0)
    assert STUDY.decide(frame.assign(relative_bias=frame["relative_bias"] + noise)).verdict == "inconclusive"


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (results(WORSE, seeds=4), "4 data seeds"),
        (results({"even": 0.2}), "1 of the four"),
        (results(WORSE, converged=False), "0% of the deciding fits"),
        (results(NO_WORSE, rounds=4), "4 rounds"),
        (results(NO_WORSE, rounds=0), "0 rounds"),
    ],
)
def test_too_little_is_inconclusive(frame: pd.DataFrame, reason: str) -> None:
    verdict = STUDY.decide(frame)
    assert (verdict.verdict, reason in verdict.reason) == ("inconclusive", True), verdict.reason


@pytest.mark.parametrize("scale", ["standard", "full"])
def test_the_grid_can_decide(scale: str) -> None:
    specs = [cell.spec for cell in STUDY.cells(scale)]
    runs = [spec for spec in specs if spec["kind"] == "modes"]
    assert {spec["process"] for spec in runs} >= set(MODULE.SOURCES)
    assert {spec["mode"] for spec in runs} == set(MODULE.MODES)
    assert all(len(spec["seeds"]) >= MODULE.MIN_SEEDS for spec in runs)
    (race,) = [spec for spec in specs if spec["kind"] == "speed"]
    assert race["rounds"] >= MODULE.MIN_ROUNDS
    assert max(race["durations"]) >= 1024


def spec(mode: str, N: int | None, **settings: int) -> dict[str, Any]:
    return {
        "kind": "modes",
        "process": "golden-mean",
        "T": 4,
        "N": N,
        "mode": mode,
        "seeds": [0, 3],
        "settings": settings,
    }


@pytest.mark.parametrize("mode", MODULE.MODES)
def test_every_mode_gives_complete_rows(mode: str) -> None:
    for row in STUDY.measure(spec(mode, 40, max_steps=5, restarts=1), CPU):
        assert sum(json.loads(row["bias_by_horizon_nats"])) == pytest.approx(row["bias_nats_per_word"], abs=1e-12)
        assert row["relative_bias"] == pytest.approx(row["bias_nats_per_word"] / row["kl_nats_per_word"], abs=1e-12)
        assert row["marginal_entropy_nats_per_word"] == pytest.approx(4 * math.log(3) - 4 * 2 / 3 * math.log(2))
        assert row["entropy_nats_per_word"] == pytest.approx(processes.golden_mean().block_entropy(4))
        assert 0 < row["mass_outside"] < 1


def test_a_row_is_what_its_fit_gives() -> None:
    rows = STUDY.measure(spec("scheduled", None, max_steps=7, restarts=1), CPU)
    process = processes.golden_mean()
    again = fit(models.Recurrent(2, MODULE.H, replicates=2), process(4), mode="scheduled", max_steps=7, restarts=1)
    for r, row in enumerate(rows):
        model = again.model.replicate(r)
        assert row["kl_nats_per_word"] == pytest.approx(score(model, process, 4).divergence, abs=1e-10)
        assert row["mass_outside"] == pytest.approx(float(exposure_bias(model, process, 4).mass_outside[-1]), abs=1e-10)
        assert row["loss_nats_per_word"] == pytest.approx(float(again.losses[r, -1]), abs=1e-12)


def test_the_loss_curve_keeps_the_mean() -> None:
    losses = torch.linspace(3.0, 1.0, 501, dtype=torch.double)
    curve = MODULE.loss_curve(losses, points=12)
    ends, means = json.loads(curve["loss_steps"]), json.loads(curve["losses_nats_per_word"])
    assert (ends[0], ends[-1], curve["loss_nats_per_word"]) == (1, 501, 1.0)
    assert means[0] == 3.0
    assert np.dot(np.diff([0, *ends]), means) == pytest.approx(float(losses.sum()))


def test_what_is_timed_is_a_step_of_training() -> None:
    """The same numbers as the likelihood of the words and its gradient by autograd, for every wiring."""
    timed = {}

    def instead(steps: dict[str, Any], rounds: int, device: torch.device) -> dict[str, float]:
        timed.update({name: step() for name, step in steps.items()})
        return dict.fromkeys(steps, 1.0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MODULE, "fewest_seconds", instead)
        rows = STUDY.measure({"kind": "speed", "durations": [5], "rounds": 2, "words": 6, "best_of": 1}, CPU)
    assert [(row["round"], row["T"]) for row in rows] == [(n, 5) for n in range(2) for _ in MODULE.WIRINGS]
    words = Sequences(torch.randint(2, (6, 5), generator=torch.Generator().manual_seed(5)), 2)
    for wiring in MODULE.WIRINGS:
        (value,), gradient = timed[f"{wiring} 5"]
        model = MODULE.wired(wiring)
        MODULE.starting_points(model, seed=0, restarts=1, spread=False)  # sets the model's own parameters likewise
        loss = -model(5).log_prob(words.symbols).mean()
        own = torch.cat([part.flatten() for part in torch.autograd.grad(loss, list(model.parameters()))])
        torch.testing.assert_close(value, loss.detach(), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(gradient[0], own, rtol=1e-4, atol=1e-6)


def test_no_step_waits_for_another_where_the_symbol_alone_is_fed() -> None:
    """The gradient of the prediction at t in the symbol before last vanishes: it does for no coupled wiring."""
    words = torch.tensor([[0, 0, 1, 1], [1, 0, 1, 1], [0, 1, 1, 1], [1, 1, 1, 1]])
    for wiring in MODULE.WIRINGS:
        last = MODULE.wired(wiring)(4).conditional_laws(words).detach()[:, -1]
        assert torch.equal(last, last[:1].expand_as(last)) == (wiring == "symbol")


def test_figures_and_tables_of_a_short_run() -> None:
    records = []
    for cell in STUDY.cells("smoke"):
        short = {**cell.spec, "settings": {"max_steps": 2, "restarts": 1}, "durations": [8, 16]}
        rows = STUDY.measure(short, CPU)
        records += [{**flatten(cell.spec, n if "seeds" in cell.spec else 0), **row} for n, row in enumerate(rows)]
    columns = dict.fromkeys(name for record in records for name in record)
    frame = to_frame([{**columns, **record} for record in records])
    assert all(figure.draw(frame).axes for figure in STUDY.figures.values())
    (_, means), (_, seconds) = STUDY.tables(frame)
    assert len(means) == 2 * 2 * len(MODULE.MODES)
    assert len(seconds) == 2
    assert STUDY.decide(frame).verdict == "inconclusive"
