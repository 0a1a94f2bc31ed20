"""Machines as people type them: what is read, what is refused, and what the shipped ones compute."""

from __future__ import annotations

import re
from collections import deque
from itertools import islice, product

import pytest

from pgm_rnn.checks import InputError
from pgm_rnn.turing import MACHINES, Configuration, find_machine, parse_machine, simulate
from pgm_rnn.turing.machine import INCREMENT
from tests.turing_machines import Productions, encode_tag, tag_words

LINES = INCREMENT.splitlines()


def last(name: str, word: str) -> Configuration:
    """Where a shipped machine halts."""
    (found,) = deque(simulate(find_machine(name), word), maxlen=1)
    return found


def tape(configuration: Configuration) -> str:
    return configuration.left + configuration.right


@pytest.mark.parametrize("number", [0, 1, 2, 7, 8, 11, 63, 64])
def test_increment(number: int) -> None:
    assert tape(last("increment", f"{number:b}")) == f"{number + 1:b}"


@pytest.mark.parametrize(("a", "b"), [(0, 0), (1, 1), (5, 3), (7, 9), (12, 100), (99, 1)])
def test_addition(a: int, b: int) -> None:
    done = last("addition", f"{a:b}+{b:b}")
    assert done.state == "done"
    assert int(tape(done), 2) == a + b


@pytest.mark.parametrize(("a", "b"), [(0, 0), (0, 3), (3, 0), (1, 1), (4, 3)])
def test_multiplication(a: int, b: int) -> None:
    done = last("multiplication", f"{'1' * a}*{'1' * b}=")
    assert done == Configuration("done", "", "1" * (a * b))


def test_palindrome() -> None:
    for length in range(7):
        for word in map("".join, product("01", repeat=length)):
            assert last("palindrome", word).state == ("accept" if word == word[::-1] else "reject"), word


def balanced(word: str) -> bool:
    while "()" in word:
        word = word.replace("()", "")
    return not word


def test_brackets() -> None:
    for length in range(7):
        for word in map("".join, product("()", repeat=length)):
            assert last("brackets", word).state == ("accept" if balanced(word) else "reject"), word


def test_busy_beaver() -> None:
    run = list(simulate(find_machine("busy-beaver"), ""))
    assert len(run) - 1 == 107
    assert tape(run[-1]).count("1") == 13


@pytest.mark.parametrize("word", ["", "0", "1", "10", "0110101"])
def test_copy(word: str) -> None:
    assert tape(last("copy", word)) == (f"{word}_{word}" if word else "")


COLLATZ = {1: (2, 3), 2: (1,), 3: (1, 1, 1)}  # De Mol 2008: from n times 1 to n/2 or (3n + 1)/2 times 1
HALTING = {1: (2,), 2: (2, 3), 3: None}


@pytest.mark.parametrize(
    ("productions", "word"),
    [(HALTING, (2, 2, 2)), (HALTING, (1, 1, 2, 1, 1)), (COLLATZ, (1, 1, 1))],
)
def test_the_universal_machine_runs_a_tag_system(productions: Productions, word: tuple[int, ...]) -> None:
    """At the moments when its head is on the word's first symbol and all before it is as it was or blank."""
    text, lengths = encode_tag(productions, word)
    program = text[: text.index("y")]
    expected = tag_words(productions, word, 9)
    assert len(expected) >= 3
    found: list[tuple[int, ...]] = []
    for moment in islice(simulate(find_machine("universal"), text), 8_000):
        left, right = moment.left, moment.right
        between = left.removeprefix(program)
        if moment.state in ("q1", "q2") and right[:1] == "y" and left.startswith(program) and not between.strip("0"):
            lengths_now = [len(run) for run in right.split("A")]
            if set(lengths_now) <= set(lengths):
                found.append(tuple(lengths.index(n) + 1 for n in lengths_now))
    steps = [pair for i, pair in enumerate(found) if not i or pair != found[i - 1]]
    assert steps[: len(expected)] == expected


