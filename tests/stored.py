"""What a run has stored, read by plain SQL."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path


def finished(output: Path) -> list[int]:
    """The numbers of the fake study's cells that are stored, each with both of its rows."""
    database = sqlite3.connect(output / "results.sqlite") if (output / "results.sqlite").exists() else None
    if database is None:
        return []
    with contextlib.closing(database):
        if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'cells'").fetchone():
            return []
        query = "SELECT spec, (SELECT count(*) FROM rows WHERE cell = key) FROM cells WHERE status = 'done'"
        found = database.execute(query).fetchall()
    assert all(rows == 2 for _, rows in found)
    return [json.loads(spec)["number"] for spec, _ in found]
