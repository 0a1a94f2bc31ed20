"""Claim 9: its rule on made-up results, its grid, and its measurement against sums by other means."""

from __future__ import annotations

import json
import math
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from oracles import all_words

from pgm_rnn import fit
from pgm_rnn.experiment.discovery import find_study
from pgm_rnn.experiment.table import flatten
from pgm_rnn.models import Recurrent
from pgm_rnn.processes import CONDITIONAL, golden_mean, sliding_golden_mean
from pgm_rnn.report.contexts import cost_table

STUDY = find_study("context")
MODULE: Any = sys.modules[STUDY.grid.__module__]
CPU = torch.device("cpu")

# The rule.


def results(share: float = 0.99, beyond: float = 0.2, seeds: int = 5, **changes: Any) -> pd.DataFrame:
    """Five shares of x at every step, a hundredth around ``share``, and beyond T ``beyond`` more than x as h_0."""
    made = []
    for seed in range(seeds):
        around = 0.01 * (-1) ** seed
        row = {"seed": seed, "H": 8, "N": math.inf, "converged": True}
        for process in MODULE.SOURCES:
            for model in ("none", "input", "initial"):
                s = {"none": -0.01, "input": share, "initial": share - 0.3}[model] + around
                late = {"none": -0.5, "input": 0.8, "initial": 0.8 - beyond}[model]
                late -= around if model == "input" else 0.0
                limit = {"kind": "limit", "process": process, "model": model}
                made.append(row | limit | {"captured_share": s, "captured_share_beyond": late})
        values = {"kind": "values", "process": MODULE.NUMBER, "model": "input", "num_values": 3}
        made.append(row | values | {"captured_share": share + around})
    return pd.DataFrame(made).assign(**changes)


def spoilt(frame: pd.DataFrame, kind: str, process: str, share: float) -> pd.DataFrame:
    """The same with another share of x at every step in one of the five."""
    those = (frame["kind"] == kind) & (frame["process"] == process) & (frame["model"] == "input")
    return frame.assign(captured_share=frame["captured_share"].mask(those, share))


def test_shares_above_support() -> None:
    verdict = STUDY.decide(results())
    assert verdict.verdict == "supported"
    assert verdict.value == pytest.approx(0.992)
    assert verdict.low < verdict.value < verdict.high
    assert "(2) holds: d = 19.8%" in verdict.reason


@pytest.mark.parametrize("kind", ["limit", "values"])
def test_one_share_below_refutes(kind: str) -> None:
    verdict = STUDY.decide(spoilt(results(), kind, MODULE.NUMBER, 0.5))
    assert verdict.verdict == "refuted"
    assert verdict.value == pytest.approx(0.5)


def test_a_first_state_that_lasts_longer_refutes() -> None:
    verdict = STUDY.decide(results(beyond=-0.2))
    assert verdict.verdict == "refuted"
    assert "(2) fails" in verdict.reason


def test_no_difference_beyond_does_not_refute() -> None:
    verdict = STUDY.decide(results(beyond=0.0))
    assert verdict.verdict == "supported"
    assert "(2) is open" in verdict.reason


def test_a_share_within_noise_is_inconclusive() -> None:
    assert STUDY.decide(results(share=0.902)).verdict == "inconclusive"


def test_ruin_at_unseen_positions_counts_as_nothing_captured() -> None:
    """One fit that is far off must not decide about all the others."""
    frame = results()
    lost = (frame["model"] == "initial") & (frame["seed"] == 0)
    ruined = frame.assign(captured_share_beyond=frame["captured_share_beyond"].mask(lost, -1e6))
    assert STUDY.decide(ruined).verdict == "supported"
    assert MODULE.beyond(ruined).iloc[0] == pytest.approx(0.79)


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (results(seeds=4), "Only 4 seeds"),
        (results().query("process != 'coins'"), "Only 4 of five deciding contests"),
        (results().query("kind != 'values'"), "Only 4 of five deciding contests"),
        (results(num_values=2), "Only 4 of five deciding contests"),
        (results(converged=False), "Only 0% of the deciding fits converged"),
        (results().query("model != 'initial'"), "4 of the four sources lack"),
    ],
)
def test_too_little_is_inconclusive(frame: pd.DataFrame, reason: str) -> None:
    verdict = STUDY.decide(frame)
    assert verdict.verdict == "inconclusive"
    assert reason in verdict.reason


def where(frame: pd.DataFrame, kind: str, process: str, model: str, seeds: int) -> pd.Series:
    """The first so many seeds of one contest."""
    mine = (frame["kind"] == kind) & (frame["process"] == process)
    return mine & (frame["model"] == model) & (frame["seed"] < seeds)


@pytest.mark.parametrize(
    ("kind", "process", "model"),
    [
        ("limit", "coins", "input"),
        ("limit", "bells", "initial"),
        ("values", MODULE.NUMBER, "input"),
    ],
)
def test_every_way_must_have_converged_by_itself(kind: str, process: str, model: str) -> None:
    frame = results()
    for seeds, verdict in ((1, "supported"), (2, "inconclusive")):
        found = STUDY.decide(frame.assign(converged=~where(frame, kind, process, model, seeds)))
        assert found.verdict == verdict
    assert "Only 60% of the deciding fits converged" in found.reason
    assert process in found.reason.splitlines()[0]


