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

from sqlalchemy import and_, bindparam, case, delete, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import ColumnElement

from policies import throttle
from policies.decision import Allow
from policies.throttle import Curve, Failures, Throttled
from tenants.people_tables import throttles
from tenants.pruning import delete_oldest
from tenants.user_names import look_up_key

Kind = Literal["account", "network", "known", "factor", "letter", "user_code"]

_CURVES: Mapping[Kind, Curve] = {
    "account": throttle.ACCOUNT,
    "network": throttle.NETWORK,
    "known": throttle.KNOWN,
    "factor": throttle.FACTOR,
    "letter": throttle.LETTERS,
    "user_code": throttle.USER_CODE,
}
_ALARM = "alarm"
_LOCK_ORDER = ("account", "known", "factor", "letter", "user_code", "network", _ALARM)
_KEY = ("tenant_id", "kind", "subject")

_IT = (
    throttles.c.tenant_id == bindparam("p_tenant_id"),
    throttles.c.kind == bindparam("p_kind"),
    throttles.c.subject == bindparam("p_subject"),
)
_INSERT: Mapping[str, Any] = {"sqlite": sqlite_insert(throttles), "postgresql": postgresql_insert(throttles)}
# Writes what is there already: a row that was first written and then read could be deleted in between.
_LOCK = {
    dialect: insert.on_conflict_do_update(index_elements=_KEY, set_={"failures": throttles.c.failures}).returning(
        throttles.c.failures, throttles.c.last_at
    )
    for dialect, insert in _INSERT.items()
}
_WRITE = update(throttles).where(*_IT)
_REFUND = update(throttles).where(*_IT, throttles.c.failures > 0).values(failures=throttles.c.failures - 1)
_CLEAR = delete(throttles).where(*_IT)


def _counting_in_windows(insert: Any) -> Any:
    is_next = throttles.c.last_at < insert.excluded.last_at  # never back, for a clock that is behind
    return insert.on_conflict_do_update(
        index_elements=_KEY,
        set_={
            "failures": case((is_next, 1), else_=throttles.c.failures + 1),
            "last_at": case((is_next, insert.excluded.last_at), else_=throttles.c.last_at),
        },
    ).returning(throttles.c.failures)


_COUNT_FOR_ALARM = {dialect: _counting_in_windows(insert) for dialect, insert in _INSERT.items()}

KINDS = tuple(_CURVES)
"""In the order of the curves; an alarm slows nobody."""


@dataclass(frozen=True, slots=True)
class Counter:
    """What is counted. ``subject`` is the SHA-256 of what it stands for, in hex, and never the name itself: somebody
    may type a password as a name.
    """

    kind: Kind
    subject: str


@dataclass(frozen=True, slots=True)
class Slowed:
    """A counter that makes whoever it stands for wait, until ``until``; ``last_at`` is its last attempt."""

    counter: Counter
    failures: int
    last_at: datetime
    until: datetime


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


