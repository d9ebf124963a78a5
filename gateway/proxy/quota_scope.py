"""Who is counted by one limit of a route, for one tenant or for strangers, and the moment until which that counts.

Owns that no one site takes it whole: an IPv6 /48, which anybody is given, has 65,536 networks of the size that is
counted as one client.
"""

from collections import OrderedDict
from typing import Literal
from uuid import UUID

Owner = UUID | Literal["operator"] | None
"""A tenant; None for all strangers together; ``OPERATOR`` for the counts of whole tenants and of whole routes."""
OPERATOR: Literal["operator"] = "operator"
Scope = tuple[Owner, str, str]
"""Owner, route, name of the limit."""
Who = str | bytes | UUID
"""Bytes are a network: an IPv4 address, an IPv6 /64, or the /48 that stands for what it has too many of."""

_NETWORK = 8  # bytes of an IPv6 /64
_SITE = 6  # of a /48
_MOST_OF_A_SITE = 256


class QuotaScope:
    """The moments, nanoseconds of a clock that never goes back, in the order in which they were last looked at."""

    __slots__ = ("_sites", "_until")

    def __init__(self) -> None:
        self._until: OrderedDict[Who, int] = OrderedDict()
        self._sites: dict[bytes, int] = {}  # how many networks of each are kept

    def __len__(self) -> int:
        """How many callers are kept."""
        return len(self._until)

    def find(self, who: Who) -> tuple[Who, int | None]:
        """As whom a caller is counted, and until when what it did counts; None where nothing is kept."""
        until = self._until.get(who)
        if until is not None:
            return who, until
        site = _site_of(who)
        if site is None or self._sites.get(site, 0) < _MOST_OF_A_SITE:
            return who, None
        return site, self._until.get(site)

    def __contains__(self, who: Who) -> bool:
        """Whether there is a count for it."""
        return who in self._until

    def keep(self, who: Who, until: int) -> None:
        """``who`` as ``find`` has it."""
        if who not in self._until and (site := _site_of(who)) is not None:
            self._sites[site] = self._sites.get(site, 0) + 1
        self._until[who] = until

    def forget_some(self, now: int, count: int) -> int:
        """Look at so many, and give up what is over; how many that were."""
        forgotten = 0
        for _ in range(min(count, len(self._until))):
            who, until = self._until.popitem(last=False)
            if until > now:
                self._until[who] = until  # its turn comes again
                continue
            forgotten += 1
            site = _site_of(who)
            if site is not None:
                self._sites[site] -= 1
                if not self._sites[site]:
                    del self._sites[site]
        return forgotten


def _site_of(who: Who) -> bytes | None:
    return who[:_SITE] if isinstance(who, bytes) and len(who) == _NETWORK else None
