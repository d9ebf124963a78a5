"""The curves: what is free, how long the rest waits, when it is forgotten, and what a day's patience earns."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.decision import Allow
from policies.throttle import (
    ACCOUNT,
    ALARM,
    FACTOR,
    KNOWN,
    LETTERS,
    NETWORK,
    REMEMBERED,
    USER_CODE,
    Curve,
    Failures,
    Throttled,
    counted,
    decide,
)

NOW = datetime(2027, 1, 15, 8, 0, tzinfo=UTC)
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
NONE = Failures(0, None)
CURVE = Curve(free=3, first=10 * SECOND, longest=60 * SECOND, forget_after=HOUR)
CURVES = {
    "account": ACCOUNT,
    "network": NETWORK,
    "known": KNOWN,
    "factor": FACTOR,
    "letters": LETTERS,
    "user code": USER_CODE,
}
every_curve = pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES)
curves = st.builds(
    lambda free, first, times, more: Curve(free, first, first * times, first * times + more),
    free=st.integers(1, 20),
    first=st.timedeltas(SECOND, HOUR),
    times=st.integers(1, 5000),
    more=st.timedeltas(SECOND, DAY),
)


def admitted(curve: Curve, times: Iterable[datetime]) -> list[datetime]:
    """Those of the attempts at ``times`` that were made; each of them failed."""
    failures, made = NONE, []
    for now in times:
        if decide(failures, curve, now) == Allow():
            failures = counted(failures, curve, now)
            made.append(now)
    return made


def greedy(curve: Curve, length: timedelta, *, start: datetime = NOW) -> list[datetime]:
    """Attempts of somebody who tries again in the moment in which it is allowed."""
    failures, now, made = NONE, start, []
    while now - start < length:
        match decide(failures, curve, now):
            case Throttled(retry_after):
                now += retry_after
            case Allow():
                failures = counted(failures, curve, now)
                made.append(now)
    return made


def test_the_free_attempts_do_not_wait_and_the_next_does() -> None:
    assert decide(NONE, CURVE, NOW) == Allow()
    for count in range(3):
        assert decide(Failures(count, NOW), CURVE, NOW) == Allow()
    assert decide(Failures(3, NOW), CURVE, NOW) == Throttled(10 * SECOND)


def test_each_wait_is_twice_the_one_before_up_to_the_longest() -> None:
    waits = [CURVE.wait_after(count) // SECOND for count in range(9)]
    assert waits == [0, 0, 0, 10, 20, 40, 60, 60, 60]


def test_an_attempt_is_allowed_in_the_moment_in_which_its_wait_is_over() -> None:
    failures = Failures(4, NOW)
    assert decide(failures, CURVE, NOW + 19 * SECOND) == Throttled(SECOND)
    assert decide(failures, CURVE, NOW + 20 * SECOND) == Allow()


def test_an_attempt_made_after_its_wait_waits_twice_as_long_for_the_next() -> None:
    later = NOW + 10 * SECOND
    failures = counted(Failures(3, NOW), CURVE, later)
    assert failures == Failures(4, later)
    assert decide(failures, CURVE, later) == Throttled(20 * SECOND)


def test_after_quiet_the_count_starts_anew() -> None:
    failures = Failures(40, NOW)
    almost, then = NOW + HOUR - SECOND, NOW + HOUR
    assert counted(failures, CURVE, almost) == Failures(41, almost)
    assert decide(failures, CURVE, then) == Allow()
    assert counted(failures, CURVE, then) == Failures(1, then)


def test_free_attempts_are_forgotten_together_however_busy_the_network_is() -> None:
    """Two failures in each hour, for a day without an hour's quiet."""
    times = [NOW + number * HOUR + second * SECOND for number in range(24) for second in (0, 1)]
    assert admitted(CURVE, times) == times


def test_a_counter_that_was_refunded_to_nothing_starts_anew() -> None:
    assert counted(Failures(0, NOW), CURVE, NOW + SECOND) == Failures(1, NOW + SECOND)


def test_a_clock_that_is_behind_neither_shortens_nor_lengthens_the_wait() -> None:
    failures = Failures(3, NOW)
    assert decide(failures, CURVE, NOW - HOUR) == Throttled(10 * SECOND)
    assert counted(failures, CURVE, NOW - HOUR) == Failures(4, NOW)


def test_a_throttle_is_never_truth_tested() -> None:
    with pytest.raises(TypeError, match="never truth-tested"):
        bool(Throttled(SECOND))


@pytest.mark.parametrize(
    ("free", "first", "longest", "forget_after"),
    [(0, 1, 2, 3), (-1, 1, 2, 3), (1, 0, 2, 3), (1, -1, 2, 3), (1, 3, 2, 4), (1, 1, 2, 2), (1, 1, 2, 1)],
)
def test_a_curve_that_would_slow_nobody_is_none(free: int, first: int, longest: int, forget_after: int) -> None:
    with pytest.raises(ValueError, match="a curve has a free attempt"):
        Curve(free, first * SECOND, longest * SECOND, forget_after * SECOND)


