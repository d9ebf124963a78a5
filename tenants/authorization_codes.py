"""Authorization codes (RFC 6749 section 4.1.2): rows, and the one conditional UPDATE that redeems one.

Owns what a code is bound to, and what was got for it. Whether a presented code earns anything is decided by the grant.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants import opaque
from tenants.provider_tables import authorization_codes
from tenants.pruning import delete_oldest

_THIS = (
    authorization_codes.c.tenant_id == bindparam("p_tenant_id"),
    authorization_codes.c.digest == bindparam("p_digest"),
)
_INSERT = insert(authorization_codes)
_FIND = select(authorization_codes).where(*_THIS)
# Not by its time: that was judged before, by a clock that has gone on since.
_REDEEM = update(authorization_codes).where(*_THIS, authorization_codes.c.consumed_at.is_(None))
_TAKE_BACK = update(authorization_codes).where(*_THIS, authorization_codes.c.token_id.is_not(None))


@dataclass(frozen=True, slots=True)
class AuthorizationCode:
    """A stored code, used or not.

    ``id_token_claims`` are those that the request wanted in ID tokens, by name; ``dpop_jkt`` is the thumbprint of the
    key that has to be proved with it. ``family_id`` and ``token_id`` are what was got for it, once it was redeemed;
    ``token_id`` is None again once that was taken back.
    """

    digest: bytes = field(repr=False)
    client_id: str
    session_id: UUID
    redirect_uri: str
    scopes: frozenset[str]
    audiences: tuple[str, ...]
    code_challenge: str
    dpop_jkt: str | None
    nonce: str | None = field(repr=False)
    id_token_claims: frozenset[str]
    family_id: UUID | None
    token_id: str | None
    expires_at: datetime
    consumed_at: datetime | None


class AuthorizationCodes:
    """One tenant's codes."""

    def __init__(self, connection: AsyncConnection, tenant_id: UUID, now: datetime) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._now = now

    async def issue(
        self,
        client_id: str,
        session_id: UUID,
        *,
        redirect_uri: str,
        scopes: Iterable[str],
        audiences: Iterable[str],
        code_challenge: str,
        lifetime: timedelta,
        nonce: str | None = None,
        id_token_claims: Iterable[str] = (),
        dpop_jkt: str | None = None,
    ) -> str:
        """A new code, bound to all of this. It is shown this once."""
        code = opaque.new("yac_")
        wanted = {"nonce": nonce, "id_token": sorted(id_token_claims)}
        await self._connection.execute(
            _INSERT,
            {
                "tenant_id": self._tenant_id,
                "digest": opaque.digest(code),
                "client_id": client_id,
                "session_id": session_id,
                "redirect_uri": redirect_uri,
                "scopes": sorted(scopes),
                "audiences": list(audiences),
                "code_challenge": code_challenge,
                "dpop_jkt": dpop_jkt,
                "request": {name: value for name, value in wanted.items() if value},
                "created_at": self._now,
                "expires_at": self._now + lifetime,
            },
        )
        return code

    async def find(self, unverified_code: str) -> AuthorizationCode | None:
        """The code that this string is, used or over too: whoever brings a used one again tells of a theft."""
        row = (await self._connection.execute(_FIND, self._is(opaque.digest(unverified_code)))).one_or_none()
        if row is None:
            return None
        return AuthorizationCode(
            digest=row.digest,
            client_id=row.client_id,
            session_id=row.session_id,
            redirect_uri=row.redirect_uri,
            scopes=frozenset(row.scopes),
            audiences=tuple(row.audiences),
            code_challenge=row.code_challenge,
            dpop_jkt=row.dpop_jkt,
            nonce=row.request.get("nonce"),
            id_token_claims=frozenset(row.request.get("id_token", ())),
            family_id=row.family_id,
            token_id=row.token_id,
            expires_at=row.expires_at,
            consumed_at=row.consumed_at,
        )

    async def redeem(self, code: AuthorizationCode, *, family_id: UUID | None, token_id: str) -> bool:
        """Use it up, once, for these. False where another request was first."""
        values = {"consumed_at": self._now, "family_id": family_id, "token_id": token_id}
        return (await self._connection.execute(_REDEEM, self._is(code.digest) | values)).rowcount == 1

    async def take_back(self, code: AuthorizationCode) -> bool:
        """What was got for it is taken back from now on. False where that was so before, or where nothing was got."""
        return (await self._connection.execute(_TAKE_BACK, self._is(code.digest) | {"token_id": None})).rowcount == 1

    def _is(self, digest: bytes) -> dict[str, Any]:
        return {"p_tenant_id": self._tenant_id, "p_digest": digest}


async def prune(connection: AsyncConnection, expired_before: datetime) -> bool:
    """Forget some of those whose time is long over; whether there are more. As ``yett_system``."""
    return await delete_oldest(
        connection, authorization_codes.c.expires_at, authorization_codes.c.expires_at < expired_before
    )
