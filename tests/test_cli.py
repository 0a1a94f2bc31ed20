"""The command line: every verb, and a sentence with the right exit code for everything that can be wrong."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from stored import finished

from pgm_rnn import Sequences, load, processes
from pgm_rnn.cli import app, main
from pgm_rnn.experiment.study import RunFailed
from pgm_rnn.models import BernoulliHalt, EndSymbol, PredictedLength

FAKE = Path(__file__).with_name("fake_study.py")
VERBS = ("list", "run", "report", "fit", "score", "sample", "compare", "turing")


class Result:
    """What a command said, and its exit code."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> None:
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        self.code = caught.value.code or 0
        self.out, self.err = capsys.readouterr()


@pytest.fixture
def words(tmp_path: Path) -> Path:
    """Sixty words of the even process."""
    path = tmp_path / "words.csv"
    generator = torch.Generator().manual_seed(1)
    Sequences(processes.even()(4).sample((60,), generator=generator), 2).write(path)
    return path


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(capsys: pytest.CaptureFixture[str], verb: str) -> None:
    result = Result(capsys, verb, "--help")
    assert result.code == 0
    assert f"Example: pgm-rnn {verb}" in result.out


def test_the_verbs_are_the_fixed_ones(capsys: pytest.CaptureFixture[str]) -> None:
    out = Result(capsys, "--help").out
    assert tuple(re.findall(r"^  (\w+) ", out.partition("Commands:")[2], re.MULTILINE)) == VERBS


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert "mess3(x=0.05, a=0.85)\n" in Result(capsys, "list", "processes").out
    assert "recurrent(alphabet_size, hidden_dim" in Result(capsys, "list", "models").out
    assert "table-vs-rnn: " in Result(capsys, "list", "studies").out
    everything = Result(capsys, "list").out
    assert all(f"{kind}:\n" in everything for kind in ("studies", "processes", "models"))


