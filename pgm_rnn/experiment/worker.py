"""One cell computed where it is sent: in a worker process here, or on a cluster."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from pgm_rnn.devices import resolve_device
from pgm_rnn.experiment.discovery import study_from_text
from pgm_rnn.experiment.study import Row


@dataclass(frozen=True)
class Task:
    """A specification and what measures it: the text of a study's file, or a function that workers can import."""

    key: str
    spec: Mapping[str, Any]
    device: str
    source: tuple[str, str] | None
    measure: Callable[[Mapping[str, Any], torch.device], Sequence[Row]] | None


@dataclass(frozen=True)
class Outcome:
    """The rows of a cell, each as the text of a JSON object, or the error that it ended with; and where it ran."""

    rows: tuple[str, ...] = ()
    error: str = ""
    seconds: float = 0.0
    device: str = ""
    torch: str = torch.__version__


def compute(task: Task) -> Outcome:
    """Measure one cell on one thread, so that its numbers do not depend on how many workers there are."""
    torch.set_num_threads(1)
    start = time.perf_counter()
    where = ""
    try:
        device = resolve_device(task.device)
        where = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
        measure = task.measure or study_from_text(*task.source).measure  # type: ignore[misc]  # there is one of the two
        rows = tuple(row_text(row) for row in measure(task.spec, device))
        check_seeds(rows, task.spec)
    except Exception as error:
        return Outcome(error=one_line(error), seconds=time.perf_counter() - start, device=where)
    return Outcome(rows, seconds=time.perf_counter() - start, device=where)


def row_text(row: Row) -> str:
    """A row as a JSON object; numbers of numpy and torch become plain ones, integers of any size stay exact.

    >>> row_text({"parameters": 4**40, "kl_nats": float("inf")})
    '{"parameters": 1208925819614629174706176, "kl_nats": Infinity}'
    """
    return json.dumps(dict(row), default=lambda value: value.item())


def check_seeds(rows: Sequence[str], spec: Mapping[str, Any]) -> None:
    seeds = spec.get("seeds")
    if seeds is not None and len(rows) != len(seeds):
        raise ValueError(f"measure gave {len(rows)} rows for {len(seeds)} seeds")
    if not rows:
        raise ValueError("measure gave no rows")


def one_line(error: BaseException) -> str:
    """The error's type and message, and where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename.rpartition('/')[2]}, line {frames[-1].lineno})" if frames else ""
    return " ".join(f"{type(error).__name__}: {error}".split()) + place
