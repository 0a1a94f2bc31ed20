"""Any model with any ending, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pgm_rnn.checks import check_integer, check_name, reject
from pgm_rnn.family import Family
from pgm_rnn.models.endings import BernoulliHalt, EndSymbol
from pgm_rnn.models.predicted_length import PredictedLength

TOLD = {"length": "context_dim", "remaining": "input_dim"}
"""Predicted lengths by what an inner family is told of them, and as what."""

ENDING_NAMES = ("end-symbol", "halt", *TOLD)


def with_ending(ending: str, inner: Callable[..., Family], alphabet_size: int, max_length: int, **given: Any) -> Family:
    """A model of words of at most ``max_length`` symbols out of ``alphabet_size``, not counting END.

    Args:
        ending: ``"end-symbol"``, ``"halt"``, ``"length"`` or ``"remaining"``: what is told of a predicted length, once
            as a context or anew as the input of every step.
        inner: makes the inner family; called with ``alphabet_size``, ``duration``, what the ending asks, and ``given``.
        given: further arguments of the inner family.

    Raises:
        InputError: if the ending has no such name, or the inner family cannot have it.

    Example:
        >>> from pgm_rnn.models import Recurrent
        >>> model = with_ending("remaining", lambda duration, **given: Recurrent(hidden_dim=4, **given), 2, 10)
        >>> model.alphabet_size, model.inner.input_dim
        (3, 10)
    """
    longest = check_integer("max_length", max_length, 1)
    check_name("ending", ending, ENDING_NAMES)
    if given.get("input_dim") is not None:
        raise reject("ending", "None for words with inputs, whose number tells the length", repr(ending))
    if ending in TOLD:
        if given.get("context_dim") is not None:
            raise reject("ending", "'end-symbol' or 'halt' for words with a context", repr(ending))
        given = {**given, TOLD[ending]: longest}
        own = inner(alphabet_size=alphabet_size, duration=longest, **given)
        return PredictedLength(own, longest, remaining=ending == "remaining")
    wrapper, symbols = (EndSymbol, alphabet_size + 1) if ending == "end-symbol" else (BernoulliHalt, alphabet_size)
    return wrapper(inner(alphabet_size=symbols, duration=longest + 1, **given))
