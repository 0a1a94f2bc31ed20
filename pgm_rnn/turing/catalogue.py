"""Machines that come with the package, and those in a user's own files."""

from __future__ import annotations

from pathlib import Path

from pgm_rnn.checks import check_name, reject
from pgm_rnn.turing.machine import Machine, parse_machine

FOLDER = Path(__file__).parent / "machines"

MACHINES = tuple(sorted(path.stem for path in FOLDER.glob("*.tm")))
"""The names of the machines that come with the package."""


def find_machine(name: str) -> Machine:
    """The machine of that name, or the one that a file describes.

    Raises:
        InputError: if there is neither, or the text describes no machine.

    Example:
        >>> find_machine("busy-beaver").states
        ('A', 'B', 'C', 'D', 'H')
    """
    path = Path(name) if Path(name).is_file() else FOLDER / f"{check_name('machine', name, MACHINES)}.tm"
    try:
        return parse_machine(path.read_text(encoding="utf-8"), path.name)
    except UnicodeDecodeError:
        raise reject("machine", "a text in UTF-8", repr(name)) from None
