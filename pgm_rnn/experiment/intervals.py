"""Intervals over data seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import NormalDist
from typing import NamedTuple

import numpy as np


class Interval(NamedTuple):
    """A mean with its two-sided confidence limits."""

    mean: float
    low: float
    high: float

    def __format__(self, number: str) -> str:
        """The mean with its limits in brackets, each number in that format.

        >>> f"{Interval(0.25, 0.1, 0.4):.0%}"
        '25% [10%, 40%]'
        """
        mean, low, high = (format(x, number) for x in self)
        return f"{mean} [{low}, {high}]"

    def against(self, threshold: float, *, above: str, below: str) -> str:
        """What is said of an interval that lies ``above`` the threshold, or ``below`` it; ``open`` if neither.

        >>> Interval(0.25, 0.1, 0.4).against(0.0, above="won", below="lost")
        'won'
        """
        return above if self.low > threshold else below if self.high < threshold else "open"


def t_interval(values: Iterable[float], level: float = 0.95) -> Interval:
    r"""The mean of independent values with Student's interval, :math:`\bar d \pm t_{n-1} \, s / \sqrt n`.

    With fewer than two values the limits are infinite.

    >>> t_interval([1.0, 2.0, 3.0])
    Interval(mean=2.0, low=-0.484..., high=4.484...)
    """
    numbers = np.asarray(list(values), dtype=float)
    count = len(numbers)
    mean = float(numbers.mean()) if count else math.nan
    if count < 2:
        return Interval(mean, -math.inf, math.inf)
    half = student_quantile((1 + level) / 2, count - 1) * float(numbers.std(ddof=1)) / math.sqrt(count)
    return Interval(mean, mean - half, mean + half)


def share_interval(successes: int, count: int) -> Interval:
    r"""The share of ``count`` independent trials that succeeded, with Wilson's 95 % interval.

    Unlike :math:`\hat p \pm z \sqrt{\hat p (1 - \hat p) / n}` it is not a point where all trials went the same way.
    Without any trial the limits are infinite. Source: Wilson 1927.

    >>> f"{share_interval(200, 200):.3f}"
    '1.000 [0.981, 1.000]'
    """
    if not count:
        return Interval(math.nan, -math.inf, math.inf)
    z, share = NormalDist().inv_cdf(0.975), successes / count
    middle, spread = share + z**2 / (2 * count), z * math.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    low, high = ((middle + sign * spread) / (1 + z**2 / count) for sign in (-1, 1))
    return Interval(share, max(min(low, share), 0.0), min(max(high, share), 1.0))  # against rounding


def student_quantile(probability: float, freedom: int) -> float:
    r"""Quantile, for ``probability`` in [1/2, 1), of Student's t with ``freedom`` degrees.

    With :math:`t = \sqrt\nu \tan\theta` the density becomes :math:`\propto \cos^{\nu-1}\theta` on a bounded interval.

    >>> round(student_quantile(0.975, 4), 4)
    2.7764
    """
    theta = np.linspace(0.0, math.pi / 2, 20_001)
    density = np.cos(theta).clip(0.0) ** (freedom - 1)
    area = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    return float(math.sqrt(freedom) * math.tan(np.interp(2 * probability - 1, area / area[-1], theta)))
