"""A claim of several parts: it holds if all of them do, fails if one does, and is open otherwise."""

from __future__ import annotations

from collections.abc import Iterable

STATES = {"holds": "holds", "fails": "fails", "open": "is open"}
"""How a sentence says it."""

VERDICTS = {"holds": "supported", "fails": "refuted", "open": "inconclusive"}
"""What it makes of the claim."""


def together(parts: Iterable[str], good: str = "holds", bad: str = "fails") -> str:
    """What follows for the whole from what was found of its parts.

    >>> together(["holds", "open"]), together(["reached", "missed"], good="reached", bad="missed")
    ('open', 'fails')
    """
    found = set(parts)
    return "fails" if bad in found else "holds" if found == {good} else "open"


def told(found: Iterable[tuple[str, str]]) -> str:
    """Pairs of what was found and where, in one sentence, in order of appearance.

    >>> told([("reached", "delay"), ("missed", "preview"), ("reached", "parity")])
    'reached on delay, parity; missed on preview'
    """
    groups: dict[str, list[str]] = {}
    for what, where in found:
        groups.setdefault(what, []).append(where)
    return "; ".join(f"{what} on {', '.join(places)}" for what, places in groups.items())
