"""A Turing machine run the ordinary way, on a tape of numbered squares: what the network is compared with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from pgm_rnn.turing.machine import SHIFT, Machine


class Configuration(NamedTuple):
    """Everything about a machine at one moment.

    ``right`` begins with the symbol under the head and ``left`` ends with the one before it. Blanks at the far ends
    are not written, so equal moments are equal tuples.
    """

    state: str
    left: str
    right: str


def simulate(machine: Machine, word: str) -> Iterator[Configuration]:
    """The configurations of a run on ``word``, the first one included, until the machine halts; endless if it does not.

    Example:
        >>> from pgm_rnn.turing.machine import INCREMENT, parse_machine
        >>> *_, last = simulate(parse_machine(INCREMENT), "1011")
        >>> last
        Configuration(state='done', left='1', right='100')
    """
    tape = dict(enumerate(machine.check_word(word)))
    state, head = machine.start, 0
    while True:
        left = "".join(tape.get(i, machine.blank) for i in range(min(tape, default=head), head))
        right = "".join(tape.get(i, machine.blank) for i in range(head, max(tape, default=head) + 1))
        yield Configuration(state, left.lstrip(machine.blank), right.rstrip(machine.blank))
        if state in machine.halting:
            return
        done = machine.transitions[state, tape.get(head, machine.blank)]
        tape[head] = done.write
        state, head = done.next, head + SHIFT[done.move]


def head_positions(machine: Machine, run: Sequence[Configuration]) -> list[int]:
    """Where the head is at each moment of a run, in squares to the right of where it began.

    Example:
        >>> from pgm_rnn.turing.machine import INCREMENT, parse_machine
        >>> machine = parse_machine(INCREMENT)
        >>> head_positions(machine, [*simulate(machine, "1")])
        [0, 1, 0, -1, -1]
    """
    moves = (machine.transition(moment.state, moment.right[:1] or machine.blank).move for moment in run[:-1])
    return [*accumulate((SHIFT[move] for move in moves), initial=0)]
