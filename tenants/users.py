"""Users: the names by which people log in, unique per tenant whatever their spelling.

Shown as typed, found by ``name_key``: NFKC and case-folded (Unicode TR 31 NFKC_Casefold; the ignorable characters that
it would drop are refused: nobody sees them).
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, Row, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.errors import AlreadyExists, InvalidValue, NotFound
from tenants.revocations import Revocations
from tenants.tables import sessions, users

_LONGEST_NAME = 254
_LONGEST_KEY = 762  # a compatibility character may unfold into eighteen others
_REFUSED_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_INVISIBLE = frozenset(  # Default_Ignorable_Code_Point (UAX 44) outside of those categories, and the empty braille cell
    map(
        chr,
        (
            *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0),
            *range(0x180B, 0x1810),
            *range(0xFE00, 0xFE10),
            *range(0xE0100, 0xE01F0),
        ),
    )
)


@dataclass(frozen=True, slots=True)
class User:
    """A person in a tenant; ``id`` is the ``sub`` of their tokens."""

    id: UUID
    name: str
    key: str
    active: bool
    created_at: datetime


def name_key(name: str) -> str:
    """The spelling by which a name is found.

    Raises:
        InvalidValue: empty, too long, surrounded by spaces, or with characters that nobody can see or type.
    """
    if not 0 < len(name) <= _LONGEST_NAME:
        raise InvalidValue(f"a user name has 1 to {_LONGEST_NAME} characters")
    if name != name.strip() or any(_is_unseen(character) for character in name):
        raise InvalidValue("a user name has no control or invisible characters, and no space at its ends")
    key = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    if not key.strip():
        raise InvalidValue("a user name needs a visible character")
    if len(key) > _LONGEST_KEY:
        raise InvalidValue(f"a user name has at most {_LONGEST_KEY} characters when its ligatures are written out")
    return key


def _is_unseen(character: str) -> bool:
    return character in _INVISIBLE or unicodedata.category(character) in _REFUSED_CATEGORIES


class Users:
    """One tenant's users."""

    def __init__(self, connection: AsyncConnection, tenant_id: UUID, revocations: Revocations, now: datetime) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._revocations = revocations
        self._now = now

    async def create(self, name: str) -> User:
        """A new, active user without a password.

        Raises:
            AlreadyExists: the tenant has a user of this name, in whatever spelling.
            InvalidValue: the name cannot be one.
        """
        user = User(uuid4(), name, name_key(name), True, self._now)
        row = {"id": user.id, "name": name, "name_key": user.key, "active": True, "created_at": self._now}
        try:
            async with self._connection.begin_nested():
                await self._connection.execute(insert(users).values(tenant_id=self._tenant_id, **row))
        except IntegrityError as error:
            raise AlreadyExists("user", name) from error
        return user

    async def get(self, user_id: UUID, *, hold: bool = False) -> User | None:
        """By id. ``hold`` keeps anybody from changing the user until this transaction ends."""
        return await self._one(users.c.id == user_id, hold=hold)

    async def by_name(self, name: str) -> User | None:
        """By any spelling of the name; what cannot be a name is nobody's."""
        try:
            key = name_key(name)
        except InvalidValue:
            return None
        return await self._one(users.c.name_key == key)

    async def list(self, *, after: str = "", limit: int = 1000) -> Sequence[User]:
        """By ``name_key``, from the one that follows ``after``."""
        query = select(users).where(users.c.tenant_id == self._tenant_id, users.c.name_key > after)
        rows = await self._connection.execute(query.order_by(users.c.name_key).limit(limit))
        return [_user(row) for row in rows]

    async def set_active(self, user_id: UUID, active: bool) -> None:
        """Disable (ending every session and refusing every token at once) or enable again.

        Raises:
            NotFound: no such user in this tenant.
        """
        statement = update(users).where(users.c.tenant_id == self._tenant_id, users.c.id == user_id)
        if (await self._connection.execute(statement.values(active=active))).rowcount == 0:
            raise NotFound("user", str(user_id))
        if not active:
            await self._connection.execute(
                update(sessions)
                .where(
                    sessions.c.tenant_id == self._tenant_id,
                    sessions.c.user_id == user_id,
                    sessions.c.ended_at.is_(None),
                )
                .values(ended_at=self._now)
            )
            await self._revocations.forbid("subject", str(user_id))
        else:
            await self._revocations.allow("subject", str(user_id))

    async def _one(self, condition: ColumnElement[bool], *, hold: bool = False) -> User | None:
        query = select(users).where(users.c.tenant_id == self._tenant_id, condition)
        if hold:
            query = query.with_for_update(read=True)  # SQLite's writers are one at a time anyway
        row = (await self._connection.execute(query)).one_or_none()
        return None if row is None else _user(row)


def _user(row: Row[Any]) -> User:
    return User(row.id, row.name, row.name_key, row.active, row.created_at)
