"""Imports of users: many rows under one id, written in batches, resumable and reversible.

A batch is a transaction of its own, and how far the import has come is written in the same one: after a crash the
users before ``written`` are there, and the others are not. The ids of an import's users (RFC 9562 section 5.8, UUID
version 8) are a block of their own in the order of the file, so that a million rows are written into neighbouring
pages, and found again without searching. Owns rows; what a line of a file says is import_lines.py's.
"""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Row, delete, insert, select, union, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.errors import AlreadyExists, InvalidValue
from tenants.import_lines import NewUser
from tenants.people_tables import devices, known_networks, totp_factors, user_imports
from tenants.tables import audit_events, passwords, sessions, user_roles, users

_BLOCK_BITS = 80
_LOW_BITS, _RANDOM_BITS = 28, 34
_UNDONE_AT_ONCE = 1000
_TRACES = (sessions.c, devices.c, known_networks.c, totp_factors.c)


@dataclass(frozen=True, slots=True)
class Import:
    """``written`` of ``lines`` users are there. ``undone_at`` is when its removal began."""

    id: UUID
    lines: int
    written: int
    created_at: datetime
    finished_at: datetime | None = None
    undone_at: datetime | None = None
    source_digest: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Taken:
    """Keys that users of the tenant have already."""

    names: frozenset[str]
    emails: frozenset[str]

    def by(self, user: NewUser) -> str | None:
        """What of this user is taken, in words; None where they are new."""
        if user.name_key in self.names:
            return f"user {user.name!r}"
        return f"email address {user.email!r}" if user.email_key in self.emails else None


@dataclass(frozen=True, slots=True)
class Undone:
    """One step of a removal; ``last`` is where the next one goes on, None at the end."""

    removed: int
    kept: int
    last: UUID | None


