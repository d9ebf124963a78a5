"""Consents: what a user lets a client have, until they withdraw it. One per user and client.

Owns the rows. Not when somebody is asked (``policies.authorization``), nor what ends with a withdrawal.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.provider_tables import consents
from tenants.tables import clients

_OF_USER = (consents.c.tenant_id == bindparam("p_tenant_id"), consents.c.user_id == bindparam("p_user_id"))
_THIS = (*_OF_USER, consents.c.client_id == bindparam("p_client_id"))
_GET = select(consents).where(*_THIS)
_LIST = (
    select(consents, clients.c.name)
    .join(clients, (clients.c.tenant_id == consents.c.tenant_id) & (clients.c.client_id == consents.c.client_id))
    .where(*_OF_USER)
    .order_by(clients.c.name, consents.c.client_id)
)
_INSERT: dict[str, Any] = {"sqlite": sqlite_insert(consents), "postgresql": postgresql_insert(consents)}
_GIVE = {
    dialect: insert.on_conflict_do_update(
        index_elements=["tenant_id", "user_id", "client_id"],
        set_={name: insert.excluded[name] for name in ("scopes", "audiences", "granted_at")},
    )
    for dialect, insert in _INSERT.items()
}
_WITHDRAW = delete(consents).where(*_THIS)


@dataclass(frozen=True, slots=True)
class Consent:
    """What a user lets a client have, and since when."""

    client_id: str
    scopes: frozenset[str]
    audiences: frozenset[str]
    granted_at: datetime


@dataclass(frozen=True, slots=True)
class ConsentedClient:
    """A consent, and what the client is called."""

    consent: Consent
    name: str


class Consents:
    """One tenant's consents."""

    def __init__(self, connection: AsyncConnection, tenant_id: UUID, now: datetime) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._now = now

    async def get(self, user_id: UUID, client_id: str) -> Consent | None:
        """What this user lets this client have."""
        row = (await self._connection.execute(_GET, self._is(user_id, client_id))).one_or_none()
        return None if row is None else _consent(row)

    async def of_user(self, user_id: UUID) -> Sequence[ConsentedClient]:
        """All of a user's, by the client's name."""
        mine = {"p_tenant_id": self._tenant_id, "p_user_id": user_id}
        return [ConsentedClient(_consent(row), row.name) for row in await self._connection.execute(_LIST, mine)]

    async def give(self, user_id: UUID, client_id: str, *, scopes: Iterable[str], audiences: Iterable[str]) -> None:
        """Let the client have this, in place of what was there before."""
        row = {
            "tenant_id": self._tenant_id,
            "user_id": user_id,
            "client_id": client_id,
            "scopes": sorted(scopes),
            "audiences": sorted(audiences),
            "granted_at": self._now,
        }
        await self._connection.execute(_GIVE[self._connection.dialect.name], row)

    async def withdraw(self, user_id: UUID, client_id: str) -> bool:
        """Take it back. False where there was none."""
        return (await self._connection.execute(_WITHDRAW, self._is(user_id, client_id))).rowcount == 1

    def _is(self, user_id: UUID, client_id: str) -> dict[str, Any]:
        return {"p_tenant_id": self._tenant_id, "p_user_id": user_id, "p_client_id": client_id}


def _consent(row: Any) -> Consent:
    return Consent(row.client_id, frozenset(row.scopes), frozenset(row.audiences), row.granted_at)
