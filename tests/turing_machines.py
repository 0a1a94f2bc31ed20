"""Machines drawn at random, the words they run on, and what the machines that come along are meant to compute."""

from __future__ import annotations

from hypothesis import strategies as st

from pgm_rnn.turing import Machine, Transition


@st.composite
def machines(draw: st.DrawFn) -> Machine:
    """Up to five symbols (so one to three bits) and four states; they may halt or not."""
    alphabet = "_abcd"[: draw(st.integers(2, 5))]
    states = "PQRS"[: draw(st.integers(1, 4))]
    transitions = st.builds(
        Transition, st.sampled_from(alphabet), st.sampled_from("LRS"), st.sampled_from([*states, "halt"])
    )
    table = {(state, symbol): draw(transitions) for state in states for symbol in alphabet}
    return Machine("drawn", alphabet, "P", ("halt",), table)


@st.composite
def runs(draw: st.DrawFn, longest: int = 12) -> tuple[Machine, str]:
    """A machine and a word, which may hold blanks anywhere."""
    machine = draw(machines())
    return machine, draw(st.text(machine.alphabet, max_size=longest))


Productions = dict[int, tuple[int, ...] | None]
"""What each symbol 1, 2, ... of a 2-tag system produces; None halts."""


def tag_words(productions: Productions, word: tuple[int, ...], count: int) -> list[tuple[int, ...]]:
    """The first words of a 2-tag system: drop two symbols and append what the first one produces, until one halts."""
    words = [word]
    while len(words) < count and len(words[-1]) >= 2 and (produced := productions[words[-1][0]]) is not None:
        words.append(words[-1][2:] + produced)
    return words


def encode_tag(productions: Productions, word: tuple[int, ...]) -> tuple[str, list[int]]:
    """The tape of the universal machine, as its file says, and the lengths N_1, N_2, ..."""
    lengths = [1]
    for symbol in sorted(productions):
        produced = productions[symbol]
        lengths.append(lengths[-1] + (3 if produced is None else len(produced)))
    program = ""
    for symbol in sorted(productions):
        produced = productions[symbol]
        zeros = "0101" if produced is None else "01".join("0" * lengths[j - 1] for j in reversed(produced))
        program = "11" + zeros + program
    return program + "11" + "A".join("y" * lengths[j - 1] for j in word), lengths