def test_the_universal_machine_halts_when_its_tag_system_does() -> None:
    text, _ = encode_tag(HALTING, (2, 2, 2))
    assert text == find_machine("universal").example
    assert last("universal", text).state == "halt"
    assert sum(1 for _ in islice(simulate(find_machine("universal"), encode_tag(COLLATZ, (1,) * 3)[0]), 2_000)) == 2_000


def test_blanks_at_the_far_ends_are_not_written() -> None:
    run = list(simulate(find_machine("copy"), "1__"))
    assert run[0] == Configuration("next", "", "1")
    assert run[1] == Configuration("with-1", "I", "")
    assert run[2] == Configuration("put-1", "I_", "")


@pytest.mark.parametrize("name", MACHINES)
def test_shipped_machines_have_a_sentence_and_an_example_that_halts(name: str) -> None:
    machine = find_machine(name)
    assert machine.about
    *_, done = simulate(machine, machine.example)
    assert done.state in machine.halting


def without(part: str) -> str:
    assert any(part in line for line in LINES)
    return "\n".join(line for line in LINES if part not in line)


BAD = [
    (without("carry  1"), "line 10: expected a transition of 'carry' for every symbol, got none for '1'"),
    (without("halt:"), "expected a line 'halt:' above the transitions, got none so far"),
    (without("start:"), "expected a line 'start:' above the transitions, got none so far"),
    (without("alphabet:"), "line 7: expected a line 'alphabet:' above the transitions, got none so far"),
    (INCREMENT.replace("halt: done", "halt:"), "line 5: expected 'halt: ' and something, got nothing"),
    (INCREMENT + "carry 1 -> 1 R right", "line 12: expected one transition of 'carry' for '1', got a second one after"),
    (
        INCREMENT.replace("R right", "R write"),
        "line 8: expected a state with .* halting one, got 'write'",
    ),
    (INCREMENT.replace("start: right", "start: rigth"), "line 4: expected a state with .*did you mean 'right'"),
    (INCREMENT.replace("start: right", "start: right carry"), "line 4: expected one state to start in"),
    (INCREMENT.replace("01 ->", "02 ->"), "line 8: expected symbols among _ 0 1, got '2'"),
    (INCREMENT.replace("-> 0 L", "-> x L"), "line 10: expected symbols among _ 0 1, got 'x'"),
    (INCREMENT.replace("0 L carry", "0 U carry"), "line 10: expected a move L, S or R, got 'U'"),
    (INCREMENT.replace("0 L carry", "0 0 L carry"), "line 10: expected STATE READ -> "),
    (INCREMENT.replace("-> 0 L carry", "0 L carry"), "line 10: expected STATE READ -> "),
    (INCREMENT + "done 1 -> L done", "line 12: expected no transition of the halting state 'done', got one"),
    (INCREMENT.replace("alphabet: _ 0 1", "alphabet: _ 0 0 1"), "line 3: expected two or more different symbols"),
    (INCREMENT.replace("alphabet: _ 0 1", "alphabet: _01"), "line 3: expected two or more different symbols"),
    (INCREMENT.replace("about:", "title:"), "line 2: expected one of about:, alphabet:, start:, halt:, example:"),
    (INCREMENT + "start: carry", "line 12: expected one line 'start:', got a second one after line 4"),
    (INCREMENT.replace("example: 1011", "example: 1012"), "line 6: expected symbols among _ 0 1, got '2'"),
    ("", "expected a line 'alphabet:' above the transitions, got none so far"),
]


@pytest.mark.parametrize(("text", "reason"), BAD)
def test_a_bad_machine_is_refused_with_its_line_and_the_reason(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=r"^mine, line [0-9]+: expected ") as caught:
        parse_machine(text, "mine")
    assert re.search(reason, str(caught.value)), str(caught.value)


def test_comments_and_blank_lines_do_not_count_but_are_counted() -> None:
    text = INCREMENT.replace("\n\n", "\n# a remark\n\n")
    assert parse_machine(text).transitions == parse_machine(INCREMENT).transitions
    with pytest.raises(InputError, match="line 9"):
        parse_machine(text.replace("right  01", "right  0z"))
