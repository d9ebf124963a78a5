"""When a letter is tried again."""

from datetime import timedelta

import pytest

from gateway.mail import schedule
from tests.conftest import Clock


@pytest.mark.parametrize(
    ("attempts", "seconds"), [(1, 15), (2, 30), (3, 60), (8, 1920), (9, 3600), (10, 3600), (10_000, 3600)]
)
def test_a_letter_waits_twice_as_long_each_time_and_at_most_an_hour(attempts: int, seconds: int, clock: Clock) -> None:
    assert schedule.next_try(attempts, clock()) == clock() + timedelta(seconds=seconds)


@pytest.mark.parametrize(("failures", "seconds"), [(1, 1), (2, 2), (6, 32), (7, 60), (1_000_000, 60)])
def test_the_server_is_asked_again_within_a_minute_however_long_it_is_away(
    failures: int, seconds: int, clock: Clock
) -> None:
    assert schedule.next_connection(failures, clock()) == clock() + timedelta(seconds=seconds)


def test_a_letter_is_given_up_after_a_day(clock: Clock) -> None:
    written_at = clock()
    assert not schedule.is_too_old(written_at, clock() + timedelta(hours=24, microseconds=-1))
    assert schedule.is_too_old(written_at, clock() + timedelta(hours=24))


def test_a_day_has_some_thirty_tries(clock: Clock) -> None:
    written_at, now, attempts = clock(), clock(), 0
    while not schedule.is_too_old(written_at, now):
        attempts += 1
        now = schedule.next_try(attempts, now)
    assert 25 <= attempts <= 40
