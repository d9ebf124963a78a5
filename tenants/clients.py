"""OAuth clients and their secrets: one tenant's rows."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Sequence, Set
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import structlog
from sqlalchemy import ColumnElement, Select, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants import opaque
from tenants.changes import ChangeWriter, of_client
from tenants.client import GRANT_TYPES as GRANT_TYPES
from tenants.client import Client as Client
from tenants.client import RegisteredClient as RegisteredClient
from tenants.client import checked_row, client_of
from tenants.client_options import SECRET_METHODS
from tenants.errors import AlreadyExists, InvalidValue, NotFound, Unreadable
from tenants.names import is_name
from tenants.revocations import Revocations
from tenants.tables import client_secrets, clients, refresh_families, tenants

_log = structlog.get_logger("tenants.clients")
_GET = select(clients).where(
    clients.c.tenant_id == bindparam("p_tenant_id"), clients.c.client_id == bindparam("p_client_id")
)
_HELD = _GET.with_for_update()
_REDIRECT_URIS = select(clients.c.redirect_uris).where(
    clients.c.tenant_id == bindparam("p_tenant_id"), clients.c.active
)
_KEPT = frozenset({"client_id", "active"})
_AT_ONCE = 100
MOST_SECRETS = 20
"""Of one client, at a time."""


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
        """A new client. A confidential one can do nothing before it has a secret. Tokens of a former client of this id,
        which was deleted, stay refused.

        Raises:
            AlreadyExists: the tenant has a client of this id.
            InvalidValue: a field is malformed, or fields contradict each other.
        """
        row = checked_row(client)
        try:
            async with self._connection.begin_nested():
                await self._connection.execute(
                    insert(clients).values(tenant_id=self._tenant_id, created_at=self._now, **row)
                )
        except IntegrityError as error:
            raise AlreadyExists("client", client.client_id) from error
        await self._revocations.allow("client", client.client_id)
        self._note(client.client_id)

    async def get(self, client_id: str) -> Client | None:
        """By id; what cannot be one is nobody's."""
        return await self._get(_GET, client_id)

    async def held(self, client_id: str) -> Client | None:
        """As ``get``, for whoever writes what was read here changed: nobody else changes it until this step ends."""
        return await self._get(_HELD, client_id)

    async def _get(self, query: Select[Any], client_id: str) -> Client | None:
        if not is_name(client_id):
            return None
        named = {"p_tenant_id": self._tenant_id, "p_client_id": client_id}
        row = (await self._connection.execute(query, named)).one_or_none()
        return None if row is None else client_of(row)

    async def list(self, *, after: str = "", limit: int | None = None) -> Sequence[Client]:
        """By id, from the one that follows ``after``."""
        mine = clients.c.tenant_id == self._tenant_id, clients.c.client_id > after
        query = select(clients).where(*mine).order_by(clients.c.client_id).limit(limit)
        return [client_of(row) for row in await self._connection.execute(query)]

    async def registered(self, only: Collection[str] | None = None) -> dict[str, RegisteredClient]:
        """All of them by id, or those of these ids, with their living secrets. One that cannot be read is left out."""
        rows = select(clients).where(clients.c.tenant_id == self._tenant_id)
        query = select(client_secrets).where(
            client_secrets.c.tenant_id == self._tenant_id,
            or_(client_secrets.c.expires_at.is_(None), client_secrets.c.expires_at > self._now),
        )
        if only is not None:
            rows, query = rows.where(clients.c.client_id.in_(only)), query.where(client_secrets.c.client_id.in_(only))
        secrets: dict[str, dict[bytes, datetime | None]] = defaultdict(dict)
        for row in await self._connection.execute(query):
            secrets[row.client_id][row.digest] = row.expires_at
        found: dict[str, RegisteredClient] = {}
        for number, row in enumerate(await self._connection.execute(rows), 1):
            if number % _AT_ONCE == 0:  # to make a thousand of them takes a tenth of a second
                await asyncio.sleep(0)
            try:
                found[row.client_id] = RegisteredClient(client_of(row), secrets.get(row.client_id, {}))
            except Unreadable as error:
                _log.error("client_unreadable", client_id=row.client_id, error=str(error))
        return found

    async def redirect_uris(self) -> frozenset[str]:
        """All that the clients in use have registered, exactly as they stand there."""
        found = await self._connection.execute(_REDIRECT_URIS, {"p_tenant_id": self._tenant_id})
        return frozenset(uri for listed in found.scalars() for uri in listed)

    async def replace(self, client: Client) -> None:
        """All that it registered, anew. Its secrets and registration access token, and whether it is active, stay.

        Raises:
            NotFound: no such client in this tenant.
            InvalidValue: a field is malformed, or fields contradict each other.
        """
        if not await self._replace(client, kept=_KEPT | {"registration_digest"}):
            raise NotFound("client", client.client_id)

    async def replace_registered(self, client: Client, *, digest: bytes) -> bool:
        """As ``replace``, by whoever holds the registration access token of this digest (RFC 7592 section 2.2).

        False where the token was changed meanwhile: another request was first.

        Raises:
            InvalidValue: a field is malformed, or fields contradict each other.
        """
        return await self._replace(client, clients.c.registration_digest == digest, kept=_KEPT)

    async def _replace(self, client: Client, *conditions: ColumnElement[bool], kept: Set[str]) -> bool:
        row = checked_row(client)
        mine = clients.c.tenant_id == self._tenant_id, clients.c.client_id == client.client_id
        values = {name: value for name, value in row.items() if name not in kept}
        changed = await self._connection.execute(update(clients).where(*mine, *conditions).values(values))
        if changed.rowcount == 0:
            return False
        self._note(client.client_id)
        return True

    def _note(self, client_id: str) -> None:
        self._changes.note("tenant", of_client(client_id))

    async def registered_themselves(self) -> int:
        """How many did (RFC 7591). Two that ask at once ask one after the other: what they add is counted, too."""
        own = select(tenants.c.id).where(tenants.c.id == self._tenant_id)
        await self._connection.execute(own.with_for_update(key_share=True))
        query = select(func.count()).where(
            clients.c.tenant_id == self._tenant_id, clients.c.registration_digest.is_not(None)
        )
        return int((await self._connection.execute(query)).scalar_one())

    async def delete(self, client_id: str) -> None:
        """With all that it was granted; its tokens are refused at once. It stands in for no other any longer.

        Raises:
            NotFound: no such client in this tenant.
        """
        mine = clients.c.tenant_id == self._tenant_id, clients.c.client_id == client_id
        if not is_name(client_id) or (await self._connection.execute(delete(clients).where(*mine))).rowcount == 0:
            raise NotFound("client", client_id)
        stood_in = tenants.c.id == self._tenant_id, tenants.c.default_client_id == client_id
        await self._connection.execute(update(tenants).where(*stood_in).values(default_client_id=None))
        await self._revocations.forbid("client", client_id)  # another process may not have heard of it yet
        self._note(client_id)

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
        self._note(client_id)

    async def add_secret(self, client_id: str, *, expires_at: datetime | None = None) -> str:
        """A new secret beside those that exist, so that they can be rolled. It is shown this once.

        Raises:
            NotFound: no such client in this tenant.
            InvalidValue: a public client keeps no secret, and any other one a bounded number.
        """
        client = await self.get(client_id)
        if client is None:
            raise NotFound("client", client_id)
        if client.method not in SECRET_METHODS:
            raise InvalidValue(f"a client that proves itself by {client.method} has no secret")
        mine = client_secrets.c.tenant_id == self._tenant_id, client_secrets.c.client_id == client_id
        lives = or_(client_secrets.c.expires_at.is_(None), client_secrets.c.expires_at > self._now)
        living = select(func.count()).select_from(client_secrets).where(*mine, lives)
        if (await self._connection.execute(living)).scalar_one() >= MOST_SECRETS:
            raise InvalidValue(f"a client has at most {MOST_SECRETS} secrets at a time: end those that are not used")
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
        self._note(client_id)
        return secret

    async def has_secret(self, client_id: str, unverified_secret: str) -> bool:
        """Whether this is one of the client's living secrets."""
        query = select(client_secrets.c.id).where(
            client_secrets.c.tenant_id == self._tenant_id,
            client_secrets.c.client_id == client_id,
            client_secrets.c.digest == opaque.digest(unverified_secret),
            or_(client_secrets.c.expires_at.is_(None), client_secrets.c.expires_at > self._now),
        )
        return (await self._connection.execute(query)).first() is not None

    async def secrets_for(self, client: Client, *, before: Client) -> tuple[str | None, int]:
        """Make its secrets fit how it proves itself now: a new one, shown this once, where it had none before; how many
        were ended where it is to have none any longer.
        """
        had, has = before.method in SECRET_METHODS, client.method in SECRET_METHODS
        ended = await self.end_secrets(client.client_id) if had and not has else 0
        return (await self.add_secret(client.client_id) if has and not had else None), ended

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
        self._note(client_id)
        return ended.rowcount
