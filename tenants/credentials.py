"""Passwords, as Argon2id hashes with a version that changes with each of them.

The version is what a login compares after it has hashed without a transaction: a password that was changed meanwhile
does not let the old one in.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.errors import NotFound
from tenants.tables import passwords


@dataclass(frozen=True, slots=True)
class Password:
    """A stored hash (PHC string). ``repr`` keeps it to itself."""

    user_id: UUID
    hash: str
    version: int

    def __repr__(self) -> str:
        return f"Password(user_id={self.user_id}, version={self.version})"


class Credentials:
    """One tenant's passwords."""

    def __init__(self, connection: AsyncConnection, tenant_id: UUID, now: datetime) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._now = now

    async def password(self, user_id: UUID, *, hold: bool = False) -> Password | None:
        """The user's hash; None for a user without a password and for nobody's id.

        ``hold`` keeps anybody from changing it until this transaction ends: a login and a new password meet in one
        order or the other, never half way.
        """
        query = select(passwords.c.hash, passwords.c.version).where(
            passwords.c.tenant_id == self._tenant_id, passwords.c.user_id == user_id
        )
        if hold:
            query = query.with_for_update(key_share=True)
        row = (await self._connection.execute(query)).one_or_none()
        return None if row is None else Password(user_id, row.hash, row.version)

    async def set_password(self, user_id: UUID, hash_: str) -> None:
        """A new password: the version rises, so that a login in flight with the old one fails.

        Raises:
            NotFound: no such user in this tenant.
        """
        table_insert = sqlite_insert if self._connection.dialect.name == "sqlite" else postgresql_insert
        values = {"hash": hash_, "changed_at": self._now}
        first = table_insert(passwords).values(tenant_id=self._tenant_id, user_id=user_id, version=1, **values)
        changed = first.on_conflict_do_update(
            index_elements=["tenant_id", "user_id"], set_={"version": passwords.c.version + 1, **values}
        )
        try:
            async with self._connection.begin_nested():
                await self._connection.execute(changed)
        except IntegrityError as error:
            raise NotFound("user", str(user_id)) from error

    async def rehash(self, password: Password, hash_: str) -> None:
        """The same password under today's parameters: same version, and only if it is still the one that was read."""
        await self._connection.execute(
            update(passwords)
            .where(
                passwords.c.tenant_id == self._tenant_id,
                passwords.c.user_id == password.user_id,
                passwords.c.version == password.version,
            )
            .values(hash=hash_)
        )
