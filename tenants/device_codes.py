"""Device codes and their user codes (RFC 8628): rows, approval, the pace of polls, and the one conditional UPDATE that
redeems one.

A device code is found by whoever polls, a user code by a person who types it; neither is good for the other's purpose.
What a presented device code earns is decided by ``policies.device_code``, and guesses of user codes are counted by
throttles.py. Both are kept as hashes. That of a user code could be turned back by who reads the table, for it has few
bits; what it would be worth is to lend a stranger's device one's own account, for some minutes.
"""

import hashlib
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, bindparam, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from policies.device_code import ALPHABET, INTERVAL, LENGTH, SLOWER, DeviceCodeFacts, normalised, shown
from tenants import opaque
from tenants.provider_tables import device_codes
from tenants.pruning import delete_oldest

_ATTEMPTS = 10  # a collision with as many codes as there could be in one tenant is rarer than a broken disk

_OF_TENANT = device_codes.c.tenant_id == bindparam("p_tenant_id")
_IT = (_OF_TENANT, device_codes.c.digest == bindparam("p_digest"))
_LIVES = (device_codes.c.consumed_at.is_(None), device_codes.c.expires_at > bindparam("p_now"))
_UNDECIDED = (*_LIVES, device_codes.c.approved_at.is_(None), device_codes.c.denied_at.is_(None))
_ALONE = ("tenant_id", "user_code_digest")
_NEW: Mapping[str, Any] = {"sqlite": sqlite_insert(device_codes), "postgresql": postgresql_insert(device_codes)}
# With RETURNING: what a driver says of the number of rows is not to be had of every INSERT.
_INSERT = {
    dialect: new.on_conflict_do_nothing(index_elements=_ALONE).returning(device_codes.c.digest)
    for dialect, new in _NEW.items()
}
_FIND = select(device_codes).where(*_IT)
_WAITING = select(device_codes).where(
    _OF_TENANT, device_codes.c.user_code_digest == bindparam("p_user_code_digest"), *_UNDECIDED
)
_DECIDE = update(device_codes).where(*_IT, *_UNDECIDED)
_POLL = update(device_codes).where(
    *_IT, or_(device_codes.c.polled_at.is_(None), device_codes.c.polled_at <= bindparam("p_latest"))
)
_SLOW_DOWN = update(device_codes).where(*_IT).values(interval=device_codes.c.interval + int(SLOWER.total_seconds()))
# Not by its time: that was judged before, by a clock that has gone on since.
_REDEEM = update(device_codes).where(
    *_IT,
    device_codes.c.consumed_at.is_(None),
    device_codes.c.approved_at.is_not(None),
    device_codes.c.denied_at.is_(None),
)


