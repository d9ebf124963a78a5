"""How attackers are slowed down (rule 11): a few attempts are free, then each has to wait twice as long as the one
before.

Owns the curves, the numbers, and what a counter says after one more attempt. Not the counting, which has to be exact:
tenants/throttles.py.

The curves stay within the "30 seconds up to an hour" of NIST SP 800-63B-4 section 3.2.2 and leave its hard stop after
100 failures out: a stop that a stranger can reach is a lock that a stranger can turn. At the end of the longest curve
100 guesses take three days instead, and the likeliest hundred are refused when a password is set.
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NoReturn

from policies.decision import Allow

_NOTHING = timedelta()


@dataclass(frozen=True, slots=True)
class Curve:
    """``free`` attempts without a wait, then ``first``, doubled each time up to ``longest``.

    After ``forget_after`` of quiet the count starts anew; as long as all attempts were free, that long after the first
    of them, so that the failures of a busy network do not add up for ever.
    """

    free: int
    first: timedelta
    longest: timedelta
    forget_after: timedelta

    def __post_init__(self) -> None:
        """Raises ValueError for what is no curve: one that forgets before its longest wait is over slows nobody."""
        if self.free < 1 or not _NOTHING < self.first <= self.longest < self.forget_after:
            raise ValueError("a curve has a free attempt, and first <= longest < forget_after")

    def wait_after(self, count: int) -> timedelta:
        """How long after the ``count``-th attempt the next one may follow."""
        if count < self.free:
            return _NOTHING
        doublings = count - self.free
        # Not 2**doublings for its own sake: after some months of attack no duration could hold it.
        return self.longest if doublings >= (self.longest // self.first).bit_length() else self.first * 2**doublings


ACCOUNT = Curve(free=5, first=timedelta(seconds=10), longest=timedelta(hours=1), forget_after=timedelta(days=1))
"""One account's passwords, from anywhere that it does not know. Who mistypes five times has more use for "forgot
password" than for a sixth try. 36 guesses on the first day of an attack, 24 on each that follows, and whoever stays
below the waits gets four a day."""

NETWORK = Curve(free=100, first=timedelta(seconds=1), longest=timedelta(minutes=1), forget_after=timedelta(hours=1))
"""One network's failed passwords, whatever the accounts. An office or a mobile carrier stands behind one address: where
one login in ten fails, a hundred failures an hour are a thousand logins. At the end of the curve a login a minute still
gets through, since people of the same address wait as well; whoever sprays passwords from there has 2,500 tries a day
and not the millions of an open door. Only failures stay counted: a success gives its attempt back."""

KNOWN = Curve(free=20, first=timedelta(seconds=10), longest=timedelta(hours=1), forget_after=timedelta(days=1))
"""One account's passwords from one device or network that it knows. Most likely its owner, and of those that count as
attempts some run still: an application may log one account in many times at once. Yet it may be a colleague, so no
more than 51 a day."""

FACTOR = Curve(free=5, first=timedelta(seconds=30), longest=timedelta(hours=1), forget_after=timedelta(days=1))
"""One account's codes, behind the right password. Three of a million codes are right at a time, so a day's 34 guesses
find one authenticator's with a chance of one in ten thousand; and after five the password is asked for again."""

LETTERS = Curve(free=3, first=timedelta(minutes=10), longest=timedelta(hours=1), forget_after=timedelta(days=1))
"""Letters to one address that anybody may ask for. Enough for who mistook a letter for spam, and 28 on the worst day.
The longest wait is no longer, because it holds the owner up as well."""

USER_CODE = Curve(free=5, first=timedelta(seconds=30), longest=timedelta(hours=1), forget_after=timedelta(days=1))
"""What one person types as the code that a device shows (RFC 8628 section 5.1). A right one gives its attempt back and
clears nothing: anybody can have a device show codes, and would type one of those between two guesses. A day's guesses,
34, find one of a thousand codes that wait at a time with a chance of one in seven hundred thousand."""

REMEMBERED = max(curve.forget_after for curve in (ACCOUNT, NETWORK, KNOWN, FACTOR, LETTERS, USER_CODE))
"""A counter that was quiet for so long says nothing any more, whatever its curve."""


@dataclass(frozen=True, slots=True)
class Failures:
    """Attempts that did not succeed, those that run still among them. ``last_at`` is when the last of them was made,
    but of the first as long as all were free. None: there was none.
    """

    count: int
    last_at: datetime | None

    def __post_init__(self) -> None:
        """Raises ValueError for what no counter says: nothing would be forgotten of it, or all."""
        if self.count < 0 or (self.count and self.last_at is None):
            raise ValueError("attempts that were counted were made at some time")


@dataclass(frozen=True, slots=True)
class Throttled:
    """Not yet. The attempt was not tried and does not count; after ``retry_after`` the next one may be."""

    retry_after: timedelta

    @property
    def seconds(self) -> int:
        """For ``Retry-After``: whole seconds, and never too few, or who keeps to them is refused once more."""
        return max(1, math.ceil(self.retry_after.total_seconds()))

    def __bool__(self) -> NoReturn:
        raise TypeError("a decision is matched (match/case), never truth-tested")


def decide(failures: Failures, curve: Curve, now: datetime) -> Allow | Throttled:
    """Whether one more attempt may be made. A clock that has been behind another's waits no longer than the curve."""
    if failures.last_at is None or _is_over(failures, curve, now):
        return Allow()
    left = curve.wait_after(failures.count) - max(now - failures.last_at, _NOTHING)
    return Throttled(left) if left > _NOTHING else Allow()


def counted(failures: Failures, curve: Curve, now: datetime) -> Failures:
    """The counter with one more attempt, which was allowed."""
    if failures.last_at is None or _is_over(failures, curve, now):
        return Failures(1, now)
    count = failures.count + 1
    return Failures(count, failures.last_at if count < curve.free else max(failures.last_at, now))


def _is_over(failures: Failures, curve: Curve, now: datetime) -> bool:
    return failures.count == 0 or (failures.last_at is not None and now - failures.last_at >= curve.forget_after)


@dataclass(frozen=True, slots=True)
class Alarm:
    """Worth a person's look: ``threshold`` failed logins of a tenant in one window. It slows nobody."""

    window: timedelta
    threshold: int

    def window_of(self, now: datetime) -> datetime:
        """When the window of this moment began, the same for every process."""
        epoch = datetime.fromtimestamp(0, UTC)
        return now - (now - epoch) % self.window


ALARM = Alarm(window=timedelta(minutes=5), threshold=100)
"""One failure in three seconds. That many come from a broken application or an attack with many networks and accounts,
which no counter of one of them would show."""
