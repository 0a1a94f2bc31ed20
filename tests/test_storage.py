"""Files: what is saved comes back, and what is no model is refused without running anything."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pgm_rnn import InputError, Sequences, fit, load, models, processes, render_report, run_study, save


class Hostile:
    def __reduce__(self):
        return (os.mkdir, ("owned",))


def forge(path: Path, configuration: dict, shapes: dict[str, tuple[int, ...]], family: str = "recurrent") -> Path:
    metadata = {"format": "pgm_rnn-1", "family": family, "configuration": json.dumps(configuration)}
    save_file({name: torch.zeros(shape) for name, shape in shapes.items()}, path, metadata=metadata)
    return path


def test_a_chosen_order_survives(tmp_path: Path) -> None:
    words = Sequences(processes.even()(6).sample((200,), generator=torch.Generator().manual_seed(0)), 2)
    model = fit(models.Markov(2, None, pseudocount=None), words).model
    save(model, tmp_path / "chain")
    again = load(tmp_path / "chain")
    assert again.configuration() == model.configuration()
    assert torch.equal(again(6).log_prob(words.symbols), model(6).log_prob(words.symbols))


def test_a_process_survives(tmp_path: Path) -> None:
    process = processes.mess3(0.1, 0.7)
    save(process, tmp_path / "mess3")
    again = load(tmp_path / "mess3")
    words = process(4).enumerate_support()
    assert torch.equal(again(4).log_prob(words), process(4).log_prob(words))
    assert again.entropy_rate() == process.entropy_rate()


def test_nothing_is_left_behind_when_writing_fails(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="folder"):
        save(models.Markov(2, 1), tmp_path / "no folder" / "model")
    save(models.Markov(2, 1), tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_files_that_are_no_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save(models.Recurrent(2, 4), tmp_path / "good")
    whole = (tmp_path / "good").read_bytes()
    (tmp_path / "cut").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "text").write_text("0,1,1\n")
    (tmp_path / "pickle").write_bytes(pickle.dumps(Hostile()))
    (tmp_path / "header").write_bytes(b"\xff" * 8 + whole[8:])
    save_file({"W": torch.zeros(2, 2)}, tmp_path / "foreign")
    good = {"alphabet_size": 2, "hidden_dim": 4, "cell": "tanh", "recurrence": "hidden", "replicates": None}
    shapes = {name: tuple(tensor.shape) for name, tensor in models.Recurrent(2, 4).state_dict().items()}
    forge(tmp_path / "huge", {**good, "hidden_dim": 10**9}, shapes)
    forge(tmp_path / "arguments", {"alphabet_size": 2}, shapes)
    forge(tmp_path / "surplus", {**good, "evil": 1}, shapes)
    forge(tmp_path / "shape", good, {**shapes, "W": (5, 5)})
    forge(tmp_path / "missing", good, {"W": (4, 4)})
    forge(tmp_path / "family", good, shapes, family="os.system")
    forge(tmp_path / "table", {"alphabet_size": 4, "duration": 20}, {"logits": (1, 4)}, family="tabular")
    forge(tmp_path / "list", [1], shapes)  # type: ignore[arg-type]  # hostile on purpose
    for path in sorted(tmp_path.iterdir()):
        if path.name != "good":
            with pytest.raises(InputError, match="path: expected a model file written by save, got"):
                load(path)
    with pytest.raises(InputError, match="path: expected a model file, got"):
        load(tmp_path / "absent")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    "call",
    [
        lambda path: save(models.Markov(2, 1), path),
        load,
        Sequences([[0, 1]], 2).write,
        Sequences.read,
        run_study,
        lambda path: run_study("table-vs-rnn", output=path),
        render_report,
    ],
)
@pytest.mark.parametrize("path", [None, 3, ["a"]])
def test_what_is_no_path(call: Callable[[object], object], path: object) -> None:
    with pytest.raises(InputError, match=r"^(path|data|study|output): expected a path, got "):
        call(path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"U": torch.zeros(4, 2, dtype=torch.long)}, "U as torch.float32"),
        ({"U": torch.zeros(4, 2, dtype=torch.half)}, "U as torch.float32"),
        ({"U": torch.zeros(4, 2, dtype=torch.double)}, "float32 or in float64"),
        ({"U": torch.full((4, 2), torch.nan)}, "NaN in U"),
    ],
)
def test_numbers_that_no_model_computes_with(tmp_path: Path, change: dict[str, torch.Tensor], says: str) -> None:
    model = models.Recurrent(2, 4)
    metadata = {"format": "pgm_rnn-1", "family": "recurrent", "configuration": json.dumps(model.configuration())}
    save_file({**model.state_dict(), **change}, tmp_path / "model", metadata=metadata)
    with pytest.raises(InputError, match=says):
        load(tmp_path / "model")
