"""Verbs about studies: list, run, report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgm_rnn.cli.app import Device, Folder, complain

if TYPE_CHECKING:
    from pgm_rnn.experiment.study import Study


def list_names(
    what: Annotated[
        str, typer.Argument(metavar="[studies|processes|models|machines]", help="What to list, or all.")
    ] = "all",
) -> None:
    """List the studies, processes, models and Turing machines there are, with their arguments.

    Example: pgm-rnn list processes
    """
    from pgm_rnn.checks import check_name
    from pgm_rnn.experiment.discovery import known_studies, load_study
    from pgm_rnn.models import MODELS
    from pgm_rnn.naming import describe
    from pgm_rnn.processes import NAMED
    from pgm_rnn.turing import MACHINES, find_machine

    kinds = {
        "studies": lambda: [f"{name}: {load_study(path).question}" for name, path in known_studies().items()],
        "processes": lambda: [describe(*entry) for entry in NAMED.items()],
        "models": lambda: [describe(*entry) for entry in MODELS.items()],
        "machines": lambda: [f"{name}: {find_machine(name).about}" for name in MACHINES],
    }
    if check_name("what", what, ["all", *kinds]) != "all":
        typer.echo("\n".join(kinds[what]()))
        return
    for kind, lines in kinds.items():
        typer.echo("\n  ".join([f"{kind}:", *lines()]))


def run(
    studies: Annotated[list[str], typer.Argument(metavar="STUDY...", help="Names, or paths of your own .py files.")],
    scale: Annotated[str, typer.Option(metavar="smoke|standard|full", help="How much to compute.")] = "standard",
    workers: Annotated[int | None, typer.Option(help="Worker processes; by default one per processor.")] = None,
    cluster: Annotated[str | None, typer.Option(metavar="ADDRESS", help="A Dask scheduler, tcp://host:8786.")] = None,
    output: Folder = Path("reports"),
    device: Device = "auto",
    seed: Annotated[int, typer.Option(help="Added to all seeds: another one is a replication.")] = 0,
) -> None:
    """Run studies and write their report. A run that was stopped goes on where it was.

    Example: pgm-rnn run table-vs-rnn --scale smoke
    """
    from pgm_rnn.checks import reject
    from pgm_rnn.experiment.discovery import find_study
    from pgm_rnn.experiment.runner import run_study
    from pgm_rnn.experiment.study import RunFailed

    if workers is not None and cluster is not None:
        raise reject("workers", "either workers or a cluster", "both")
    finished, failures = [], []
    for study in [find_study(name) for name in studies]:
        try:
            run_study(study, scale, output, workers=workers, cluster=cluster, device=device, seed=seed)
            finished.append(study)
        except RunFailed as error:
            failures.append(str(error))
        except KeyboardInterrupt:
            complain("stopped; finished cells are kept, and the same command goes on from there")
            raise typer.Exit(130) from None
    if finished:
        _render(output, finished)
    for study in finished:
        typer.echo(_verdict(output / study.name / "verdict.json"))
    if failures:
        raise RunFailed("\n".join(failures))


def report(
    studies: Annotated[list[str] | None, typer.Argument(metavar="[STUDY...]", help="All by default.")] = None,
    output: Folder = Path("reports"),
) -> None:
    """Write the report from stored results alone; nothing is trained.

    Example: pgm-rnn report --output reports
    """
    _render(output, studies)


def _render(output: Path, studies: Sequence[Study | str] | None) -> None:
    from pgm_rnn.report import render_report

    render_report(output, studies=studies)
    typer.echo(f"report: {output / 'index.html'}")


def _verdict(path: Path) -> str:
    """A study's verdict in a line."""
    said = json.loads(path.read_text())
    number = "" if said["value"] is None else f" ({said['value']:.4g} {said['unit']})"
    return f"{said['study']}: {said['verdict']}{number}"
