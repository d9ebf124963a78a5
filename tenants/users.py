"""Users: the names and addresses by which people log in, each unique per tenant whatever its spelling.

Shown as typed, found by the keys of user_names.py. A name with an at sign is its user's address, so that one and the
same text never stands for two users.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Row, Select, Update, bindparam, case, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.errors import AlreadyExists, InvalidValue, NotFound
from tenants.logout_notices import LogoutNotices
from tenants.revocations import Revocations
from tenants.tables import sessions, users
from tenants.user_names import address_key, is_address_key, look_up_key
from tenants.user_names import name_key as name_key

_NOBODY = ""  # no key is empty

_OF_TENANT = select(users).where(users.c.tenant_id == bindparam("p_tenant_id"))
_BY_ID = _OF_TENANT.where(users.c.id == bindparam("p_value"))
_BY_ID_HELD = _BY_ID.with_for_update(key_share=True)  # SQLite's writers are one at a time anyway
_BY_NAME = _OF_TENANT.where(users.c.name_key == bindparam("p_value"))
_BY_EMAIL = _OF_TENANT.where(users.c.email_key == bindparam("p_value"))


@dataclass(frozen=True, slots=True)
class User:
    """A person in a tenant; ``id`` is the ``sub`` of their tokens. ``email_verified``: they can read its mail.
    ``erasing_since``: they are to be erased, and have no way back.
    """

    id: UUID
    name: str
    key: str
    active: bool
    created_at: datetime
    email: str | None
    email_verified: bool
    erasing_since: datetime | None = None


class Users:
    """One tenant's users."""

    def __init__(
        self,
        connection: AsyncConnection,
        tenant_id: UUID,
        revocations: Revocations,
        notices: LogoutNotices,
        now: datetime,
    ) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._revocations = revocations
        self._notices = notices
        self._now = now

    async def create(
        self, name: str, *, email: str | None = None, email_verified: bool = False, import_id: UUID | None = None
    ) -> User:
        """A new, active user without a password. A name with an at sign is their address as well.

        Raises:
            AlreadyExists: the tenant has a user of this name or address, in whatever spelling.
            InvalidValue: the name or the address cannot be one, or the address is another than the name.
        """
        key = name_key(name)
        email_key = None if email is None else address_key(email)
        if is_address_key(key):
            if email_key not in (None, key):
                raise InvalidValue("a user whose name is an address has no other address")
            email, email_key = name, key
        if email is None and email_verified:
            raise InvalidValue("a user without an address has none that is verified")
        user = User(uuid4(), name, key, True, self._now, email, email_verified)
        row = {
            "id": user.id,
            "name": name,
            "name_key": key,
            "active": True,
            "email": email,
            "email_key": email_key,
            "email_verified": email_verified,
            "import_id": import_id,
            "created_at": self._now,
        }
        try:
            async with self._connection.begin_nested():
                await self._connection.execute(insert(users).values(tenant_id=self._tenant_id, **row))
        except IntegrityError as error:
            if email is not None and await self.by_name(name) is None:
                raise AlreadyExists("email address", email) from error
            raise AlreadyExists("user", name) from error
        return user

    async def get(self, user_id: UUID, *, hold: bool = False) -> User | None:
        """By id. ``hold`` keeps anybody from changing the user until this transaction ends."""
        return await self._one(_BY_ID_HELD if hold else _BY_ID, user_id)

    async def by_name(self, name: str) -> User | None:
        """By any spelling of the name; what cannot be a name is nobody's."""
        return await self._one(_BY_NAME, look_up_key(name) or _NOBODY)

    async def by_email(self, address: str) -> User | None:
        """By any spelling of the address; what cannot be an address is nobody's."""
        return await self._one(_BY_EMAIL, look_up_key(address) or _NOBODY)

    async def by_login(self, identifier: str) -> User | None:
        """By what somebody typed who logs in: their address, or their name. One query whatever it is."""
        key = look_up_key(identifier) or _NOBODY
        return await self._one(_BY_EMAIL if is_address_key(key) else _BY_NAME, key)

    async def list(
        self, *, after: str = "", limit: int = 1000, begins: str = "", active: bool | None = None
    ) -> Sequence[User]:
        """By ``name_key``, from the one that follows ``after``; those whose key begins so, who are active or not."""
        query = select(users).where(users.c.tenant_id == self._tenant_id, users.c.name_key > after)
        if begins:
            query = query.where(users.c.name_key.startswith(begins, autoescape=True))
        if active is not None:
            query = query.where(users.c.active == active)
        rows = await self._connection.execute(query.order_by(users.c.name_key).limit(limit))
        return [_user(row) for row in rows]

    async def set_active(self, user_id: UUID, active: bool) -> None:
        """Disable (ending every session and refusing every token at once) or enable again.

        Raises:
            InvalidValue: they are being erased, and cannot be enabled.
            NotFound: no such user in this tenant.
        """
        statement = self._of(user_id) if not active else self._of(user_id).where(users.c.erasing_since.is_(None))
        if (await self._connection.execute(statement.values(active=active))).rowcount == 0:
            if active and await self.get(user_id) is not None:
                raise InvalidValue("this user is being erased, and cannot be enabled again")
            raise NotFound("user", str(user_id))
        if not active:
            ended = await self._connection.execute(
                update(sessions)
                .where(
                    sessions.c.tenant_id == self._tenant_id,
                    sessions.c.user_id == user_id,
                    sessions.c.ended_at.is_(None),
                )
                .values(ended_at=self._now)
                .returning(sessions.c.id)
            )
            await self._notices.add_for(ended.scalars().all())
            await self._revocations.forbid("subject", str(user_id))
        else:
            await self._revocations.allow("subject", str(user_id))

    async def begin_erasure(self, user_id: UUID) -> None:
        """They are to be erased; where that has begun it stays as long ago as it is. To be disabled before."""
        statement = self._of(user_id).where(users.c.erasing_since.is_(None))
        await self._connection.execute(statement.values(erasing_since=self._now))

    async def delete(self, user_id: UUID) -> None:
        """Delete the user, with all that is theirs alone. Their tokens stay refused where they were disabled before.

        Raises:
            NotFound: no such user in this tenant.
        """
        gone = await self._connection.execute(
            delete(users).where(users.c.tenant_id == self._tenant_id, users.c.id == user_id)
        )
        if gone.rowcount == 0:
            raise NotFound("user", str(user_id))

    async def set_email(self, user_id: UUID, email: str, *, verified: bool) -> None:
        """Another address; a user whose name is their address gets another name with it.

        Raises:
            AlreadyExists: another user of the tenant has it.
            InvalidValue: it cannot be an address.
            NotFound: no such user in this tenant.
        """
        key = address_key(email)
        is_name = users.c.name_key.contains("@", autoescape=True)
        statement = self._of(user_id).values(
            name=case((is_name, email), else_=users.c.name),
            name_key=case((is_name, key), else_=users.c.name_key),
            email=email,
            email_key=key,
            email_verified=verified,
        )
        try:
            async with self._connection.begin_nested():
                changed = (await self._connection.execute(statement)).rowcount
        except IntegrityError as error:
            raise AlreadyExists("email address", email) from error
        if changed == 0:
            raise NotFound("user", str(user_id))

    async def confirm_email(self, user_id: UUID, email: str) -> bool:
        """The user can read mail to this address; False where theirs is another by now."""
        statement = self._of(user_id).where(users.c.email_key == (look_up_key(email) or _NOBODY))
        return (await self._connection.execute(statement.values(email_verified=True))).rowcount == 1

    def _of(self, user_id: UUID) -> Update:
        return update(users).where(users.c.tenant_id == self._tenant_id, users.c.id == user_id)

    async def _one(self, query: Select[Any], value: UUID | str) -> User | None:
        found = await self._connection.execute(query, {"p_tenant_id": self._tenant_id, "p_value": value})
        row = found.one_or_none()
        return None if row is None else _user(row)


def _user(row: Row[Any]) -> User:
    address = row.email, row.email_verified
    return User(row.id, row.name, row.name_key, row.active, row.created_at, *address, row.erasing_since)
