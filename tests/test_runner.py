"""A run computes what is missing, survives its workers and its own death, and always ends with the same table."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pandas as pd
import pytest
import torch
from stored import finished

from pgm_rnn.checks import InputError
from pgm_rnn.experiment import pool, runner, store
from pgm_rnn.experiment.discovery import load_study
from pgm_rnn.experiment.runner import run_study
from pgm_rnn.experiment.study import RunFailed
from pgm_rnn.experiment.worker import Task, compute

FAKE = Path(__file__).with_name("fake_study.py")


def timeless(folder: Path) -> pd.DataFrame:
    """A study's CSV but for its time columns, as text."""
    table = pd.read_csv(folder / "results.csv", dtype=str)
    return table.drop(columns=[name for name in table if "seconds" in name])


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Cells are computed in this process, one after the other; lists the numbers of those that were."""
    numbers: list[int] = []

    def here(tasks: Sequence[Task], workers: int) -> Iterator[pool.Finished]:
        for task in tasks:
            numbers.append(task.spec["number"])
            yield task, compute(task)

    monkeypatch.setattr(runner, "on_this_machine", here)
    threads = torch.get_num_threads()
    yield numbers
    torch.set_num_threads(threads)


def test_a_run_gives_all_rows_and_writes_them(computed: list[int], tmp_path: Path) -> None:
    frame = run_study(FAKE, "smoke", tmp_path)
    assert frame["square"].tolist() == [0, 1, 1, 4, 4, 9]
    assert frame["huge"][5] == 4**120
    assert timeless(tmp_path / "fake")["huge"][5] == str(4**120)
    verdict = json.loads((tmp_path / "fake" / "verdict.json").read_text())
    assert (verdict["study"], verdict["verdict"], verdict["value"]) == ("fake", "supported", pytest.approx(0.5))


def test_stored_cells_are_not_computed_again(computed: list[int], tmp_path: Path) -> None:
    run_study(FAKE, "smoke", tmp_path)
    run_study(FAKE, "standard", tmp_path)
    assert computed == [0, 1, 2, 3, 4, 5]
    run_study(FAKE, "standard", tmp_path / "other")
    pd.testing.assert_frame_equal(timeless(tmp_path / "fake"), timeless(tmp_path / "other" / "fake"))
    assert len(run_study(FAKE, "smoke", tmp_path)) == 6  # a smaller scale shows its own cells alone
    assert len(computed) == 12


def test_another_version_computes_anew(computed: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_study(FAKE, "smoke", tmp_path)
    monkeypatch.setattr(store, "__version__", "99")
    run_study(FAKE, "smoke", tmp_path)
    assert computed == [0, 1, 2, 0, 1, 2]


def test_a_failing_cell_is_named_and_tried_again(
    computed: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = load_study(FAKE)

    def measure(spec: dict[str, object], device: torch.device) -> Sequence[dict[str, object]]:
        if spec["number"] == 1 and not (tmp_path / "mended").exists():
            raise ValueError("not yet")
        return study.measure(spec, device)  # type: ignore[return-value]

    mine = dataclasses.replace(study, measure=measure, source=None)
    with pytest.raises(RunFailed, match=r'1 cells of fake failed.*\n.*"number": 1.*ValueError: not yet'):
        run_study(mine, "smoke", tmp_path)
    assert len(timeless(tmp_path / "fake")) == 4
    assert not (tmp_path / "fake" / "verdict.json").exists()
    (tmp_path / "mended").touch()
    assert len(run_study(mine, "smoke", tmp_path)) == 6
    assert computed == [0, 1, 2, 1]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (lambda spec: [{"a": 1}], "1 rows for 2 seeds"),
        (lambda spec: [{"a": object()}] * 2, "AttributeError"),
        (lambda spec: None, "TypeError"),
    ],
)
def test_wrong_rows_fail_their_cell(rows: Callable[[object], object], message: str) -> None:
    outcome = compute(Task("", {"seeds": [0, 1]}, "cpu", None, lambda spec, device: rows(spec)))  # type: ignore[arg-type,return-value]
    assert outcome.rows == ()
    assert message in outcome.error


def test_a_rule_that_fails_says_so(computed: list[int], tmp_path: Path) -> None:
    study = dataclasses.replace(load_study(FAKE), decide=lambda results: results["absent"])
    with pytest.raises(RunFailed, match="the rule of fake failed on its results: KeyError: 'absent'"):
        run_study(study, "smoke", tmp_path)
    assert len(timeless(tmp_path / "fake")) == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scale": "tiny"}, "scale: expected one of full, smoke, standard"),
        ({"workers": 0}, "workers: expected an integer of at least 1"),
        ({"device": "tpu"}, "device: expected one of"),
        ({"seed": -1}, "seed: expected an integer of at least 0"),
    ],
)
def test_bad_arguments_leave_no_trace(tmp_path: Path, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        run_study(FAKE, output=tmp_path / "new", **arguments)  # type: ignore[arg-type]
    assert not (tmp_path / "new").exists()


def test_a_study_from_a_script_must_be_a_file(tmp_path: Path) -> None:
    def measure(spec: object, device: object) -> list[dict[str, object]]:
        return []

    measure.__module__ = "__main__"
    study = dataclasses.replace(load_study(FAKE), measure=measure, source=None)
    with pytest.raises(InputError, match=r"save it as a \.py file"):
        run_study(study, "smoke", tmp_path)


# Death at every step.


class Steps:
    """Counts what a run does to the outside world, and kills the process before step ``fatal``."""

    def __init__(self, fatal: int | None) -> None:
        self.fatal, self.count = fatal, 0

    def __call__(self, *_: object) -> None:
        if self.count == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        self.count += 1

    def before(self, function: Callable[..., object]) -> Callable[..., object]:
        def counted(*arguments: object, **keywords: object) -> object:
            self()
            return function(*arguments, **keywords)

        return counted

    @contextlib.contextmanager
    def watched(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """Every SQL statement, every cell, every write to disk and every rename is a step."""
        connect = sqlite3.connect

        def traced(*arguments: object, **keywords: object) -> sqlite3.Connection:
            connection: sqlite3.Connection = connect(*arguments, **keywords)  # type: ignore[call-overload]
            connection.set_trace_callback(self)
            return connection

        with monkeypatch.context() as patch:
            patch.setattr(store.sqlite3, "connect", traced)
            patch.setattr(store.Store, "put", self.before(store.Store.put))
            for name in ("fsync", "replace"):
                patch.setattr(os, name, self.before(getattr(os, name)))
            yield


def in_a_child(body: Callable[[], object]) -> int:
    """Run ``body`` in a forked process; its exit status, negative for a signal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking beside threads: the child uses none
        child = os.fork()
    if child == 0:
        try:
            body()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_run_killed_before_any_step_resumes_to_the_same_table(
    computed: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = Steps(None)
    with steps.watched(monkeypatch):
        run_study(FAKE, "smoke", tmp_path / "whole")
    assert steps.count > 30
    for fatal in range(steps.count):
        output = tmp_path / str(fatal)
        with Steps(fatal).watched(monkeypatch):
            assert in_a_child(lambda output=output: run_study(FAKE, "smoke", output)) == -signal.SIGKILL
        kept = finished(output)
        computed.clear()
        run_study(FAKE, "smoke", output)
        assert sorted(kept + computed) == [0, 1, 2]  # nothing is lost, nothing done twice
        pd.testing.assert_frame_equal(timeless(output / "fake"), timeless(tmp_path / "whole" / "fake"))
        verdicts = [(folder / "fake" / "verdict.json").read_text() for folder in (output, tmp_path / "whole")]
        assert verdicts[0] == verdicts[1]
        assert not list(output.rglob("*.tmp"))


# Worker processes.


def test_workers_that_die_or_raise_take_nobody_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_MODES", f"die raise die-once:{tmp_path / 'once'}")
    with pytest.raises(RunFailed) as caught:
        run_study(FAKE, "smoke", tmp_path, workers=3)
    failed = sorted(line for line in str(caught.value).splitlines() if line.startswith("{"))
    assert len(failed) == 2
    assert '"number": 0' in failed[0]
    assert failed[0].endswith("its worker process died twice")
    assert '"number": 1' in failed[1]
    assert "ValueError: this cell always raises (fake_study.py, line" in failed[1]
    assert timeless(tmp_path / "fake")["number"].tolist() == ["2", "2"]


def test_a_run_killed_in_a_cell_leaves_no_workers_and_resumes(
    computed: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Started from a script without a guard against being imported again, as a user may write it."""
    monkeypatch.setenv("FAKE_MODES", " ".join(["wait-for:/dev/null", *[f"wait-for:{tmp_path / 'go'}"] * 2]))
    script = tmp_path / "script.py"
    call = f"run_study({str(FAKE)!r}, 'smoke', {str(tmp_path)!r}, workers=2)"
    script.write_text(f"from pgm_rnn import run_study\n\n{call}\n")
    environment = os.environ | {"PYTHONPATH": str(FAKE.parents[1])}
    process = subprocess.Popen([sys.executable, script], env=environment, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: finished(tmp_path) == [0])
    workers = descendants(process.pid)
    assert len(workers) >= 2
    with pytest.raises(InputError, match="one run at a time"):
        run_study(FAKE, "smoke", tmp_path)
    process.kill()
    assert "Traceback" not in process.communicate()[1]
    wait_for(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))
    assert finished(tmp_path) == [0]
    (tmp_path / "go").touch()
    run_study(FAKE, "smoke", tmp_path)
    assert computed == [1, 2]
    run_study(FAKE, "smoke", tmp_path / "whole")
    pd.testing.assert_frame_equal(timeless(tmp_path / "fake"), timeless(tmp_path / "whole" / "fake"))


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def descendants(pid: int) -> list[int]:
    """Process ids of the children of a process, and of theirs."""
    texts = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    children = [int(child) for text in texts for child in text.split()]
    return children + [below for child in children for below in descendants(child)]


# A cluster.


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense", "tcp://127.0.0.1:x"])
def test_a_cluster_that_is_not_there(tmp_path: Path, address: str) -> None:
    pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    with pytest.raises(InputError, match=r"cluster: expected a Dask scheduler at tcp://host:port"):
        run_study(FAKE, "smoke", tmp_path, cluster=address)


def test_without_the_extra_a_cluster_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"cluster: expected the package distributed.*pgm-rnn\[cluster\]"):
        run_study(FAKE, "smoke", tmp_path, cluster="tcp://127.0.0.1:1")


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_cluster_gives_the_same_table(tmp_path: Path, computed: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    monkeypatch.setenv("FAKE_MODES", f"die-once:{tmp_path / 'once'}")
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        run_study(FAKE, "smoke", tmp_path, cluster=cluster.scheduler_address)
    assert computed == []
    run_study(FAKE, "smoke", tmp_path / "here")
    pd.testing.assert_frame_equal(timeless(tmp_path / "fake"), timeless(tmp_path / "here" / "fake"))
