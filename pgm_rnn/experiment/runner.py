"""Running a study: the cells that are not yet stored are computed, and the results are written."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pandas as pd

from pgm_rnn.checks import check_integer, reject
from pgm_rnn.devices import resolve_device
from pgm_rnn.experiment.discovery import find_study
from pgm_rnn.experiment.pool import on_cluster, on_this_machine
from pgm_rnn.experiment.store import Store
from pgm_rnn.experiment.study import Cell, RunFailed, Study, Verdict
from pgm_rnn.experiment.table import to_csv, to_frame
from pgm_rnn.experiment.worker import Task, one_line
from pgm_rnn.files import write_whole
from pgm_rnn.progress import progress_bar


def run_study(
    study: Study | str | os.PathLike[str],
    scale: str = "standard",
    output: str | os.PathLike[str] = "reports",
    *,
    workers: int | None = None,
    cluster: str | None = None,
    device: str = "auto",
    seed: int = 0,
    progress: bool = True,
) -> pd.DataFrame:
    """Compute what is missing of a study, and give all its results, one row per replicate.

    Cells that are in ``<output>/results.sqlite`` already, with the same specification and package version, are not
    computed again: a run that was stopped, or killed, goes on where it was. Writes ``<output>/<study>/results.csv``
    and ``verdict.json``.

    Args:
        study: a study, its name, or the path of a file that defines ``STUDY``.
        scale: ``"smoke"``, ``"standard"`` or ``"full"``.
        output: the folder of the results, made if need be.
        workers: the number of worker processes, by default one per processor, or one if they use a GPU.
        cluster: the address of a Dask scheduler, ``"tcp://host:8786"``, instead of processes here.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.
        seed: added to all seeds of the grid: another seed is a replication with fresh data.
        progress: show a bar with the time left, if there is a terminal.

    Raises:
        InputError: for an unknown study or scale, or an output folder that cannot be used or is in use.
        RunFailed: if cells failed, which are named, or the disk is full. What was finished is kept.
    """
    study = find_study(study)
    total = len(study.cells(scale, seed))
    if workers is not None:
        check_integer("workers", workers, 1)
    processes = workers or (default_workers(device) if cluster is None else 1)
    with Store.writing(output) as store:
        store.begin(study, scale, seed)
        cells = {cell.key: cell for cell in store.missing(study)}
        tasks = [_task(study, cell, device) for cell in cells.values()]
        finished = on_this_machine(tasks, processes) if cluster is None else on_cluster(tasks, cluster)
        errors: list[str] = []
        with progress_bar(study.name, progress) as report, closing(finished):
            for done, (task, outcome) in enumerate(finished, total - len(tasks) + 1):
                store.put(study, cells[task.key], outcome)
                if outcome.error:
                    errors.append(f"{json.dumps(task.spec)}: {outcome.error}")
                if report:
                    report(done, total)
        return _write_results(store, study, Path(output) / study.name, errors)


def default_workers(device: str) -> int:
    """One worker per processor that this process may use, or one for a GPU, whose lanes the replicates fill."""
    if resolve_device(device).type == "cuda":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _task(study: Study, cell: Cell, device: str) -> Task:
    if study.source is None and study.measure.__module__ == "__main__":
        way_out = "save it as a .py file that defines STUDY, and pass its path"
        raise reject("study", "one that worker processes can import", f"{study.name!r}, defined in a script", way_out)
    measure = study.measure if study.source is None else None
    return Task(cell.key, cell.spec, device, study.source, measure)


def _write_results(store: Store, study: Study, folder: Path, errors: Sequence[str]) -> pd.DataFrame:
    """Write the CSV and, of complete results only, the verdict."""
    records = store.records(study)
    frame = to_frame(records)
    try:
        folder.mkdir(exist_ok=True)
        for litter in [*folder.glob(".results.csv.*.tmp"), *folder.glob(".verdict.json.*.tmp")]:
            litter.unlink()  # of a run that was killed while it wrote
        write_whole(folder / "results.csv", to_csv(records))
        if errors:
            (folder / "verdict.json").unlink(missing_ok=True)
            raise RunFailed(f"{len(errors)} cells of {study.name} failed, the others are kept:\n" + "\n".join(errors))
        write_whole(folder / "verdict.json", _decide(study, frame).to_json(study))
    except OSError as error:
        raise RunFailed(f"{folder}: {error.strerror}; finished cells are kept") from None
    return frame


def _decide(study: Study, frame: pd.DataFrame) -> Verdict:
    try:
        return study.decide(frame)
    except Exception as error:
        raise RunFailed(f"the rule of {study.name} failed on its results: {one_line(error)}") from error
