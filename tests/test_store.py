"""The store keeps what it was given, all of a cell or nothing of it, and says plainly what it cannot use."""

from __future__ import annotations

import dataclasses
import math
import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pgm_rnn import __version__
from pgm_rnn.checks import InputError
from pgm_rnn.experiment.discovery import load_study
from pgm_rnn.experiment.store import Store
from pgm_rnn.experiment.study import Cell, RunFailed, Study
from pgm_rnn.experiment.table import to_csv
from pgm_rnn.experiment.worker import Outcome, row_text

STUDY = load_study(Path(__file__).with_name("fake_study.py"))
CELLS = STUDY.cells("smoke")
HUGE = 4**40


def outcome(cell: Cell) -> Outcome:
    others = {"kl_nats": math.inf, "seconds": 0.5}
    rows = [row_text({"square": seed**2, "stored": HUGE + seed, **others}) for seed in cell.spec["seeds"]]
    return Outcome(tuple(rows), seconds=1.5, device="cpu")


def fill(output: Path, cells: list[Cell], version: str | None = None) -> None:
    with Store.writing(output, version) as store:
        store.begin(STUDY, "smoke", 0)
        for cell in cells:
            store.put(STUDY, cell, outcome(cell))


def records(output: Path, study: Study = STUDY) -> list[dict[str, Any]]:
    with Store(output) as store:
        return store.records(study)


def test_numbers_come_back_as_they_were(tmp_path: Path) -> None:
    row = {"huge": -(2**200), "edge": 2**63, "inf": -math.inf, "nan": math.nan, "tiny": 5e-324, "text": "ü,\n"}
    with Store.writing(tmp_path) as store:
        store.begin(STUDY, "smoke", 0)
        store.put(STUDY, CELLS[0], Outcome((row_text(row), row_text(row))))
        record = store.records(STUDY)[0]
        frame = store.frame(STUDY)
    assert math.isnan(record.pop("nan"))
    assert {name: record[name] for name in row if name != "nan"} == {n: v for n, v in row.items() if n != "nan"}
    assert type(frame["edge"][0]) is int
    assert frame["huge"].tolist() == [-(2**200)] * 2
    assert frame["inf"].tolist() == [-math.inf] * 2


def test_the_table_does_not_depend_on_the_order_of_computation(tmp_path: Path) -> None:
    fill(tmp_path / "a", CELLS)
    shuffled = CELLS[:]
    random.Random(1).shuffle(shuffled)
    assert shuffled != CELLS
    fill(tmp_path / "b", shuffled)
    first, second = (to_csv(records(tmp_path / name)) for name in "ab")
    assert first == second
    assert first.splitlines()[:3] == [
        "number,mode,model_name,seed,square,stored,kl_nats,seconds",
        f"0,,square,0,0,{HUGE},inf,0.5",
        f"0,,square,1,1,{HUGE + 1},inf,0.5",
    ]


def test_cells_with_other_columns_leave_gaps(tmp_path: Path) -> None:
    cells = [Cell({"model": {"order": 2}}), Cell({"model": {"hidden_dim": 4}, "seeds": [7]})]
    study = dataclasses.replace(STUDY, grid=lambda scale: cells)
    with Store.writing(tmp_path) as store:
        store.begin(study, "smoke", 0)
        for cell, name in zip(cells, ("a", "b"), strict=True):
            store.put(study, cell, Outcome((row_text({name: 1}),)))
        assert to_csv(store.records(study)) == "model_order,model_hidden_dim,seed,a,b\n2,,,1,\n,4,7,,1\n"


