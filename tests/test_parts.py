"""A claim of parts: every way they can add up, and the sentences about them."""

from __future__ import annotations

import itertools

import pytest

from pgm_rnn.experiment.parts import STATES, VERDICTS, together, told
from pgm_rnn.experiment.study import VERDICTS as KNOWN


@pytest.mark.parametrize("parts", list(itertools.product(STATES, repeat=3)))
def test_three_parts(parts: tuple[str, ...]) -> None:
    whole = together(parts)
    assert (whole == "fails") == ("fails" in parts)
    assert (whole == "holds") == (parts == ("holds",) * 3)


def test_no_parts_prove_nothing() -> None:
    assert together([]) == "open"


def test_words_of_its_own() -> None:
    assert [together([a, b], good="kept", bad="lost") for a, b in (("kept", "kept"), ("kept", "?"), ("?", "lost"))] == [
        "holds",
        "open",
        "fails",
    ]


def test_each_state_makes_another_verdict() -> None:
    assert sorted(VERDICTS.values()) == sorted(KNOWN)
    assert VERDICTS[together(["open", "fails"])] == "refuted"
    assert STATES.keys() == VERDICTS.keys()


def test_what_was_found_where_in_order_of_appearance() -> None:
    assert told([("open", "b"), ("kept", "a"), ("open", "a")]) == "open on b, a; kept on a"
    assert told([]) == ""
