"""Inputs on the command line: answers to the words of a file, and models of words that come with inputs."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from pgm_rnn import Sequences, load, models, processes, save
from pgm_rnn.causal_conditioning import step_entropies
from pgm_rnn.cli import main


class Result:
    """What a command said, and its exit code."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> None:
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        self.code = caught.value.code or 0
        self.out, self.err = capsys.readouterr()

    @property
    def words(self) -> list[list[int]]:
        return [[int(symbol) for symbol in line.split(",")] for line in self.out.splitlines()]

    def number(self, name: str) -> float:
        found = re.search(rf"^{name} +(\S+)", self.out, re.MULTILINE)
        assert found is not None, self.out
        return float(found[1])


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three input words."""
    monkeypatch.chdir(tmp_path)
    Path("x.csv").write_text("0,1,1,0\n1,1,1,1\n0,0,1,0\n")
    return Path("x.csv")


def test_a_channel_answers_every_line(capsys: pytest.CaptureFixture[str], asked: Path) -> None:
    late = "delay(steps=1, flip=0.0)"
    assert Result(capsys, "sample", "--process", late, "--inputs", asked).words == [
        [0, 0, 1, 1],
        [0, 1, 1, 1],
        [0, 0, 0, 1],
    ]
    twice = Result(capsys, "sample", "--process", late, "--inputs", asked, "-n", "2").words
    assert twice == [[0, 0, 1, 1]] * 2 + [[0, 1, 1, 1]] * 2 + [[0, 0, 0, 1]] * 2


def test_a_prefix_is_kept_where_it_is_possible(capsys: pytest.CaptureFixture[str], asked: Path) -> None:
    drawn = Result(capsys, "sample", "--process", "shared-coin", "--inputs", asked, "--prefix", "1,1").words
    assert [word[:2] for word in drawn] == [[1, 1]] * 3
    assert np.shape(drawn) == (3, 4)


def test_fit_score_sample_with_inputs(capsys: pytest.CaptureFixture[str], asked: Path) -> None:
    source = processes.running_parity(flip=0.2)
    data = source.draw(300, 4, torch.Generator().manual_seed(0))
    data.write("words.npz")
    assert Result(capsys, "sample", "--process", source.name, "-n", "300", "-T", "4", "-o", "more.npz").code == 0
    assert Sequences.read("more.npz").inputs is not None
    fitted = Result(capsys, "fit", "words.npz", "--model", "recurrent(hidden_dim=4)", "-o", "m")
    assert fitted.code == 0
    assert load("m").input_dim == 2
    loss = Result(capsys, "score", "m", "more.npz").number("cross_entropy_nats_per_word")
    exact = Result(capsys, "score", "m", "--process", source.name, "-T", "4")
    assert exact.number("entropy_nats_per_word") == pytest.approx(source.block_entropy(4))
    assert loss == pytest.approx(exact.number("cross_entropy_nats_per_word"), rel=0.1)
    answers = Result(capsys, "sample", "m", "--inputs", asked, "-n", "500", "-o", "answers.npz")
    assert answers.code == 0
    found = Sequences.read("answers.npz")
    assert found.inputs is not None
    assert found.inputs[::500].tolist() == [[0, 1, 1, 0], [1, 1, 1, 1], [0, 0, 1, 0]]
    first = found.symbols[:, 0] == found.inputs[:, 0]
    assert float(first.double().mean()) == pytest.approx(0.8, abs=0.1)
    again = Result(capsys, "sample", "m", "--inputs", "answers.npz")
    assert len(again.words) == 1500


def test_a_fit_to_a_channel_is_exact(capsys: pytest.CaptureFixture[str], asked: Path) -> None:
    model = "recurrent(hidden_dim=3, feedback=none)"
    said = Result(capsys, "fit", "--process", "binary-symmetric", "-T", "3", "--model", model, "-o", "m")
    floor = float(step_entropies(processes.binary_symmetric(), 3).without_feedback.sum())
    assert said.number("training") == pytest.approx(floor, abs=1e-4)


def test_a_chain_for_every_input_label(capsys: pytest.CaptureFixture[str], asked: Path) -> None:
    """Binary symmetric noise is the same at every step, and all that a chain of order 0 can be told."""
    target = ("--process", "binary-symmetric", "-T", "3")
    said = Result(capsys, "fit", *target, "--model", "markov(order=0)", "-o", "m")
    assert said.number("training") == pytest.approx(processes.binary_symmetric().block_entropy(3), abs=1e-6)
    assert Result(capsys, "score", "m", *target).number("divergence_nats_per_word") == pytest.approx(0, abs=1e-9)
    answers = Result(capsys, "sample", "m", "--inputs", asked, "-n", "400").words
    agreeing = np.mean(np.repeat([[0, 1, 1, 0], [1, 1, 1, 1], [0, 0, 1, 0]], 400, 0) == np.array(answers))
    assert agreeing == pytest.approx(0.9, abs=0.02)


def test_vectors_as_inputs(capsys: pytest.CaptureFixture[str], asked: Path) -> None:
    save(models.Recurrent(2, 3, input_dim=2), "m")
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(5, 4, 2, generator=generator)
    Sequences(torch.zeros(5, 4, dtype=torch.long), 2, inputs=x).write("x.npz")
    assert np.shape(Result(capsys, "sample", "m", "--inputs", "x.npz").words) == (5, 4)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("sample", "deaf", "--inputs", "x.csv"), "inputs: expected None, because Recurrent takes no inputs"),
        (("sample", "net", "-T", "4"), "inputs: expected one for each step, of dimension 2, got None"),
        (("sample", "net", "--inputs", "x.csv", "-T", "5"), "inputs: expected 5 steps, as many as symbols"),
        (("sample", "net", "--inputs", "ragged.csv"), "inputs: expected input words of one length, got lengths 2..3"),
        (("sample", "net", "--inputs", "large.csv"), "inputs: expected labels in 0..1, got 2"),
        (("sample", "net", "--inputs", "text.csv"), "expected integer symbols separated by commas"),
        (("sample", "net", "--inputs", "absent.csv"), "expected a file, got 'absent.csv'"),
        (("sample", "net", "--inputs", "bare.npz"), "inputs: expected a file of words with inputs, got bare.npz"),
        (("sample", "net", "--inputs", "nan.npz"), "inputs: expected finite numbers, got nan"),
        (("sample", "net", "--inputs", "wide.npz"), "inputs: expected vectors of 2 numbers"),
        (("sample", "net", "--inputs", "x.csv", "-n", "0"), "num_sequences: expected an integer of at least 1"),
        (("sample", "--process", "delay", "--inputs", "large.csv"), "inputs: expected labels in 0..1, got 2"),
        (
            ("sample", "--process", "even", "--inputs", "x.csv"),
            "inputs: expected None, because Process",
        ),
        (
            ("sample", "--process", "delay(flip=0.0)", "--inputs", "x.csv", "--prefix", "1"),
            "prefix: expected a prefix of positive probability",
        ),
        (("score", "net", "bare.npz"), "inputs: expected one for each step"),
        (("score", "deaf", "wide.npz"), "inputs: expected None, because Recurrent takes no inputs"),
        (("fit", "uneven.npz", "--model", "recurrent(hidden_dim=2)", "-o", "m"), "inputs: expected vectors of shape"),
        (
            ("fit", "wide.npz", "--model", "tabular", "-o", "m"),
            "inputs: expected integer labels in 0..2, got dtype float64; networks take vectors",
        ),
    ],
)
def test_bad_inputs_are_a_sentence(
    capsys: pytest.CaptureFixture[str], asked: Path, arguments: tuple[str, ...], says: str
) -> None:
    save(models.Recurrent(2, 3), "deaf")
    save(models.Recurrent(2, 3, input_dim=2), "net")
    Path("ragged.csv").write_text("0,1,1\n1,0\n")
    Path("large.csv").write_text("0,1,2\n")
    Path("text.csv").write_text("a,b\n")
    words = np.zeros((2, 3), dtype=int)
    Sequences(words, 2).write("bare.npz")
    Sequences(words, 2, inputs=np.ones((2, 3, 3))).write("wide.npz")
    for name, inputs in (("nan", np.full((2, 3, 2), np.nan)), ("uneven", np.ones((2, 4, 2)))):
        np.savez(f"{name}.npz", symbols=words, alphabet_size=2, inputs=inputs)
    result = Result(capsys, *arguments)
    assert result.code == 2
    assert says in result.err
    assert result.out == ""
    assert not Path("m").exists()
