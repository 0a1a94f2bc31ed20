"""Rows of results as a table: a data frame to work with, and a CSV that does not depend on who computed it when."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

MAX_INT64 = 2**63 - 1


def flatten(spec: Mapping[str, Any], replicate: int) -> dict[str, Any]:
    """A specification as columns of one replicate's row.

    >>> flatten({"model": {"name": "markov", "order": 2}, "T": 8, "seeds": [5, 6], "words": [[0, 1]]}, 1)
    {'model_name': 'markov', 'model_order': 2, 'T': 8, 'seed': 6, 'words': '[[0, 1]]'}
    """
    columns: dict[str, Any] = {}
    for name, value in spec.items():
        if isinstance(value, dict):
            columns |= {f"{name}_{inner}": part for inner, part in flatten(value, replicate).items()}
        elif name == "seeds":
            columns["seed"] = value[replicate]
        else:
            columns[name] = json.dumps(value) if isinstance(value, list) else value
    return columns


def to_frame(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Records with the same columns as a data frame, in which integers beyond 64 bits stay Python ints."""
    frame = pd.DataFrame(list(records))
    for name in frame.columns:
        values = [record[name] for record in records]
        if any(isinstance(value, int) and abs(value) > MAX_INT64 for value in values):
            frame[name] = pd.Series(values, dtype=object)
    return frame


def to_csv(records: Sequence[Mapping[str, Any]]) -> str:
    """Records as CSV: numbers with all their digits, nothing where a value is missing.

    Columns with ``seconds`` in their name hold measured times; all others are the same whenever a study is run again.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0]) if records else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()
