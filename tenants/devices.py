"""Browsers and networks from which a user has logged in before; browsers may be trusted with the second factor.

Owns the rows. A browser has one secret, in its cookie, and a row for each user who completed a login in it. To be known
gives a login its own budget of attempts (``tenants.throttles``); what trust is worth is decided by ``policies.login``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, Row, delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants import opaque
from tenants.people_tables import devices, known_networks
from tenants.visitor import Visitor

MOST_DEVICES = 50
"""Per user; the one that was seen longest ago is forgotten. Who logs in without cookies makes a new one each time."""


@dataclass(frozen=True, slots=True)
class Device:
    """A browser in which a user has logged in; ``visitor`` is where it last did so from, its network left out."""

    id: UUID
    user_id: UUID
    visitor: Visitor
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    trusted_until: datetime | None

    def trusted_at(self, now: datetime) -> bool:
        """Whether it may stand in for the second factor, as far as the device goes."""
        return self.trusted_until is not None and now < min(self.trusted_until, self.expires_at)


class Devices:
    """What one tenant's users are known by."""

    def __init__(self, connection: AsyncConnection, tenant_id: UUID, now: datetime) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._now = now

    async def find(self, user_id: UUID, unverified_secret: str | None) -> Device | None:
        """The user's device that this cookie stands for, until it expires. One query, for nobody's id as well."""
        secret = "" if unverified_secret is None else unverified_secret  # no device's: all have a prefix
        query = select(devices).where(*self._of(user_id), *self._presented(secret))
        row = (await self._connection.execute(query)).one_or_none()
        return None if row is None else _device(row)

    async def remember(
        self,
        user_id: UUID,
        unverified_secret: str | None,
        *,
        visitor: Visitor,
        lifetime: timedelta,
        trusted_for: timedelta | None,
    ) -> tuple[Device, str, bool]:
        """After a complete login: the user's device, the secret for its cookie, and whether it was new to the user.

        A user's own device keeps its secret, so that an answer which is lost, or two at once, cost nobody a device. Who
        is new to the browser gets a new one, so that a cookie which somebody planted there is worth nothing from now
        on; the other users of the browser keep their devices under it. ``trusted_for`` None leaves an unexpired trust
        of this user in this browser as it is.
        """
        before = await self.find(user_id, unverified_secret)
        secret = opaque.new("ydv_") if before is None or unverified_secret is None else unverified_secret
        if before is None and unverified_secret is not None:
            presented = devices.c.digest == opaque.digest(unverified_secret)
            await self._connection.execute(delete(devices).where(*self._of(user_id), presented))  # expired
            others = update(devices).where(devices.c.tenant_id == self._tenant_id, presented)
            await self._connection.execute(others.values(digest=opaque.digest(secret)))
        device = Device(
            id=uuid4() if before is None else before.id,
            user_id=user_id,
            visitor=Visitor(visitor.address, "", visitor.user_agent),
            created_at=self._now if before is None else before.created_at,
            seen_at=self._now,
            expires_at=self._now + lifetime,
            trusted_until=self._trusted_until(before, trusted_for),
        )
        values = {
            "address": visitor.address,
            "user_agent": visitor.user_agent,
            "seen_at": device.seen_at,
            "expires_at": device.expires_at,
            "trusted_until": device.trusted_until,
        }
        if before is not None:
            mine = *self._of(user_id), devices.c.id == device.id
            await self._connection.execute(update(devices).where(*mine).values(values))
            return device, secret, False
        row = {"id": device.id, "user_id": user_id, "digest": opaque.digest(secret), "created_at": self._now}
        await self._connection.execute(insert(devices).values(tenant_id=self._tenant_id, **row, **values))
        await self._forget_oldest(user_id, but=device.id)
        return device, secret, True

    async def of_user(self, user_id: UUID) -> Sequence[Device]:
        """Those that have not expired, the last seen first."""
        query = select(devices).where(*self._of(user_id), devices.c.expires_at > self._now)
        rows = await self._connection.execute(query.order_by(devices.c.seen_at.desc(), devices.c.id))
        return [_device(row) for row in rows]

    async def revoke(self, user_id: UUID, device_id: UUID) -> bool:
        """Forget a device of the user. Its sessions are not ended by this. False where there is none."""
        gone = await self._connection.execute(delete(devices).where(*self._of(user_id), devices.c.id == device_id))
        return gone.rowcount == 1

    async def revoke_all(self, user_id: UUID) -> int:
        """Forget every device of the user. Says how many there were, expired ones among them."""
        return (await self._connection.execute(delete(devices).where(*self._of(user_id)))).rowcount

    async def knows_network(self, user_id: UUID, network: str, *, within: timedelta) -> bool:
        """Whether the user has logged in from this network so short a time ago. One query, for nobody's id as well."""
        query = select(known_networks.c.succeeded_at).where(
            known_networks.c.tenant_id == self._tenant_id,
            known_networks.c.user_id == user_id,
            known_networks.c.network == network,
            known_networks.c.succeeded_at > self._now - within,
        )
        return (await self._connection.execute(query)).one_or_none() is not None

    async def networks_of(self, user_id: UUID) -> Sequence[str]:
        """Those from which the user has logged in without a browser."""
        query = select(known_networks.c.network).where(
            known_networks.c.tenant_id == self._tenant_id, known_networks.c.user_id == user_id
        )
        return list((await self._connection.execute(query)).scalars())

    async def remember_network(self, user_id: UUID, network: str) -> None:
        """A login of the user from there has succeeded.

        Raises:
            ValueError: ``network`` is empty, as of a visitor from nowhere: all of them would be known by it.
        """
        if not network:
            raise ValueError("a network that is not named cannot be known")
        table_insert = sqlite_insert if self._connection.dialect.name == "sqlite" else postgresql_insert
        row = table_insert(known_networks).values(
            tenant_id=self._tenant_id, user_id=user_id, network=network, succeeded_at=self._now
        )
        await self._connection.execute(
            row.on_conflict_do_update(
                index_elements=["tenant_id", "user_id", "network"], set_={"succeeded_at": row.excluded.succeeded_at}
            )
        )

    def _trusted_until(self, before: Device | None, trusted_for: timedelta | None) -> datetime | None:
        if trusted_for is not None:
            return self._now + trusted_for
        return before.trusted_until if before is not None and before.trusted_at(self._now) else None

    async def _forget_oldest(self, user_id: UUID, *, but: UUID) -> None:
        """A login beside this one that forgets the same device is not waited for: so no two wait for each other."""
        others = select(devices.c.id).where(*self._of(user_id), devices.c.id != but)
        surplus = others.order_by(devices.c.seen_at.desc(), devices.c.id).offset(MOST_DEVICES - 1)
        free = select(devices.c.id).where(*self._of(user_id), devices.c.id.in_(surplus))
        await self._connection.execute(
            delete(devices).where(*self._of(user_id), devices.c.id.in_(free.with_for_update(skip_locked=True)))
        )

    def _of(self, user_id: UUID) -> tuple[ColumnElement[bool], ...]:
        return devices.c.tenant_id == self._tenant_id, devices.c.user_id == user_id

    def _presented(self, unverified_secret: str) -> tuple[ColumnElement[bool], ...]:
        return devices.c.digest == opaque.digest(unverified_secret), devices.c.expires_at > self._now


async def prune_devices(connection: AsyncConnection, now: datetime) -> None:
    """Forget those that have expired. As ``yett_system``."""
    await connection.execute(delete(devices).where(devices.c.expires_at <= now))


async def prune_networks(connection: AsyncConnection, before: datetime) -> None:
    """Forget networks from which nobody has logged in since. As ``yett_system``."""
    await connection.execute(delete(known_networks).where(known_networks.c.succeeded_at < before))


def _device(row: Row[Any]) -> Device:
    return Device(
        row.id,
        row.user_id,
        Visitor(row.address, "", row.user_agent),
        row.created_at,
        row.seen_at,
        row.expires_at,
        row.trusted_until,
    )
