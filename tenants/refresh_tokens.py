"""Refresh tokens: families that descend from one grant, each token good for one successor.

Owns the rows and the one conditional UPDATE that spends a token. What a presented token earns is decided by
``policies.refresh``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, Select, bindparam, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from policies.refresh import RefreshFacts
from tenants import held_roles, opaque
from tenants.people_tables import totp_factors
from tenants.pruning import delete_tokens, oldest
from tenants.roles import Held, held_of
from tenants.schema import Json
from tenants.sealing import MasterKeys
from tenants.sessions import Session
from tenants.tables import refresh_families, refresh_tokens, roles, sessions, users
from tenants.users import User

PREFIX: Final = "yrt_"


def _find(pairs: ColumnElement[Any]) -> Select[Any]:
    token, family, session, successor = refresh_tokens, refresh_families, sessions, refresh_tokens.alias("successor")
    factors = select(totp_factors.c.id).where(
        totp_factors.c.tenant_id == users.c.tenant_id,
        totp_factors.c.user_id == users.c.id,
        totp_factors.c.confirmed_at.is_not(None),
    )
    return (
        select(
            token.c.family_id,
            token.c.expires_at,
            token.c.consumed_at,
            token.c.sealed_successor,
            successor.c.consumed_at.label("successor_consumed_at"),
            family.c.client_id,
            family.c.scopes,
            family.c.audiences,
            family.c.request,
            family.c.expires_at.label("family_expires_at"),
            family.c.revoked_at,
            family.c.dpop_jkt,
            session.c.id.label("session_id"),
            session.c.auth_time,
            session.c.acr,
            session.c.amr,
            session.c.expires_at.label("session_expires_at"),
            session.c.ended_at,
            session.c.factor_waived,
            session.c.client_id.label("session_client_id"),
            users.c.id.label("user_id"),
            users.c.name,
            users.c.name_key,
            users.c.active,
            users.c.created_at,
            users.c.email,
            users.c.email_verified,
            factors.exists().label("has_factor"),
            held_roles.own(pairs).label("own_roles"),
            held_roles.carried(pairs).label("carried_roles"),
        )
        .select_from(token)
        .join(family, (family.c.tenant_id == token.c.tenant_id) & (family.c.id == token.c.family_id))
        .join(session, (session.c.tenant_id == family.c.tenant_id) & (session.c.id == family.c.session_id))
        .join(users, (users.c.tenant_id == session.c.tenant_id) & (users.c.id == session.c.user_id))
        .outerjoin(
            successor,
            (successor.c.tenant_id == token.c.tenant_id) & (successor.c.digest == token.c.successor_digest),
        )
        .where(token.c.tenant_id == bindparam("p_tenant_id"), token.c.digest == bindparam("p_digest"))
    )


_FIND: Mapping[str, Select[Any]] = {
    "sqlite": _find(
        func.json_group_array(func.json_array(roles.c.name, func.json(roles.c.scopes)), type_=Json),
    ),
    "postgresql": _find(func.jsonb_agg(func.jsonb_build_array(roles.c.name, roles.c.scopes), type_=Json)),
}
_INSERT = insert(refresh_tokens)
_INSERT_FAMILY = insert(refresh_families)
_SPEND = update(refresh_tokens).where(
    refresh_tokens.c.tenant_id == bindparam("p_tenant_id"),
    refresh_tokens.c.digest == bindparam("p_digest"),
    refresh_tokens.c.consumed_at.is_(None),
)
_REVOKE_FAMILY = update(refresh_families).where(
    refresh_families.c.tenant_id == bindparam("p_tenant_id"),
    refresh_families.c.id == bindparam("p_id"),
    refresh_families.c.revoked_at.is_(None),
)
_REVOKE_OF_CLIENT = update(refresh_families).where(
    refresh_families.c.tenant_id == bindparam("p_tenant_id"),
    refresh_families.c.client_id == bindparam("p_client_id"),
    refresh_families.c.revoked_at.is_(None),
    refresh_families.c.session_id.in_(
        select(sessions.c.id).where(
            sessions.c.tenant_id == bindparam("p_tenant_id"), sessions.c.user_id == bindparam("p_user_id")
        )
    ),
)


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A stored token with what it descends from; ``facts`` is what the decision reads.

    Of ``session`` it is not known where it comes from. ``has_factor``: its user has a confirmed authenticator; ``held``
    are the user's roles.
    ``id_token_claims`` are those that the authorization request wanted in ID tokens, by name.
    """

    digest: bytes
    family_id: UUID
    session: Session
    user: User
    has_factor: bool
    held: Held
    audiences: tuple[str, ...]
    facts: RefreshFacts
    sealed_successor: bytes | None
    id_token_claims: frozenset[str] = frozenset()


