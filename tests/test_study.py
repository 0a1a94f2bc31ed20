"""What a study file holds, and how it is found."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import pytest
import torch

from pgm_rnn.checks import InputError
from pgm_rnn.experiment.discovery import find_study, known_studies, load_study
from pgm_rnn.experiment.study import SCALES, Cell, Verdict

FAKE = Path(__file__).with_name("fake_study.py")


def test_a_cell_is_known_by_its_content_and_not_by_its_order() -> None:
    cell = Cell({"T": 8, "model": {"name": "markov", "order": 2}})
    assert cell.key == Cell({"model": {"order": 2, "name": "markov"}, "T": 8}).key
    for other in ({"T": 9}, {"T": "8"}, {"T": 8.5}, {"T": 8}):
        assert cell.key != Cell({**other, "model": {"name": "markov", "order": 3}}).key


def test_a_cell_keeps_what_the_store_keeps() -> None:
    assert Cell({"seeds": (0, 1), "N": math.inf}).spec == {"seeds": [0, 1], "N": math.inf}


@pytest.mark.parametrize("spec", [{"model": object()}, {"seeds": torch.arange(3)}, ["T", 8]])
def test_a_cell_refuses_what_is_not_plain(spec: object) -> None:
    with pytest.raises(InputError, match="spec: expected"):
        Cell(spec)  # type: ignore[arg-type]


def test_another_seed_shifts_every_seed() -> None:
    study = load_study(FAKE)
    assert [cell.spec["seeds"] for cell in study.cells("smoke", 10)] == [[10, 11], [11, 12], [12, 13]]
    assert study.cells("smoke", 0) == study.cells("smoke")


def test_a_verdict_is_one_of_three() -> None:
    with pytest.raises(InputError, match="one of inconclusive, refuted, supported"):
        Verdict("maybe", 0.0, 0.0, 0.0, "nats", "")


def test_the_text_of_a_verdict_is_standard_json() -> None:
    text = Verdict("inconclusive", math.nan, -math.inf, 2.0, "nats", "value > 0", "few seeds").to_json(load_study(FAKE))

    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is no JSON")

    content = json.loads(text, parse_constant=refuse)
    assert list(content) == ["study", "claim", "statement", "verdict", "value", "low", "high", "unit", "rule"]
    assert (content["study"], content["value"], content["low"], content["high"]) == ("fake", None, None, 2.0)


def test_a_study_is_found_by_path_and_stays_as_it_is() -> None:
    study = find_study(str(FAKE))
    assert study.name == "fake"
    assert find_study(study) is study
    assert study.source == (FAKE.read_text(), str(FAKE))


@pytest.mark.parametrize("name", known_studies())
def test_the_studies_of_the_package_load_under_their_file_names(name: str) -> None:
    study = find_study(name)
    assert study.name == name
    assert study.claim >= 1
    for scale in SCALES:
        assert study.cells(scale)


def test_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"study: expected one of .*table-vs-rnn.*did you mean 'table-vs-rnn'"):
        find_study("table-vs-rn")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("STUDY = 1 +", "fails .*SyntaxError"),
        ("import torch\nraise RuntimeError('oh')", r"fails on line 2 \(RuntimeError: oh\)"),
        ("raise SystemExit(3)", "fails on line 1"),
        ("from nowhere import nothing", "No module named 'nowhere'"),
        ("x = 1", "defines STUDY"),
        ("STUDY = 'me'", "defines STUDY"),
        ("\0", "fails"),
    ],
)
def test_a_broken_file_is_told_in_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        find_study(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_no_study(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Python file that can be read"):
        find_study(str(tmp_path / "absent.py"))


def test_a_file_may_hold_dataclasses(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    extra = "\n\nfrom dataclasses import dataclass\n\n@dataclass\nclass Point:\n    x: float\n"
    path.write_text(FAKE.read_text() + extra)
    assert find_study(path).name == "fake"


def test_cells_are_checked() -> None:
    study = load_study(FAKE)
    with pytest.raises(InputError, match="scale: expected one of full, smoke, standard, got 'huge'"):
        study.cells("huge")
    with pytest.raises(InputError, match="at least one cell"):
        dataclasses.replace(study, grid=lambda scale: []).cells("smoke")
    twice = dataclasses.replace(study, grid=lambda scale: [Cell({"T": 1}), Cell({"T": 1})])
    assert len(twice.cells("smoke")) == 1
