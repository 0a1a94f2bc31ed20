"""The pages: one self-contained file a study, and the ledger of claims, both from stored results alone."""

from __future__ import annotations

import base64
import json
import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jinja2
import pandas as pd
from markupsafe import Markup

from pgm_rnn.checks import big_number, check_path
from pgm_rnn.experiment.discovery import find_study, known_studies
from pgm_rnn.experiment.store import Store
from pgm_rnn.experiment.study import Figure, RunFailed, Study, Verdict
from pgm_rnn.experiment.table import to_csv
from pgm_rnn.experiment.worker import one_line
from pgm_rnn.files import write_whole
from pgm_rnn.report.figures import to_png, to_svg

PIXELS_PER_INCH = 96
SMALLEST = 0.75
"""A figure is never shown below this share of its size: on a narrow screen it scrolls instead."""


@dataclass(frozen=True)
class Drawn:
    """A figure as the page shows it: inline SVG, or the reason why there is none."""

    name: str
    caption: str
    svg: str = ""
    narrowest: int = 0
    widest: int = 0
    failure: str = ""


@dataclass(frozen=True)
class Page:
    """All that a study's page shows."""

    study: Study
    verdict: Verdict
    scale: str
    seed: int
    frame: pd.DataFrame
    provenance: pd.DataFrame
    csv: str
    missing: int


def render_report(
    output: str | os.PathLike[str] = "reports", studies: Sequence[Study | str | os.PathLike[str]] | None = None
) -> Path:
    """Write the pages of the studies with stored results, and the ledger; return the ledger's path.

    Writes ``<output>/<study>/index.html``, which holds its figures, style and data, the figures beside it as SVG and
    PNG, ``results.csv``, ``verdict.json`` (of complete results), and ``<output>/index.html``. Nothing is trained; the
    same results give the same files, byte for byte.

    Args:
        output: the folder of the results.
        studies: which pages to write (default: all whose study files are still there), by name or by path.

    Raises:
        InputError: if there are no results, or none of a study that is asked for.
        RunFailed: if the pages cannot be written.
    """
    folder = check_path("output", output)
    try:
        with Store(folder) as store:
            stored = _stored(store)
            chosen = stored if studies is None else [find_study(study) for study in studies]
            pages = {study.name: gather(store, study) for study in (*stored, *chosen)}
            for study in chosen:
                _write_page(folder / study.name, pages[study.name])
            ledger = sorted(pages.values(), key=lambda page: page.study.claim)
            write_whole(folder / "index.html", _template("ledger.html").render(pages=ledger))
    except OSError as error:
        raise RunFailed(f"{folder}: {error.strerror}; the results are kept") from None
    return folder / "index.html"


def _stored(store: Store) -> list[Study]:
    """The studies with results, the user's own among them as long as their files are where they were."""
    known = known_studies()
    places = {name: known.get(name, Path(file)) for name, file in store.studies().items()}
    return [find_study(path) for path in places.values() if path.is_file()]


def gather(store: Store, study: Study) -> Page:
    """What the store holds of a study's latest run, and the verdict; incomplete results decide nothing."""
    scale, seed = store.latest(study)
    frame, missing = store.frame(study), len(store.missing(study))
    if missing:
        reason = f"{missing} of {len(study.cells(scale, seed))} cells have no results yet."
        verdict = Verdict("inconclusive", math.nan, math.nan, math.nan, "", "", reason)
    else:
        verdict = study.decide(frame)
    return Page(study, verdict, scale, seed, frame, store.provenance(study), to_csv(store.records(study)), missing)


def _write_page(folder: Path, page: Page) -> None:
    folder.mkdir(exist_ok=True)
    figures = [_draw(folder, name, figure, page.frame) for name, figure in page.study.figures.items()]
    try:
        tables = [(caption, html_table(table)) for caption, table in page.study.tables(page.frame)]
    except Exception as error:  # incomplete results may lack what a table needs; the page shows the rest
        tables = [(f"The tables could not be made: {one_line(error)}", Markup())]
    text = _template("study.html").render(
        page=page,
        figures=figures,
        tables=tables,
        failed=page.provenance[page.provenance["status"] == "failed"].to_dict("records"),
        facts=facts(page),
        csv=base64.b64encode(page.csv.encode()).decode(),
    )
    write_whole(folder / "results.csv", page.csv)
    if not page.missing:
        write_whole(folder / "verdict.json", page.verdict.to_json(page.study))
    write_whole(folder / "index.html", text)


def _draw(folder: Path, name: str, figure: Figure, frame: pd.DataFrame) -> Drawn:
    """The figure, with its SVG and PNG files; results too incomplete to draw leave a note."""
    try:
        svg, drawing = to_svg(lambda: figure.draw(frame), name)
    except Exception as error:  # as with tables
        return Drawn(name, figure.caption, failure=one_line(error))
    write_whole(folder / f"{name}.svg", '<?xml version="1.0" encoding="utf-8"?>\n' + svg)
    write_whole(folder / f"{name}.png", to_png(drawing))
    width = drawing.get_size_inches()[0] * PIXELS_PER_INCH
    opening = Markup('<svg role="img" aria-label="{}" ').format(figure.caption)
    end = svg.index(">")
    inline = re.sub(r' (width|height)="[^"]*"', "", svg[:end]).replace("<svg ", opening) + svg[end:]
    return Drawn(name, figure.caption, Markup(inline), round(SMALLEST * width), round(1.1 * width))


def facts(page: Page) -> list[tuple[str, str]]:
    """Where the numbers come from, as the store has it."""
    stored = page.provenance
    each = {name: ", ".join(sorted(set(stored[name]))) for name in ("version", "revision", "device", "torch")}
    seeds = sorted({seed for text in stored["seeds"] for seed in json.loads(text)})
    return [
        ("Scale", page.scale),
        ("Seed", str(page.seed)),
        ("Data seeds", ", ".join(map(str, seeds))),
        ("Version", each["version"]),
        ("Revision", each["revision"]),
        ("Device", each["device"]),
        ("torch", each["torch"]),
        ("Computing time", f"{stored['seconds'].sum():,.0f} s in {len(stored)} cells"),
        ("Last cell finished", max(stored["finished"], default="")),
    ]


def html_table(table: pd.DataFrame) -> Markup:
    """A data frame as an HTML table, numbers to the right, or a sentence if it is empty."""
    if table.empty:
        return Markup("<p>None.</p>")
    head = Markup("").join(Markup("<th scope='col'>{}</th>").format(name) for name in table.columns)
    rows = []
    for line in table.itertuples(index=False):
        kinds = ("text" if isinstance(value, str) else "number" for value in line)
        cells = [Markup("<td class='{}'>{}</td>").format(kind, show(x)) for kind, x in zip(kinds, line, strict=True)]
        rows.append(Markup("<tr>{}</tr>").format(Markup("").join(cells)))
    return Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(head, Markup("\n").join(rows))


def show(value: object) -> str:
    """A value for a reader: three digits, thousands apart, nothing where there is none.

    >>> show(0.00012345), show(10000.0), show(math.inf), show(math.nan), show(2**70)
    ('0.000123', '10,000', '∞', '', '1.2e21')
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float):
        if math.isinf(value):
            return "∞" if value > 0 else "-∞"
        return f"{value:,.0f}" if value == round(value) and abs(value) < 1e12 else f"{value:.3g}"
    return big_number(int(value)) if hasattr(value, "__index__") and not isinstance(value, bool) else str(value)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pgm_rnn.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["show"] = show
    return environment


def _template(name: str) -> jinja2.Template:
    return _environment().get_template(name)
