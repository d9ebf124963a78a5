"""Answers to requests that carried an Idempotency-Key: one tenant's rows.

Written in the transaction of the change that they tell of, so an answer is there if and only if the change is. Owns the
rows, their bounds and the lock that lets one request of a key run at a time. Not what a key may look like.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final
from uuid import UUID

from sqlalchemy import bindparam, delete, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.admin_tables import idempotency_keys
from tenants.pruning import delete_oldest
from tenants.sealing import MasterKeys

KEPT: Final = timedelta(hours=24)
MOST: Final = 500
"""Of one principal in one tenant. The oldest make room."""

_OF_TENANT = idempotency_keys.c.tenant_id == bindparam("p_tenant_id")
_FIND = select(idempotency_keys).where(
    _OF_TENANT, idempotency_keys.c.digest == bindparam("p_digest"), idempotency_keys.c.expires_at > bindparam("p_now")
)
_FORGET = delete(idempotency_keys).where(_OF_TENANT, idempotency_keys.c.digest == bindparam("p_digest"))
_OLD = (
    select(idempotency_keys.c.digest)
    .where(_OF_TENANT, idempotency_keys.c.principal == bindparam("p_principal"))
    .order_by(idempotency_keys.c.created_at.desc(), idempotency_keys.c.digest)
    .offset(MOST - 1)
)
_INSERT = insert(idempotency_keys)
_IS_TAKEN = text("SELECT NOT pg_try_advisory_xact_lock(:key)")


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A key as its principal sent it. ``principal`` names the caller in full; ``request`` is a digest of what it asks.

    No two tenants, principals or keys share a ``digest``.
    """

    principal: bytes
    key: str
    request: bytes

    def digest(self, tenant_id: UUID) -> bytes:
        """What its row is found by."""
        return sha256(tenant_id.bytes + self.principal + self.key.encode()).digest()


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """What was answered. ``request`` is the digest of the request that it was the answer to."""

    request: bytes
    status: int
    body: bytes = field(repr=False)


class IdempotencyKeys:
    """One tenant's."""

    def __init__(self, connection: AsyncConnection, tenant_id: UUID, master_keys: MasterKeys, now: datetime) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._master_keys = master_keys
        self._now = now

    async def enter(self, key: IdempotencyKey) -> bool:
        """Let no other request of this key run until this transaction ends, in whatever process. False where one runs.

        On SQLite one process serves, and one transaction writes at a time: there is nothing to lock.
        """
        if self._connection.dialect.name == "sqlite":
            return True
        number = int.from_bytes(key.digest(self._tenant_id)[:8], signed=True)
        return not (await self._connection.execute(_IS_TAKEN, {"key": number})).scalar_one()

    async def find(self, key: IdempotencyKey) -> KeptAnswer | None:
        """What was answered to it before, whatever it asked then."""
        digest = key.digest(self._tenant_id)
        where = {"p_tenant_id": self._tenant_id, "p_digest": digest, "p_now": self._now}
        row = (await self._connection.execute(_FIND, where)).one_or_none()
        if row is None:
            return None
        return KeptAnswer(row.request, row.status, self._master_keys.open(row.sealed_answer, **self._place(digest)))

    async def keep(self, key: IdempotencyKey, *, status: int, body: bytes) -> None:
        """Answer so from now on, for ``KEPT``."""
        digest, mine = key.digest(self._tenant_id), {"p_tenant_id": self._tenant_id}
        old = (await self._connection.execute(_OLD, mine | {"p_principal": key.principal})).scalars().all()
        for each in (digest, *old):  # the key's own, which is over
            await self._connection.execute(_FORGET, mine | {"p_digest": each})
        await self._connection.execute(
            _INSERT,
            {
                "tenant_id": self._tenant_id,
                "digest": digest,
                "principal": key.principal,
                "request": key.request,
                "status": status,
                "sealed_answer": self._master_keys.seal(body, **self._place(digest)),
                "created_at": self._now,
                "expires_at": self._now + KEPT,
            },
        )

    def _place(self, digest: bytes) -> dict[str, str]:
        tenant = str(self._tenant_id)
        return {"tenant": tenant, "table": "idempotency_keys", "row": digest.hex(), "column": "sealed_answer"}


async def prune(connection: AsyncConnection, now: datetime) -> bool:
    """Forget some of those whose time is over; whether there are more. As ``yett_system``."""
    return await delete_oldest(connection, idempotency_keys.c.expires_at, idempotency_keys.c.expires_at <= now)
