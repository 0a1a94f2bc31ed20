"""The main study: its rule on made-up results, its grid, and its measurement against sums over all words."""

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

from pgm_rnn import processes
from pgm_rnn.experiment.discovery import find_study
from pgm_rnn.experiment.table import flatten, to_frame

STUDY = find_study("table-vs-rnn")
MODULE: Any = sys.modules[STUDY.grid.__module__]
CPU = torch.device("cpu")


def counted(**changes: int) -> list[dict[str, Any]]:
    rows = []
    for T in (4, 9):
        for model, free in (("table", 2**T - 1), ("rnn-16", 321)):
            row = {"kind": "counting", "model": model, "alphabet_size": 2, "T": T, "free_parameters": free}
            rows.append(row | {"counted_parameters": 7, "stored_parameters": 7, "fits_in_memory": True} | changes)
    return rows


def learned(process: str, gap: float, *, seeds: int = 5, converged: bool = True, T: int = 9) -> list[dict[str, Any]]:
    """Rows in which the RNN is ``gap`` nats per word nearer to the truth than the table, give or take a tenth."""
    rows = []
    for N, seed in product((100, 1000), range(seeds)):
        final = gap if N == 1000 else -0.8  # what is not at the largest N must not matter
        kls = {"table": 1.0 + final * (1 + 0.1 * (-1) ** seed), "rnn-16": 1.0}
        for model, kl in kls.items():
            row = {"kind": "learning", "process": process, "T": T, "N": N, "model": model, "seed": seed}
            row |= {"free_parameters": {"table": 2**T - 1, "rnn-16": 321}[model], "kl_nats_per_word": kl}
            rows.append(row | {"converged": converged or model == "table"})
    return rows


def results(gaps: dict[str, float], **kwargs: Any) -> pd.DataFrame:
    rows = [row for process, gap in gaps.items() for row in learned(process, gap, **kwargs)]
    return pd.DataFrame([*counted(), *rows])


WON = dict.fromkeys(MODULE.HIDDEN, 0.5)
LOST = dict.fromkeys(MODULE.HIDDEN, -0.5)


def test_three_of_four_won_supports() -> None:
    verdict = STUDY.decide(results({**WON, "even": -0.5}))
    assert verdict.verdict == "supported"
    assert verdict.value == pytest.approx((3 * 0.5 - 0.5) / 4, rel=0.1)
    assert verdict.low < verdict.value < verdict.high


def test_three_of_four_lost_refutes() -> None:
    verdict = STUDY.decide(results({**LOST, "mess3": 0.5}))
    assert verdict.verdict == "refuted"
    assert verdict.high < 0


def test_what_a_shorter_t_says_is_said_and_does_not_decide() -> None:
    longest, shorter = results(WON), results(LOST, T=4)
    verdict = STUDY.decide(pd.concat([longest, shorter[shorter["kind"] == "learning"]]))
    assert verdict.verdict == "supported"
    (line,) = [line for line in verdict.reason.splitlines() if line.startswith("At the next shorter T: ")]
    assert line.count("(T = 4)") == line.count("lost") == 4
    assert "At the next shorter T" not in STUDY.decide(longest).reason


def test_two_and_two_are_inconclusive() -> None:
    assert STUDY.decide(results({**WON, "even": -0.5, "mess3": -0.5})).verdict == "inconclusive"


def test_a_difference_within_noise_is_not_won() -> None:
    frame = results(WON)
    noise = np.where(frame["model"] == "table", 30.0 * (-1.0) ** frame["seed"].fillna(0), 0.0)
    assert STUDY.decide(frame.assign(kl_nats_per_word=frame["kl_nats_per_word"] + noise)).verdict == "inconclusive"


def test_more_parameters_than_the_table_refute() -> None:
    verdict = STUDY.decide(results(WON, T=4))  # 15 in the table, 321 in the RNN
    assert verdict.verdict == "refuted"


@pytest.mark.parametrize("wrong", [{"free_parameters": 16}, {"counted_parameters": 8}])
def test_wrong_counts_refute(wrong: dict[str, int]) -> None:
    frame = results(WON)
    rows = pd.DataFrame([*counted(**wrong), *frame[frame["kind"] == "learning"].to_dict("records")])
    assert STUDY.decide(rows).verdict == "refuted"


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (results(WON, seeds=4), "4 data seeds"),
        (results({"even": 0.5}), "1 of the four"),
        (results(WON, converged=False), "0% of the deciding fits"),
    ],
)
def test_too_little_is_inconclusive(frame: pd.DataFrame, reason: str) -> None:
    verdict = STUDY.decide(frame)
    assert (verdict.verdict, reason in verdict.reason) == ("inconclusive", True), verdict.reason


def test_the_reason_names_where_the_favourite_loses() -> None:
    rows = learned("golden-mean", 0.5)
    rows += [{**row, "model": "markov-1", "kl_nats_per_word": 0.01} for row in rows if row["model"] == "table"]
    reason = STUDY.decide(pd.concat([results(WON), pd.DataFrame(rows)])).reason
    assert "golden-mean, Markov(1) at N = 100 and 1,000" in reason
    assert "even, table at N = 100" in reason
    assert "even, table at N = 100 and" not in reason


