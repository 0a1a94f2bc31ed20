"""A Turing machine, and the text in which a person writes one down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import NamedTuple

from pgm_rnn.checks import InputError, reject

SHIFT = {"L": -1, "S": 0, "R": 1}
"""How far the head moves: left, not at all, right."""

HEADERS = ("about", "alphabet", "start", "halt", "example")


class Transition(NamedTuple):
    """What a machine does in one step: write a symbol, move the head by L, S or R, go on in a state."""

    write: str
    move: str
    next: str


@dataclass(frozen=True)
class Machine:
    """A deterministic Turing machine with one tape that is endless on both sides.

    Args:
        name: for messages.
        alphabet: the tape's symbols, one character each; the first one is the blank.
        start: the state in which it begins, its head on the first symbol of the input.
        halting: the states in which it stops.
        transitions: ``{(state, symbol): transition}``, one for each symbol in every state that is not halting.
        about, example: a sentence about it, and an input to show it on.

    Example:
        >>> machine = parse_machine(INCREMENT)
        >>> machine.states, machine.blank, machine.bits
        (('right', 'carry', 'done'), '_', 2)
        >>> machine.transitions["carry", "1"]
        Transition(write='0', move='L', next='carry')
    """

    name: str
    alphabet: str
    start: str
    halting: tuple[str, ...]
    transitions: Mapping[tuple[str, str], Transition]
    about: str = ""
    example: str = ""

    @property
    def blank(self) -> str:
        return self.alphabet[0]

    @property
    def states(self) -> tuple[str, ...]:
        """All states, the halting ones last."""
        return (*dict.fromkeys(state for state, _ in self.transitions), *self.halting)

    @property
    def bits(self) -> int:
        """Bits m that tell the symbols of the tape apart, at least one."""
        return max(1, (len(self.alphabet) - 1).bit_length())

    def transition(self, state: str, symbol: str) -> Transition:
        """What happens in a state on a symbol; a machine that has halted stays as it is."""
        if state in self.halting:
            return Transition(symbol, "S", state)
        return self.transitions[state, symbol]

    def check_word(self, word: str) -> str:
        """``word``, if it is written in the machine's alphabet; InputError otherwise."""
        for place, symbol in enumerate(word, 1):
            if symbol not in self.alphabet:
                raise reject("input", f"symbols among {' '.join(self.alphabet)}", f"{symbol!r} as number {place}")
        return word


INCREMENT = """
about: adds one to a binary number
alphabet: _ 0 1
start: right
halt: done
example: 1011

right  01 -> R right
right  _  -> L carry
carry  1  -> 0 L carry
carry  0_ -> 1 S done
"""
"""A machine as a person types it: the text of the examples here."""


def parse_machine(text: str, name: str = "machine") -> Machine:
    """The machine that a text describes.

    Header lines ``alphabet:`` (the blank first), ``start:`` and ``halt:`` (one or more states), and if wished
    ``about:`` and ``example:``; then one line per transition, ``STATE READ -> [WRITE] MOVE NEXT``. READ may be several
    symbols at once; without WRITE the symbol stays as it is. A line that starts with ``#`` is a comment.

    Raises:
        InputError: for a line that cannot be read, an unknown state, symbol or move, two transitions for the same state
            and symbol, a missing one, or no halting state; it names the line.

    Example:
        >>> parse_machine(INCREMENT.replace("L carry", "L cary"), "increment")
        Traceback (most recent call last):
        pgm_rnn.checks.InputError: increment, line 9: expected a state with transitions, or a halting one, got 'cary'; \
did you mean 'carry'?
    """
    return _Reader(name, text).machine()


class Rule(NamedTuple):
    """A transition with the number of its line."""

    transition: Transition
    line: int


