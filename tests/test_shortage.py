"""What a rule lacks: the sentence where something falls short, and none where it just suffices."""

from __future__ import annotations

import pytest

from pgm_rnn.experiment.shortage import too_few, too_few_converged


@pytest.mark.parametrize(("found", "sentence"), [(0, "Only 0 seeds."), (4, "Only 4 seeds."), (5, ""), (6, "")])
def test_a_count(found: int, sentence: str) -> None:
    assert too_few(found, 5, "seeds") == sentence


@pytest.mark.parametrize(("share", "short"), [(0.0, True), (0.79, True), (0.8, False), (1.0, False)])
def test_a_share(share: float, short: bool) -> None:
    expected = f"Only {100 * share:.0f}% of the deciding fits converged" if short else ""
    assert too_few_converged(share, 0.8) == (f"{expected}." if short else "")
    assert too_few_converged(share, 0.8, " (even)") == (f"{expected} (even)." if short else "")


def test_the_first_demand_that_is_not_met_is_the_reason() -> None:
    """Later ones are not even looked at: where nothing was measured there may be no share."""
    assert (too_few(3, 4, "sources") or too_few(1 // 0, 5, "seeds")) == "Only 3 sources."
    assert (too_few(4, 4, "sources") or too_few_converged(0.5, 0.8)).startswith("Only 50%")
