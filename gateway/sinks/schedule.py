"""When a sink that took nothing is tried again. Pure: the time and the luck are arguments."""

from datetime import datetime, timedelta

_FIRST_PAUSE = timedelta(seconds=1)
_LONGEST_PAUSE = timedelta(minutes=5)
_MAX_DOUBLINGS = 16


def next_try(failures: int, now: datetime, luck: float) -> datetime:
    """After so many attempts in a row that came to nothing, or to less than all: a second, doubled each time, at most
    five minutes. ``luck``, from 0 to 1, takes up to a half off: gateways that lost one receiver do not come back to it
    as one.
    """
    pause = min(_FIRST_PAUSE * int(2 ** min(max(failures, 1) - 1, _MAX_DOUBLINGS)), _LONGEST_PAUSE)
    return now + pause * (1 - luck / 2)
