"""OAuth clients (RFC 6749 section 2) and their secrets."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Row, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants import opaque
from tenants.changes import ChangeWriter
from tenants.errors import AlreadyExists, InvalidValue, NotFound
from tenants.names import (
    checked_audience,
    checked_name,
    checked_origin,
    checked_redirect_uri,
    checked_scopes,
    checked_title,
    is_name,
)
from tenants.revocations import Revocations
from tenants.tables import client_secrets, clients, refresh_families

GRANT_TYPES = frozenset({"password", "client_credentials", "refresh_token"})


@dataclass(frozen=True, slots=True)
class Client:
    """An application that asks for tokens. ``audiences`` are the APIs that it may ask for, the default one first.

    ``origins`` are the web origins whose pages may call the token endpoint (CORS).
    """

    client_id: str
    name: str
    confidential: bool
    grant_types: frozenset[str]
    scopes: frozenset[str]
    audiences: tuple[str, ...]
    default_scopes: frozenset[str] = frozenset()
    redirect_uris: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    active: bool = True
    created_at: datetime | None = field(default=None, compare=False)


class Clients:
    """One tenant's clients."""

    def __init__(
        self,
        connection: AsyncConnection,
        tenant_id: UUID,
        changes: ChangeWriter,
        revocations: Revocations,
        now: datetime,
    ) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._changes = changes
        self._revocations = revocations
        self._now = now

    async def create(self, client: Client) -> None:
        """A new client. A confidential one can do nothing before it has a secret.

        Raises:
            AlreadyExists: the tenant has a client of this id.
            InvalidValue: a field is malformed, or fields contradict each other.
        """
        row = _checked_row(client)
        try:
            async with self._connection.begin_nested():
                await self._connection.execute(
                    insert(clients).values(tenant_id=self._tenant_id, created_at=self._now, **row)
                )
        except IntegrityError as error:
            raise AlreadyExists("client", client.client_id) from error
        self._changes.note("tenant")

    async def get(self, client_id: str) -> Client | None:
        """By id; what cannot be one is nobody's."""
        if not is_name(client_id):
            return None
        query = select(clients).where(clients.c.tenant_id == self._tenant_id, clients.c.client_id == client_id)
        row = (await self._connection.execute(query)).one_or_none()
        return None if row is None else client_of(row)

    async def list(self) -> Sequence[Client]:
        """By id."""
        query = select(clients).where(clients.c.tenant_id == self._tenant_id).order_by(clients.c.client_id)
        return [client_of(row) for row in await self._connection.execute(query)]

    async def redirect_uris(self) -> frozenset[str]:
        """All that the clients in use have registered, exactly as they stand there."""
        query = select(clients.c.redirect_uris).where(clients.c.tenant_id == self._tenant_id, clients.c.active)
        return frozenset(uri for listed in (await self._connection.execute(query)).scalars() for uri in listed)

    async def set_active(self, client_id: str, active: bool) -> None:
        """Disable (refusing every token at once, refresh tokens for good) or enable again.

        Raises:
            NotFound: no such client in this tenant.
        """
        statement = update(clients).where(clients.c.tenant_id == self._tenant_id, clients.c.client_id == client_id)
        if (await self._connection.execute(statement.values(active=active))).rowcount == 0:
            raise NotFound("client", client_id)
        if not active:
            await self._connection.execute(
                update(refresh_families)
                .where(
                    refresh_families.c.tenant_id == self._tenant_id,
                    refresh_families.c.client_id == client_id,
                    refresh_families.c.revoked_at.is_(None),
                )
                .values(revoked_at=self._now)
            )
            await self._revocations.forbid("client", client_id)
        else:
            await self._revocations.allow("client", client_id)
        self._changes.note("tenant")

    async def add_secret(self, client_id: str, *, expires_at: datetime | None = None) -> str:
        """A new secret beside those that exist, so that they can be rolled. It is shown this once.

        Raises:
            NotFound: no such client in this tenant.
            InvalidValue: a public client keeps no secret.
        """
        client = await self.get(client_id)
        if client is None:
            raise NotFound("client", client_id)
        if not client.confidential:
            raise InvalidValue("a public client has no secret")
        secret = opaque.new("ycs_")
        await self._connection.execute(
            insert(client_secrets).values(
                tenant_id=self._tenant_id,
                client_id=client_id,
                id=uuid4(),
                digest=opaque.digest(secret),
                created_at=self._now,
                expires_at=expires_at,
            )
        )
        return secret

    async def end_secrets(self, client_id: str) -> int:
        """End every secret that lives, at once; says how many. Tokens got with them go on until they expire."""
        ended = await self._connection.execute(
            update(client_secrets)
            .where(
                client_secrets.c.tenant_id == self._tenant_id,
                client_secrets.c.client_id == client_id,
                or_(client_secrets.c.expires_at.is_(None), client_secrets.c.expires_at > self._now),
            )
            .values(expires_at=self._now)
        )
        return ended.rowcount

    async def has_secret(self, client_id: str, unverified_secret: str) -> bool:
        """Whether this is one of the client's living secrets.

        The look-up is by the hash of 256 random bits, which tells an observer of its time nothing.
        """
        if not is_name(client_id):
            return False
        query = select(client_secrets.c.expires_at).where(
            client_secrets.c.tenant_id == self._tenant_id,
            client_secrets.c.client_id == client_id,
            client_secrets.c.digest == opaque.digest(unverified_secret),
        )
        row = (await self._connection.execute(query)).one_or_none()
        return row is not None and (row.expires_at is None or row.expires_at > self._now)


def client_of(row: Row[Any]) -> Client:
    """A row of the table as a value."""
    return Client(
        client_id=row.client_id,
        name=row.name,
        confidential=row.confidential,
        grant_types=frozenset(row.grant_types),
        scopes=frozenset(row.scopes),
        audiences=tuple(row.audiences),
        default_scopes=frozenset(row.default_scopes),
        redirect_uris=tuple(row.redirect_uris),
        origins=tuple(row.origins),
        active=row.active,
        created_at=row.created_at,
    )


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _checked_row(client: Client) -> dict[str, Any]:
    unknown = client.grant_types - GRANT_TYPES
    if unknown:
        raise InvalidValue(
            f"unknown grant types: {', '.join(sorted(unknown))}; known are {', '.join(sorted(GRANT_TYPES))}"
        )
    if "client_credentials" in client.grant_types and not client.confidential:
        raise InvalidValue("client_credentials needs a confidential client (RFC 6749 section 4.4)")
    if not client.default_scopes <= client.scopes:
        raise InvalidValue("default scopes are a part of the client's scopes")
    if not client.audiences:
        raise InvalidValue("a client needs an audience: the API that its tokens are for")
    if _is_uuid(client.client_id):
        raise InvalidValue("a client id is no UUID: users have those, and a token's subject may be either (RFC 9068)")
    return {
        "client_id": checked_name("client", client.client_id),
        "name": checked_title("client", client.name),
        "confidential": client.confidential,
        "active": client.active,
        "grant_types": sorted(client.grant_types),
        "scopes": sorted(checked_scopes(client.scopes)),
        "default_scopes": sorted(client.default_scopes),
        "audiences": [checked_audience(audience) for audience in client.audiences],
        "redirect_uris": [checked_redirect_uri(uri) for uri in client.redirect_uris],
        "origins": [checked_origin(origin) for origin in client.origins],
    }
