"""Pushed authorization requests (RFC 9126): rows, and the one conditional UPDATE that uses one up.

Owns the ``request_uri`` that stands for a request. Not what a request may say: it was checked before it was pushed, and
is checked again where it is used.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants import opaque
from tenants.provider_tables import authorization_requests
from tenants.pruning import delete_oldest

REQUEST_URI: Final = "urn:ietf:params:oauth:request_uri:"
"""What each ``request_uri`` begins with (RFC 9126 section 2.2)."""

_OF_TENANT = authorization_requests.c.tenant_id == bindparam("p_tenant_id")
_LIVE = (
    _OF_TENANT,
    authorization_requests.c.digest == bindparam("p_digest"),
    authorization_requests.c.consumed_at.is_(None),
    authorization_requests.c.expires_at > bindparam("p_now"),
)
_INSERT = insert(authorization_requests)
_FIND = select(authorization_requests).where(*_LIVE)
_CONSUME = update(authorization_requests).where(*_LIVE)


@dataclass(frozen=True, slots=True)
class PushedRequest:
    """A request that waits for its user. ``parameters`` are as the client sent them, without its credentials."""

    digest: bytes = field(repr=False)
    client_id: str
    parameters: Mapping[str, Sequence[str]] = field(repr=False)
    expires_at: datetime


class AuthorizationRequests:
    """One tenant's requests that clients pushed."""

    def __init__(self, connection: AsyncConnection, tenant_id: UUID, now: datetime) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._now = now

    async def push(self, client_id: str, parameters: Mapping[str, Sequence[str]], lifetime: timedelta) -> str:
        """Keep a request of this client; its ``request_uri`` is told this once."""
        handle = opaque.new("yar_")
        await self._connection.execute(
            _INSERT,
            {
                "tenant_id": self._tenant_id,
                "digest": opaque.digest(handle),
                "client_id": client_id,
                "parameters": {name: list(values) for name, values in parameters.items()},
                "created_at": self._now,
                "expires_at": self._now + lifetime,
            },
        )
        return REQUEST_URI + handle

    async def find(self, unverified_request_uri: str) -> PushedRequest | None:
        """The one that this stands for, while it may be used. Whether it is the asking client's is for the caller."""
        if not unverified_request_uri.startswith(REQUEST_URI):
            return None
        presented = self._live(opaque.digest(unverified_request_uri.removeprefix(REQUEST_URI)))
        row = (await self._connection.execute(_FIND, presented)).one_or_none()
        return None if row is None else PushedRequest(row.digest, row.client_id, row.parameters, row.expires_at)

    async def consume(self, request: PushedRequest) -> bool:
        """Use it up, once. False where another was first, or where it is over."""
        used = await self._connection.execute(_CONSUME, self._live(request.digest) | {"consumed_at": self._now})
        return used.rowcount == 1

    def _live(self, digest: bytes) -> dict[str, object]:
        return {"p_tenant_id": self._tenant_id, "p_now": self._now, "p_digest": digest}


async def prune(connection: AsyncConnection, expired_before: datetime) -> bool:
    """Forget some of those whose time is over; whether there are more. As ``yett_system``."""
    return await delete_oldest(
        connection, authorization_requests.c.expires_at, authorization_requests.c.expires_at < expired_before
    )