class UserImports:
    """One tenant's imports."""

    def __init__(self, connection: AsyncConnection, tenant_id: UUID, now: datetime) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._now = now

    async def begin(self, source_digest: bytes, lines: int) -> Import:
        """A new import of that many users from a source with this SHA-256."""
        made = Import(uuid4(), lines, 0, self._now, source_digest=source_digest)
        row = {"id": made.id, "source_digest": source_digest, "lines": lines, "written": 0, "created_at": self._now}
        await self._connection.execute(insert(user_imports).values(tenant_id=self._tenant_id, **row))
        return made

    async def get(self, import_id: UUID) -> Import | None:
        """By id."""
        query = select(user_imports).where(user_imports.c.tenant_id == self._tenant_id, user_imports.c.id == import_id)
        row = (await self._connection.execute(query)).one_or_none()
        return None if row is None else _import(row)

    async def unfinished(self, source_digest: bytes) -> Import | None:
        """The last one from this source that neither came to its end nor was undone."""
        query = select(user_imports).where(
            user_imports.c.tenant_id == self._tenant_id,
            user_imports.c.source_digest == source_digest,
            user_imports.c.finished_at.is_(None),
            user_imports.c.undone_at.is_(None),
        )
        row = (await self._connection.execute(query.order_by(user_imports.c.created_at.desc()).limit(1))).one_or_none()
        return None if row is None else _import(row)

    async def taken(self, batch: Sequence[NewUser]) -> Taken:
        """Which of their keys are in use. One thousand at a time is a good measure."""
        mine = users.c.tenant_id == self._tenant_id
        names = select(users.c.name_key).where(mine, users.c.name_key.in_([user.name_key for user in batch]))
        keys = [user.email_key for user in batch if user.email_key is not None]
        emails = select(users.c.email_key).where(mine, users.c.email_key.in_(keys))
        return Taken(
            frozenset((await self._connection.execute(names)).scalars()),
            frozenset((await self._connection.execute(emails)).scalars()) if keys else frozenset(),
        )

    async def write(self, found: Import, batch: Sequence[NewUser]) -> Import:
        """The users that follow in the file. The import is finished with its last one.

        Raises:
            AlreadyExists: somebody made a user of that name or address meanwhile. Nothing of this batch is written.
            InvalidValue: another process is at this import, or it is undone; or these are more users than it has.
        """
        await self._plan_anew()
        written = found.written + len(batch)
        finished_at = self._now if written == found.lines else None
        moved = await self._connection.execute(
            update(user_imports)
            .where(
                user_imports.c.tenant_id == self._tenant_id,
                user_imports.c.id == found.id,
                user_imports.c.written == found.written,
                user_imports.c.undone_at.is_(None),
                user_imports.c.lines >= written,
            )
            .values(written=written, finished_at=finished_at)
        )
        if moved.rowcount != 1:
            raise InvalidValue(f"import {found.id} has been gone on with or undone by somebody else meanwhile")
        try:
            async with self._connection.begin_nested():
                await self._insert(found, batch)
        except IntegrityError:
            taken = await self.taken(batch)
            for user in batch:
                if taken.by(user) is not None:
                    kind, name = ("user", user.name) if user.name_key in taken.names else ("email address", user.email)
                    raise AlreadyExists(kind, f"{name}") from None
            raise
        return replace(found, written=written, finished_at=finished_at)

    async def _plan_anew(self) -> None:
        """Let PostgreSQL forget how it looked foreign keys up while the table was empty: through any index at all,
        which takes ever longer. Among many rows it finds the right one, statistics or not [measured: the tenth thousand
        users in 2.8 s without this, in 0.1 s with it].
        """
        if self._connection.dialect.name == "postgresql":
            await self._connection.exec_driver_sql("DISCARD PLANS")

    async def _insert(self, found: Import, batch: Sequence[NewUser]) -> None:
        mine = {"tenant_id": self._tenant_id}
        ids = [_user_id(found.id, number) for number in range(found.written, found.written + len(batch))]
        people = [
            {
                **mine,
                "id": user_id,
                "name": user.name,
                "name_key": user.name_key,
                "active": user.active,
                "email": user.email,
                "email_key": user.email_key,
                "email_verified": user.email_verified,
                "import_id": found.id,
                "created_at": self._now,
            }
            for user_id, user in zip(ids, batch, strict=True)
        ]
        hashes = [
            {
                **mine,
                "user_id": user_id,
                "hash": user.hash.text,
                "scheme": user.hash.scheme,
                "version": 1,
                "stands_alone": False,  # how long it is, nobody knows
                "changed_at": self._now,
            }
            for user_id, user in zip(ids, batch, strict=True)
            if user.hash is not None
        ]
        assigned = [
            {**mine, "user_id": user_id, "role": role}
            for user_id, user in zip(ids, batch, strict=True)
            for role in user.roles
        ]
        for table, rows in ((users, people), (passwords, hashes), (user_roles, assigned)):
            if rows:
                await self._connection.execute(insert(table), rows)

    async def begin_undo(self, import_id: UUID) -> bool:
        """From now on nothing is written under this import; False where there is none."""
        statement = update(user_imports).where(
            user_imports.c.tenant_id == self._tenant_id, user_imports.c.id == import_id
        )
        return (await self._connection.execute(statement.values(undone_at=self._now))).rowcount == 1

    async def undo(self, import_id: UUID, *, after: UUID | None = None) -> Undone:
        """Remove the next thousand of its users, but those who have used their account: logged in, or whose password
        was changed.
        """
        block = import_id.int >> _BLOCK_BITS
        first, last = UUID(int=block << _BLOCK_BITS), UUID(int=(block + 1 << _BLOCK_BITS) - 1)
        query = (
            select(users.c.id, users.c.import_id)
            .where(
                users.c.tenant_id == self._tenant_id,
                users.c.id >= first if after is None else users.c.id > after,
                users.c.id <= last,
            )
            .order_by(users.c.id)
            .limit(_UNDONE_AT_ONCE)
            .with_for_update()  # who logs in meanwhile is either seen below, or waits and finds no account
        )
        page = (await self._connection.execute(query)).all()
        ids = [row.id for row in page if row.import_id == import_id]
        kept = await self._used(ids)
        gone = [user_id for user_id in ids if user_id not in kept]
        if gone:
            await self._connection.execute(
                delete(users).where(users.c.tenant_id == self._tenant_id, users.c.id.in_(gone))
            )
        return Undone(len(gone), len(kept), page[-1].id if len(page) == _UNDONE_AT_ONCE else None)

    async def _used(self, ids: Iterable[UUID]) -> frozenset[UUID]:
        """Who of them has a trace of a login, or another password than the one that came with them.

        Sessions end and are forgotten; the audit log knows of every login for as long as it is kept.
        """
        wanted = {str(user_id): user_id for user_id in ids}
        traces = [
            select(columns.user_id).where(columns.tenant_id == self._tenant_id, columns.user_id.in_(wanted.values()))
            for columns in _TRACES
        ]
        changed = select(passwords.c.user_id).where(
            passwords.c.tenant_id == self._tenant_id,
            passwords.c.user_id.in_(wanted.values()),
            passwords.c.version > 1,
        )
        logins = select(audit_events.c.subject).where(
            audit_events.c.tenant_id == self._tenant_id,
            audit_events.c.subject.in_(wanted.keys()),
            audit_events.c.type == "login.succeeded",
        )
        used = set((await self._connection.execute(union(*traces, changed))).scalars())
        return frozenset(used | {wanted[subject] for subject in (await self._connection.execute(logins)).scalars()})


def _user_id(import_id: UUID, number: int) -> UUID:
    """The block of the import, then the place in it, then chance."""
    high, low = number >> _LOW_BITS, number & ((1 << _LOW_BITS) - 1)
    value = (import_id.int >> _BLOCK_BITS << _BLOCK_BITS) | 8 << 76 | high << 64 | 0b10 << 62 | low << _RANDOM_BITS
    return UUID(int=value | secrets.randbits(_RANDOM_BITS))


def _import(row: Row[Any]) -> Import:
    return Import(
        row.id, row.lines, row.written, row.created_at, row.finished_at, row.undone_at, bytes(row.source_digest)
    )
