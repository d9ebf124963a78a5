"""When a letter that was not taken is tried again, and when no more. Pure: the clock is an argument."""

from datetime import datetime, timedelta

GIVE_UP_AFTER = timedelta(hours=24)
"""What nobody took in a day is out of date, whatever it says."""

_FIRST_PAUSE = timedelta(seconds=15)
_LONGEST_PAUSE = timedelta(hours=1)
_FIRST_REST = timedelta(seconds=1)
_LONGEST_REST = timedelta(minutes=1)
_MAX_DOUBLINGS = 16


def next_try(attempts: int, now: datetime) -> datetime:
    """After this many attempts at one letter: 15 seconds, doubled each time, at most an hour (greylisting lets a letter
    pass after some minutes; RFC 5321 section 4.5.4.1 advises half an hour between later tries).
    """
    return now + _doubled(_FIRST_PAUSE, attempts, _LONGEST_PAUSE)


def next_connection(failures: int, now: datetime) -> datetime:
    """After this many connections in a row that came to nothing: a second, doubled, at most a minute.

    That is the server's fault, and no letter's: all of them wait for it, and go when it is back.
    """
    return now + _doubled(_FIRST_REST, failures, _LONGEST_REST)


def is_too_old(created_at: datetime, now: datetime) -> bool:
    """Whether a letter is given up."""
    return now - created_at >= GIVE_UP_AFTER


def _doubled(first: timedelta, times: int, longest: timedelta) -> timedelta:
    return min(first * int(2 ** min(max(times, 1) - 1, _MAX_DOUBLINGS)), longest)
