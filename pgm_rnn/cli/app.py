"""The application: its options, and the one place where errors become sentences and exit codes."""

from __future__ import annotations

import errno
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

Device = Annotated[str, typer.Option(metavar="auto|cpu|cuda", help="Where to compute.")]
Seed = Annotated[int, typer.Option(help="Seed of everything random.")]
Folder = Annotated[Path, typer.Option(metavar="FOLDER", help="Folder of the results.")]


class Verbs(TyperGroup):
    """The verbs. Errors go to standard error; the exit code is 2 for bad use or input and 1 for a failed run."""

    def invoke(self, ctx: Any) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except KeyboardInterrupt:
            complain("stopped")
            raise typer.Exit(130) from None
        except BrokenPipeError:
            raise  # the reader has left: typer ends in silence
        except Exception as error:
            said = explain(error)
            if said is None:
                raise
            complain(said[0])
            raise typer.Exit(said[1]) from None


app = typer.Typer(
    cls=Verbs,
    name="pgm-rnn",
    help="Full tables and recurrent networks as models of symbol sequences, compared.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def complain(sentence: str) -> None:
    """Say what went wrong on standard error."""
    typer.echo(f"pgm-rnn: {sentence}", err=True)


def explain(error: Exception) -> tuple[str, int] | None:
    """The sentence and exit code of an error that is bad input or a failed run; None for a defect of the program."""
    from pgm_rnn.checks import InputError
    from pgm_rnn.experiment.study import RunFailed

    if isinstance(error, InputError):
        return str(error), 2
    if isinstance(error, RunFailed):
        return str(error), 1
    if isinstance(error, OSError):
        failed = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO)
        return f"{error.filename or 'output'}: {error.strerror or error}", 1 if failed else 2
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "memory" in str(error)):
        return "out of memory; use a smaller model, fewer words, or shorter ones", 1
    return None
