"""Initial access tokens (RFC 7591 section 3): who may register a client, and how many.

Owns the rows and the one conditional UPDATE that counts a use. What may be registered is the gateway's to say.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Row, bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants import opaque
from tenants.errors import InvalidValue
from tenants.names import checked_title
from tenants.provider_tables import registration_tokens
from tenants.pruning import delete_oldest

MOST_USES = 100_000
LONGEST_LIFETIME = timedelta(days=366)

_OF_TENANT = registration_tokens.c.tenant_id == bindparam("p_tenant_id")
_LIVE = (
    _OF_TENANT,
    registration_tokens.c.uses_left > 0,
    registration_tokens.c.expires_at > bindparam("p_now"),
    registration_tokens.c.digest == bindparam("p_digest"),
)
_INSERT = insert(registration_tokens)
_FIND = select(registration_tokens).where(*_LIVE)
_LIST = select(registration_tokens).where(_OF_TENANT).order_by(registration_tokens.c.name, registration_tokens.c.digest)
_SPEND = update(registration_tokens).where(*_LIVE).values(uses_left=registration_tokens.c.uses_left - 1)
_DELETE = delete(registration_tokens).where(_OF_TENANT, registration_tokens.c.name == bindparam("p_name"))


@dataclass(frozen=True, slots=True)
class RegistrationToken:
    """``name`` is for people: who was given it. ``uses_left`` is how many clients can be registered with it still."""

    digest: bytes = field(repr=False)
    name: str
    uses_left: int
    created_at: datetime
    expires_at: datetime


class RegistrationTokens:
    """One tenant's initial access tokens."""

    def __init__(self, connection: AsyncConnection, tenant_id: UUID, now: datetime) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._now = now

    async def issue(self, name: str, *, uses: int, lifetime: timedelta) -> str:
        """A new token, shown this once.

        Raises:
            InvalidValue: a name that cannot be shown, no uses or too many, a lifetime of nothing or too long.
        """
        if not 1 <= uses <= MOST_USES:
            raise InvalidValue(f"an initial access token has 1 to {MOST_USES} uses")
        if not timedelta(0) < lifetime <= LONGEST_LIFETIME:
            raise InvalidValue(f"an initial access token lives at most {LONGEST_LIFETIME.days} days")
        token = opaque.new("yia_")
        await self._connection.execute(
            _INSERT,
            {
                "tenant_id": self._tenant_id,
                "digest": opaque.digest(token),
                "name": checked_title("registration token", name),
                "uses_left": uses,
                "created_at": self._now,
                "expires_at": self._now + lifetime,
            },
        )
        return token

    async def find(self, unverified_token: str) -> RegistrationToken | None:
        """The token, while it can be used. Changes nothing."""
        row = (await self._connection.execute(_FIND, self._live(opaque.digest(unverified_token)))).one_or_none()
        return None if row is None else _token_of(row)

    async def list(self) -> Sequence[RegistrationToken]:
        """By name; those that are used up or over, too, until they are pruned."""
        rows = await self._connection.execute(_LIST, {"p_tenant_id": self._tenant_id})
        return [_token_of(row) for row in rows]

    async def spend(self, token: RegistrationToken) -> bool:
        """Count one use. False where others were first, or where its time is over."""
        spent = await self._connection.execute(_SPEND, self._live(token.digest))
        return spent.rowcount == 1

    async def delete(self, name: str) -> int:
        """Take every token of this name back; says how many. Clients that were registered with one stay."""
        deleted = await self._connection.execute(_DELETE, {"p_tenant_id": self._tenant_id, "p_name": name})
        return deleted.rowcount

    def _live(self, digest: bytes) -> dict[str, object]:
        return {"p_tenant_id": self._tenant_id, "p_now": self._now, "p_digest": digest}


def _token_of(row: Row[tuple[object, ...]]) -> RegistrationToken:
    return RegistrationToken(row.digest, row.name, row.uses_left, row.created_at, row.expires_at)


async def prune(connection: AsyncConnection, expired_before: datetime) -> bool:
    """Forget some of those whose time is over; whether there are more. As ``yett_system``."""
    return await delete_oldest(
        connection, registration_tokens.c.expires_at, registration_tokens.c.expires_at < expired_before
    )
