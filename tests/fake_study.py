"""A study for the tests of the runner: cells that square numbers, take their time, raise, or kill their process."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from matplotlib.figure import Figure as Drawing

from pgm_rnn.experiment.study import Cell, Figure, Study, Verdict


def grid(scale: str) -> list[Cell]:
    count = {"smoke": 3, "standard": 6, "full": 9}[scale]
    modes = os.environ.get("FAKE_MODES", "").split()  # by cell: "raise", "die", "die-once:FILE", "wait-for:FILE"
    modes += [""] * count
    model = {"name": "square"}
    return [Cell({"number": n, "mode": modes[n], "model": model, "seeds": [n, n + 1]}) for n in range(count)]


def measure(spec: Mapping[str, Any], device: torch.device) -> list[dict[str, Any]]:
    start = time.perf_counter()
    act(spec["mode"])
    seeds = spec["seeds"]
    rows = [{"square": torch.tensor(seed) ** 2, "huge": 4 ** (40 * seed), "loss_nats": seed / 3} for seed in seeds]
    return [row | {"limit": float("inf"), "seconds": time.perf_counter() - start} for row in rows]


def act(mode: str) -> None:
    verb, _, argument = mode.partition(":")
    if verb == "raise":
        raise ValueError("this cell always raises")
    while verb == "wait-for" and not Path(argument).exists():
        time.sleep(0.02)
    if verb == "die" or (verb == "die-once" and not Path(argument).exists()):
        if argument:
            Path(argument).touch()
        os.kill(os.getpid(), signal.SIGKILL)


def decide(results: pd.DataFrame) -> Verdict:
    value = float(results["loss_nats"].mean())
    verdict = "supported" if value < 10 else "refuted"
    return Verdict(verdict, value, 0.0, float("inf"), "nats", "the mean loss is below 10 nats")


STUDY = Study(
    name="fake",
    claim=0,
    title="A fake study",
    statement="Squares are small.",
    question="Are squares small?",
    grid=grid,
    measure=measure,
    decide=decide,
    figures={"empty": Figure("Nothing.", lambda results: Drawing())},
    tables=lambda results: [("All rows.", results)],
)
