"""What a rule lacks in order to decide: too few of something, or too few fits that converged.

Each demand says in one sentence what falls short, or nothing. Demands are joined by ``or``, so that the first which is
not met is the reason.
"""

from __future__ import annotations


def too_few(found: int, needed: int, what: str) -> str:
    """That only so many were found, where more are needed.

    >>> too_few(5, 5, "seeds") or too_few(3, 4, "of the four sources were measured")
    'Only 3 of the four sources were measured.'
    """
    return f"Only {found} {what}." if found < needed else ""


def too_few_converged(share: float, needed: float, where: str = "") -> str:
    """That only this share of the fits that decide converged, and ``where``, if they are those of one contest.

    >>> too_few_converged(0.6, 0.8, " (halt on even)")
    'Only 60% of the deciding fits converged (halt on even).'
    """
    return f"Only {share:.0%} of the deciding fits converged{where}." if share < needed else ""
