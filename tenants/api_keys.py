"""API keys, for machines that cannot do OAuth: one tenant's rows.

A key is never changed: it is made, and revoked. Several may live at a time, so that one can take over from another.
What ended is kept for ``KEPT`` at most, so that a refusal can say which key it was. Which routes take keys is the
configuration's to say, whether a key counts gateway/authn/api_key.py's, when it was used last api_key_uses.py's.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID, uuid4

from sqlalchemy import Integer, Row, and_, bindparam, case, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.api_key import digest, new_text
from tenants.changes import ChangeWriter
from tenants.errors import InvalidValue, NotFound
from tenants.names import checked_audience, checked_scopes, checked_title
from tenants.provider_tables import api_keys
from tenants.pruning import delete_oldest
from tenants.tables import tenants

DEFAULT_LIFETIME = timedelta(days=365)
LONGEST_LIFETIME = timedelta(days=3653)
MOST_LIVING = 1_000
MOST = 5_000
"""With those that ended, of which the oldest make room: every process has all of them in its memory."""

MOST_AUDIENCES = 20
MOST_SCOPES = 100
KEPT = timedelta(days=30)

State = Literal["active", "expired", "revoked"]

_MINE = api_keys.c.tenant_id == bindparam("p_tenant_id")
_LIVING = api_keys.c.revoked_at.is_(None) & or_(
    api_keys.c.expires_at.is_(None), api_keys.c.expires_at > bindparam("p_now")
)
_HELD_TENANT = select(tenants.c.id).where(tenants.c.id == bindparam("p_tenant_id")).with_for_update(key_share=True)
_COUNT = select(func.count(), func.count(case((_LIVING, 1)))).where(_MINE)
_OLDEST_ENDED = (
    select(api_keys.c.id)
    .where(_MINE, ~_LIVING)
    .order_by(func.coalesce(api_keys.c.revoked_at, api_keys.c.expires_at), api_keys.c.id)
    .limit(bindparam("p_number", type_=Integer))
)
_FORGET = delete(api_keys).where(_MINE, api_keys.c.id == bindparam("p_id"))
_INSERT = insert(api_keys)
_GET = select(api_keys).where(_MINE, api_keys.c.id == bindparam("p_id"))
_LIST = select(api_keys).where(_MINE).order_by(api_keys.c.created_at, api_keys.c.id)
_REVOKE = (
    update(api_keys)
    .where(_MINE, api_keys.c.id == bindparam("p_id"), api_keys.c.revoked_at.is_(None))
    .values(revoked_at=bindparam("p_now"))
)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as people see it; its text is not known any more. ``name`` says whose it is. ``last_used_at`` is some
    minutes behind.
    """

    id: UUID
    name: str
    scopes: frozenset[str]
    audiences: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None

    def state(self, now: datetime) -> State:
        """Whether it lives."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "active"


class ApiKeys:
    """One tenant's keys."""

    def __init__(self, connection: AsyncConnection, tenant_id: UUID, changes: ChangeWriter, now: datetime) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._changes = changes
        self._now = now

    async def create(
        self, name: str, *, scopes: Iterable[str], audiences: Iterable[str], lifetime: timedelta | None
    ) -> tuple[ApiKey, str]:
        """A new key and its text, which is shown this once. Without a ``lifetime`` it does not expire.

        Raises:
            InvalidValue: a field is malformed, there is no scope or no audience, or the tenant has too many that live.
        """
        made = ApiKey(
            uuid4(),
            checked_title("API key", name),
            _checked_number("scopes", MOST_SCOPES, checked_scopes(scopes)),
            tuple(sorted(_checked_number("audiences", MOST_AUDIENCES, frozenset(map(checked_audience, audiences))))),
            self._now,
            None if lifetime is None else self._now + _checked_lifetime(lifetime),
        )
        await self._make_room()
        text = new_text(self._tenant_id)
        await self._connection.execute(
            _INSERT,
            {
                "tenant_id": self._tenant_id,
                "id": made.id,
                "digest": digest(text.encode("ascii")),
                "name": made.name,
                "scopes": sorted(made.scopes),
                "audiences": list(made.audiences),
                "created_at": made.created_at,
                "expires_at": made.expires_at,
            },
        )
        self._changes.note("api_key", str(made.id))
        return made, text

    async def get(self, key_id: UUID) -> ApiKey | None:
        """By id."""
        row = (await self._connection.execute(_GET, self._named(p_id=key_id))).one_or_none()
        return None if row is None else _key_of(row)

    async def list(self, *, after: tuple[datetime, UUID] | None = None, limit: int | None = None) -> Sequence[ApiKey]:
        """Oldest first, from what follows this time and id; those that ended, too, for as long as they are kept."""
        query = _LIST.limit(limit)
        if after is not None:
            at, key_id = after
            later = and_(api_keys.c.created_at == at, api_keys.c.id > key_id)
            query = query.where(or_(api_keys.c.created_at > at, later))
        return [_key_of(row) for row in await self._connection.execute(query, self._named())]

    async def revoke(self, key_id: UUID) -> bool:
        """Refuse it everywhere within a second, for good. False where it was revoked before.

        Raises:
            NotFound: no such key in this tenant.
        """
        revoked = await self._connection.execute(_REVOKE, self._named(p_id=key_id, p_now=self._now))
        if revoked.rowcount == 0:
            if await self.get(key_id) is None:
                raise NotFound("API key", str(key_id))
            return False
        self._changes.note("api_key", str(key_id))
        return True

    async def _make_room(self) -> None:
        """Two that ask at once ask one after the other: what they add is counted, too."""
        await self._connection.execute(_HELD_TENANT, self._named())
        all_, living = (await self._connection.execute(_COUNT, self._named(p_now=self._now))).one()
        if living >= MOST_LIVING:
            raise InvalidValue(f"a tenant has at most {MOST_LIVING} API keys; revoke those that nobody uses")
        if all_ < MOST:
            return
        one_more = self._named(p_now=self._now, p_number=all_ - MOST + 1)
        for key_id in (await self._connection.execute(_OLDEST_ENDED, one_more)).scalars().all():
            await self._connection.execute(_FORGET, self._named(p_id=key_id))
            self._changes.note("api_key", str(key_id))

    def _named(self, **more: object) -> dict[str, object]:
        return {"p_tenant_id": self._tenant_id, **more}


async def prune_revoked(connection: AsyncConnection, before: datetime) -> bool:
    """Forget some of those that were revoked before; whether there are more. As ``yett_system``."""
    return await delete_oldest(connection, api_keys.c.revoked_at, api_keys.c.revoked_at < before)


async def prune_expired(connection: AsyncConnection, before: datetime) -> bool:
    """Forget some of those that expired before; whether there are more. As ``yett_system``."""
    return await delete_oldest(connection, api_keys.c.expires_at, api_keys.c.expires_at < before)


def _checked_number(what: str, most: int, values: frozenset[str]) -> frozenset[str]:
    if not 1 <= len(values) <= most:
        raise InvalidValue(f"an API key has 1 to {most} {what}")
    return values


def _checked_lifetime(lifetime: timedelta) -> timedelta:
    if not timedelta(0) < lifetime <= LONGEST_LIFETIME:
        raise InvalidValue(f"an API key that expires does so within {LONGEST_LIFETIME.days} days")
    return lifetime


def _key_of(row: Row[Any]) -> ApiKey:
    return ApiKey(
        row.id,
        row.name,
        frozenset(row.scopes),
        tuple(row.audiences),
        row.created_at,
        row.expires_at,
        row.revoked_at,
        row.last_used_at,
    )