def test_sample_is_seeded_and_keeps_its_prefix(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("sample", "--process", "golden-mean(p=0.4)", "-n", "20", "-T", "6", "--prefix", "1,0,1")
    first, again, other = (Result(capsys, *arguments, "--seed", seed) for seed in ("1", "1", "2"))
    assert first.out == again.out != other.out
    rows = [[int(y) for y in line.split(",")] for line in first.out.splitlines()]
    assert np.shape(rows) == (20, 6)
    assert all(row[:3] == [1, 0, 1] for row in rows)
    assert torch.isfinite(processes.golden_mean(0.4)(6).log_prob(torch.tensor(rows))).all()


@pytest.mark.parametrize("suffix", [".csv", ".npz"])
def test_sample_to_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"words{suffix}"
    assert Result(capsys, "sample", "--process", "mess3", "-n", "7", "-T", "3", "-o", target).code == 0
    assert Sequences.read(target).symbols.shape == (7, 3)


def test_fit_score_sample_go_together(capsys: pytest.CaptureFixture[str], tmp_path: Path, words: Path) -> None:
    target = tmp_path / "model.safetensors"
    said = Result(capsys, "fit", words, "--model", "markov(order=1)", "-o", target)
    assert said.code == 0
    assert "nats per word" in said.out
    assert load(target).configuration()["order"] == 1
    assert float(re.search(r"cross_entropy_nats_per_word +(\S+)", Result(capsys, "score", target, words).out)[1]) > 0
    exact = Result(capsys, "score", target, "--process", "even", "-T", "4").out
    assert float(re.search(r"divergence_nats_per_word +(\S+)", exact)[1]) > 0
    assert exact.endswith("exact\n")
    assert Result(capsys, "score", target, "--process", "even", "-T", "4", "-n", "50").out.endswith("monte-carlo\n")
    assert len(Result(capsys, "sample", target, "-n", "3", "-T", "9").out.splitlines()) == 3


def test_fit_to_a_process_is_exact(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    target = tmp_path / "model.safetensors"
    said = Result(capsys, "fit", "--process", "golden-mean", "-T", "5", "--model", "markov(order=1)", "-o", target)
    training = float(re.search(r"training +(\S+)", said.out)[1])
    assert training == pytest.approx(processes.golden_mean().block_entropy(5), abs=1e-6)


def test_fit_in_another_mode(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """With nothing but its own vectors fed, a network cannot get below the sum of H(y_t)."""
    target, process = tmp_path / "model.safetensors", ("--process", "golden-mean", "-T", "4")
    said = Result(
        capsys, "fit", *process, "--model", "recurrent(hidden_dim=3)", "--mode", "output-vector", "-o", target
    )
    floor = 4 * processes.golden_mean().block_entropy(1)
    assert float(re.search(r"training +(\S+)", said.out)[1]) == pytest.approx(floor, abs=1e-5)


def test_compare_ranks_the_ladder(capsys: pytest.CaptureFixture[str], tmp_path: Path, words: Path) -> None:
    said = Result(capsys, "compare", words, "--output", tmp_path)
    assert said.code == 0
    lines = (tmp_path / "compare" / "compare.csv").read_text().splitlines()
    assert lines[0].startswith("model,rank,")
    assert {line.split(",")[0] for line in lines[1:]} == {"iid", "markov", "rnn-4", "rnn-16", "table"}
    assert all(name in said.out for name in ("iid", "markov", "rnn-4", "rnn-16", "table"))


@pytest.fixture
def ragged(tmp_path: Path) -> Path:
    """Forty words of two or three symbols."""
    path = tmp_path / "ragged.csv"
    path.write_text("0,1,1\n1,0\n" * 20)
    return path


def number(said: str, name: str) -> float:
    found = re.search(rf"{name} +(\S+)", said)
    assert found is not None
    return float(found[1])


ENDED = {
    "end-symbol": ("markov(order=2, pseudocount=0)", EndSymbol),
    "halt": ("markov(order=2, pseudocount=0)", BernoulliHalt),
    "length": ("markov(order=2)", PredictedLength),
    "remaining": ("markov(order=2)", PredictedLength),
}


@pytest.mark.parametrize("ending", ENDED)
def test_words_of_different_lengths_and_their_ends(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, ragged: Path, ending: str
) -> None:
    model, kind = ENDED[ending]
    fitted = Result(capsys, "fit", ragged, "--model", model, "--ending", ending, "-o", tmp_path / "m")
    assert (fitted.code, fitted.err) == (0, "")
    assert type(load(tmp_path / "m")) is kind
    said = Result(capsys, "score", tmp_path / "m", ragged).out
    assert number(said, "cross_entropy_nats_per_word") == pytest.approx(np.log(2), abs=0.1)
    drawn = Result(capsys, "sample", tmp_path / "m", "-n", "50", "-T", "6")
    assert drawn.err == "0 of 50 words had not ended after 6 symbols, and are cut there\n"
    assert {len(line.split(",")) for line in drawn.out.splitlines()} <= {1, 2, 3}
    begun = Result(capsys, "sample", tmp_path / "m", "-n", "5", "-T", "6", "--prefix", "1")
    assert all(line.startswith("1") for line in begun.out.splitlines())
    assert Result(capsys, "sample", tmp_path / "m", "-n", "50", "-T", "2", "-o", tmp_path / "x.npz").code == 0
    assert Sequences.read(tmp_path / "x.npz").symbols.shape == (50, 2)


def test_without_an_ending_words_go_as_far_as_they_go(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, ragged: Path
) -> None:
    said = Result(capsys, "fit", ragged, "--model", "tabular(pseudocount=0)", "-o", tmp_path / "m")
    assert "as far as they go; --ending learns their ends too" in said.err
    assert number(said.out, "training") == pytest.approx(np.log(2), abs=1e-6)  # the first symbol tells the others
    assert number(Result(capsys, "score", tmp_path / "m", ragged).out, "cross_entropy_nats_per_word") > 0.69
    compared = Result(capsys, "compare", ragged, "--output", tmp_path)
    assert compared.code == 0
    assert "markov" in compared.out


def test_processes_whose_words_end(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    drawn = Result(
        capsys, "sample", "--process", "golden-mean", "--ending", "geometric(halt=0.5)", "-n", "400", "-T", "3"
    )
    lengths = np.array([len(line.split(",")) for line in drawn.out.splitlines()])
    assert abs(float((lengths == 1).mean()) - 0.5) < 0.1
    cut = re.match(r"(\d+) of 400 words had not ended after 3 symbols", drawn.err)
    assert cut is not None
    assert abs(int(cut[1]) / 400 - 0.125) < 0.06
    fit = ("fit", "--process", "uniform-length(longest=3)", "-T", "3", "--model", "tabular", "--ending")
    for ending in ("end-symbol", "halt", "length"):
        assert Result(capsys, *fit, ending, "-o", tmp_path / "m").code == 0
        said = Result(capsys, "score", tmp_path / "m", "--process", "uniform-length(longest=3)", "-T", "3").out
        assert number(said, "divergence_nats_per_word") == pytest.approx(0.0, abs=1e-9)


SAMPLE = ("sample", "--process", "even")
FIT = ("fit", "--process", "even", "-T", "4", "-o", "model")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nonsense",), "No such command"),
        (("run",), "Missing argument"),
        (("run", "table-vs-rn"), "did you mean 'table-vs-rnn'?"),
        (("run", "absent.py"), "study: expected a Python file that can be read"),
        (("run", FAKE, "--scale", "tiny"), "scale: expected one of full, smoke, standard"),
        (("run", FAKE, "--workers", "0"), "workers: expected an integer of at least 1"),
        (("run", FAKE, "--workers", "x"), "workers"),
        (("run", FAKE, "--workers", "1", "--cluster", "tcp://x:1"), "either workers or a cluster"),
        (("run", FAKE, "--output", "/proc/nowhere"), "output: expected a folder that can be written"),
        (("run", FAKE, "--device", "tpu"), "device: expected one of"),
        (("list", "colours"), "what: expected one of"),
        (("report", "--output", "empty"), "output: expected a folder with results.sqlite"),
        ((*SAMPLE, "-n", "0", "-T", "3"), "num_sequences: expected an integer of at least 1, got 0"),
        ((*SAMPLE, "-n", "3", "-T", "0"), "duration: expected an integer of at least 1, got 0"),
        ((*SAMPLE, "-n", "3"), "duration"),
        ((*SAMPLE, "-n", "1" + "0" * 12, "-T", "3"), "num_sequences: expected at most"),
        ((*SAMPLE, "-T", "3", "--seed", "-1"), "seed: expected an integer of at least 0"),
        ((*SAMPLE, "-T", "3", "--prefix", "0,2"), "prefix: expected symbols in 0..1"),
        ((*SAMPLE, "-T", "3", "--prefix", "0,a"), "prefix: expected symbols separated by commas"),
        ((*SAMPLE, "-T", "4", "--prefix", "0,1,0"), "prefix: expected a prefix of positive probability"),
        ((*SAMPLE, "-T", "3", "-o", "words.txt"), "a name ending in .csv or .npz"),
        ((*SAMPLE, "-T", "3", "-o", "nowhere/words.csv"), "folder that can be written"),
        ((*SAMPLE, "words.csv"), "file: expected either a file or --process, got both"),
        (("sample", "-T", "3"), "file: expected either a file or --process, got neither"),
        (("sample", "words.csv", "-T", "3"), "path: expected a model file written by save"),
        (("sample", "--process", "evn", "-T", "3"), "did you mean 'even'?"),
        (("sample", "--process", "even(q=1)", "-T", "3"), "process: expected even(p=0.5)"),
        (("sample", "--process", "even(p=2)", "-T", "3"), "p: expected a number"),
        (("sample", "--process", "even(p=open('x'))", "-T", "3"), "numbers, strings or lists as arguments"),
        ((*FIT, "--model", "recurent"), "did you mean 'recurrent'?"),
        (
            (*FIT, "--model", "recurrent(hidden_dim=2)", "--mode", "free"),
            "mode: expected one of free-running, output-v",
        ),
        ((*FIT, "--model", "recurrent"), "missing a required argument: 'hidden_dim'"),
        (("fit", "words.csv", "-T", "4", "-o", "m", "--model", "tabular"), "-n and -T with --process only"),
        (("fit", "absent.csv", "-o", "m", "--model", "tabular"), "data: expected a file, got 'absent.csv'"),
        (("fit", "words.csv", "-o", "nowhere/m", "--model", "tabular"), "folder that can be written"),
        (("fit", "text.csv", "-o", "m", "--model", "tabular"), "integer symbols separated by commas"),
        (("fit", "empty.csv", "-o", "m", "--model", "tabular"), "at least one word"),
        (("fit", "--process", "random-markov", "-T", "20", "-o", "m", "--model", "tabular"), "use a Markov"),
        (
            ("fit", "words.csv", "-o", "m", "--model", "markov(order=1)", "--ending", "hal"),
            "ending: expected one of end-symbol, halt, length, r",
        ),
        (
            (*FIT, "--model", "markov(order=1)", "--ending", "halt"),
            "ending: expected a process whose words end, such as brackets, got even; give its words an end by sample",
        ),
        (("sample", "m", "--ending", "geometric", "-T", "3"), "ending: expected --process beside it"),
        ((*SAMPLE, "--ending", "geometri", "-T", "3"), "ending: expected one of bimodal, geometric, uniform"),
        ((*SAMPLE, "--ending", "geometric(halt=2)", "-T", "3"), "halt: expected a number in (0, 1), got 2"),
        (
            ("sample", "--process", "brackets", "--ending", "uniform", "-T", "3"),
            "process: expected a stationary process",
        ),
        (("score", "words.csv", "words.csv"), "path: expected a model file written by save"),
        (("score", "absent", "--process", "even", "-T", "3"), "path: expected a model file"),
        (("compare", "absent.csv"), "data: expected a file"),
        (("compare", "one.csv"), "at least 2 words"),
        (("compare", "words.csv", "--output", "text.csv/below"), "output: expected a folder that can be written"),
    ],
    ids=lambda value: " ".join(Path(part).name[:20] for part in value) if isinstance(value, tuple) else "",
)
def test_bad_use_is_a_sentence(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: Path,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(words.parent)
    Path("text.csv").write_text("0,1\na,b\n")
    Path("empty.csv").write_text("\n")
    Path("one.csv").write_text("0,1\n")
    before = sorted(Path().iterdir())
    result = Result(capsys, *arguments)
    assert result.code == 2
    assert message in result.err
    assert result.out == ""
    assert sorted(Path().iterdir()) == before


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (RunFailed("1 cells failed"), 1, "1 cells failed"),
        (OSError(28, "No space left on device", "x.csv"), 1, "x.csv: No space left on device"),
        (PermissionError(13, "Permission denied", "x.csv"), 2, "x.csv: Permission denied"),
        (MemoryError(), 1, "out of memory"),
        (KeyboardInterrupt(), 130, "stopped"),
    ],
)
def test_exit_codes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, message: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("pgm_rnn.checks.check_name", fail)
    result = Result(capsys, "list")
    assert result.code == code
    assert message in result.err


def test_a_defect_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pgm_rnn.checks.check_name", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        app(["list"])


# Whole processes.


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "pgm_rnn", *map(str, arguments)]


