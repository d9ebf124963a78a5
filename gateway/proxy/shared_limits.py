"""Limits of routes that hold for all processes together: what was spent is told, and what others spent is heard.

No request waits for that. Between two tellings a process counts each request as often as there are processes, and so
spends its share of what it knew to be left; each answer then puts that right. With one process it is exact, and nothing
is told. While the database is away each goes on with its share. docs/routes.md says how far off this can be.
"""

import hashlib
from collections import deque
from datetime import timedelta
from typing import Final
from uuid import UUID

from gateway.proxy.ledger import Entry, Key
from gateway.proxy.quota_scope import OPERATOR
from gateway.proxy.route_limits import RouteLimits
from policies.quota import Quota
from tenants.budgets import AT_ONCE, Budgets, Charge
from tenants.serving import GONE_AFTER, Serving

INTERVAL: Final = 0.1
"""Seconds between two tellings; where nothing was spent, nothing is asked."""
_COUNTED_EVERY: Final = 2_000_000_000  # nanoseconds
_BELIEVED: Final = GONE_AFTER // timedelta(microseconds=1) * 1_000  # nanoseconds
_NOBODY: Final = UUID(int=0)


class SharedLimits:
    """Those of this process, and the tables that all of them have."""

    def __init__(self, limits: RouteLimits, budgets: Budgets, serving: Serving) -> None:
        self._table, self._ledger, self._now = limits.table, limits.ledger, limits.now
        self._budgets = budgets
        self._serving = serving
        self._counts: deque[tuple[int, int]] = deque()  # when, and how many served then, the newest last

    async def settle(self) -> bool:
        """Tell what was spent, as much as goes at once; whether there is more."""
        try:
            return await self._settle()
        except BaseException:
            self._ledger.let_go(self._now())
            raise

    async def _settle(self) -> bool:
        if not self._counts or self._now() - self._counts[-1][0] >= _COUNTED_EVERY:
            await self._count()
        taken = self._ledger.take(AT_ONCE)
        if not taken:
            return False
        try:
            ahead = await self._budgets.charge([self._charge(key, entry) for key, entry in taken.items()])
        except BaseException:
            self._ledger.give_back(taken, self._now())
            raise
        now = self._now()
        for (key, entry), off in zip(taken.items(), ahead, strict=True):
            meanwhile = self._ledger.noted(key) * self._ledger.alike * entry.quota.interval
            self._table.correct(key, max(now, now + off) + meanwhile)
        return len(taken) == AT_ONCE

    async def _count(self) -> None:
        """Fewer are believed once they were fewer for as long as a silent one counts: after an outage of the database
        whoever is back first finds nobody, and the others spend their shares all the same.
        """
        count, now = await self._serving.count(), self._now()
        self._counts.append((now, count))
        while len(self._counts) > 1 and self._counts[1][0] <= now - _BELIEVED:
            self._counts.popleft()
        self._ledger.alike = max(1, *(count for _, count in self._counts))

    async def leave(self) -> None:
        """Tell what is left to tell, and that this process spends no more."""
        while await self.settle():
            pass
        await self._serving.leave()

    def _charge(self, key: Key, entry: Entry) -> Charge:
        return Charge(
            *address(key, entry.quota), ahead=entry.until - self._now(), cost=entry.count * entry.quota.interval
        )


def address(key: Key, quota: Quota) -> tuple[UUID, bytes]:
    """Where the count of a caller stands: the tenant that it belongs to, nil for nobody's, and a digest. Of another
    rate or burst there is another count: while a configuration is rolled out, processes differ.
    """
    (owner, route, limit), who = key
    tenant = owner if isinstance(owner, UUID) else who if owner == OPERATOR and isinstance(who, UUID) else _NOBODY
    match who:
        case str():
            named = b"s", who.encode()
        case UUID():
            named = b"u", who.bytes
        case _:
            named = b"b", who
    of = b"" if owner is None else str(owner).encode()
    numbers = f"{quota.requests} {quota.burst}".encode()
    parts = (of, route.encode(), limit.encode(), numbers, *named)
    return tenant, hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).digest()
