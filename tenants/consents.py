"""Consents: what a user lets a client have, until they withdraw it. One row per user, client and API.

What was agreed to for one API is not agreed to for another, so scopes are remembered beside the API that they were
shown with. Owns the rows. Not when somebody is asked (``policies.authorization``), nor what ends with a withdrawal.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, delete, literal_column, select
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
# Both, in the one statement: of two windows that agree at once, neither takes back what the other was given.
_BOTH = {
    "sqlite": (
        "(SELECT json_group_array(value) FROM (SELECT value FROM json_each(consents.scopes)"
        " UNION SELECT value FROM json_each(excluded.scopes)))"
    ),
    "postgresql": (
        "(SELECT coalesce(jsonb_agg(DISTINCT scope), '[]') FROM"
        " jsonb_array_elements(consents.scopes || excluded.scopes) AS scope)"
    ),
}
_GIVE = {
    dialect: insert.on_conflict_do_update(
        index_elements=["tenant_id", "user_id", "client_id", "audience"],
        set_={"scopes": literal_column(_BOTH[dialect]), "granted_at": insert.excluded.granted_at},
    )
    for dialect, insert in _INSERT.items()
}
_WITHDRAW = delete(consents).where(*_THIS)


@dataclass(frozen=True, slots=True)
class Consent:
    """What a user lets a client have, scopes by API, and since when that is the last word."""

    client_id: str
    scopes_at: Mapping[str, frozenset[str]]
    granted_at: datetime

    @property
    def scopes(self) -> frozenset[str]:
        """At whatever API."""
        return frozenset().union(*self.scopes_at.values())


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
        rows = list(await self._connection.execute(_GET, self._is(user_id, client_id)))
        return _consent(rows) if rows else None

    async def of_user(self, user_id: UUID) -> Sequence[ConsentedClient]:
        """All of a user's, by the client's name."""
        mine = {"p_tenant_id": self._tenant_id, "p_user_id": user_id}
        by_client: dict[str, list[Any]] = {}
        for row in await self._connection.execute(_LIST, mine):
            by_client.setdefault(row.client_id, []).append(row)
        return [ConsentedClient(_consent(rows), rows[0].name) for rows in by_client.values()]

    async def give(self, user_id: UUID, client_id: str, *, scopes: Iterable[str], audiences: Iterable[str]) -> None:
        """Let the client have these at each of these APIs, beside what it was let have before."""
        row = {
            "tenant_id": self._tenant_id,
            "user_id": user_id,
            "client_id": client_id,
            "scopes": sorted(scopes),
            "granted_at": self._now,
        }
        for audience in sorted(set(audiences)):
            await self._connection.execute(_GIVE[self._connection.dialect.name], row | {"audience": audience})

    async def withdraw(self, user_id: UUID, client_id: str) -> bool:
        """Take all of it back. False where there was none."""
        return (await self._connection.execute(_WITHDRAW, self._is(user_id, client_id))).rowcount > 0

    def _is(self, user_id: UUID, client_id: str) -> dict[str, Any]:
        return {"p_tenant_id": self._tenant_id, "p_user_id": user_id, "p_client_id": client_id}


def _consent(rows: Sequence[Any]) -> Consent:
    scopes_at = {row.audience: frozenset(row.scopes) for row in rows}
    return Consent(rows[0].client_id, scopes_at, max(row.granted_at for row in rows))
