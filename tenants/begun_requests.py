"""Authorization requests that wait for a person: the login or the consent page stands between them and their answer.

A request is kept here from its first page to its answer, so that its address stays short, nobody changes it on the way,
and it is known when it began: a login that it asks for is one after that. Owns the rows and the one conditional UPDATE
that answers one. Not what a request may say: it was checked before it was kept, and is checked again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants import opaque
from tenants.provider_tables import begun_requests
from tenants.pruning import delete_oldest

_LIVE = (
    begun_requests.c.tenant_id == bindparam("p_tenant_id"),
    begun_requests.c.digest == bindparam("p_digest"),
    begun_requests.c.consumed_at.is_(None),
    begun_requests.c.expires_at > bindparam("p_now"),
)
_INSERT = insert(begun_requests)
_FIND = select(begun_requests).where(*_LIVE)
_CONSUME = update(begun_requests).where(*_LIVE)


@dataclass(frozen=True, slots=True)
class BegunRequest:
    """``redirect_uri`` is one that the client had registered when the request began, at ``begun_at``."""

    digest: bytes = field(repr=False)
    client_id: str
    redirect_uri: str
    parameters: Mapping[str, Sequence[str]] = field(repr=False)
    begun_at: datetime


class BegunRequests:
    """One tenant's requests that wait."""

    def __init__(self, connection: AsyncConnection, tenant_id: UUID, now: datetime) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._now = now

    async def begin(
        self, client_id: str, redirect_uri: str, parameters: Mapping[str, Sequence[str]], *, lifetime: timedelta
    ) -> str:
        """Keep a request; what its address carries from now on is shown this once."""
        secret = opaque.new("ybg_")
        await self._connection.execute(
            _INSERT,
            {
                "tenant_id": self._tenant_id,
                "digest": opaque.digest(secret),
                "client_id": client_id,
                "redirect_uri": redirect_uri,
                "parameters": {name: list(values) for name, values in parameters.items()},
                "created_at": self._now,
                "expires_at": self._now + lifetime,
            },
        )
        return secret

    async def find(self, unverified_secret: str) -> BegunRequest | None:
        """The one that this stands for, while it waits."""
        row = (await self._connection.execute(_FIND, self._live(opaque.digest(unverified_secret)))).one_or_none()
        if row is None:
            return None
        return BegunRequest(row.digest, row.client_id, row.redirect_uri, row.parameters, row.created_at)

    async def consume(self, request: BegunRequest) -> bool:
        """It is answered, once. False where another was first, or where it is over."""
        answered = await self._connection.execute(_CONSUME, self._live(request.digest) | {"consumed_at": self._now})
        return answered.rowcount == 1

    def _live(self, digest: bytes) -> dict[str, Any]:
        return {"p_tenant_id": self._tenant_id, "p_now": self._now, "p_digest": digest}


async def prune(connection: AsyncConnection, expired_before: datetime) -> bool:
    """Forget some of those whose time is over; whether there are more. As ``yett_system``."""
    return await delete_oldest(connection, begun_requests.c.expires_at, begun_requests.c.expires_at < expired_before)
