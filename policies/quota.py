"""How often a route may be asked: the generic cell rate algorithm, on whole nanoseconds.

All that is kept of a caller is the moment at which nothing of what it did counts any more. Each request moves that
moment on by one interval, from now if it is past; and is refused where it would be further away than ``burst``
intervals. So a caller that was silent may send ``burst`` at once, and then one in each interval.

Owns the arithmetic. Not who is counted together, nor where the moments are kept: gateway/proxy/quota_table.py.
"""

from dataclasses import dataclass, field
from typing import Literal, NoReturn

SECOND = 1_000_000_000
UNITS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}

Per = Literal["subject", "client", "tenant", "address", "route"]


@dataclass(frozen=True, slots=True)
class Quota:
    """``requests`` in each ``unit`` for each subject, client, tenant, network, or for all who ask the route."""

    per: Per
    requests: int
    unit: str
    burst: int
    name: str = field(init=False)
    interval: int = field(init=False)
    tolerance: int = field(init=False)

    def __post_init__(self) -> None:
        """Raises ValueError for what would let nothing pass."""
        if self.requests < 1 or self.burst < 1:
            raise ValueError("a quota lets something pass")
        # What it is called to clients. A route has one of each name.
        object.__setattr__(self, "name", f"{self.per}-{self.unit}")
        # Rounded up, so that it is never more than was said; by 0.1 % at the worst, a million in a second.
        object.__setattr__(self, "interval", -(-UNITS[self.unit] * SECOND // self.requests))
        object.__setattr__(self, "tolerance", self.burst * self.interval)

    @property
    def seconds(self) -> int:
        """Of its unit."""
        return UNITS[self.unit]

    @property
    def policy(self) -> str:
        """As the ``RateLimit-Policy`` field has it."""
        return f'"{self.name}";q={self.requests};w={self.seconds}'


class _NeverTruthTested:
    __slots__ = ()

    def __bool__(self) -> NoReturn:
        raise TypeError("a decision is matched (match/case), never truth-tested")


@dataclass(frozen=True, slots=True)
class Spent(_NeverTruthTested):
    """It may be. ``until`` is the moment to keep, ``left`` how many more may follow at once, ``more_in`` the
    nanoseconds after which that is one more.
    """

    until: int
    left: int
    more_in: int


@dataclass(frozen=True, slots=True)
class Exhausted(_NeverTruthTested):
    """Not yet, and it does not count; after ``retry_in`` nanoseconds the next one may be."""

    retry_in: int


def spend(quota: Quota, until: int | None, now: int, *, alike: int = 1) -> Spent | Exhausted:
    """One request at ``now``, nanoseconds of a clock that never goes back. ``until`` None: nothing counts.

    ``alike`` spend from the same budget, and what the others do is not known yet. It counts as if each of them did what
    this one does, so that together they spend no more than there is: of what is left each has its share, rounded up.
    """
    after = (now if until is None or until < now else until) + quota.interval
    if after - now > quota.tolerance:
        return Exhausted(after - now - quota.tolerance)
    after += (alike - 1) * quota.interval
    ahead = after - now
    left = max(0, quota.tolerance - ahead) // quota.interval
    return Spent(after, left, ahead - (quota.burst - left - 1) * quota.interval)


def whole_seconds(nanoseconds: int) -> int:
    """Rounded up, and one at least: who keeps to it is not refused once more."""
    return max(1, -(-nanoseconds // SECOND))
