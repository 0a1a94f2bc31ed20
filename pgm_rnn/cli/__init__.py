"""The command line: ``pgm-rnn list | run | report | fit | score | sample | compare | turing``.

Only what a verb needs is imported, when it runs, so that help is quick.
"""

from __future__ import annotations

from collections.abc import Sequence

from pgm_rnn.cli.app import app
from pgm_rnn.cli.models import compare, fit, sample, score
from pgm_rnn.cli.studies import list_names, report, run
from pgm_rnn.cli.turing import turing

__all__ = ["app", "main"]

app.command("list")(list_names)
app.command("run")(run)
app.command("report")(report)
app.command("fit")(fit)
app.command("score")(score)
app.command("sample")(sample)
app.command("compare")(compare)
app.command("turing")(turing)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line, and leave with its exit code."""
    app(arguments, prog_name="pgm-rnn")
