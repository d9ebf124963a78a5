"""A tenant's signing keys: rows, sealed private halves and their moves.

When a key may move is ``policies.key_rotation``'s to say.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from policies.key_rotation import (
    PUBLISH_FOR,
    KeyFacts,
    KeyState,
    NothingToPromote,
    PromoteNow,
    Promotion,
    Schedule,
    due,
    may_become,
    outlived,
    promote,
    to_retire,
)
from tenants.changes import ChangeWriter
from tenants.errors import InvalidValue, NotFound
from tenants.jose import Algorithm, SigningKey
from tenants.revocations import LONGEST_ACCESS_TOKEN
from tenants.sealing import MasterKeys
from tenants.tables import signing_keys, tenants


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key as operators see it; the private half is not among it."""

    kid: str
    alg: str
    state: KeyState
    created_at: datetime
    published_at: datetime
    promote_at: datetime | None
    activated_at: datetime | None
    retiring_at: datetime | None
    ended_at: datetime | None
    public_jwk: dict[str, Any]

    def facts(self) -> KeyFacts:
        """What the rotation policy reads."""
        return KeyFacts(self.kid, self.state, self.published_at, self.promote_at, self.retiring_at)


class NoActiveKey(Exception):
    """The tenant has no key to sign with: its last was revoked and none was promoted."""


MOST_RETIRING = 20
"""Published keys of a tenant that sign no more: every process has them in memory."""


