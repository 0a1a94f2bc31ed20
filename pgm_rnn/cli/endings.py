"""Words that end, on the command line: processes with a law of the length, models with an ending, samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from pgm_rnn.family import Family
    from pgm_rnn.processes import Source
    from pgm_rnn.sequences import Sequences


def parse_source(process: str, ending: str | None = None) -> Source:
    """A source by its name, with a law of the length by its own if one is given."""
    from pgm_rnn.checks import reject
    from pgm_rnn.naming import build
    from pgm_rnn.processes import LENGTH_LAWS, Process, halting, parse

    source = parse(process)
    if ending is None:
        return source
    hazards = build("ending", ending, LENGTH_LAWS)
    if not isinstance(source, Process):
        raise reject("process", "a stationary process, which goes on for ever without --ending", process)
    return halting(source, hazards)


def build_model(text: str, ending: str | None, alphabet_size: int, duration: int, **given: int) -> Family:
    """A model by its name for words of at most ``duration`` symbols, with an ending by its own if one is given."""
    from pgm_rnn.models import MODELS, with_ending
    from pgm_rnn.naming import build

    def inner(**arguments: int) -> Family:
        return build("model", text, MODELS, **arguments)

    if ending is None:
        return inner(alphabet_size=alphabet_size, duration=duration, **given)
    return with_ending(ending, inner, alphabet_size, duration, **given)


def cut_and_tell(words: Sequences) -> Sequences:
    """Words over k symbols and END as words over k symbols; standard error says how many had not ended."""
    from pgm_rnn.sampling import cut_at_end

    drawn = cut_at_end(words)
    T = drawn.words.duration
    typer.echo(f"{drawn.cut} of {len(words)} words had not ended after {T} symbols, and are cut there", err=True)
    return drawn.words
