"""Intervals against the equations and tables that define them, and on which side of a threshold they lie."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pgm_rnn.experiment.intervals import Interval, share_interval, student_quantile, t_interval

TABLE_OF_T = {1: 12.7062, 2: 4.30265, 4: 2.77645, 9: 2.26216, 30: 2.04227}


@pytest.mark.parametrize(("freedom", "quantile"), TABLE_OF_T.items())
def test_student_quantiles_are_those_of_the_tables(freedom: int, quantile: float) -> None:
    assert student_quantile(0.975, freedom) == pytest.approx(quantile, rel=1e-5)


def test_interval_of_one_value_is_infinite() -> None:
    assert t_interval([3.0]) == (3.0, -float("inf"), float("inf"))


@pytest.mark.parametrize(("successes", "count"), [(0, 10), (3, 10), (10, 10), (150, 200)])
def test_wilson_is_where_the_score_test_turns(successes: int, count: int) -> None:
    """Its limits solve (share - p)^2 = z^2 p (1 - p) / n."""
    share, low, high = share_interval(successes, count)
    assert share == successes / count
    for p in {low, high} - {0.0, 1.0}:
        assert (share - p) ** 2 == pytest.approx(1.959964**2 * p * (1 - p) / count, rel=1e-5)
    assert 0 <= low <= share <= high <= 1


def test_no_trials_say_nothing() -> None:
    assert share_interval(0, 0)[1:] == (-np.inf, np.inf)


@pytest.mark.parametrize(
    ("low", "high", "side"),
    [(0.11, 0.3, "above"), (-1.0, 0.09, "below"), (0.0, 0.2, "open"), (0.1, 0.2, "open"), (0.0, 0.1, "open")],
)
def test_an_interval_is_on_a_side_if_it_lies_there_as_a_whole(low: float, high: float, side: str) -> None:
    assert Interval((low + high) / 2, low, high).against(0.1, above="above", below="below") == side


def test_too_little_is_on_no_side() -> None:
    """Neither one value, whose limits are infinite, nor one that is not a number."""
    for values in ([], [5.0], [5.0, math.nan]):
        assert t_interval(values).against(0.0, above="above", below="below") == "open"
