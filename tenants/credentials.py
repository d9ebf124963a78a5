"""Passwords, as hashes (ours are Argon2id) with a version that changes with each of them.

The version is what a login compares after it has hashed without a transaction: a password that was changed meanwhile
does not let the old one in. Beside each hash stands its scheme, so that an unknown user costs what the tenant's do.
"""

import hmac
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants import foreign_hash
from tenants.errors import NotFound
from tenants.stand_ins import Shares, StandIns
from tenants.tables import installation, passwords
from tenants.user_names import look_up_key

_MOST_SCHEMES = 32
"""That stand in for unknown users, those of most passwords first. A tenant may have imported any number, and each draw
goes through all of them.
"""
_OF_TENANT = passwords.c.tenant_id == bindparam("p_tenant_id")
_OF_USER = _OF_TENANT, passwords.c.user_id == bindparam("p_user_id")
_FIND = select(passwords.c.hash, passwords.c.version, passwords.c.stands_alone, passwords.c.must_change).where(
    *_OF_USER
)
_FIND_HELD = _FIND.with_for_update(key_share=True)
_REHASH = update(passwords).where(*_OF_USER, passwords.c.version == bindparam("p_version"))
# Any secret would do that all processes know and nobody else: the check's first envelope is there since the first
# start. It stays what it was when the check is moved to another master key: else names would cost another time then.
_SECRET = select(func.coalesce(installation.c.stand_in_secret, installation.c.master_key_check))
_SCHEMES = (
    select(passwords.c.scheme, func.count())
    .where(_OF_TENANT)
    .group_by(passwords.c.scheme)
    .order_by(func.count().desc(), passwords.c.scheme)
    .limit(_MOST_SCHEMES)
)


@dataclass(frozen=True, slots=True)
class Password:
    """A stored hash (in a canonical text of foreign_hash.py). ``repr`` keeps it to itself.

    ``stands_alone``: it was long enough for a user without a second factor when it was set. ``must_change``: somebody
    else chose it, and a login asks for another one.
    """

    user_id: UUID
    hash: str
    version: int
    stands_alone: bool = False
    must_change: bool = False

    def __repr__(self) -> str:
        return f"Password(user_id={self.user_id}, version={self.version})"


class Credentials:
    """One tenant's passwords. ``stand_ins`` is the process's memory; without it, each stand-in counts anew."""

    def __init__(
        self, connection: AsyncConnection, tenant_id: UUID, now: datetime, stand_ins: StandIns | None = None
    ) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._now = now
        self._stand_ins = StandIns() if stand_ins is None else stand_ins

    async def password(self, user_id: UUID, *, hold: bool = False) -> Password | None:
        """The user's hash; None for a user without a password and for nobody's id.

        ``hold`` keeps anybody from changing it until this transaction ends: a login and a new password meet in one
        order or the other, never half way.
        """
        mine = {"p_tenant_id": self._tenant_id, "p_user_id": user_id}
        row = (await self._connection.execute(_FIND_HELD if hold else _FIND, mine)).one_or_none()
        return None if row is None else Password(user_id, row.hash, row.version, row.stands_alone, row.must_change)

    async def set_password(
        self, user_id: UUID, hash_: str, *, stands_alone: bool = False, must_change: bool = False
    ) -> None:
        """A new password: the version rises, so that a login in flight with the old one fails.

        ``stands_alone``: it is long enough for a user without a second factor (its length is not stored).

        Raises:
            NotFound: no such user in this tenant.
        """
        table_insert = sqlite_insert if self._connection.dialect.name == "sqlite" else postgresql_insert
        values = {
            "hash": hash_,
            "scheme": foreign_hash.scheme(hash_),
            "stands_alone": stands_alone,
            "must_change": must_change,
            "changed_at": self._now,
        }
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
        read = {"p_tenant_id": self._tenant_id, "p_user_id": password.user_id, "p_version": password.version}
        values = {"hash": hash_, "scheme": foreign_hash.scheme(hash_)}
        await self._connection.execute(_REHASH, read | values)

    async def stand_in(self, name: str) -> str:
        """What to verify for the user of this name if there is none, or none with a password.

        A hash that no password matches, of a scheme that the tenant's users have, the same for all spellings of the
        name at any time. ``name`` may be anything. To be asked for every attempt, so that the asking does not tell
        either.
        """
        shares = await self._shares()
        return foreign_hash.unmatchable(shares.drawn(look_up_key(name) or name))

    async def tag(self, name: str) -> str:
        """Sixteen digits that tell this name from others in the log, the same for all its spellings (``Shares.tag``).
        To be asked for every attempt, as well.
        """
        return (await self._shares()).tag(look_up_key(name) or name)

    async def _shares(self) -> Shares:
        shares = self._stand_ins.find(self._tenant_id, self._now)
        if shares is None:
            shares = await self._counted()
            self._stand_ins.remember(self._tenant_id, shares, self._now)
        return shares

    async def _counted(self) -> Shares:
        secret = (await self._connection.execute(_SECRET)).scalar_one_or_none()
        counted = await self._connection.execute(_SCHEMES, {"p_tenant_id": self._tenant_id})
        key = hmac.digest(secret or b"", b"stand-ins of " + self._tenant_id.bytes, "sha256")
        return Shares(key, [(scheme, count) for scheme, count in counted])