def new_user_code() -> str:
    """Eight letters, each of them as likely as the others."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


@dataclass(frozen=True, slots=True)
class StartedDevice:
    """What the device is told, this once. ``user_code`` is as people read it."""

    device_code: str = field(repr=False)
    user_code: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """A stored device code. ``scopes`` are those that it asked for and its client may have, and from its approval on
    those that were approved; ``address`` is where it asked from. ``session_id`` is the login that approved; ``facts``
    is what the decision reads.
    """

    digest: bytes = field(repr=False)
    client_id: str
    scopes: frozenset[str]
    audiences: tuple[str, ...]
    address: str
    interval: timedelta
    session_id: UUID | None
    created_at: datetime
    facts: DeviceCodeFacts


class DeviceCodes:
    """One tenant's device codes."""

    def __init__(
        self,
        connection: AsyncConnection,
        tenant_id: UUID,
        now: datetime,
        *,
        make_user_code: Callable[[], str] = new_user_code,
    ) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._now = now
        self._make_user_code = make_user_code

    async def start(
        self, client_id: str, *, scopes: Iterable[str], audiences: Iterable[str], lifetime: timedelta, address: str
    ) -> StartedDevice:
        """A device code that waits for a person. Its user code is nobody else's in this tenant.

        Raises:
            RuntimeError: no free user code was found, time and again.
        """
        device_code = opaque.new("ydc_")
        row = {
            "tenant_id": self._tenant_id,
            "digest": opaque.digest(device_code),
            "client_id": client_id,
            "scopes": sorted(scopes),
            "audiences": list(audiences),
            "address": address,
            "interval": int(INTERVAL.total_seconds()),
            "created_at": self._now,
            "expires_at": self._now + lifetime,
        }
        statement = _INSERT[self._connection.dialect.name]
        for _ in range(_ATTEMPTS):
            plain = self._make_user_code()
            inserted = await self._connection.execute(statement, row | {"user_code_digest": _digest(plain)})
            if inserted.first() is not None:
                return StartedDevice(device_code, shown(plain))
        raise RuntimeError("no free user code was found")

    async def find(self, unverified_device_code: str) -> DeviceCode | None:
        """By the device's secret, whatever became of it."""
        presented = self._is(opaque.digest(unverified_device_code))
        row = (await self._connection.execute(_FIND, presented)).one_or_none()
        return None if row is None else _device_code(row)

    async def waiting(self, unverified_user_code: str) -> DeviceCode | None:
        """By what a person typed, while nobody has decided and its time is not over. Case and separators do not
        matter.
        """
        plain = normalised(unverified_user_code)
        if plain is None:
            return None
        presented = {"p_tenant_id": self._tenant_id, "p_now": self._now, "p_user_code_digest": _digest(plain)}
        row = (await self._connection.execute(_WAITING, presented)).one_or_none()
        return None if row is None else _device_code(row)

    async def approve(self, code: DeviceCode, session_id: UUID, *, scopes: Iterable[str]) -> bool:
        """The person of this session says yes to ``scopes``, those that they were shown, and to no more. False where
        somebody decided before, or where it is over.
        """
        approved = {"session_id": session_id, "approved_at": self._now, "scopes": sorted(scopes)}
        return await self._decide(code, approved)

    async def deny(self, code: DeviceCode) -> bool:
        """A person says no. False as in ``approve``."""
        return await self._decide(code, {"denied_at": self._now})

    async def poll(self, code: DeviceCode) -> bool:
        """The device asked. False where that was sooner than its interval after the last time: then it has to wait
        longer from now on (RFC 8628 section 3.5). Of polls that come at once, one is in time.
        """
        asked = self._is(code.digest) | {"polled_at": self._now}
        polled = await self._connection.execute(_POLL, asked | {"p_latest": self._now - code.interval})
        if polled.rowcount == 1:
            return True
        await self._connection.execute(_SLOW_DOWN, asked)
        return False

    async def redeem(self, code: DeviceCode) -> bool:
        """Use it up, once. False where another request was first, or where it is not approved."""
        redeemed = await self._connection.execute(_REDEEM, self._is(code.digest) | {"consumed_at": self._now})
        return redeemed.rowcount == 1

    async def _decide(self, code: DeviceCode, values: dict[str, Any]) -> bool:
        decided = await self._connection.execute(_DECIDE, self._living(code) | values)
        return decided.rowcount == 1

    def _is(self, digest: bytes) -> dict[str, Any]:
        return {"p_tenant_id": self._tenant_id, "p_digest": digest}

    def _living(self, code: DeviceCode) -> dict[str, Any]:
        return self._is(code.digest) | {"p_now": self._now}


async def prune(connection: AsyncConnection, expired_before: datetime) -> bool:
    """Forget some of those whose time is over; whether there are more. As ``yett_system``."""
    return await delete_oldest(connection, device_codes.c.expires_at, device_codes.c.expires_at < expired_before)


def _device_code(row: Row[Any]) -> DeviceCode:
    return DeviceCode(
        row.digest,
        row.client_id,
        frozenset(row.scopes),
        tuple(row.audiences),
        row.address,
        timedelta(seconds=row.interval),
        row.session_id,
        row.created_at,
        DeviceCodeFacts(
            client_id=row.client_id,
            expires_at=row.expires_at,
            approved=row.approved_at is not None,
            denied=row.denied_at is not None,
            consumed=row.consumed_at is not None,
        ),
    )


def _digest(plain: str) -> bytes:
    return hashlib.sha256(f"user code:{plain}".encode()).digest()
