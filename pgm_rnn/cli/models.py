"""Verbs about models: fit, score, sample, compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pgm_rnn.cli.app import Device, Folder, Seed
from pgm_rnn.cli.endings import build_model, cut_and_tell, parse_source
from pgm_rnn.cli.inputs import (
    Context,
    Data,
    Duration,
    Inputs,
    NumSequences,
    ProcessName,
    all_words,
    check_data,
    check_either,
    check_folder,
    check_target,
    draw_words,
    read_sides,
    read_words,
)

ModelFile = Annotated[Path, typer.Argument(metavar="FILE", help="A model file that fit wrote.")]


def fit(
    model: Annotated[str, typer.Option(metavar="NAME", help="Such as 'recurrent(hidden_dim=16)'; see list models.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The model file to write.")],
    data: Data = None,
    process: ProcessName = None,
    num_sequences: NumSequences = None,
    duration: Duration = None,
    ending: Annotated[
        str | None, typer.Option(metavar="NAME", help="How words end: end-symbol, halt, length or remaining.")
    ] = None,
    mode: Annotated[
        str, typer.Option(help="What a network is fed: teacher-forcing, free-running, scheduled or output-vector.")
    ] = "teacher-forcing",
    device: Device = "auto",
    seed: Seed = 0,
) -> None:
    """Fit a model to words, or to a process: to N words drawn from it, or without -n to all of them, exactly.

    A model of words that come with a context or inputs takes them, unless its own arguments say otherwise. Lines of
    different lengths are words that a model with an --ending learns to end, and another as far as they go.

    Example: pgm-rnn fit --process even -T 8 --model 'recurrent(hidden_dim=16)' -o even.safetensors
    """
    import pgm_rnn
    from pgm_rnn.checks import reject
    from pgm_rnn.sides import NO_SIDES, widths

    check_data(data, process, num_sequences, duration)
    check_target(output)
    training: pgm_rnn.Sequences | pgm_rnn.PrefixTree | pgm_rnn.SequenceDistribution
    if data is not None:
        training, end = read_words(data), 0
        if training.is_ragged and training.inputs is None and ending is None:
            typer.echo(
                "words of different lengths are learnt as far as they go; --ending learns their ends too", err=True
            )
    else:
        source = parse_source(str(process))
        if ending is not None and not source.ends:
            way_out = "give its words an end by sample --process NAME --ending LAW, and fit those"
            raise reject("ending", "a process whose words end, such as brackets", str(process), way_out)
        end = int(source.ends and ending is not None)  # the model brings its own
        drawn = num_sequences is not None
        training = draw_words(source, num_sequences or 0, duration, seed) if drawn else all_words(source, duration)
    k, T = training.alphabet_size - end, training.duration - end
    sides = NO_SIDES if isinstance(training, pgm_rnn.SequenceDistribution) else training.sides
    untrained = build_model(model, ending, k, T, **widths(sides))
    result = pgm_rnn.fit(untrained, training, mode=mode, seed=seed, device=device, progress=True)
    pgm_rnn.save(result.model, output)
    kept = min(int(result.steps), len(result.losses) - 1)
    typer.echo(f"training   {float(result.losses[kept]):.6f} nats per word")
    if result.validation_losses is not None:
        typer.echo(f"held out   {float(result.validation_losses.min()):.6f} nats per word, when settings were chosen")
    typer.echo(f"converged  {'yes' if result.converged else 'no'}, in {result.steps} steps and {result.seconds:.1f} s")
    typer.echo(f"written    {output}")


def score(
    file: ModelFile,
    data: Data = None,
    process: ProcessName = None,
    num_sequences: NumSequences = None,
    duration: Duration = None,
    device: Device = "auto",
    seed: Seed = 0,
) -> None:
    """Score a model on words, or against a process: exactly, or with -n on N words drawn from it.

    Example: pgm-rnn score even.safetensors --process even -T 8
    """
    import pgm_rnn
    from pgm_rnn.devices import resolve_device

    check_data(data, process, num_sequences, duration)
    where = resolve_device(device)
    model = pgm_rnn.load(file).to(where)
    if data is not None:
        result = pgm_rnn.score(model, read_words(data, model).to(where))
    else:
        truth = parse_source(str(process)).to(where)
        steps = None if duration is None else duration + truth.ends
        result = pgm_rnn.score(model, truth, steps, num_sequences=num_sequences, seed=seed)
    for name in ("divergence", "cross_entropy", "entropy", "standard_error"):
        value = getattr(result, name)
        if value is not None:
            typer.echo(f"{name + '_nats_per_word':30}{value:.9g}")
    typer.echo(f"{'method':30}{result.method}")


def sample(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="A model file that fit wrote.")] = None,
    process: ProcessName = None,
    num_sequences: NumSequences = 1,
    duration: Duration = None,
    prefix: Annotated[str | None, typer.Option(metavar="0,1,1", help="First symbols of every word.")] = None,
    context: Context = None,
    inputs: Inputs = None,
    ending: Annotated[
        str | None, typer.Option(metavar="LAW", help="When a process's words end, such as 'geometric(halt=0.1)'.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A .csv or .npz file to write.")] = None,
    device: Device = "auto",
    seed: Seed = 0,
) -> None:
    """Draw words of T symbols from a model or a process; without -o they go to standard output as CSV.

    Words that end have at most T; standard error says how many were cut there.

    With --inputs each input word is answered by N words of its length, 1 if -n does not say otherwise.

    Example: pgm-rnn sample --process even -n 5 -T 8 --prefix 0,1,1
    """
    import pgm_rnn
    from pgm_rnn.checks import reject
    from pgm_rnn.devices import resolve_device

    check_either("file", file, process)
    if file is not None and ending is not None:
        raise reject("ending", "--process beside it", "a model's file, which has the ending that it was fitted with")
    if output is not None:
        check_target(output, (".csv", ".npz"))
    source = pgm_rnn.load(file) if file is not None else parse_source(str(process), ending)
    sides = read_sides(context, inputs)
    words = draw_words(source.to(resolve_device(device)), num_sequences or 0, duration, seed, prefix, sides)
    words = cut_and_tell(words) if source.ends else words
    if output is None:
        typer.echo(words.to_csv(), nl=False)
    else:
        words.write(output)


def compare(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Words: a .csv file, one word a line, or an .npz.")],
    output: Folder = Path("reports"),
    device: Device = "auto",
    seed: Seed = 0,
) -> None:
    """Fit the whole ladder of models to your own words, and rank them on a fifth that none has seen.

    Example: pgm-rnn compare words.csv
    """
    from pgm_rnn.experiment.ladder import compare_ladder
    from pgm_rnn.files import write_whole

    check_folder(output)
    table = compare_ladder(read_words(data), seed=seed, device=device)
    typer.echo(table.to_string(float_format="{:.5g}".format))
    target = output / "compare" / "compare.csv"
    target.parent.mkdir(parents=True, exist_ok=True)
    write_whole(target, table.to_csv())
    typer.echo(f"written {target}")