class RefreshTokens:
    """One tenant's refresh tokens."""

    def __init__(self, connection: AsyncConnection, tenant_id: UUID, master_keys: MasterKeys, now: datetime) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._master_keys = master_keys
        self._now = now

    async def begin_family(
        self,
        session_id: UUID,
        client_id: str,
        *,
        scopes: Iterable[str],
        audiences: Iterable[str],
        idle: timedelta,
        absolute: timedelta,
        id_token_claims: Iterable[str] = (),
        dpop_jkt: str | None = None,
        family_id: UUID | None = None,
    ) -> str:
        """The first token of a new family. It is shown this once. ``dpop_jkt`` is the thumbprint of the key that it is
        bound to; ``family_id`` an id that the caller has drawn for it.
        """
        family_id = family_id or uuid4()
        expires_at = self._now + absolute
        await self._connection.execute(
            _INSERT_FAMILY,
            {
                "tenant_id": self._tenant_id,
                "id": family_id,
                "session_id": session_id,
                "client_id": client_id,
                "scopes": sorted(scopes),
                "audiences": list(audiences),
                "request": {"id_token": wanted} if (wanted := sorted(id_token_claims)) else {},
                "dpop_jkt": dpop_jkt,
                "expires_at": expires_at,
            },
        )
        token = opaque.new(PREFIX)
        await self._insert(token, family_id, min(self._now + idle, expires_at))
        return token

    async def find(self, unverified_token: str) -> RefreshToken | None:
        """The stored token that this string is, spent or not, with whose it is."""
        digest = opaque.digest(unverified_token)
        row = (await self._connection.execute(_FIND[self._connection.dialect.name], self._is(digest))).one_or_none()
        if row is None:
            return None
        facts = RefreshFacts(
            client_id=row.client_id,
            granted=frozenset(row.scopes),
            idle_expires_at=row.expires_at,
            family_expires_at=row.family_expires_at,
            family_revoked=row.revoked_at is not None,
            session_ended=row.ended_at is not None,
            consumed_at=row.consumed_at,
            successor_kept=row.sealed_successor is not None,
            successor_consumed=row.successor_consumed_at is not None,
            bound_to=row.dpop_jkt,
        )
        session = Session(
            row.session_id,
            row.user_id,
            row.auth_time,
            row.acr,
            frozenset(row.amr),
            row.session_expires_at,
            row.ended_at,
            factor_waived=row.factor_waived,
            client_id=row.session_client_id,
        )
        return RefreshToken(
            digest,
            row.family_id,
            session,
            User(row.user_id, row.name, row.name_key, row.active, row.created_at, row.email, row.email_verified),
            row.has_factor,
            held_of([*(row.own_roles or ()), *(row.carried_roles or ())]),  # PostgreSQL makes no array of nothing
            tuple(row.audiences),
            facts,
            row.sealed_successor,
            frozenset(row.request.get("id_token", ())),
        )

    async def spend(self, token: RefreshToken, *, idle: timedelta) -> str | None:
        """Consume it and issue its successor; None when another request has consumed it meanwhile."""
        successor = opaque.new(PREFIX)
        values = {
            "consumed_at": self._now,
            "successor_digest": opaque.digest(successor),
            "sealed_successor": self._master_keys.seal(successor.encode(), **self._place(token.digest)),
        }
        spent = await self._connection.execute(_SPEND, self._is(token.digest) | values)
        if spent.rowcount == 0:
            return None
        await self._insert(successor, token.family_id, min(self._now + idle, token.facts.family_expires_at))
        return successor

    def successor(self, token: RefreshToken) -> str:
        """The successor that was issued before, for a client that did not get the answer.

        Raises:
            ValueError: it is not kept any more; the decision said otherwise.
            Unsealable: the master key is another.
        """
        if token.sealed_successor is None:
            raise ValueError("this token has no kept successor")
        return self._master_keys.open(token.sealed_successor, **self._place(token.digest)).decode()

    async def revoke_of_client(self, user_id: UUID, client_id: str) -> int:
        """Revoke every family that this client has of this user; says how many."""
        theirs = {"p_tenant_id": self._tenant_id, "p_user_id": user_id, "p_client_id": client_id}
        return (await self._connection.execute(_REVOKE_OF_CLIENT, theirs | {"revoked_at": self._now})).rowcount

    async def revoke_family(self, family_id: UUID) -> bool:
        """No token of it is good for anything any more. False where that was so before."""
        family = {"p_tenant_id": self._tenant_id, "p_id": family_id}
        revoked = await self._connection.execute(_REVOKE_FAMILY, family | {"revoked_at": self._now})
        return revoked.rowcount > 0

    async def _insert(self, token: str, family_id: UUID, expires_at: datetime) -> None:
        await self._connection.execute(
            _INSERT,
            {
                "tenant_id": self._tenant_id,
                "digest": opaque.digest(token),
                "family_id": family_id,
                "issued_at": self._now,
                "expires_at": expires_at,
            },
        )

    def _is(self, digest: bytes) -> dict[str, Any]:
        return {"p_tenant_id": self._tenant_id, "p_digest": digest}

    def _place(self, digest: bytes) -> dict[str, str]:
        tenant = str(self._tenant_id)
        return {"tenant": tenant, "table": "refresh_tokens", "row": digest.hex(), "column": "sealed_successor"}


async def forget_successors(connection: AsyncConnection, consumed_before: datetime) -> bool:
    """Erase some of what was kept for the grace window; whether there is more. As ``yett_system``."""
    consumed, kept = refresh_tokens.c.consumed_at, refresh_tokens.c.sealed_successor
    some, more = await oldest(connection, consumed, consumed < consumed_before, kept.is_not(None))
    await connection.execute(update(refresh_tokens).where(*some).values(sealed_successor=None))
    return more


async def prune(connection: AsyncConnection, expired_before: datetime) -> bool:
    """Forget some families whose last token could not be used any more, their tokens first; whether there are more. As
    ``yett_system``.
    """
    expiry = refresh_families.c.expires_at
    some, more = await oldest(connection, expiry, expiry < expired_before)
    if await delete_tokens(connection, *some):
        return True
    await connection.execute(delete(refresh_families).where(*some))
    return more
