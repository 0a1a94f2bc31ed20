"""Pages: complete, self-contained, the same every time, and plain about what is missing."""

from __future__ import annotations

import base64
import dataclasses
import json
import math
import re
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure as Drawing

from pgm_rnn import render_report
from pgm_rnn.checks import InputError
from pgm_rnn.experiment.store import Store
from pgm_rnn.experiment.study import Cell, Figure, RunFailed, Study, Verdict
from pgm_rnn.experiment.worker import Outcome, row_text
from pgm_rnn.report.pages import html_table, show


def draw(frame: pd.DataFrame) -> Drawing:
    drawing = Drawing(figsize=(3, 2))
    drawing.add_subplot().plot(frame["seed"], frame["kl_nats"])
    return drawing


def impossible(frame: pd.DataFrame) -> Drawing:
    raise KeyError("no such column")


STUDY = Study(
    name="made-up",
    claim=99,
    title="A title with <tags> & signs",
    statement="A statement & <script>alert(1)</script>",
    question="Is it so?",
    grid=lambda scale: [Cell({"T": T, "seeds": [0, 1]}) for T in (2, 3)],
    measure=lambda spec, device: [],
    decide=lambda frame: Verdict("refuted", 0.25, 0.125, 0.5, "nats per word", "The rule.", "One line.\nSecond line."),
    figures={"main": Figure("The main <figure>.", draw), "broken": Figure("Broken.", impossible)},
    tables=lambda frame: [("All rows.", frame), ("Nothing.", frame.head(0))],
    notes=("One and one is two.",),
)


def fill(output: Path, error: str = "") -> None:
    with Store.writing(output) as store:
        store.begin(STUDY, "smoke", 0)
        for cell in STUDY.cells("smoke"):
            rows = [{"kl_nats": seed + cell.spec["T"] / 3, "stored": 4**40} for seed in cell.spec["seeds"]]
            failed = error and cell.spec["T"] == 3
            texts = () if failed else tuple(row_text(row) for row in rows)
            store.put(STUDY, cell, Outcome(texts, error=error if failed else "", seconds=1.0, device="cpu"))


@pytest.fixture
def page(tmp_path: Path) -> str:
    fill(tmp_path)
    render_report(tmp_path, [STUDY])
    return (tmp_path / "made-up" / "index.html").read_text()


def test_everything_is_written(tmp_path: Path) -> None:
    fill(tmp_path)
    assert render_report(tmp_path, [STUDY]) == tmp_path / "index.html"
    files = {path.name for path in (tmp_path / "made-up").iterdir()}
    assert files == {"index.html", "main.svg", "main.png", "results.csv", "verdict.json"}
    assert json.loads((tmp_path / "made-up" / "verdict.json").read_text())["verdict"] == "refuted"


def test_question_verdict_and_main_figure_come_first(page: str) -> None:
    first = ["Is it so?", "refuted</span>", "0.25 [0.125, 0.5]", "Second line.", "<svg"]
    then = ["The rule.", "Broken.", "All rows.", "One and one is two.", "Where the numbers come from"]
    places = [page.index(text) for text in first + then]
    assert places == sorted(places)


def test_the_page_needs_nothing_else(page: str) -> None:
    fetched = re.findall(r"""(?:src|href)\s*=\s*["']([^"']*)""", page) + re.findall(r"url\(([^)]*)\)|@import", page)
    outside = [target for target in fetched if not target.startswith(("data:", "#"))]
    assert sorted(outside) == ["../index.html", "main.png", "main.svg"]  # links, which nothing is loaded from
    assert "<script" not in page
    assert not re.findall(r"<(?:img|link|iframe|object)\b", page)


def test_ids_are_unique(page: str) -> None:
    ids = re.findall(r'\bid="([^"]*)"', page)
    assert len(ids) == len(set(ids)) > 3
    assert set(re.findall(r'(?:href="#|url\(#)([^")]*)', page)) <= set(ids)


def test_text_is_escaped(page: str) -> None:
    assert "A title with &lt;tags&gt; &amp; signs" in page
    assert 'aria-label="The main &lt;figure&gt;."' in page


def test_the_download_is_the_csv(page: str, tmp_path: Path) -> None:
    (encoded,) = re.findall(r'href="data:text/csv;charset=utf-8;base64,([^"]*)"', page)
    assert base64.b64decode(encoded) == (tmp_path / "made-up" / "results.csv").read_bytes()
    frame = pd.read_csv(tmp_path / "made-up" / "results.csv", dtype={"stored": str})
    assert len(frame) == 4
    assert set(frame["stored"]) == {str(4**40)}


def test_a_figure_that_cannot_be_drawn_leaves_a_note(page: str) -> None:
    assert "no such column" in page


def test_the_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    fill(tmp_path)
    contents = []
    for _ in range(2):
        render_report(tmp_path, [STUDY])
        pages = [path for path in tmp_path.rglob("*.*") if path.suffix in (".html", ".svg", ".png", ".csv", ".json")]
        contents.append({path: path.read_bytes() for path in pages})
    assert len(contents[0]) == 6
    assert contents[0] == contents[1]


def test_incomplete_results_decide_nothing_and_say_why(tmp_path: Path) -> None:
    fill(tmp_path, error="InputError: too <large>")
    render_report(tmp_path, [STUDY])
    text = (tmp_path / "made-up" / "index.html").read_text()
    assert "inconclusive</span>" in text
    assert "1 of 2 cells have no results yet." in text
    assert "InputError: too &lt;large&gt;" in text
    assert not (tmp_path / "made-up" / "verdict.json").exists()


def test_a_run_of_which_nothing_is_left_has_a_page(tmp_path: Path) -> None:
    with Store.writing(tmp_path) as store:
        store.begin(STUDY, "smoke", 0)
    render_report(tmp_path, [STUDY])
    assert "2 of 2 cells have no results yet." in (tmp_path / "made-up" / "index.html").read_text()


def test_the_ledger_tells_identities_from_measurements(tmp_path: Path) -> None:
    fill(tmp_path)
    text = render_report(tmp_path, [STUDY]).read_text()
    measured, identities = text.split("<h2>Identities</h2>")
    assert "refuted</span>" in measured
    assert "0.25 [0.125, 0.5] nats per word" in measured
    assert 'href="made-up/index.html"' in measured
    assert "One and one is two." in identities
    assert "One and one is two." not in measured


def test_without_results_there_is_nothing_to_render(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="run a study first"):
        render_report(tmp_path)
    fill(tmp_path)
    with pytest.raises(InputError, match="made-up"):
        render_report(tmp_path, [dataclasses.replace(STUDY, name="another")])


def test_a_folder_that_cannot_be_made_ends_the_report(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "made-up").write_text("a file in the way")
    with pytest.raises(RunFailed, match="exists"):
        render_report(tmp_path, [STUDY])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.00012345, "0.000123"),
        (-1.5, "-1.5"),
        (1e5, "100,000"),
        (math.inf, "∞"),
        (math.nan, ""),
        (None, ""),
        (True, "True"),
        (4**40, "1.2e24"),
    ],
)
def test_values_are_shown_for_readers(value: object, text: str) -> None:
    assert show(value) == text


def test_a_table_is_escaped_and_an_empty_one_says_so() -> None:
    assert "&lt;b&gt;" in html_table(pd.DataFrame({"a": ["<b>"]}))
    assert html_table(pd.DataFrame()) == "<p>None.</p>"
