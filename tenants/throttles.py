"""Counters of failed logins, exact however many attempts come at once (rule 11).

An attempt is counted before it is tried: ``reserve`` locks its counters, and either counts on all of them or on none.
What became of it is said later, in another transaction: a failure stays counted, a success of the same kind clears its
counter, and what was not tried is given back. What the counts earn is decided by ``policies.throttle``.

No two transactions wait for each other: each locks one counter of a kind, and the kinds in ``_LOCK_ORDER``. A call
sorts what it is given; who makes several calls in one transaction keeps to that order.
"""

import hashlib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, case, delete, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from policies import throttle
from policies.decision import Allow
from policies.throttle import Curve, Failures, Throttled
from tenants.people_tables import throttles
from tenants.user_names import look_up_key

Kind = Literal["account", "network", "known", "factor", "letter"]

_CURVES: Mapping[Kind, Curve] = {
    "account": throttle.ACCOUNT,
    "network": throttle.NETWORK,
    "known": throttle.KNOWN,
    "factor": throttle.FACTOR,
    "letter": throttle.LETTERS,
}
_ALARM = "alarm"
_LOCK_ORDER = ("account", "known", "factor", "letter", "network", _ALARM)
_KEY = ("tenant_id", "kind", "subject")


@dataclass(frozen=True, slots=True)
class Counter:
    """What is counted. ``subject`` is the SHA-256 of what it stands for, in hex, and never the name itself: somebody
    may type a password as a name.
    """

    kind: Kind
    subject: str


def account(name: str) -> Counter:
    """By the key that a login looks up, so that no spelling has a budget of its own; unknown names too. What is
    nobody's key is counted as it was typed.
    """
    return Counter("account", _digest(_typed(name)))


def network(network: str) -> Counter:
    """A visitor's network. A success is refunded, never cleared: else one good account would open the door again."""
    return Counter("network", _digest(network))


def known(user_id: UUID, source: str) -> Counter:
    """The own budget of what an account knows: ``source`` is ``device:`` and an id, or ``network:`` and a network."""
    return Counter("known", _digest(f"{user_id} {source}"))


def factor(user_id: UUID, source: str = "") -> Counter:
    """Codes of every sort, recovery codes among them, from a source as in ``known`` or from anywhere else."""
    return Counter("factor", _digest(f"{user_id} {source}"))


def letter(identifier: str) -> Counter:
    """Letters that were asked for by this name or address, whether or not it is anybody's."""
    return Counter("letter", _digest(_typed(identifier)))


class Throttles:
    """One tenant's counters."""

    def __init__(self, connection: AsyncConnection, tenant_id: UUID, now: datetime) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._now = now

    async def reserve(self, *counters: Counter) -> Allow | Throttled:
        """Count one attempt on each of them, or, where one of them says to wait, on none; the longest wait wins.

        The answer and the statements are the same for a name that is nobody's.

        Raises:
            ValueError: two counters of one kind, here and in ``refund``.
        """
        found = [(counter, await self._lock(counter)) for counter in _in_order(counters)]
        waits = []
        for counter, failures in found:
            match throttle.decide(failures, _CURVES[counter.kind], self._now):
                case Throttled(retry_after):
                    waits.append(retry_after)
                case Allow():
                    continue
        for counter, failures in found:
            if not waits:
                await self._write(counter, throttle.counted(failures, _CURVES[counter.kind], self._now))
            elif failures.count == 0:
                # To lock it is to make it: a refused stranger must not fill the table with names that he thinks up.
                await self.clear(counter)
        return Throttled(max(waits)) if waits else Allow()

    async def refund(self, *counters: Counter) -> None:
        """One attempt back on each: it was not tried, or it was a network's and succeeded. The wait runs on from it:
        another attempt may have been made since.
        """
        for counter in _in_order(counters):
            await self._connection.execute(
                update(throttles)
                .where(*self._is(counter), throttles.c.failures > 0)
                .values(failures=throttles.c.failures - 1)
            )

    async def clear(self, counter: Counter) -> None:
        """Begin anew, after a success of the same kind."""
        await self._connection.execute(delete(throttles).where(*self._is(counter)))

    async def alarm(self) -> bool:
        """Count one failed login of the tenant. True for the one that makes it worth an alarm, once in each window.

        All of a tenant's failures meet at this row until their transaction ends, so it is a step's last call.
        """
        window = throttle.ALARM.window_of(self._now)
        first = self._insert(kind=_ALARM, subject="", failures=1, last_at=window)
        is_next = throttles.c.last_at < first.excluded.last_at  # never back, for a clock that is behind
        count: int = (
            await self._connection.execute(
                first.on_conflict_do_update(
                    index_elements=_KEY,
                    set_={
                        "failures": case((is_next, 1), else_=throttles.c.failures + 1),
                        "last_at": case((is_next, first.excluded.last_at), else_=throttles.c.last_at),
                    },
                ).returning(throttles.c.failures)
            )
        ).scalar_one()
        return count == throttle.ALARM.threshold

    async def _lock(self, counter: Counter) -> Failures:
        """What it says, and nobody else changes it until this transaction ends.

        One statement that writes what is there already: with two of them the row could be deleted in between.
        """
        row = self._insert(kind=counter.kind, subject=counter.subject, failures=0, last_at=self._now)
        locked = row.on_conflict_do_update(index_elements=_KEY, set_={"failures": throttles.c.failures})
        found = (await self._connection.execute(locked.returning(throttles.c.failures, throttles.c.last_at))).one()
        return Failures(found.failures, found.last_at)

    async def _write(self, counter: Counter, failures: Failures) -> None:
        values = {"failures": failures.count, "last_at": failures.last_at}
        await self._connection.execute(update(throttles).where(*self._is(counter)).values(values))

    def _insert(self, **values: Any) -> Any:
        table_insert = sqlite_insert if self._connection.dialect.name == "sqlite" else postgresql_insert
        return table_insert(throttles).values(tenant_id=self._tenant_id, **values)

    def _is(self, counter: Counter) -> tuple[ColumnElement[bool], ...]:
        return (
            throttles.c.tenant_id == self._tenant_id,
            throttles.c.kind == counter.kind,
            throttles.c.subject == counter.subject,
        )


async def prune(connection: AsyncConnection, before: datetime) -> None:
    """Forget counters that have been quiet since: for longer than ``policies.throttle.REMEMBERED``. As ``yett_system``.

    Kind by kind, in the order of the locks: see above.
    """
    for kind in _LOCK_ORDER:
        await connection.execute(delete(throttles).where(throttles.c.kind == kind, throttles.c.last_at < before))


def _in_order(counters: Sequence[Counter]) -> list[Counter]:
    if len({counter.kind for counter in counters}) < len(counters):
        raise ValueError("one counter of each kind at a time: the pruning locks those of a kind in any order")
    return sorted(counters, key=lambda counter: _LOCK_ORDER.index(counter.kind))


def _typed(text: str) -> str:
    key = look_up_key(text)
    return unicodedata.normalize("NFC", text) if key is None else key


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
