"""What stands on a network's two stacks during a run, and how it got there: known from the machine alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pgm_rnn.turing.machine import Machine


class Stack(NamedTuple):
    """Half a tape, top first, with every blank that was ever pushed; and what was done to it last.

    ``popped`` is None where nothing was to be popped, and empty where there was nothing to pop.
    """

    symbols: str = ""
    popped: str | None = None
    pushed: str = ""

    def change(self, pop: bool, push: str = "") -> Stack:
        """The top popped, if there is one, then symbols pushed one after another."""
        popped = self.symbols[:1] if pop else None
        return Stack(push[::-1] + self.symbols[len(popped or "") :], popped, push)


class Stacks(NamedTuple):
    """Both halves of the tape."""

    left: Stack
    right: Stack


def stack_run(machine: Machine, word: str) -> Iterator[Stacks]:
    """The stacks that s_0, s_4, s_8, ... hold: while the input is loaded, then until the machine halts.

    Example:
        >>> from pgm_rnn.turing.catalogue import find_machine
        >>> [stacks.right.symbols for stacks in stack_run(find_machine("increment"), "11")]
        ['', '1', '11', '1', '', '1_', '10_', '_00_', '100_']
    """
    left, right, state = Stack(), Stack(), machine.start
    yield Stacks(left, right)
    for symbol in reversed(machine.check_word(word)):
        right = right.change(False, symbol)
        yield Stacks(left, right)
    if not word:
        yield Stacks(left, right)
    while state not in machine.halting:
        done = machine.transitions[state, right.symbols[:1] or machine.blank]
        if done.move == "R":
            left, right = left.change(False, done.write), right.change(True)
        elif done.move == "L":
            under = left.symbols[:1] or machine.blank
            left, right = left.change(True), right.change(True, done.write + under)
        else:
            left, right = left.change(False), right.change(True, done.write)
        state = done.next
        yield Stacks(left, right)
