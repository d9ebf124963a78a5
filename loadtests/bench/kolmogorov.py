"""Whether two samples may be of one distribution: the test of Kolmogorov and Smirnov, for samples of one size.

For equal sizes the distribution of the statistic is known exactly and in closed form (Gnedenko and Korolyuk, 1951), so
no approximation is needed: of the ways to mix both samples, those are counted whose difference reaches it (by
reflection). Ties make the test more cautious, never less.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence


def statistic(first: Sequence[float], second: Sequence[float]) -> int:
    """The largest difference between both empirical distributions, in members of a sample.

    Raises ValueError for samples that are empty or not of one size.
    """
    if not first or len(first) != len(second):
        raise ValueError("two samples of one size are needed")
    ours, theirs = sorted(first), sorted(second)
    return max(abs(bisect_right(ours, each) - bisect_right(theirs, each)) for each in {*ours, *theirs})


def probability(reached: int, size: int) -> float:
    """How likely the statistic of two samples of ``size`` is at least ``reached``, if both are of one distribution."""
    if reached <= 0:
        return 1.0
    total = 0.0
    for step in range(1, size // reached + 1):
        away = step * reached
        log_share = 2 * math.lgamma(size + 1) - math.lgamma(size - away + 1) - math.lgamma(size + away + 1)
        total -= (-1) ** step * math.exp(log_share)
    return min(1.0, 2 * total)


def p_value(first: Sequence[float], second: Sequence[float]) -> float:
    """Small where both samples are hardly of one distribution."""
    return probability(statistic(first, second), len(first))


def least_shift(sample: Sequence[float], significance: float) -> float:
    """By how much all of a sample has to be shifted to be told apart from itself: how fine the test is here."""
    ordered = sorted(sample)
    low, high = 0.0, ordered[-1] - ordered[0] + 1.0  # the higher one leaves no overlap
    for _ in range(40):
        middle = (low + high) / 2
        if p_value(ordered, [each + middle for each in ordered]) > significance:
            low = middle
        else:
            high = middle
    return high
