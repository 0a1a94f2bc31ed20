"""The verb about Turing machines: a machine and its network, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from pgm_rnn.turing import Layout, Machine, Moment

WIDEST = 40
"""Squares of the tape in the trace; where there are more, they are those around the head."""


def turing(
    machine: Annotated[str, typer.Argument(metavar="MACHINE", help="A machine that comes along, or a file with one.")],
    word: Annotated[
        str | None, typer.Option("--input", metavar="WORD", help="What stands on the tape; else the machine's example.")
    ] = None,
    trace: Annotated[bool, typer.Option("--trace", help="Show every step: the tape, and the network's state.")] = False,
    max_steps: Annotated[int, typer.Option(metavar="N", help="Steps of the machine after which to give up.")] = 10_000,
) -> None:
    """Compile a Turing machine to a recurrent network and run both in lockstep, the network in exact numbers.

    Exit code 1 if the machine has not halted after --max-steps, 2 if the machine or its input is refused.

    Example: pgm-rnn turing increment --input 1011 --trace
    """
    from pgm_rnn.checks import check_integer
    from pgm_rnn.experiment.study import RunFailed
    from pgm_rnn.turing import Layout, find_machine, lockstep
    from pgm_rnn.turing.wiring import STEPS

    max_steps = check_integer("max_steps", max_steps, 0)
    found = find_machine(machine)
    layout = Layout(found)
    tape = found.check_word(found.example if word is None else word)
    moments = [*islice(lockstep(found, tape), max_steps + 1)]
    typer.echo(f"machine    {found.name}" + (f": {found.about}" if found.about else ""))
    typer.echo(f"network    {len(layout.units)} units, {STEPS} steps for one step of the machine, whatever the input")
    if trace:
        _print(_table(found, layout, moments))
    parted = next((t for t, moment in enumerate(moments) if moment.machine != moment.net), None)
    if parted is not None:
        raise RunFailed(f"machine and network differ at step {parted}")
    last = moments[-1].machine
    if last.state not in found.halting:
        raise RunFailed(f"{found.name} does not halt within {max_steps:,} steps; --max-steps gives it more")
    typer.echo(f"halted     in state {last.state} at step {len(moments) - 1:,}, the network's tape equal at each")
    typer.echo(f"tape       {last.left + last.right or '(blank)'}")


def _print(table: Table) -> None:
    """Within the width of a terminal, and in full to a file."""
    from rich.console import Console

    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console.width = 10_000
    console.print(table)


def _table(machine: Machine, layout: Layout, moments: Sequence[Moment]) -> Table:
    from rich.table import Table

    from pgm_rnn.turing.simulator import head_positions

    positions = head_positions(machine, [moment.machine for moment in moments])
    low = min(head - len(moment.machine.left) for head, moment in zip(positions, moments, strict=True))
    high = max(head + max(len(moment.machine.right), 1) for head, moment in zip(positions, moments, strict=True))
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("step", justify="right")
    for heading in ("state", "tape", "unit that is 1", "L (base 4)", "R (base 4)"):
        table.add_column(heading, no_wrap=True, overflow="ellipsis")
    for t, (head, moment) in enumerate(zip(positions, moments, strict=True)):
        start = low if high - low <= WIDEST else head - WIDEST // 2
        tape = _tape(machine, moment, head, start, min(high - low, WIDEST))
        numbers = (_base4(layout, moment, side) for side in "LR")
        table.add_row(str(t), moment.machine.state, tape, f"is {moment.net.state}", *numbers)
    return table


def _tape(machine: Machine, moment: Moment, head: int, start: int, width: int) -> str:
    """The squares from ``start`` on, the one under the head in brackets."""
    left, right = moment.machine.left, moment.machine.right
    squares = {head - len(left) + i: symbol for i, symbol in enumerate(left + right)}
    before = {head: "[", head + 1: "]"}
    text = "".join(before.get(i, " ") + squares.get(i, machine.blank) for i in range(start, start + width))
    return text + before.get(start + width, " ")


def _base4(layout: Layout, moment: Moment, side: str) -> str:
    """The number of a stack; it has the digits 1 and 3 only, for the bits 0 and 1 of its symbols."""
    rest, digits = moment.state[layout.number[side]], ""
    while rest:
        digits += str(int(4 * rest))
        rest = 4 * rest - int(4 * rest)
    return f"0.{digits}" if digits else "0"
