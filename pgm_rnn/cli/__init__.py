"""The command line: ``pgm-rnn list | run | report | fit | score | sample | compare``.

Only what a verb needs is imported, when it runs, so that help is quick.
"""

from __future__ import annotations

from collections.abc import Sequence

from pgm_rnn.cli.app import app
from pgm_rnn.cli.models import compare, fit, sample, score
from pgm_rnn.cli.studies import list_names, report, run

__all__ = ["app", "main"]

for name, verb in {
    "list": list_names,
    "run": run,
    "report": report,
    "fit": fit,
    "score": score,
    "sample": sample,
    "compare": compare,
}.items():
    app.command(name)(verb)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line, and leave with its exit code."""
    app(arguments, prog_name="pgm-rnn")
