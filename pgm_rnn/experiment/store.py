"""The results of an output folder: ``results.sqlite``, a cell's rows in one transaction, one writer at a time."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import Any, Self

import filelock
import pandas as pd

from pgm_rnn import __version__
from pgm_rnn.checks import check_path, reject
from pgm_rnn.experiment.provenance import git_revision
from pgm_rnn.experiment.study import Cell, RunFailed, Study
from pgm_rnn.experiment.table import flatten, to_frame
from pgm_rnn.experiment.worker import Outcome

SCHEMA = """
CREATE TABLE IF NOT EXISTS cells (
    key TEXT PRIMARY KEY, study TEXT NOT NULL, spec TEXT NOT NULL, version TEXT NOT NULL, revision TEXT NOT NULL,
    seeds TEXT NOT NULL, device TEXT NOT NULL, torch TEXT NOT NULL, seconds REAL NOT NULL, finished TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('done', 'failed')), error TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS rows (
    cell TEXT NOT NULL REFERENCES cells (key) ON DELETE CASCADE, replicate INTEGER NOT NULL, data TEXT NOT NULL,
    PRIMARY KEY (cell, replicate)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs (
    study TEXT PRIMARY KEY, scale TEXT NOT NULL, seed INTEGER NOT NULL, file TEXT NOT NULL);
"""

UNUSABLE = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
"""Error codes of a file that cannot serve as a store; the others, such as a full disk, end a run and no more."""


class Store:
    """The results in an output folder.

    A cell's key is a hash of the study's name, the specification and the package version: when one of them changes,
    the cell is computed anew. A row is kept as the text of a JSON object, so that integers of any size, infinities
    and NaN come back as they were. Reading never waits for a run, ``with Store(output) as store``; writing is
    :meth:`writing`.

    Args:
        output: the folder.
        version: the package version whose results are read and written, this package's by default.

    Raises:
        InputError: if there are no results, or the file is no store.
    """

    def __init__(self, output: str | PathLike[str], version: str | None = None) -> None:
        self.path = check_path("output", output) / "results.sqlite"
        self.version = version or __version__
        if not self.path.is_file():
            raise reject("output", "a folder with results.sqlite", repr(str(output)), "run a study first")
        self._db = sqlite3.connect(self.path, timeout=30, isolation_level=None)
        try:
            self._query("PRAGMA foreign_keys = ON")
            self._query("SELECT 1 FROM cells JOIN rows ON cell = key JOIN runs USING (study) LIMIT 1")
        except BaseException:
            self.close()
            raise

    @classmethod
    @contextmanager
    def writing(cls, output: str | PathLike[str], version: str | None = None) -> Iterator[Store]:
        """The store of a folder that is made if need be, locked for one run until the end of the ``with`` block.

        The lock is the operating system's, which releases it however the run ends.

        Raises:
            InputError: if another run holds it, or the folder cannot be written.
        """
        folder = check_path("output", output)
        lock = filelock.FileLock(folder / ".results.lock")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except filelock.Timeout:
            got = f"a second one in {str(output)!r}"
            raise reject("output", "one run at a time", got, "wait for the other, or use another folder") from None
        except OSError as error:
            raise reject("output", "a folder that can be written", f"{str(output)!r} ({error.strerror})") from None
        with lock:
            _create(folder / "results.sqlite")
            with cls(output, version) as store:
                yield store

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def key(self, study: Study, cell: Cell) -> str:
        """What the cell is stored under."""
        return hashlib.sha256(f"{study.name} {self.version} {cell.key}".encode()).hexdigest()

    # Writing.

    def begin(self, study: Study, scale: str, seed: int) -> None:
        """Note what the latest run of a study was: the cells that :meth:`frame` shows."""
        file = str(Path(study.source[1]).resolve()) if study.source else ""
        with self._transaction():
            self._db.execute("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?)", (study.name, scale, seed, file))

    def put(self, study: Study, cell: Cell, outcome: Outcome) -> None:
        """Keep a cell with all its rows, or its error, in one transaction."""
        key = self.key(study, cell)
        seeds = json.dumps(cell.spec.get("seeds", []))
        about = (key, study.name, json.dumps(cell.spec), self.version, git_revision(), seeds)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        status = "failed" if outcome.error else "done"
        ran = (outcome.device, outcome.torch, outcome.seconds, now, status, outcome.error)
        with self._transaction():
            self._db.execute("DELETE FROM cells WHERE key = ?", (key,))
            self._db.execute(f"INSERT INTO cells VALUES ({', '.join('?' * 12)})", (*about, *ran))
            rows = [(key, replicate, data) for replicate, data in enumerate(outcome.rows)]
            self._db.executemany("INSERT INTO rows VALUES (?, ?, ?)", rows)

    # Reading.

    def studies(self) -> dict[str, str]:
        """The studies that were run here, by name, each with the path of its file."""
        return dict(self._query("SELECT study, file FROM runs ORDER BY study"))

    def latest(self, study: Study) -> tuple[str, int]:
        """Scale and seed of the latest run of a study.

        Raises:
            InputError: if it was never run here.
        """
        found = self._query("SELECT scale, seed FROM runs WHERE study = ?", study.name)
        if not found:
            raise reject("study", "one of " + ", ".join(self.studies()), repr(study.name), "run it first")
        return found[0]

    def missing(self, study: Study) -> list[Cell]:
        """The cells of the latest run that are not done, failed ones among them, in the order of the grid."""
        done = {key for (key,) in self._query("SELECT key FROM cells WHERE status = 'done'")}
        return [cell for cell in self._cells(study) if self.key(study, cell) not in done]

    def provenance(self, study: Study) -> pd.DataFrame:
        """One line per stored cell of the latest run: specification, version, revision, device, torch, time, error."""
        names = ("spec", "version", "revision", "seeds", "device", "torch", "seconds", "finished", "status", "error")
        stored = {key: row for key, *row in self._query(f"SELECT key, {', '.join(names)} FROM cells")}
        keys = [self.key(study, cell) for cell in self._cells(study)]
        return pd.DataFrame([stored[key] for key in keys if key in stored], columns=list(names))

    def records(self, study: Study) -> list[dict[str, Any]]:
        """The rows of the latest run's cells, in the order of the grid and of the replicates, whichever came first.

        Every row has the columns of all: first the specification's (nested names joined by ``_``, ``seeds`` as each
        row's ``seed``), then the measured ones, in order of appearance; None where a cell does not have them.
        """
        stored: dict[str, list[dict[str, Any]]] = {}
        for key, data in self._query("SELECT cell, data FROM rows ORDER BY cell, replicate"):
            stored.setdefault(key, []).append(json.loads(data))
        pairs = [
            (flatten(cell.spec, replicate), row)
            for cell in self._cells(study)
            for replicate, row in enumerate(stored.get(self.key(study, cell), ()))
        ]
        columns = dict.fromkeys([name for part in (0, 1) for pair in pairs for name in pair[part]])
        return [{**columns, **spec, **row} for spec, row in pairs]

    def frame(self, study: Study) -> pd.DataFrame:
        """:meth:`records` as a table; columns with integers beyond 64 bits hold Python ints."""
        return to_frame(self.records(study))

    # Within.

    def _cells(self, study: Study) -> list[Cell]:
        return study.cells(*self.latest(study))

    def _query(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with plain_errors(self.path):
            return self._db.execute(statement, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with plain_errors(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")


@contextmanager
def plain_errors(path: Path) -> Iterator[None]:
    """Say in one sentence what SQLite met: a file that is no store, or a disk that is full."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # the low byte is the kind of error
        if code in UNUSABLE or "no such" in str(error):
            way_out = "use another folder, or move the file away"
            raise reject("output", "a store of results", f"{str(path)!r} ({error})", way_out) from None
        way_out = "finished cells are kept, and the same run goes on from there"
        raise RunFailed(f"{path}: {error}; {way_out}") from None


def _create(path: Path) -> None:
    """Lay out an empty file; any other is left as it is."""
    if path.exists() and path.stat().st_size:
        return
    with plain_errors(path), closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript(f"BEGIN IMMEDIATE; {SCHEMA} COMMIT;")