def test_a_cell_carries_its_provenance(tmp_path: Path) -> None:
    fill(tmp_path, CELLS[:1])
    with Store(tmp_path) as store:
        line = store.provenance(STUDY).iloc[0]
    assert line["version"] == __version__
    assert (line["device"], line["seconds"], line["seeds"], line["status"]) == ("cpu", 1.5, "[0, 1]", "done")
    assert line["finished"].endswith("+00:00")
    revision = subprocess.run(["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True)
    if revision.returncode == 0:
        assert line["revision"].removesuffix("-dirty") == revision.stdout.strip()


def test_a_changed_specification_or_version_is_computed_anew(tmp_path: Path) -> None:
    fill(tmp_path, CELLS)
    with Store.writing(tmp_path) as store:
        assert store.missing(STUDY) == []
        changed = [Cell({**cell.spec, "number": 10}) for cell in CELLS[:1]] + CELLS[1:]
        assert store.missing(dataclasses.replace(STUDY, grid=lambda scale: changed)) == changed[:1]
    with Store.writing(tmp_path, version="99") as store:
        assert store.missing(STUDY) == CELLS
        assert store.records(STUDY) == []
    assert len(records(tmp_path)) == 6


def test_only_the_cells_of_the_latest_run_are_shown(tmp_path: Path) -> None:
    fill(tmp_path, CELLS)
    with Store.writing(tmp_path) as store:
        store.begin(STUDY, "full", 0)
        assert len(store.missing(STUDY)) == 6
        store.begin(STUDY, "smoke", 5)
        assert store.missing(STUDY) == STUDY.cells("smoke", 5)
        assert store.latest(STUDY) == ("smoke", 5)
        assert store.studies() == {"fake": str(Path(__file__).with_name("fake_study.py").resolve())}


def test_a_failed_cell_is_kept_with_its_error_and_stays_missing(tmp_path: Path) -> None:
    with Store.writing(tmp_path) as store:
        store.begin(STUDY, "smoke", 0)
        store.put(STUDY, CELLS[1], Outcome(error="ValueError: no"))
        assert store.missing(STUDY) == CELLS
        assert store.provenance(STUDY)[["status", "error"]].to_numpy().tolist() == [["failed", "ValueError: no"]]
        store.put(STUDY, CELLS[1], outcome(CELLS[1]))
        assert store.missing(STUDY) == [CELLS[0], CELLS[2]]
        assert store.provenance(STUDY)["status"].tolist() == ["done"]


def test_a_cell_goes_in_whole_or_not_at_all(tmp_path: Path) -> None:
    with Store.writing(tmp_path) as store:
        store.begin(STUDY, "smoke", 0)
        broken = Outcome((row_text({"a": 1}), None))  # type: ignore[arg-type]  # the second row is refused
        with pytest.raises(RunFailed, match="NOT NULL"):
            store.put(STUDY, CELLS[0], broken)
        assert store.missing(STUDY) == CELLS
        assert store.records(STUDY) == []
        store.put(STUDY, CELLS[0], outcome(CELLS[0]))
        assert len(store.records(STUDY)) == 2


def test_one_run_at_a_time(tmp_path: Path) -> None:
    with Store.writing(tmp_path), pytest.raises(InputError, match="one run at a time"), Store.writing(tmp_path):
        pass
    fill(tmp_path, CELLS)  # the first one has let go


def test_reading_does_not_wait_for_a_run(tmp_path: Path) -> None:
    fill(tmp_path, CELLS[:1])
    with Store.writing(tmp_path) as store, Store(tmp_path) as reader:
        assert len(reader.records(STUDY)) == 2
        store.put(STUDY, CELLS[1], outcome(CELLS[1]))
        assert len(reader.records(STUDY)) == 4


def test_without_results_there_is_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="run a study first"):
        Store(tmp_path / "absent")
    fill(tmp_path, CELLS)
    with pytest.raises(InputError, match="study: expected one of fake, got 'other'; run it first"):
        records(tmp_path, dataclasses.replace(STUDY, name="other"))


@pytest.mark.parametrize("content", [b"no database, but long enough" * 100, b"SQLite format 3\0" + b"x" * 4000])
def test_a_file_that_is_no_store_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "results.sqlite"
    path.write_bytes(content)
    for opened in (lambda: Store.writing(tmp_path).__enter__(), lambda: Store(tmp_path)):
        with pytest.raises(InputError, match="output: expected a store of results"):
            opened()
    assert path.read_bytes() == content


def test_a_foreign_database_is_no_store(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "results.sqlite")
    database.execute("CREATE TABLE cells (name TEXT)")
    database.close()
    content = (tmp_path / "results.sqlite").read_bytes()
    with pytest.raises(InputError, match="no such table"), Store.writing(tmp_path):
        pass
    assert (tmp_path / "results.sqlite").read_bytes() == content


def test_a_damaged_page_is_told_in_one_sentence(tmp_path: Path) -> None:
    fill(tmp_path, CELLS)
    path = tmp_path / "results.sqlite"
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(InputError, match="malformed"):
        records(tmp_path)


def test_an_output_that_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for output in (tmp_path / "file", tmp_path / "file" / "below", "/proc/nowhere"):
        with pytest.raises(InputError, match="output: expected a folder that can be written"), Store.writing(output):
            pass


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 128 KiB."""
    command = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(tmp_path)]
    mounted = subprocess.run(command, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no permission to mount a small disk: {mounted.stderr.strip()}")
    yield tmp_path
    subprocess.run(["umount", "--lazy", tmp_path], check=True)


def test_a_full_disk_loses_nothing(tiny_disk: Path) -> None:
    big = Outcome((row_text({"text": "x" * 200_000}),))
    fill(tiny_disk, CELLS[:1])
    with Store.writing(tiny_disk) as store:
        with pytest.raises(RunFailed, match=r"full.*finished cells are kept"):
            store.put(STUDY, CELLS[1], big)
        assert store.missing(STUDY) == CELLS[1:]
        store.put(STUDY, CELLS[1], outcome(CELLS[1]))  # a smaller one still fits
    assert len(records(tiny_disk)) == 4


def test_a_full_database_loses_nothing(tmp_path: Path) -> None:
    """The same without a small disk: SQLite is told to take no more pages."""
    fill(tmp_path, CELLS[:1])
    with Store.writing(tmp_path) as store:
        store._query("PRAGMA max_page_count = 10")
        with pytest.raises(RunFailed, match="full"):
            store.put(STUDY, CELLS[1], Outcome((row_text({"text": "x" * 200_000}),)))
        assert store.missing(STUDY) == CELLS[1:]
    fill(tmp_path, CELLS[1:])
    assert len(records(tmp_path)) == 6


def test_a_killed_writer_leaves_no_lock(tmp_path: Path) -> None:
    script = f"""
import os, signal
from pathlib import Path
from pgm_rnn.experiment.store import Store
with Store.writing({str(tmp_path)!r}):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True)
    assert done.returncode == -9
    fill(tmp_path, CELLS)