@pytest.mark.parametrize("scale", ["standard", "full"])
def test_the_grid_can_decide(scale: str) -> None:
    specs = [cell.spec for cell in STUDY.cells(scale)]
    learning = [spec for spec in specs if spec["kind"] == "learning"]
    assert {spec["process"] for spec in learning} >= {*MODULE.HIDDEN, "golden-mean", "random-markov"}
    assert {spec["model"] for spec in learning} == set(MODULE.CONTESTANTS)
    for name in MODULE.SOURCES:
        k, T = processes.PROCESSES[name]().alphabet_size, max(s["T"] for s in learning if s["process"] == name)
        table, rnn = (MODULE.build(model, k, T, None).parameter_count(T).free for model in ("table", "rnn-16"))
        assert table > rnn
    endless = [spec for spec in learning if spec["N"] is None and spec["model"] == "rnn-16"]
    assert all(4 * len(spec["seeds"]) >= 10 for spec in endless)  # restarts on the exact tree, four to a fit by default
    assert all(len(spec["seeds"]) >= MODULE.MIN_SEEDS for spec in learning if spec["N"])


def test_words_are_the_same_for_every_model_and_new_for_every_role() -> None:
    process, spec = processes.even(), {"process": "even", "T": 6}
    first = MODULE.draw_words(process, spec, "train", 0, 50).symbols
    torch.rand(3)
    assert torch.equal(first, MODULE.draw_words(process, spec, "train", 0, 50).symbols)
    others = [MODULE.draw_words(process, spec, role, seed, 50).symbols for role, seed in (("test", 0), ("train", 1))]
    assert not any(torch.equal(first, other) for other in others)


def test_a_table_is_measured_as_by_hand() -> None:
    """Everything in a row of the add-half table, from counts of all words in plain Python."""
    spec = {"kind": "learning", "process": "golden-mean", "T": 3, "N": 40, "model": "table-kt", "seeds": [0, 3]}
    spec |= {"test_words": 60, "settings": {}}
    process = processes.golden_mean()
    for row, seed in zip(STUDY.measure(spec, CPU), spec["seeds"], strict=True):
        train = [tuple(w) for w in MODULE.draw_words(process, spec, "train", seed, 40).symbols.tolist()]
        test = [tuple(w) for w in MODULE.draw_words(process, spec, "test", seed, 60).symbols.tolist()]
        model = dict.fromkeys(product((0, 1), repeat=3), 1.0)
        for word, t in product(model, range(3)):
            seen, follow = (sum(w[:n] == word[:n] for w in train) for n in (t, t + 1))
            model[word] *= (follow + 0.5) / (seen + 1.0)
        truth = {word: float(process(3).log_prob(torch.tensor(word)).exp()) for word in model}
        kl = sum(p * math.log(p / model[word]) for word, p in truth.items() if p)
        log_likelihood = sum(math.log(model[word]) for word in train)
        assert row["kl_nats_per_word"] == pytest.approx(kl, abs=1e-12)
        assert sum(json.loads(row["kl_by_position_nats"])) == pytest.approx(kl, abs=1e-12)
        assert row["heldout_nats_per_symbol"] == pytest.approx(-sum(math.log(model[w]) for w in test) / 180, abs=1e-12)
        assert row["aic_nats"] == pytest.approx(2 * 7 - 2 * log_likelihood, abs=1e-9)
        assert row["bic_nats"] == pytest.approx(7 * math.log(40) - 2 * log_likelihood, abs=1e-9)
        assert (row["stored_parameters"], row["free_parameters"], row["bytes"]) == (14, 7, 112)


def test_expected_divergence_is_near_the_mean_over_many_seeds() -> None:
    spec = {"kind": "learning", "process": "even", "T": 3, "N": 30, "model": "table-kt", "seeds": list(range(200))}
    rows = STUDY.measure({**spec, "test_words": 5, "settings": {}}, CPU)
    kl = np.array([row["kl_nats_per_word"] for row in rows])
    assert abs(kl.mean() - rows[0]["expected_kl_nats_per_word"]) < 4 * kl.std() / len(kl) ** 0.5


def test_a_table_beyond_memory_is_predicted_and_refused() -> None:
    (row,) = STUDY.measure({"kind": "counting", "model": "table", "alphabet_size": 4, "T": [20]}, CPU)
    assert row["fits_in_memory"] is False
    assert row["free_parameters"] == 4**20 - 1
    assert row["bytes"] == 8 * sum(4**t for t in range(1, 21))


def test_a_network_gives_complete_rows_and_says_that_it_was_cut_off() -> None:
    spec = {"kind": "learning", "process": "even", "T": 3, "N": 20, "model": "rnn-4", "seeds": [0, 1]}
    rows = STUDY.measure({**spec, "test_words": 20, "settings": {"max_steps": 3, "restarts": 1}}, CPU)
    assert [row["converged"] for row in rows] == [False, False]
    assert all(math.isfinite(row["kl_nats_per_word"]) and row["kl_nats_per_word"] >= 0 for row in rows)
    assert rows[0]["kl_nats_per_word"] != rows[1]["kl_nats_per_word"]


def test_figures_and_tables_of_a_smoke_run_of_closed_forms() -> None:
    """Everything that the page shows can be made of the cells that cost nothing, networks apart."""
    records = []
    for cell in STUDY.cells("smoke"):
        if not cell.spec["model"].startswith("rnn") or cell.spec["kind"] == "counting":
            rows = STUDY.measure(cell.spec, CPU)
            records += [{**flatten(cell.spec, replicate), **row} for replicate, row in enumerate(rows)]
    columns = dict.fromkeys(name for record in records for name in record)
    frame = to_frame([{**columns, **record} for record in records])
    assert all(figure.draw(frame).axes for figure in STUDY.figures.values())
    board = dict(STUDY.tables(frame))
    winner = next(table for caption, table in board.items() if caption.startswith("The best model"))
    exact = winner[(winner["process"] == "golden-mean") & np.isinf(winner["N"])]["winner"].item()
    assert exact == "table, Markov(1), Markov(2), Markov(3)"
