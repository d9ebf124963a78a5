"""The test of Kolmogorov and Smirnov against counted, tabulated and limiting values."""

import itertools
import math
import random

import kolmogorov
import pytest


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_a_probability_is_the_share_of_all_ways_to_mix_both_samples(size: int) -> None:
    ways = [set(chosen) for chosen in itertools.combinations(range(2 * size), size)]
    everything = set(range(2 * size))
    found = [kolmogorov.statistic(sorted(chosen), sorted(everything - chosen)) for chosen in ways]

    for reached in range(size + 1):
        share = sum(each >= reached for each in found) / len(ways)
        assert kolmogorov.probability(reached, size) == pytest.approx(share)


@pytest.mark.parametrize(
    ("size", "reached", "tabulated"),
    [(5, 5, 2 / 252), (5, 4, 20 / 252), (10, 6, 9690 / 184756), (10, 7, 2280 / 184756), (10, 8, 380 / 184756)],
)
def test_a_probability_is_as_tabulated(size: int, reached: int, tabulated: float) -> None:
    """Binomials: C(10, 0) and C(10, 1) of C(10, 5); C(20, 10 - k) of C(20, 10), twice."""
    assert kolmogorov.probability(reached, size) == pytest.approx(tabulated)


@pytest.mark.parametrize(("critical", "significance"), [(1.22385, 0.10), (1.35810, 0.05), (1.62762, 0.01)])
def test_a_probability_comes_near_kolmogorovs_distribution(critical: float, significance: float) -> None:
    """The limit for large samples, as every table has it (Smirnov 1948)."""
    size = 1_000_000
    reached = round(critical * math.sqrt(2 / size) * size)

    assert kolmogorov.probability(reached, size) == pytest.approx(significance, rel=0.005)


def test_the_extremes_are_sure_and_impossible() -> None:
    assert kolmogorov.probability(0, 2000) == 1.0
    assert kolmogorov.probability(2000, 2000) == pytest.approx(0.0, abs=1e-300)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([1, 2, 3], [1, 2, 3], 0),
        ([1, 2, 3], [4, 5, 6], 3),
        ([1, 3, 5], [2, 4, 6], 1),
        ([3, 1, 2], [3, 2, 9], 1),
        ([1, 1, 1, 5], [1, 5, 5, 5], 2),
    ],
)
def test_the_statistic_is_the_largest_difference_after_each_value(
    first: list[float], second: list[float], expected: int
) -> None:
    assert kolmogorov.statistic(first, second) == expected
    assert kolmogorov.statistic(second, first) == expected


@pytest.mark.parametrize(("first", "second"), [([], []), ([1.0], [1.0, 2.0])])
def test_samples_of_two_sizes_are_not_compared(first: list[float], second: list[float]) -> None:
    with pytest.raises(ValueError, match="one size"):
        kolmogorov.statistic(first, second)


def test_samples_of_one_distribution_are_called_apart_as_often_as_the_significance_says() -> None:
    chance = random.Random(4)
    apart = sum(
        kolmogorov.p_value([chance.gauss(0, 1) for _ in range(100)], [chance.gauss(0, 1) for _ in range(100)]) < 0.05
        for _ in range(400)
    )

    assert 4 < apart < 32  # 20 are expected at most: the statistic comes in steps


def test_two_modes_in_other_shares_are_told_apart() -> None:
    """A tenant whose unknown names were all verified at one price, beside users of two."""
    chance = random.Random(4)
    mixed = [chance.gauss(17 if number % 2 else 55, 1) for number in range(2000)]
    plain = [chance.gauss(17, 1) for _ in range(2000)]

    assert kolmogorov.p_value(mixed, plain) < 1e-6


def test_the_least_shift_is_where_a_sample_begins_to_be_told_from_itself() -> None:
    chance = random.Random(4)
    sample = [chance.gauss(20, 1) for _ in range(2000)]
    shift = kolmogorov.least_shift(sample, 0.01)

    assert 0.05 < shift < 0.3
    assert kolmogorov.p_value(sample, [each + 1.05 * shift for each in sample]) <= 0.01
    assert kolmogorov.p_value(sample, [each + 0.9 * shift for each in sample]) > 0.01
