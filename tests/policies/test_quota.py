"""Limits of routes: never more than was said, and never a refusal of who keeps to it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.quota import SECOND, UNITS, Exhausted, Quota, Spent, spend, whole_seconds

QUOTAS = st.builds(
    Quota,
    st.just("subject"),
    st.integers(1, 1_000_000),
    st.sampled_from(sorted(UNITS)),
    st.integers(1, 50),
)
NOW = 10**12


def run(quota: Quota, moments: list[int]) -> list[bool]:
    """Which of the requests at these moments were let through."""
    until, passed = None, []
    for now in moments:
        match spend(quota, until, now):
            case Spent(moved, _, _):
                until = moved
                passed.append(True)
            case Exhausted():
                passed.append(False)
    return passed


def test_a_burst_and_then_one_in_each_interval() -> None:
    quota = Quota("subject", 60, "minute", 3)
    assert run(quota, [NOW] * 5) == [True, True, True, False, False]
    assert run(quota, [NOW] * 3 + [NOW + SECOND - 1, NOW + SECOND, NOW + SECOND]) == [True] * 3 + [False, True, False]


def test_it_says_what_is_left_and_when_there_is_more() -> None:
    quota = Quota("subject", 60, "minute", 3)
    assert spend(quota, None, NOW) == Spent(NOW + SECOND, 2, SECOND)
    assert spend(quota, NOW + SECOND, NOW) == Spent(NOW + 2 * SECOND, 1, SECOND)
    assert spend(quota, NOW + 2 * SECOND, NOW) == Spent(NOW + 3 * SECOND, 0, SECOND)
    assert spend(quota, NOW + 3 * SECOND, NOW + 1) == Exhausted(SECOND - 1)


def test_a_rate_that_does_not_divide_is_rounded_to_the_strict_side() -> None:
    quota = Quota("route", 7, "second", 1)
    assert quota.interval * 7 >= SECOND > (quota.interval - 1) * 7


def test_a_day_of_one_request() -> None:
    quota = Quota("address", 1, "day", 1)
    assert run(quota, [NOW, NOW + 86_400 * SECOND - 1, NOW + 86_400 * SECOND]) == [True, False, True]


@pytest.mark.parametrize(("requests", "burst"), [(0, 1), (1, 0), (-1, 1)])
def test_a_quota_that_lets_nothing_pass_is_none(requests: int, burst: int) -> None:
    with pytest.raises(ValueError, match="lets something pass"):
        Quota("route", requests, "minute", burst)


def test_a_decision_has_no_truth() -> None:
    for decision in (Spent(1, 1, 1), Exhausted(1)):
        with pytest.raises(TypeError):
            bool(decision)


@pytest.mark.parametrize(("nanoseconds", "seconds"), [(0, 1), (1, 1), (SECOND, 1), (SECOND + 1, 2)])
def test_seconds_are_rounded_up(nanoseconds: int, seconds: int) -> None:
    assert whole_seconds(nanoseconds) == seconds


@given(QUOTAS, st.lists(st.integers(0, 10**11), min_size=1, max_size=60))
def test_no_span_of_time_has_more_than_its_rate_and_a_burst(quota: Quota, steps: list[int]) -> None:
    moments = [NOW]
    for step in steps:
        moments.append(moments[-1] + step % (3 * quota.interval))
    through = [now for now, passed in zip(moments, run(quota, moments), strict=True) if passed]
    for at, first in enumerate(through):
        for more, last in enumerate(through[at:], start=1):
            assert more <= quota.burst + (last - first) // quota.interval


@given(QUOTAS, st.lists(st.integers(0, 10**9), max_size=40))
def test_who_keeps_to_the_interval_is_never_refused(quota: Quota, late: list[int]) -> None:
    moments = [NOW]
    for pause in late:
        moments.append(moments[-1] + quota.interval + pause)
    assert all(run(quota, moments))


@given(QUOTAS, st.integers(1, 60))
def test_who_comes_back_when_told_is_let_through_and_not_a_moment_earlier(quota: Quota, sent: int) -> None:
    until = None
    for _ in range(sent):
        match spend(quota, until, NOW):
            case Spent(moved, left, more_in):
                until = moved
                assert 0 <= left < quota.burst
                match spend(quota, until, NOW + more_in):
                    case Spent(_, then, _):
                        assert then == left  # one more than was left, and one spent
                    case Exhausted():
                        raise AssertionError("there was to be one more")
            case Exhausted(retry_in):
                assert isinstance(spend(quota, until, NOW + retry_in), Spent)
                assert spend(quota, until, NOW + retry_in - 1) == Exhausted(1)


@given(QUOTAS, st.integers(0, 10**15))
def test_a_moment_that_is_past_is_as_if_nothing_had_been(quota: Quota, ago: int) -> None:
    assert spend(quota, NOW - min(ago, NOW), NOW) == spend(quota, None, NOW)
