"""A study is one readable file: claim, grid, measurement, decision, figures. Here is what such a file holds."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pgm_rnn.checks import check_integer, check_name, reject

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure as Drawing
    from pandas import DataFrame

SCALES = ("smoke", "standard", "full")
VERDICTS = ("supported", "refuted", "inconclusive")

Row = Mapping[str, Any]
"""What one replicate gave: plain numbers and strings by column, the unit in the column's name."""


class RunFailed(RuntimeError):
    """A run that did not reach its end; the cells it had finished are kept."""


@dataclass(frozen=True)
class Cell:
    """What is computed together: a specification of plain values, from which alone the rows follow.

    ``spec["seeds"]``, where there is one, lists a seed for every replicate, and so for every row.

    Raises:
        InputError: if the specification holds something that JSON cannot.

    Example:
        >>> Cell({"process": "even", "T": 8, "seeds": (0, 1)}).spec
        {'process': 'even', 'T': 8, 'seeds': [0, 1]}
    """

    spec: Mapping[str, Any]

    def __post_init__(self) -> None:
        try:
            plain = json.loads(json.dumps(self.spec))
        except (TypeError, ValueError) as error:
            raise reject("spec", "plain numbers, strings, lists and mappings", str(error)) from None
        if not isinstance(plain, dict):
            raise reject("spec", "a mapping", type(self.spec).__name__)
        object.__setattr__(self, "spec", plain)  # measured is exactly what the store keeps

    @property
    def key(self) -> str:
        """A hash of the specification that does not depend on the order of its entries."""
        return hashlib.sha256(json.dumps(self.spec, sort_keys=True).encode()).hexdigest()

    def reseeded(self, shift: int) -> Cell:
        """The same cell with ``shift`` added to every seed."""
        if not shift or "seeds" not in self.spec:
            return self
        return Cell({**self.spec, "seeds": [seed + shift for seed in self.spec["seeds"]]})


@dataclass(frozen=True)
class Verdict:
    """What a study's rule says of its claim: the verdict, the number that decided it, and the interval around it."""

    verdict: str
    value: float
    low: float
    high: float
    unit: str
    rule: str
    reason: str = ""

    def __post_init__(self) -> None:
        check_name("verdict", self.verdict, VERDICTS)

    def to_json(self, study: Study) -> str:
        """The text of ``verdict.json``; a number that is not finite is null, for JSON has none."""
        numbers = {name: getattr(self, name) for name in ("value", "low", "high")}
        finite = {name: float(x) if x is not None and math.isfinite(x) else None for name, x in numbers.items()}
        about = {"study": study.name, "claim": study.claim, "statement": study.statement, "verdict": self.verdict}
        content = {**about, **finite, "unit": self.unit, "rule": self.rule}
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


@dataclass(frozen=True)
class Figure:
    """A figure of the report: its caption, and how it is drawn from the results."""

    caption: str
    draw: Callable[[DataFrame], Drawing]


@dataclass(frozen=True)
class Study:
    """One claim, executed.

    Args:
        name: in kebab case; the file ``table_vs_rnn.py`` holds the study ``table-vs-rnn``.
        claim: its number in the lecture's ledger.
        title, statement, question: for the page; the statement is what the verdict is about.
        grid: the cells at a scale, one of :data:`SCALES`.
        measure: the rows of one specification on one device, one per replicate: a pure function of the two. The store
            knows a cell by its specification: when the measurement changes under the same package version, change the
            specification too, for example an entry ``"revision"``.
        decide: the rule, from the results to the verdict.
        figures: by name.
        tables: captions and tables for the page, from the results.
        notes: the identities that belong to the claim and are checked by tests.
        source: the text of the study's file and its name, known once it is loaded; workers read the study from it.
    """

    name: str
    claim: int
    title: str
    statement: str
    question: str
    grid: Callable[[str], Sequence[Cell]]
    measure: Callable[[Mapping[str, Any], torch.device], Sequence[Row]]
    decide: Callable[[DataFrame], Verdict]
    figures: Mapping[str, Figure]
    tables: Callable[[DataFrame], Sequence[tuple[str, DataFrame]]]
    notes: tuple[str, ...] = ()
    source: tuple[str, str] | None = None

    def cells(self, scale: str, seed: int = 0) -> list[Cell]:
        """The cells of the grid at ``scale``, each once, with ``seed`` added to all their seeds: a replication.

        Raises:
            InputError: for an unknown scale, or a grid that gives no cells.
        """
        check_name("scale", scale, SCALES)
        check_integer("seed", seed, 0)
        cells = {cell.key: cell for cell in (cell.reseeded(seed) for cell in self.grid(scale))}
        if not cells:
            raise reject("study", "a grid with at least one cell", f"none in {self.name} at scale {scale}")
        return list(cells.values())
