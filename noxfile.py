"""Every check by name. ``nox`` runs what continuous integration runs; ``nox -s NAME`` runs one.

Sessions run in the environment that nox itself is in, so that torch is installed once; only ``lowest`` makes its own.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import nox

nox.options.sessions = ["lint", "types", "doctests", "study", "tests"]

HERE = Path(__file__).parent
PINNED = {"OMP_NUM_THREADS": "1"}
"""Threads of several workers on the same cores slow each other down many times over."""


@nox.session(venv_backend="none")
def lint(session: nox.Session) -> None:
    """Style and imports."""
    session.run(sys.executable, "-m", "ruff", "check", ".")
    session.run(sys.executable, "-m", "ruff", "format", "--check", ".")


@nox.session(venv_backend="none")
def types(session: nox.Session) -> None:
    """Type hints."""
    session.run(sys.executable, "-m", "mypy")


@nox.session(venv_backend="none")
def tests(session: nox.Session) -> None:
    """All tests, on two cores; arguments after ``--`` go to pytest, such as ``-m "not slow"``."""
    pytest(session, "-n", "2", *session.posargs)


@nox.session(venv_backend="none")
def doctests(session: nox.Session) -> None:
    """The examples in the docstrings."""
    pytest(session, "--doctest-modules", "pgm_rnn")


@nox.session(venv_backend="none")
def study(session: nox.Session) -> None:
    """Every study at its smallest scale, from grid to page."""
    names = [path.stem.replace("_", "-") for path in sorted(HERE.glob("studies/[a-z]*.py"))]
    with tempfile.TemporaryDirectory() as output:
        command = Path(sys.executable).with_name("pgm-rnn")
        session.run(command, "run", *names, "--scale", "smoke", "--output", output, env=PINNED)


@nox.session(venv_backend="none")
def benchmark(session: nox.Session) -> None:
    """Speed against peers; wants a quiet machine. ``nox -s benchmark -- --device cuda`` measures on a GPU."""
    session.run(sys.executable, "-m", "benchmarks", *session.posargs, env=PINNED)


@nox.session(venv_backend="venv", python="3.11")
def lowest(session: nox.Session) -> None:
    """The fast tests with the lowest versions that pyproject.toml allows (downloads an old torch).

    Warnings are no errors here: the old versions are warned about by what they depend on, which is new.
    """
    project = nox.project.load_toml(HERE / "pyproject.toml")["project"]
    ranges = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    session.install(*(requirement.replace(">=", "==") for requirement in ranges))
    session.install("--no-deps", "-e", ".")
    session.run("python", "-m", "pytest", "tests", "-n", "2", "-m", "not slow", "-W", "ignore", env=PINNED)


def pytest(session: nox.Session, *arguments: str) -> None:
    """Pytest with pinned threads."""
    session.run(sys.executable, "-m", "pytest", *arguments, env=PINNED)
