"""Browsers and networks from which a user has logged in before; browsers may be trusted with the second factor.

Owns the rows. A browser has one secret, in its cookie, and a row for each user who completed a login in it. To be known
gives a login its own budget of attempts (``tenants.throttles``); what trust is worth is decided by ``policies.login``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Delete, Row, bindparam, delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants import opaque
from tenants.people_tables import devices, known_networks
from tenants.pruning import delete_oldest
from tenants.visitor import Visitor

MOST_DEVICES = 50
"""Per user; the one that was seen longest ago is forgotten. Who logs in without cookies makes a new one each time."""

_OF_USER = devices.c.tenant_id == bindparam("p_tenant_id"), devices.c.user_id == bindparam("p_user_id")
_NETWORKS_OF_USER = (
    known_networks.c.tenant_id == bindparam("p_tenant_id"),
    known_networks.c.user_id == bindparam("p_user_id"),
)
_FIND = select(devices).where(
    *_OF_USER, devices.c.digest == bindparam("p_digest"), devices.c.expires_at > bindparam("p_now")
)
_LIST = (
    select(devices)
    .where(*_OF_USER, devices.c.expires_at > bindparam("p_now"))
    .order_by(devices.c.seen_at.desc(), devices.c.id)
)
_INSERT = insert(devices)
_RENEW = update(devices).where(*_OF_USER, devices.c.id == bindparam("p_id"))
_CHANGE_SECRET = update(devices).where(
    devices.c.tenant_id == bindparam("p_tenant_id"), devices.c.digest == bindparam("p_digest")
)
_FORGET_PRESENTED = delete(devices).where(*_OF_USER, devices.c.digest == bindparam("p_digest"))
_FORGET = delete(devices).where(*_OF_USER, devices.c.id == bindparam("p_id"))
_FORGET_ALL = delete(devices).where(*_OF_USER)


def _forget_oldest() -> Delete:
    others = select(devices.c.id).where(*_OF_USER, devices.c.id != bindparam("p_id"))
    surplus = others.order_by(devices.c.seen_at.desc(), devices.c.id).offset(MOST_DEVICES - 1)
    # A login beside this one that forgets the same device is not waited for: so no two wait for each other.
    free = select(devices.c.id).where(*_OF_USER, devices.c.id.in_(surplus)).with_for_update(skip_locked=True)
    return delete(devices).where(*_OF_USER, devices.c.id.in_(free))


_FORGET_OLDEST = _forget_oldest()
_NETWORKS = select(known_networks.c.network).where(*_NETWORKS_OF_USER)
_KNOWS_NETWORK = select(known_networks.c.succeeded_at).where(
    *_NETWORKS_OF_USER,
    known_networks.c.network == bindparam("p_network"),
    known_networks.c.succeeded_at > bindparam("p_since"),
)
_INSERT_NETWORK: Mapping[str, Any] = {
    "sqlite": sqlite_insert(known_networks),
    "postgresql": postgresql_insert(known_networks),
}
_REMEMBER_NETWORK = {
    dialect: insert_network.on_conflict_do_update(
        index_elements=["tenant_id", "user_id", "network"],
        set_={"succeeded_at": insert_network.excluded.succeeded_at},
    )
    for dialect, insert_network in _INSERT_NETWORK.items()
}


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
        """The user's device that this cookie stands for, until it expires. One query, for nobody's id as well; without
        a cookie none, whoever it is.
        """
        if unverified_secret is None:
            return None
        presented = self._of(user_id) | {"p_digest": opaque.digest(unverified_secret), "p_now": self._now}
        row = (await self._connection.execute(_FIND, presented)).one_or_none()
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
            presented = opaque.digest(unverified_secret)
            await self._connection.execute(_FORGET_PRESENTED, self._of(user_id) | {"p_digest": presented})  # expired
            others = {"p_tenant_id": self._tenant_id, "p_digest": presented}
            await self._connection.execute(_CHANGE_SECRET, others | {"digest": opaque.digest(secret)})
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
            await self._connection.execute(_RENEW, self._of(user_id) | {"p_id": device.id} | values)
            return device, secret, False
        row = {
            "tenant_id": self._tenant_id,
            "id": device.id,
            "user_id": user_id,
            "digest": opaque.digest(secret),
            "created_at": self._now,
        }
        await self._connection.execute(_INSERT, row | values)
        await self._connection.execute(_FORGET_OLDEST, self._of(user_id) | {"p_id": device.id})
        return device, secret, True

    async def of_user(self, user_id: UUID) -> Sequence[Device]:
        """Those that have not expired, the last seen first."""
        rows = await self._connection.execute(_LIST, self._of(user_id) | {"p_now": self._now})
        return [_device(row) for row in rows]

    async def revoke(self, user_id: UUID, device_id: UUID) -> bool:
        """Forget a device of the user. Its sessions are not ended by this. False where there is none."""
        gone = await self._connection.execute(_FORGET, self._of(user_id) | {"p_id": device_id})
        return gone.rowcount == 1

    async def revoke_all(self, user_id: UUID) -> int:
        """Forget every device of the user. Says how many there were, expired ones among them."""
        return (await self._connection.execute(_FORGET_ALL, self._of(user_id))).rowcount

    async def knows_network(self, user_id: UUID, network: str, *, within: timedelta) -> bool:
        """Whether the user has logged in from this network so short a time ago. One query, for nobody's id as well."""
        recent = self._of(user_id) | {"p_network": network, "p_since": self._now - within}
        return (await self._connection.execute(_KNOWS_NETWORK, recent)).one_or_none() is not None

    async def networks_of(self, user_id: UUID) -> Sequence[str]:
        """Those from which the user has logged in without a browser."""
        return list((await self._connection.execute(_NETWORKS, self._of(user_id))).scalars())

    async def remember_network(self, user_id: UUID, network: str) -> None:
        """A login of the user from there has succeeded.

        Raises:
            ValueError: ``network`` is empty, as of a visitor from nowhere: all of them would be known by it.
        """
        if not network:
            raise ValueError("a network that is not named cannot be known")
        row = {"tenant_id": self._tenant_id, "user_id": user_id, "network": network, "succeeded_at": self._now}
        await self._connection.execute(_REMEMBER_NETWORK[self._connection.dialect.name], row)

    def _trusted_until(self, before: Device | None, trusted_for: timedelta | None) -> datetime | None:
        if trusted_for is not None:
            return self._now + trusted_for
        return before.trusted_until if before is not None and before.trusted_at(self._now) else None

    def _of(self, user_id: UUID) -> dict[str, Any]:
        return {"p_tenant_id": self._tenant_id, "p_user_id": user_id}


async def prune_devices(connection: AsyncConnection, now: datetime) -> bool:
    """Forget some of those that have expired; whether there are more. As ``yett_system``."""
    return await delete_oldest(connection, devices.c.expires_at, devices.c.expires_at <= now)


async def prune_networks(connection: AsyncConnection, before: datetime) -> bool:
    """Forget some networks from which nobody has logged in since; whether there are more. As ``yett_system``."""
    return await delete_oldest(connection, known_networks.c.succeeded_at, known_networks.c.succeeded_at < before)


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