@pytest.mark.parametrize(("count", "last_at"), [(-1, NOW), (1, None), (-1, None)])
def test_a_counter_that_no_attempts_can_make_is_none(count: int, last_at: datetime | None) -> None:
    with pytest.raises(ValueError, match="made at some time"):
        Failures(count, last_at)


@given(curve=curves, count=st.integers(0, 10**6))
def test_the_wait_never_falls_with_more_failures_and_never_passes_the_longest(curve: Curve, count: int) -> None:
    waits = [curve.wait_after(number) for number in (count, count + 1)]
    assert timedelta() <= waits[0] <= waits[1] <= curve.longest
    assert (waits[0] == timedelta()) == (count < curve.free)


@given(curve=curves, count=st.integers(1, 10**6), since=st.timedeltas(timedelta(), 3 * DAY))
def test_a_wait_that_is_announced_is_exact(curve: Curve, count: int, since: timedelta) -> None:
    failures = Failures(count, NOW)
    match decide(failures, curve, NOW + since):
        case Throttled(retry_after):
            assert retry_after > timedelta()
            assert decide(failures, curve, NOW + since + retry_after) == Allow()
            almost = NOW + since + retry_after - timedelta(microseconds=1)
            assert decide(failures, curve, almost) == Throttled(timedelta(microseconds=1))
        case Allow():
            assert since >= min(curve.wait_after(count), curve.forget_after)


@given(curve=curves, seconds=st.lists(st.floats(0, 30_000), max_size=300))
def test_no_pattern_of_attempts_gets_past_the_curve(curve: Curve, seconds: list[float]) -> None:
    """What is free may be free twice where it is just being forgotten; whatever is made beyond that has waited."""
    made = admitted(curve, sorted(NOW + timedelta(seconds=second) for second in seconds))
    for first, beyond in zip(made, made[2 * curve.free :], strict=False):
        assert beyond - first >= curve.first


@pytest.mark.parametrize(
    ("curve", "first_day", "next_days"),
    [
        (ACCOUNT, 36, 24),
        (NETWORK, 1_544, 1_440),
        (KNOWN, 51, 24),
        (FACTOR, 34, 24),
        (LETTERS, 28, 24),
        (USER_CODE, 34, 24),
    ],
    ids=CURVES,
)
def test_what_an_attack_without_a_pause_earns_in_a_day(curve: Curve, first_day: int, next_days: int) -> None:
    made = greedy(curve, 4 * DAY)
    days = [sum(NOW + day * DAY <= at < NOW + (day + 1) * DAY for at in made) for day in range(4)]
    assert days == [first_day, next_days, next_days, next_days]


@every_curve
@given(data=st.data())
def test_patience_earns_no_more_than_what_is_free_in_each_span_of_memory(curve: Curve, data: st.DataObject) -> None:
    """Any mixture of attacks and pauses of a day stays under the better of the two, and what is free once more."""
    pauses = data.draw(st.lists(st.timedeltas(timedelta(), curve.forget_after * 2), max_size=30))
    now, failures, made = NOW, NONE, 0
    for pause in pauses:
        now += pause
        for _ in range(2 * curve.free):
            if now - NOW < DAY and decide(failures, curve, now) == Allow():
                failures, made = counted(failures, curve, now), made + 1
    assert made <= max(len(greedy(curve, DAY)), curve.free * (DAY // curve.forget_after)) + curve.free


@pytest.mark.parametrize("curve", [ACCOUNT, FACTOR], ids=["account", "factor"])
def test_a_hundred_guesses_at_one_account_take_three_days(curve: Curve) -> None:
    made = greedy(curve, 10 * DAY)
    assert made[99] - made[0] > 3 * DAY
    assert curve.first >= 10 * SECOND
    assert curve.longest == HOUR  # NIST SP 800-63B-4 section 3.2.2: "30 seconds up to an hour"


@every_curve
def test_a_counter_is_kept_as_long_as_it_says_anything(curve: Curve) -> None:
    assert decide(Failures(10_000, NOW), curve, NOW + REMEMBERED) == Allow()
    assert curve.forget_after <= REMEMBERED


def test_a_window_of_the_alarm_is_the_same_for_every_process() -> None:
    window = ALARM.window_of(NOW)
    assert window <= NOW < window + ALARM.window
    assert ALARM.window_of(window) == ALARM.window_of(window + ALARM.window - timedelta(microseconds=1)) == window
    assert ALARM.window_of(window + ALARM.window) == window + ALARM.window
    assert ALARM.window_of(NOW.astimezone()) == window