class Keys:
    """One tenant's signing keys."""

    def __init__(
        self,
        connection: AsyncConnection,
        tenant_id: UUID,
        changes: ChangeWriter,
        master_keys: MasterKeys,
        now: datetime,
    ) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._changes = changes
        self._master_keys = master_keys
        self._now = now
        self._spare: SigningKey | None = None

    async def create_first(self, alg: Algorithm) -> None:
        """A new tenant's keys: one that signs at once (nobody has cached anything yet) and the next one."""
        await self._create(alg, KeyState.ACTIVE)
        await self._create(alg, KeyState.NEXT)

    async def create_next(self, alg: Algorithm) -> str:
        """One more key that is published and does not sign yet; returns its kid."""
        return await self._create(alg, KeyState.NEXT)

    async def list(self) -> Sequence[KeyRecord]:
        """All keys, oldest first, ended ones too."""
        query = select(signing_keys).where(signing_keys.c.tenant_id == self._tenant_id)
        rows = await self._connection.execute(query.order_by(signing_keys.c.created_at, signing_keys.c.kid))
        return [
            KeyRecord(
                kid=row.kid,
                alg=row.alg,
                state=KeyState(row.state),
                created_at=row.created_at,
                published_at=row.published_at,
                promote_at=row.promote_at,
                activated_at=row.activated_at,
                retiring_at=row.retiring_at,
                ended_at=row.ended_at,
                public_jwk=row.public_jwk,
            )
            for row in rows
        ]

    async def signing(self) -> SigningKey:
        """The key that signs now.

        Raises:
            NoActiveKey: there is none.
            Unsealable: the master key is another.
        """
        query = select(signing_keys.c.kid, signing_keys.c.alg, signing_keys.c.sealed_private).where(
            signing_keys.c.tenant_id == self._tenant_id, signing_keys.c.state == KeyState.ACTIVE
        )
        row = (await self._connection.execute(query)).one_or_none()
        if row is None:
            raise NoActiveKey
        return SigningKey.from_private(
            row.kid, row.alg, self._master_keys.open(row.sealed_private, **self._place(row.kid))
        )

    async def rotate(self, alg: Algorithm, *, force: bool = False) -> Promotion:
        """Promote the next key, or schedule that until it has been published long enough.

        ``alg`` is the algorithm of the key that is made to follow. ``force`` promotes at once: clients that have the
        JWKS cached will refuse tokens until they fetch it again.

        Raises:
            InvalidValue: at once, and as many as may be wait until their last tokens have expired.
        """
        await self._lock()
        known = await self.list()
        if force and sum(key.state is KeyState.RETIRING for key in known) >= MOST_RETIRING:
            raise InvalidValue(f"{MOST_RETIRING} keys are retiring: wait until the last token of one has expired")
        promotion = promote([key.facts() for key in known], now=self._now, publish_for=PUBLISH_FOR, force=force)
        match promotion:
            case NothingToPromote():
                await self._create(alg, KeyState.NEXT)
                return await self.rotate(alg, force=force)
            case Schedule(kid, at):
                await self._update(kid, promote_at=at)
            case PromoteNow(kid, retires):
                await self._promote(kid, retires, alg)
        return promotion

    async def advance(
        self, alg: Algorithm, *, signs_for: timedelta | None = None, spare: SigningKey | None = None
    ) -> Sequence[str]:
        """Do what has become due: rotate a key that has signed for ``signs_for``, promote a scheduled one, retire those
        whose last token has expired. ``spare`` is a key that nobody has seen, for the one that is to follow: to make it
        takes longer than others should wait for this step.

        Returns the moves as ``kid:state``, for the log.
        """
        self._spare = spare
        await self._lock()
        records = await self.list()
        moves = []
        old = any(
            key.state is KeyState.ACTIVE and outlived(key.activated_at, signs_for=signs_for, now=self._now)
            for key in records
        )
        if old and not any(key.promote_at for key in records if key.state is KeyState.NEXT):
            match await self.rotate(alg):
                case PromoteNow(promoted):
                    moves.append(f"{promoted}:{KeyState.ACTIVE}")
                case Schedule(promoted):
                    moves.append(f"{promoted}:scheduled")
                case NothingToPromote():
                    raise AssertionError("a rotation makes the key that it lacks")
            records = await self.list()
        keys = [key.facts() for key in records]
        kid = due(keys, now=self._now)
        if kid is not None:
            retires = next((key.kid for key in keys if key.state is KeyState.ACTIVE), None)
            await self._promote(kid, retires, alg)
            moves.append(f"{kid}:{KeyState.ACTIVE}")
        for kid in to_retire(keys, now=self._now, token_lifetime=LONGEST_ACCESS_TOKEN):
            await self._update(kid, state=KeyState.RETIRED, ended_at=self._now, sealed_private=None)
            moves.append(f"{kid}:{KeyState.RETIRED}")
        return moves

    async def revoke(self, kid: str, alg: Algorithm) -> None:
        """Refuse every token of this key at once. When it was the one that signs, the next takes over.

        Raises:
            NotFound: no such key in this tenant.
            InvalidValue: it is revoked already.
        """
        await self._lock()
        known = {key.kid: key for key in await self.list()}
        if kid not in known:
            raise NotFound("key", kid)
        if not may_become(known[kid].state, KeyState.REVOKED):
            raise InvalidValue(f"key {kid!r} is {known[kid].state} and cannot be revoked")
        await self._update(kid, state=KeyState.REVOKED, ended_at=self._now, sealed_private=None)
        if known[kid].state is KeyState.ACTIVE:
            await self.rotate(alg)
        elif known[kid].state is KeyState.NEXT:
            made, scheduled = await self._create(alg, KeyState.NEXT), known[kid].promote_at
            if scheduled is not None:  # the rotation goes on, once this one was published for long enough
                await self._update(made, promote_at=max(scheduled, self._now + PUBLISH_FOR))

    async def _lock(self) -> None:
        """One change of this tenant's keys at a time: decisions stand on a list that must not change meanwhile, or a
        rotation would bring a key back that was revoked beside it. SQLite has one writer at a time by itself.
        """
        row = select(tenants.c.id).where(tenants.c.id == self._tenant_id)
        await self._connection.execute(row.with_for_update(key_share=True))  # logins may go on: they insert

    async def _promote(self, kid: str, retires: str | None, alg: Algorithm) -> None:
        if retires is not None:  # first, since one key is active at a time
            await self._update(retires, state=KeyState.RETIRING, retiring_at=self._now)
        await self._update(kid, state=KeyState.ACTIVE, activated_at=self._now, promote_at=None)
        await self._create(alg, KeyState.NEXT)

    async def _create(self, alg: Algorithm, state: KeyState) -> str:
        spare, self._spare = self._spare, None
        key = spare if spare is not None and spare.alg == alg else await asyncio.to_thread(SigningKey.generate, alg)
        await self._connection.execute(
            insert(signing_keys).values(
                tenant_id=self._tenant_id,
                kid=key.kid,
                alg=alg,
                state=state,
                public_jwk=key.public_jwk(),
                sealed_private=self._master_keys.seal(key.private_der(), **self._place(key.kid)),
                created_at=self._now,
                published_at=self._now,
                activated_at=self._now if state is KeyState.ACTIVE else None,
            )
        )
        self._changes.note("tenant")
        return key.kid

    async def _update(self, kid: str, **values: Any) -> None:
        await self._connection.execute(
            update(signing_keys)
            .where(signing_keys.c.tenant_id == self._tenant_id, signing_keys.c.kid == kid)
            .values(**values)
        )
        self._changes.note("tenant")

    def _place(self, kid: str) -> dict[str, str]:
        return {"tenant": str(self._tenant_id), "table": "signing_keys", "row": kid, "column": "sealed_private"}