@pytest.mark.parametrize("model", ["input", "initial"])
def test_beyond_compares_over_the_same_sources(model: str) -> None:
    """A seed in which a way lacks a source is no seed: sources differ by more than the ways do."""
    frame = results(seeds=6)
    easy = frame["process"] == "coins"
    frame = frame.assign(captured_share_beyond=frame["captured_share_beyond"] + 5.0 * easy)
    whole, lost = MODULE.beyond(frame), where(frame, "limit", "coins", model, 1)
    nan = frame.assign(captured_share_beyond=frame["captured_share_beyond"].mask(lost))
    pd.testing.assert_series_equal(MODULE.beyond(nan), whole.drop(0))
    assert STUDY.decide(nan).verdict == "supported"
    fewer = nan[nan["seed"] < 5]
    assert (STUDY.decide(fewer).verdict, STUDY.decide(fewer).reason[:12]) == ("inconclusive", "Only 4 seeds")


def test_beyond_needs_all_four_sources() -> None:
    frame = results()
    verdict = STUDY.decide(frame[~where(frame, "limit", "coins", "initial", 5)])
    assert verdict.verdict == "inconclusive"
    assert verdict.reason.startswith("Beyond the length trained on, 1 of the four sources lack")


def test_a_share_that_is_nan_does_not_count() -> None:
    frame = results()
    lost = where(frame, "limit", "bells", "input", 1)
    verdict = STUDY.decide(frame.assign(captured_share=frame["captured_share"].mask(lost)))
    assert (verdict.verdict, verdict.reason[:12]) == ("inconclusive", "Only 4 seeds")


def test_cells_that_x_at_every_step_loses_are_named() -> None:
    """They do not decide."""
    words = [
        {"kind": "words", "process": "bells", "N": N, "model": model, "H": 8, "seed": 0, "captured_share": share}
        for N, model, share in ((100, "input", 0.5), (100, "markov", 0.7), (1000, "input", 0.9), (1000, "markov", 0.8))
    ]
    verdict = STUDY.decide(pd.concat([results(), pd.DataFrame(words)], ignore_index=True))
    assert verdict.verdict == "supported"
    assert verdict.reason.endswith("another captures most: bells at N = 100, a chain per x (70% to 50%).")


def test_a_smaller_h_does_not_decide() -> None:
    assert STUDY.decide(pd.concat([results(), results(share=0.1).assign(H=2)])).verdict == "supported"


@pytest.mark.parametrize("scale", ["standard", "full"])
def test_the_grid_can_decide(scale: str) -> None:
    specs = [cell.spec for cell in STUDY.cells(scale)]
    H = max(spec["H"] for spec in specs)
    asked = {(s["kind"], s["process"], s.get("num_values")) for s in specs if s["H"] == H and s["model"] == "input"}
    assert asked >= {("limit", process, None) for process in CONDITIONAL} | {("values", MODULE.NUMBER, 3)}
    assert all(len(spec["seeds"]) >= MODULE.MIN_SEEDS for spec in specs if spec["model"] != MODULE.NEAREST)
    for process in CONDITIONAL:  # there must be something to capture, also beyond the length trained on
        longest, T = next((s["longest"], s["T"]) for s in specs if s["kind"] == "limit")
        information = CONDITIONAL[process]().information(longest)
        assert float(information[:T].sum()) > 0.1
        assert float(information[T:].sum()) > 0.1


# The measurement.


def measured(**spec: Any) -> pd.DataFrame:
    spec = {"T": 4, "H": 3, "seeds": [0, 3], "settings": {"max_steps": 60, "restarts": 1}} | spec
    return pd.DataFrame([{**flatten(spec, r), **row} for r, row in enumerate(MODULE.measure(spec, CPU))])


def entropy(p: np.ndarray) -> float:
    return float(-(p[p > 0] * np.log(p[p > 0])).sum())


def divergence(truth: np.ndarray, claimed: np.ndarray) -> float:
    """KL from the log-probabilities of all words."""
    possible = np.isfinite(truth)
    return float((np.exp(truth[possible]) * (truth[possible] - claimed[possible])).sum())


def test_a_share_by_hand() -> None:
    """The share of the same fit, from its probabilities of all words given each label."""
    frame = measured(kind="limit", process="bells", model="initial", longest=6, test_words=50, seeds=[5])
    source, words = CONDITIONAL["bells"](), all_words(2, 4)
    tree = MODULE.PrefixTree.from_source(source, 4)
    untrained = Recurrent(2, 3, replicates=1, context_dim=2, context_as="initial")
    model = fit(untrained, tree, seed=5, max_steps=60, restarts=1).model.replicate(0)
    x = torch.arange(2)
    truth, claimed = (law(4, context=x).log_prob(words.unsqueeze(1)).detach().numpy() for law in (source, model))
    p = np.exp(truth)  # (k^T, labels)
    kl = 0.5 * (divergence(truth[:, 0], claimed[:, 0]) + divergence(truth[:, 1], claimed[:, 1]))
    information = entropy(p.mean(1)) - 0.5 * (entropy(p[:, 0]) + entropy(p[:, 1]))
    assert frame["kl_nats_per_word"][0] == pytest.approx(kl, abs=1e-9)
    assert frame["information_nats"][0] == pytest.approx(information, abs=1e-9)
    assert frame["captured_share"][0] == pytest.approx(1 - kl / information, abs=1e-7)