@dataclass
class _Reader:
    """Reads a text line by line, and remembers where everything stood."""

    name: str
    text: str
    headers: dict[str, tuple[list[str], int]] = field(default_factory=dict)
    rules: dict[tuple[str, str], Rule] = field(default_factory=dict)

    def machine(self) -> Machine:
        lines = [(number, line.strip()) for number, line in enumerate(self.text.splitlines(), 1)]
        for number, line in lines:
            if line and not line.startswith("#"):
                self._read(number, line)
        alphabet, halting = "".join(self._header("alphabet")), tuple(self._header("halt"))
        (start, *more), where = self._header("start"), self.headers["start"][1]
        if more:
            raise self.wrong(where, "one state to start in", repr(" ".join([start, *more])))
        self._check(start, where, halting)
        about, example = (" ".join(self.headers.get(key, ([], 0))[0]) for key in ("about", "example"))
        if example:
            self._check_symbols(self.headers["example"][1], example)
        transitions = {key: rule.transition for key, rule in self.rules.items()}
        return Machine(self.name, alphabet, start, halting, transitions, about, example)

    def wrong(self, line: int, expected: str, got: str, way_out: str = "") -> InputError:
        return reject(f"{self.name}, line {line}", expected, got, way_out)

    def _read(self, number: int, line: str) -> None:
        key, *values = line.split()
        if not key.endswith(":"):
            self._read_rule(number, line)
            return
        key = key.removesuffix(":")
        if key not in HEADERS:
            raise self.wrong(number, "one of " + ", ".join(f"{header}:" for header in HEADERS), repr(f"{key}:"))
        if key in self.headers:
            raise self.wrong(number, f"one line '{key}:'", f"a second one after line {self.headers[key][1]}")
        if not values and key not in ("about", "example"):
            raise self.wrong(number, f"'{key}: ' and something", "nothing")
        if key == "alphabet":
            self._check_alphabet(number, values)
        self.headers[key] = (values, number)

    def _check_alphabet(self, number: int, symbols: list[str]) -> None:
        long = [symbol for symbol in symbols if len(symbol) > 1]
        if long or len(symbols) < 2 or len(set(symbols)) < len(symbols):
            got = f"{long[0]!r}" if long else repr(" ".join(symbols))
            raise self.wrong(number, "two or more different symbols of one character each, the blank first", got)

    def _read_rule(self, number: int, line: str) -> None:
        match line.split():
            case [state, reads, "->", *write, move, target] if len(write) <= 1:
                pass
            case _:
                raise self.wrong(number, "STATE READ -> [WRITE] MOVE NEXT", repr(line))
        self._check_symbols(number, [*reads, *write])
        if move not in SHIFT:
            raise self.wrong(number, "a move L, S or R", repr(move))
        for symbol in reads:
            if (state, symbol) in self.rules:
                before = self.rules[state, symbol].line
                raise self.wrong(
                    number, f"one transition of {state!r} for {symbol!r}", f"a second one after line {before}"
                )
            self.rules[state, symbol] = Rule(Transition(write[0] if write else symbol, move, target), number)

    def _check_symbols(self, number: int, symbols: Iterable[str]) -> None:
        alphabet = self._header("alphabet", number)
        for symbol in symbols:
            if symbol not in alphabet:
                raise self.wrong(number, f"symbols among {' '.join(alphabet)}", repr(symbol))

    def _header(self, key: str, line: int | None = None) -> list[str]:
        if key not in self.headers:
            end = len(self.text.splitlines()) or 1
            raise self.wrong(line or end, f"a line '{key}:' above the transitions", "none so far")
        return self.headers[key][0]

    def _check(self, start: str, line: int, halting: Iterable[str]) -> None:
        """Every state that is named must be known, and know what to do with every symbol."""
        active = {state: rule.line for (state, _), rule in reversed(self.rules.items())}
        known = {*active, *halting}
        for state in halting:
            if state in active:
                raise self.wrong(active[state], f"no transition of the halting state {state!r}", "one")
        for target, where in [(start, line), *((rule.transition.next, rule.line) for rule in self.rules.values())]:
            if target not in known:
                near = get_close_matches(target, known, n=1)
                way_out = f"did you mean {near[0]!r}?" if near else ""
                raise self.wrong(where, "a state with transitions, or a halting one", repr(target), way_out)
        for state, where in reversed(active.items()):
            for symbol in self._header("alphabet"):
                if (state, symbol) not in self.rules:
                    expected = f"a transition of {state!r} for every symbol"
                    raise self.wrong(where, expected, f"none for {symbol!r}")