def user_code(user_id: UUID) -> Counter:
    """Codes of devices that this person typed and that were none. A right one is refunded, never cleared."""
    return Counter("user_code", _digest(str(user_id)))


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
        if not counters:
            return Allow()
        found = await self._lock(_in_order(counters))
        waits = []
        for counter, failures in found:
            match throttle.decide(failures, _CURVES[counter.kind], self._now):
                case Throttled(retry_after):
                    waits.append(retry_after)
                case Allow():
                    continue
        if not waits:
            await self._count(found)
            return Allow()
        for counter, failures in found:
            if failures.count == 0:
                # To lock it is to make it: a refused stranger must not fill the table with names that he thinks up.
                await self.clear(counter)
        return Throttled(max(waits))

    async def refund(self, *counters: Counter) -> None:
        """One attempt back on each: it was not tried, or it was a network's and succeeded. The wait runs on from it:
        another attempt may have been made since.
        """
        if counters:
            await self._connection.execute(_REFUND, [self._is(counter) for counter in _in_order(counters)])

    async def clear(self, counter: Counter) -> None:
        """Begin anew, after a success of the same kind."""
        await self._connection.execute(_CLEAR, self._is(counter))

    async def slowed(self, *, after: Counter | None, limit: int) -> tuple[Sequence[Slowed], Counter | None]:
        """Those that make somebody wait now, by kind and subject, out of the next ``limit`` rows that may; and behind
        which one to go on, None where there is no more. There can be fewer than rows, and none.
        """
        query = select(throttles).where(throttles.c.tenant_id == self._tenant_id, _may_wait(self._now))
        if after is not None:
            query = query.where(tuple_(throttles.c.kind, throttles.c.subject) > (after.kind, after.subject))
        rows = (
            await self._connection.execute(query.order_by(throttles.c.kind, throttles.c.subject).limit(limit + 1))
        ).all()
        found = []
        for row in rows[:limit]:
            match throttle.decide(Failures(row.failures, row.last_at), _CURVES[row.kind], self._now):
                case Throttled(retry_after):
                    it = Counter(row.kind, row.subject)
                    found.append(Slowed(it, row.failures, row.last_at, self._now + retry_after))
                case Allow():
                    continue
        last = Counter(rows[limit - 1].kind, rows[limit - 1].subject) if len(rows) > limit else None
        return found, last

    async def find(self, counter: Counter) -> Slowed | None:
        """This counter, where it makes somebody wait now."""
        mine = throttles.c.tenant_id == self._tenant_id, throttles.c.kind == counter.kind
        query = select(throttles.c.failures, throttles.c.last_at).where(*mine, throttles.c.subject == counter.subject)
        row = (await self._connection.execute(query)).one_or_none()
        if row is None:
            return None
        match throttle.decide(Failures(row.failures, row.last_at), _CURVES[counter.kind], self._now):
            case Throttled(retry_after):
                return Slowed(counter, row.failures, row.last_at, self._now + retry_after)
            case Allow():
                return None

    async def alarm(self) -> bool:
        """Count one failed login of the tenant. True for the one that makes it worth an alarm, once in each window.

        All of a tenant's failures meet at this row until their transaction ends, so it is a step's last call.
        """
        window = throttle.ALARM.window_of(self._now)
        first = {"tenant_id": self._tenant_id, "kind": _ALARM, "subject": "", "failures": 1, "last_at": window}
        counted = await self._connection.execute(_COUNT_FOR_ALARM[self._connection.dialect.name], first)
        count: int = counted.scalar_one()
        return count == throttle.ALARM.threshold

    async def _lock(self, in_order: Sequence[Counter]) -> Sequence[tuple[Counter, Failures]]:
        """What each says, and nobody else changes them until this transaction ends."""
        lock = _LOCK[self._connection.dialect.name]
        found = []
        for counter in in_order:
            asked = {"tenant_id": self._tenant_id, "kind": counter.kind, "subject": counter.subject}
            locked = await self._connection.execute(lock, asked | {"failures": 0, "last_at": self._now})
            row = locked.one()
            found.append((counter, Failures(row.failures, row.last_at)))
        return found

    async def _count(self, found: Sequence[tuple[Counter, Failures]]) -> None:
        """Write one attempt more for each of the locked."""
        rows = []
        for counter, failures in found:
            more = throttle.counted(failures, _CURVES[counter.kind], self._now)
            rows.append(self._is(counter) | {"failures": more.count, "last_at": more.last_at})
        await self._connection.execute(_WRITE, rows)

    def _is(self, counter: Counter) -> dict[str, Any]:
        return {"p_tenant_id": self._tenant_id, "p_kind": counter.kind, "p_subject": counter.subject}


async def prune(connection: AsyncConnection, before: datetime) -> bool:
    """Forget some counters that have been quiet since: for longer than ``policies.throttle.REMEMBERED``; whether there
    are more. As ``yett_system``.

    Kind by kind, in the order of the locks: see above.
    """
    more = False
    for kind in _LOCK_ORDER:
        of_kind = throttles.c.kind == kind, throttles.c.last_at < before
        more |= await delete_oldest(connection, throttles.c.last_at, *of_kind)
    return more


def _may_wait(now: datetime) -> ColumnElement[bool]:
    """A bound that a database can judge: no curve waits for longer than its longest, nor before its free ones."""
    return or_(
        *(
            and_(
                throttles.c.kind == kind,
                throttles.c.failures >= curve.free,
                throttles.c.last_at > now - curve.longest,
            )
            for kind, curve in _CURVES.items()
        )
    )


def _in_order(counters: Sequence[Counter]) -> list[Counter]:
    if len({counter.kind for counter in counters}) < len(counters):
        raise ValueError("one counter of each kind at a time: the pruning locks those of a kind in any order")
    return sorted(counters, key=lambda counter: _LOCK_ORDER.index(counter.kind))


def _typed(text: str) -> str:
    key = look_up_key(text)
    return unicodedata.normalize("NFC", text) if key is None else key


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