ENVIRONMENT = os.environ | {"PYTHONPATH": str(FAKE.parents[1])}


def test_help_does_not_load_torch() -> None:
    script = "import sys, pgm_rnn.cli; sys.exit('torch' in sys.modules or 'pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], env=ENVIRONMENT).returncode == 0


def test_a_reader_that_leaves_is_no_error() -> None:
    arguments = command("sample", "--process", "even", "-n", "50000", "-T", "8")
    process = subprocess.Popen(arguments, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() in (0, 1)


@contextmanager
def default_interrupt() -> Iterator[None]:
    """Programs started in a background job inherit that Ctrl-C is ignored; those started here do not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_run_that_is_stopped_goes_on(tmp_path: Path) -> None:
    """Ctrl-C reaches the whole process group, workers too; the second run has but the last cell to compute."""
    environment = ENVIRONMENT | {"FAKE_MODES": f"wait-for:/dev/null wait-for:{tmp_path / 'go'} wait-for:/dev/null"}
    arguments = command("run", FAKE, "--scale", "smoke", "--workers", "2", "--output", tmp_path)
    with default_interrupt():
        process = subprocess.Popen(
            arguments, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
    end = time.monotonic() + 60
    while sorted(finished(tmp_path)) != [0, 2]:
        assert time.monotonic() < end
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate()[1]
    assert process.returncode == 130
    assert said == "pgm-rnn: stopped; finished cells are kept, and the same command goes on from there\n"
    (tmp_path / "go").touch()
    resumed = subprocess.run(arguments, env=environment, capture_output=True, text=True)
    assert (resumed.returncode, resumed.stderr) == (0, "")
    assert sorted(finished(tmp_path)) == [0, 1, 2]
    assert (tmp_path / "fake" / "index.html").is_file()
    assert "fake: supported (0.5 nats)" in resumed.stdout


def test_a_report_comes_from_stored_results_alone(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from pgm_rnn.experiment.discovery import load_study
    from pgm_rnn.experiment.store import Store
    from pgm_rnn.experiment.worker import Outcome, row_text

    study = load_study(FAKE)
    with Store.writing(tmp_path) as store:
        store.begin(study, "smoke", 0)
        for cell in study.cells("smoke"):
            store.put(study, cell, Outcome((row_text({"loss_nats": 0.1}), row_text({"loss_nats": 0.3}))))
    assert Result(capsys, "report", FAKE, "--output", tmp_path).code == 0
    assert json.loads((tmp_path / "fake" / "verdict.json").read_text())["verdict"] == "supported"
    assert "Are squares small?" in (tmp_path / "fake" / "index.html").read_text()