@pytest.mark.parametrize("process", ["coins", "sliding-golden-mean"])
def test_whoever_ignores_x_captures_nothing(process: str) -> None:
    frame = measured(kind="limit", process=process, model="none", longest=6, test_words=200)
    assert bool((frame["captured_share"] < 1e-9).all())
    assert bool((frame["captured_share"] > -0.5).all())


def test_positions_beyond_training() -> None:
    frame = measured(kind="limit", process="coins", model="input", longest=9, test_words=3000, seeds=[0])
    kl, worth = (json.loads(frame[f"{name}_by_position_nats"][0]) for name in ("kl", "information"))
    assert len(kl) == len(worth) == 9
    assert frame["captured_share_beyond"][0] == pytest.approx(1 - sum(kl[4:]) / sum(worth[4:]))
    assert sum(kl[:4]) == pytest.approx(frame["kl_nats_per_word"][0], rel=0.3, abs=1e-6)  # drawn words, and all


def test_words_are_the_same_for_every_model_and_hidden_from_one_that_takes_no_x() -> None:
    spec = {"kind": "words", "process": "grammars", "N": 40, "settings": {"max_steps": 20, "restarts": 1}}
    frames = {name: measured(model=name, **spec) for name in ("none", "table", "markov", "initial")}
    assert frames["table"]["free_parameters"].tolist() == [3 * (2**4 - 1)] * 2
    assert frames["none"]["free_parameters"][0] + 9 == frames["initial"]["free_parameters"][0]  # R_0 is (3, 3)
    assert bool((frames["none"]["captured_share"] < 0).all())
    assert len({tuple(frame["information_nats"]) for frame in frames.values()}) == 1


def test_the_nearest_table_by_hand() -> None:
    """Trained on three values, a table knows p at each of them: KL from the plain processes of p."""
    (row,) = MODULE.measure(
        {"kind": "values", "process": MODULE.NUMBER, "T": 4, "num_values": 3, "model": MODULE.NEAREST}, CPU
    )
    seen = np.array(json.loads(row["trained_x"]))
    assert seen == pytest.approx([0.5 - math.sqrt(0.15), 0.5, 0.5 + math.sqrt(0.15)])
    words = all_words(2, 4)
    for x, kl in zip(json.loads(row["x"]), json.loads(row["kl_by_x_nats"]), strict=True):
        near = seen[np.abs(seen - x).argmin()]
        truth, claimed = (golden_mean(0.2 + 0.6 * float(at))(4).log_prob(words).numpy() for at in (x, near))
        assert kl == pytest.approx(divergence(truth, claimed), abs=1e-10)
    assert row["captured_share"] < 1


def test_few_values_are_those_trained_on() -> None:
    frame = measured(kind="values", process=MODULE.NUMBER, num_values=2, model="input", seeds=[1])
    seen = sliding_golden_mean(nodes=2)
    tree = MODULE.PrefixTree.from_source(seen, 4)
    model = fit(Recurrent(2, 3, replicates=1, context_dim=1), tree, seed=1, max_steps=60, restarts=1).model
    curve = dict(zip(json.loads(frame["x"][0]), json.loads(frame["kl_by_x_nats"][0]), strict=True))
    x = torch.tensor([[0.9]], dtype=torch.double)
    words = all_words(2, 4)
    truth, claimed = golden_mean(0.74)(4).log_prob(words), model(4, context=x).log_prob(words)[0].detach()
    assert curve[0.9] == pytest.approx(divergence(truth.numpy(), claimed.numpy()), abs=1e-9)


def test_figures_and_tables_of_a_smoke_run() -> None:
    """Of results like those of a small run, none of which is missing."""
    frames = [
        measured(kind="limit", process="bells", model=model, longest=6, test_words=20, N=math.inf)
        for model in ("none", "input", "initial", "both")
    ]
    frames += [measured(kind="words", process="bells", N=30, model=model) for model in ("input", "table")]
    values = {"kind": "values", "process": MODULE.NUMBER, "num_values": 3}
    frames += [measured(model=model, **values) for model in ("input", "none")]
    frames += [measured(model=MODULE.NEAREST, **values | {"seeds": [0]})]
    frame = pd.concat(frames, ignore_index=True)
    for figure in STUDY.figures.values():
        assert figure.draw(frame).axes
    assert all(len(table) for _, table in STUDY.tables(frame))
    costs = cost_table().set_index(["K", "T"])
    assert costs.loc[(4, 8), "tables"] == 4 * 255
    assert costs.loc[(256, 16), "RNN (H = 8) with R"] - costs.loc[(2, 16), "RNN (H = 8) with R"] == 254 * 8
