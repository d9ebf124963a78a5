"""What is refused before it expires. A row lives as long as the last token that it could still stop.

Clocks differ between processes and a login may be in flight while its user is disabled. So what never comes back, and
what is switched off, is refused whenever it was issued; only ``revoke`` compares times.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Integer, Row, Uuid, bindparam, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.changes import ChangeWriter
from tenants.pruning import delete_oldest
from tenants.tables import revocations

RevocationKind = Literal["session", "subject", "client", "grant", "token"]

LONGEST_ACCESS_TOKEN = timedelta(hours=24)
"""No tenant may set a longer access token lifetime, so a revocation that is older stops nothing any more."""

_BETWEEN_CLOCKS = timedelta(minutes=5)
_KEPT = LONGEST_ACCESS_TOKEN + _BETWEEN_CLOCKS  # for a token that was being issued meanwhile, by another clock

_INSERT: Mapping[str, Any] = {"sqlite": sqlite_insert(revocations), "postgresql": postgresql_insert(revocations)}
_REFUSE = {
    dialect: insert.on_conflict_do_update(
        index_elements=["tenant_id", "kind", "value"],
        set_={"before": insert.excluded.before, "expires_at": insert.excluded.expires_at},
        where=revocations.c.before < insert.excluded.before,
    )
    for dialect, insert in _INSERT.items()
}
_ALLOW = update(revocations).where(
    revocations.c.tenant_id == bindparam("p_tenant_id"),
    revocations.c.kind == bindparam("p_kind"),
    revocations.c.value == bindparam("p_value"),
    revocations.c.before > bindparam("p_before"),
)
_KEY = tuple_(revocations.c.tenant_id, revocations.c.kind, revocations.c.value)
_NEXT = (
    select(revocations)
    .where(
        tuple_(bindparam("p_tenant_id", type_=Uuid()), bindparam("p_kind"), bindparam("p_value")) < _KEY,
        revocations.c.expires_at > bindparam("p_now"),
    )
    .order_by(revocations.c.tenant_id, revocations.c.kind, revocations.c.value)
    .limit(bindparam("p_most", type_=Integer))
)
_NAMED = select(revocations).where(_KEY.in_(bindparam("p_keys", expanding=True)))

AT_ONCE = 200
"""As many are read before others have their turn: about a millisecond."""


@dataclass(frozen=True, slots=True)
class Revocation:
    """Tokens of this session, subject, client or token id that were issued at or before ``before`` are refused.

    ``before`` is in the future where they are refused whenever they were issued.
    """

    tenant_id: UUID
    kind: RevocationKind
    value: str
    before: datetime
    expires_at: datetime


def of_grant(session_id: UUID | str, client_id: str) -> str:
    """The value of kind ``grant``: what one client got by one session. Others go on with that session."""
    return f"{session_id}:{client_id}"


class Revocations:
    """One tenant's revocations."""

    def __init__(self, connection: AsyncConnection, tenant_id: UUID, changes: ChangeWriter, now: datetime) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._changes = changes
        self._now = now

    async def revoke(self, kind: RevocationKind, value: str) -> None:
        """Refuse what was issued until now. A second call moves the moment forward, never back."""
        await self._refuse(kind, value, before=self._now)

    async def forbid(self, kind: RevocationKind, value: str) -> None:
        """Refuse it whenever it was issued: a session that ended, a token, a user or a client that is disabled."""
        await self._refuse(kind, value, before=self._now + _KEPT)

    async def forbid_token(self, token_id: str, *, expires_at: datetime) -> None:
        """Refuse the one access token of this ``jti``: a row that goes when the token does."""
        until = min(expires_at, self._now + LONGEST_ACCESS_TOKEN) + _BETWEEN_CLOCKS
        await self._refuse("token", token_id, before=until, until=until)

    async def forbid_all(self, kind: RevocationKind, values: Sequence[str]) -> None:
        """``forbid`` for each of them, in one statement."""
        if values:
            await self._refuse(kind, *values, before=self._now + _KEPT)

    async def allow(self, kind: RevocationKind, value: str) -> None:
        """What is issued from this second on is good again; what was issued before stays refused."""
        before = self._now.replace(microsecond=0) - timedelta(microseconds=1)  # ``iat`` has whole seconds
        later = {"p_tenant_id": self._tenant_id, "p_kind": kind, "p_value": value, "p_before": before}
        await self._connection.execute(_ALLOW, later | {"before": before, "expires_at": self._now + _KEPT})
        self._changes.note("revocation", f"{kind}:{value}")

    async def _refuse(
        self, kind: RevocationKind, *values: str, before: datetime, until: datetime | None = None
    ) -> None:
        expires_at = until or self._now + _KEPT
        row = {"tenant_id": self._tenant_id, "kind": kind, "before": before, "expires_at": expires_at}
        rows = [row | {"value": value} for value in sorted(values)]
        await self._connection.execute(_REFUSE[self._connection.dialect.name], rows)
        for value in values:
            self._changes.note("revocation", f"{kind}:{value}")

    async def list(self) -> Sequence[Revocation]:
        """Those that still matter, oldest first."""
        query = select(revocations).where(
            revocations.c.tenant_id == self._tenant_id, revocations.c.expires_at > self._now
        )
        return [_revocation(row) for row in await self._connection.execute(query.order_by(revocations.c.before))]


async def load(connection: AsyncConnection, now: datetime) -> AsyncIterator[Sequence[Revocation]]:
    """All tenants' revocations, in portions. As ``yett_system``, in one transaction that sees one moment."""
    after: tuple[UUID, str, str] = UUID(int=0), "", ""
    while True:
        named = dict(zip(("p_tenant_id", "p_kind", "p_value"), after, strict=True))
        rows = (await connection.execute(_NEXT, named | {"p_now": now, "p_most": AT_ONCE})).all()
        yield [_revocation(row) for row in rows]
        if len(rows) < AT_ONCE:
            return
        after = rows[-1].tenant_id, rows[-1].kind, rows[-1].value


async def named(connection: AsyncConnection, refs: Iterable[tuple[UUID, str]]) -> Sequence[Revocation]:
    """Those of ``(tenant_id, "kind:value")`` pairs, expired or not. As ``yett_system``."""
    keys = [(tenant_id, *_kind_and_value(ref)) for tenant_id, ref in refs]
    found: list[Revocation] = []
    for start in range(0, len(keys), AT_ONCE):
        rows = await connection.execute(_NAMED, {"p_keys": keys[start : start + AT_ONCE]})
        found += [_revocation(row) for row in rows]
    return found


def _kind_and_value(ref: str) -> tuple[str, str]:
    kind, _, value = ref.partition(":")
    return kind, value


async def prune(connection: AsyncConnection, now: datetime) -> bool:
    """Forget some of those that stop nothing any more; whether there are more. As ``yett_system``."""
    return await delete_oldest(connection, revocations.c.expires_at, revocations.c.expires_at <= now)


def _revocation(row: Row[Any]) -> Revocation:
    return Revocation(row.tenant_id, row.kind, row.value, row.before, row.expires_at)
