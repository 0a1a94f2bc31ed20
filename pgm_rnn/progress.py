"""A progress bar with the time left on standard error, and silence without a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Report = Callable[[int, int], None]
"""Called with what is done and the total."""


@contextmanager
def progress_bar(title: str, show: bool = True) -> Iterator[Report | None]:
    """A function that reports ``(done, total)``, or None where nobody is looking.

    >>> with progress_bar("fit", show=False) as report:
    ...     print(report)
    None
    """
    from rich.console import Console  # only who looks pays for the import
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not show or not console.is_terminal:
        yield None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
