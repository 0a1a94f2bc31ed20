"""Contexts on the command line: sources that have one, files that carry them, models that take them."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
import torch

from pgm_rnn import Sequences, load
from pgm_rnn.cli import main

COINS = "coins(p=[0.1, 0.9])"


class Result:
    """What a command said, and its exit code."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> None:
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        self.code = caught.value.code or 0
        self.out, self.err = capsys.readouterr()

    def number(self, name: str) -> float:
        found = re.search(rf"{name} +(\S+)", self.out)
        assert found is not None, self.out
        return float(found[1])


@pytest.fixture
def told(tmp_path: Path) -> Path:
    """Words whose label is their every symbol, six in ten of label 0."""
    labels = torch.tensor([0, 0, 0, 1, 1] * 20)
    path = tmp_path / "told.npz"
    Sequences(labels.unsqueeze(1).expand(-1, 3), 2, context=labels).write(path)
    return path


def test_words_of_a_source_come_with_their_contexts(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    target = tmp_path / "words.npz"
    assert Result(capsys, "sample", "--process", COINS, "-n", "400", "-T", "5", "-o", target).code == 0
    words = Sequences.read(target)
    assert words.context is not None
    ones = [float(words.symbols[words.context == x].double().mean()) for x in (0, 1)]
    assert ones == pytest.approx([0.1, 0.9], abs=0.03)
    given = Result(capsys, "sample", "--process", COINS, "-n", "200", "-T", "5", "--context", "1").out
    assert given.count("1") / (given.count("1") + given.count("0")) == pytest.approx(0.9, abs=0.03)


def test_a_model_is_fitted_scored_and_sampled_with_its_context(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, told: Path
) -> None:
    target, drawn = tmp_path / "model.safetensors", tmp_path / "drawn.npz"
    assert Result(capsys, "fit", told, "--model", "markov(order=0)", "-o", target).code == 0
    assert load(target).context_dim == 2
    smoothed = -3 * (0.6 * math.log(180.5 / 181) + 0.4 * math.log(120.5 / 121))  # counts with a half added
    assert Result(capsys, "score", target, told).number("cross_entropy_nats_per_word") == pytest.approx(smoothed)
    sampled = Result(capsys, "sample", target, "-n", "50", "-T", "4", "--context", "1", "-o", drawn)
    assert sampled.code == 0
    words = Sequences.read(drawn)
    assert words.context is not None
    assert words.context.tolist() == [1] * 50
    assert float(words.symbols.double().mean()) > 0.95
    rest = Result(capsys, "sample", target, "-n", "9", "-T", "4", "--context", "1", "--prefix", "0,0").out.split()
    assert all(re.fullmatch("0,0,[01],[01]", line) for line in rest)
    assert sum(line.endswith("1,1") for line in rest) >= 8


def test_a_fit_to_a_source_is_exact(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    target = tmp_path / "model.safetensors"
    entropy = -4 * (0.1 * math.log(0.1) + 0.9 * math.log(0.9))
    said = Result(capsys, "fit", "--process", COINS, "-T", "4", "--model", "recurrent(hidden_dim=2)", "-o", target)
    assert said.number("training") == pytest.approx(entropy, abs=1e-5)
    scored = Result(capsys, "score", target, "--process", COINS, "-T", "4")
    assert scored.number("divergence_nats_per_word") == pytest.approx(0, abs=1e-5)
    assert scored.number("entropy_nats_per_word") == pytest.approx(entropy)


def test_a_number_for_a_context(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    target, process = tmp_path / "model.safetensors", ("--process", "sliding-golden-mean", "-T", "4")
    model = "recurrent(hidden_dim=3, context_as=initial)"
    assert Result(capsys, "fit", *process, "-n", "30", "--model", model, "-o", target).code == 0
    assert tuple(load(target).get_parameter("R_0").shape) == (1, 3)
    assert len(Result(capsys, "sample", target, "-n", "3", "-T", "9", "--context", "0.25").out.splitlines()) == 3


@pytest.mark.parametrize(
    ("context", "says"),
    [
        (("--context", "2"), "context: expected labels in 0..1, got 2 at index (0,)"),
        (("--context", "-1"), "context: expected labels in 0..1, got -1"),
        (("--context", "0.5,nan"), "context: expected "),
        (("--context", "0.5"), "context: expected "),
        (("--context", "one"), "context: expected a label such as 2, or numbers such as 0.3,1.2, got 'one'"),
        (("--context", ""), "context: expected a label such as 2, or numbers such as 0.3,1.2, got ''"),
        ((), "context: expected one for each sequence"),
    ],
)
def test_contexts_that_do_not_fit(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, told: Path, context: tuple[str, ...], says: str
) -> None:
    target = tmp_path / "model.safetensors"
    Result(capsys, "fit", told, "--model", "markov(order=0)", "-o", target)
    said = Result(capsys, "sample", target, "-n", "2", "-T", "3", *context)
    assert said.code == 2
    assert f"pgm-rnn: {says}" in said.err


def test_a_context_for_what_takes_none(capsys: pytest.CaptureFixture[str], tmp_path: Path, told: Path) -> None:
    sampled = Result(capsys, "sample", "--process", "even", "-T", "3", "--context", "0")
    assert sampled.code == 2
    assert "context: expected None, because Process takes no context" in sampled.err
    ignorant = "markov(order=0, context_dim=None)"
    fitted = Result(capsys, "fit", told, "--model", ignorant, "-o", tmp_path / "model.safetensors")
    assert fitted.code == 2
    assert "context: expected None, because Markov takes no context" in fitted.err
