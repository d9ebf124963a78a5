"""All tenants' API keys in this process's memory: loaded in portions, then read one by one as they change.

Owns what the proxied path knows of keys, and how it is found. Not the rows (api_keys.py), nor whether a key counts
(gateway/authn/api_key.py). Reads the database as ``yett_system``.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Self
from uuid import UUID

import structlog
from sqlalchemy import Integer, Row, Select, Uuid, bindparam, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.api_key import KnownKey
from tenants.errors import Unreadable
from tenants.provider_tables import api_keys

_log = structlog.get_logger("tenants.known_keys")

AT_ONCE = 100
"""As many keys are read and made before others have their turn: 3 ms [measured: 40,000 in one go take 1.1 s]."""

_MOST_SHARED = 10_000
_TENANT_ID, _ID = bindparam("p_tenant_id", type_=Uuid()), bindparam("p_id", type_=Uuid())
_BEFORE_ALL = UUID(int=0)
_KNOWN: Select[Any] = select(
    api_keys.c.tenant_id,
    api_keys.c.id,
    api_keys.c.digest,
    api_keys.c.scopes,
    api_keys.c.audiences,
    api_keys.c.created_at,
    api_keys.c.expires_at,
    api_keys.c.revoked_at,
)
_ONE = _KNOWN.where(api_keys.c.tenant_id == _TENANT_ID, api_keys.c.id == _ID)
_NEXT = (
    _KNOWN.where(tuple_(api_keys.c.tenant_id, api_keys.c.id) > tuple_(_TENANT_ID, _ID))
    .order_by(api_keys.c.tenant_id, api_keys.c.id)
    .limit(bindparam("p_most", type_=Integer))
)

Changed = Mapping[tuple[UUID, UUID], tuple[bytes, KnownKey] | None]
"""By tenant and id: what a key is found by and what is known of it, or None where there is none (any more)."""


class KnownKeys:
    """Each tenant's keys, by their digests. ``find`` never touches the database."""

    def __init__(self) -> None:
        self._keys: dict[UUID, dict[bytes, KnownKey]] = {}
        self._shared: dict[frozenset[str], frozenset[str]] = {}

    @classmethod
    async def load(cls, connection: AsyncConnection) -> Self:
        """All of them."""
        known = cls()
        tenant_id = key_id = _BEFORE_ALL
        while True:
            after = {"p_tenant_id": tenant_id, "p_id": key_id, "p_most": AT_ONCE}
            rows = (await connection.execute(_NEXT, after)).all()
            for row in rows:
                if (read := known._read(row)) is not None:
                    digest, key = read
                    known._keys.setdefault(row.tenant_id, {})[digest] = key
            if len(rows) < AT_ONCE:
                return known
            tenant_id, key_id = rows[-1].tenant_id, rows[-1].id

    def find(self, tenant_id: UUID, digest: bytes) -> KnownKey | None:
        """This tenant's key with this digest; there is no union of keys to find another's in."""
        mine = self._keys.get(tenant_id)
        return None if mine is None else mine.get(digest)

    async def read(self, connection: AsyncConnection, changed: Iterable[tuple[UUID, str]]) -> Changed:
        """What is stored of the feed's (tenant_id, ref) pairs. Nothing is known of it before ``hear``."""
        found: dict[tuple[UUID, UUID], tuple[bytes, KnownKey] | None] = {}
        for tenant_id, ref in changed:
            try:
                key_id = UUID(ref)
            except ValueError:  # another version's: what it names is not there
                continue
            row = (await connection.execute(_ONE, {"p_tenant_id": tenant_id, "p_id": key_id})).one_or_none()
            found[tenant_id, key_id] = None if row is None else self._read(row)
        return found

    def hear(self, changed: Changed, *, ended_before: datetime) -> None:
        """Know what was read; forget what is not there, and what ended before, of these tenants: it would add up."""
        gone = {place for place, found in changed.items() if found is None}
        for tenant_id in {tenant_id for tenant_id, _ in changed}:
            self._keys[tenant_id] = {
                digest: key
                for digest, key in self._keys.get(tenant_id, {}).items()
                if (tenant_id, key.id) not in gone and not key.ended_before(ended_before)
            }
        for (tenant_id, _), found in changed.items():
            if found is not None:
                digest, key = found
                self._keys[tenant_id][digest] = key

    def _read(self, row: Row[Any]) -> tuple[bytes, KnownKey] | None:
        try:
            scopes, audiences = _words(row.scopes), _words(row.audiences)
        except Unreadable as error:  # one damaged row must not keep all others out; it is as good as not there
            _log.error("api_key_unreadable", tenant_id=str(row.tenant_id), id=str(row.id), error=str(error))
            return None
        return row.digest, KnownKey(
            row.id,
            self._one_of(scopes),
            self._one_of(audiences),
            row.created_at.timestamp(),
            None if row.expires_at is None else row.expires_at.timestamp(),
            None if row.revoked_at is None else row.revoked_at.timestamp(),
        )

    def _one_of(self, words: frozenset[str]) -> frozenset[str]:
        """Most keys are alike: sets that are equal are one in memory."""
        if len(self._shared) >= _MOST_SHARED:
            self._shared.clear()
        return self._shared.setdefault(words, words)


def _words(stored: object) -> frozenset[str]:
    if not isinstance(stored, list) or not all(isinstance(word, str) for word in stored):
        raise Unreadable("no list of words")
    return frozenset(stored)
