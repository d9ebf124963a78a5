"""A tenant out of its tables and into an archive, and the other way: rows as the lines of archive_lines.py have them.

Reading goes in pages by key, so that memory does not grow with the tenant; writing takes rows that were judged before.
What is secret in a row leaves it for the archive's own seal, and comes under the master key's when it is written.
"""

import base64
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, Table, func, insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from policies.key_rotation import KeyState
from tenants import archive_known
from tenants.archive_known import Secret
from tenants.archive_seal import ArchiveSeal
from tenants.changes import ChangeWriter
from tenants.errors import InvalidValue
from tenants.group_tables import group_members, group_roles, user_groups
from tenants.people_tables import logos, recovery_codes, totp_factors, totp_steps
from tenants.provider_tables import api_keys, consents
from tenants.resealing import SealedColumn, sealed_columns
from tenants.schema import metadata
from tenants.sealing import MasterKeys
from tenants.tables import client_secrets, clients, passwords, roles, signing_keys, user_roles, users

_PAGE: Final = 500
_READER_MAY_REST = text("SET LOCAL idle_in_transaction_session_timeout = 0")
_CLIENT = ("client_id", "name", "confidential", "active", "grant_types", "scopes", "default_scopes", "audiences")
_ADDRESSES = ("redirect_uris", "origins", "auth_method", "options", "created_at")
_SECRETS: Final[Mapping[str, SealedColumn]] = {each.table.name: each for each in sealed_columns()}
_KEPT_STATES = (KeyState.NEXT, KeyState.ACTIVE, KeyState.RETIRING)

Body = dict[str, Any]


class TenantArchive:
    """One tenant's rows. Reading wants a store at one moment."""

    def __init__(
        self, connection: AsyncConnection, tenant_id: UUID, changes: ChangeWriter, master_keys: MasterKeys
    ) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._changes = changes
        self._master_keys = master_keys

    async def size(self) -> int:
        """How many users and clients there are: about as many lines as there will be."""
        counted = [
            (
                await self._connection.execute(select(func.count()).where(table.c.tenant_id == self._tenant_id))
            ).scalar_one()
            for table in (users, clients)
        ]
        return sum(counted)

    async def lines(self, seal: ArchiveSeal | None, *, keys: bool) -> AsyncIterator[tuple[str, Body]]:
        """Kind and body of each line. Without ``seal`` there is no authenticator in it, with ``keys`` (which need it)
        those that sign.

        Raises:
            Unsealable: a secret does not open.
        """
        if self._connection.dialect.name == "postgresql":  # one moment for all of it, and its reader may be slow
            await self._connection.execute(_READER_MAY_REST)
        async for row in self._pages(logos):
            yield "logo", _plain(image=base64.b64encode(row.image).decode("ascii"), changed_at=row.changed_at)
        async for row in self._pages(roles):
            yield "role", _plain(name=row.name, scopes=row.scopes)
        async for page in self._in_pages(user_groups):
            carried = await self._of(group_roles, "group_name", [row.name for row in page])
            for row in page:
                told = _picked(row, "name", "description", "created_at")
                yield "group", told | _plain(roles=[one.role for one in carried[row.name]])
        async for page in self._in_pages(clients):
            secrets = await self._of(client_secrets, "client_id", [row.client_id for row in page])
            for row in page:
                yield "client", self._client(row, secrets[row.client_id])
        async for row in self._pages(api_keys):
            yield "api_key", _picked(row, "id", "digest", "name", "scopes", "audiences", *_TIMES_OF_API_KEY)
        async for page in self._in_pages(users):
            for body in await self._users(page, seal):
                yield "user", body
        if keys and seal is not None:
            async for row in self._pages(signing_keys):
                if row.state in _KEPT_STATES:
                    yield "key", self._key(row, seal)

    async def write(self, rows: Iterable[archive_known.Row]) -> None:
        """Rows that ``archive_lines.read`` made, of one kind or of several in their order.

        Raises:
            InvalidValue: one of them is there already, or what it belongs to is not. None of them is written.
        """
        if self._connection.dialect.name == "postgresql":
            await self._connection.exec_driver_sql("DISCARD PLANS")  # as in user_imports.py, and for its reason
        by_table: dict[str, list[Body]] = defaultdict(list)
        for name, row in rows:
            by_table[name].append(self._in_place(metadata.tables[name], row))
        try:
            async with self._connection.begin_nested():
                for name, listed in by_table.items():
                    await self._connection.execute(insert(metadata.tables[name]), listed)
        except IntegrityError as error:
            raise InvalidValue("a row is there already, or belongs to one that is not") from error
        for row in by_table[api_keys.name]:  # the rest is heard of with the tenant, when it begins to live
            self._changes.note("api_key", str(row["id"]))

    def _in_place(self, table: Table, row: Body) -> Body:
        """With its tenant, and what is secret in it sealed for its place."""
        whole = {"tenant_id": self._tenant_id, **row}
        for name, value in row.items():
            if isinstance(value, Secret):
                place = _SECRETS[table.name].place([whole[column.name] for column in table.primary_key])
                whole[name] = self._master_keys.seal(value.plain, **place)
        return whole

    async def _pages(self, table: Table) -> AsyncIterator[Row[Any]]:
        async for page in self._in_pages(table):
            for row in page:
                yield row

    async def _in_pages(self, table: Table) -> AsyncIterator[Sequence[Row[Any]]]:
        key = [column for column in table.primary_key if column.name != "tenant_id"]
        query = select(table).where(table.c.tenant_id == self._tenant_id).order_by(*key).limit(_PAGE)
        page = (await self._connection.execute(query)).all()
        while page:
            yield page
            if len(page) < _PAGE:
                return
            (column,) = key
            after = getattr(page[-1], column.name)
            page = (await self._connection.execute(query.where(column > after))).all()

    async def _of(self, table: Table, column: str, wanted: Sequence[Any]) -> Mapping[Any, list[Row[Any]]]:
        """The rows that belong to each of these."""
        query = select(table).where(table.c.tenant_id == self._tenant_id, table.c[column].in_(wanted))
        found: dict[Any, list[Row[Any]]] = defaultdict(list)
        for row in await self._connection.execute(query.order_by(*table.primary_key)):
            found[getattr(row, column)].append(row)
        return found

    async def _users(self, page: Sequence[Row[Any]], seal: ArchiveSeal | None) -> list[Body]:
        ids = [row.id for row in page]
        tables = (passwords, user_roles, group_members, totp_factors, totp_steps, recovery_codes, consents)
        theirs = [await self._of(table, "user_id", ids) for table in tables]
        return [self._user(row, *(found[row.id] for found in theirs), seal=seal) for row in page]

    def _user(self, row: Row[Any], *theirs: Sequence[Row[Any]], seal: ArchiveSeal | None) -> Body:
        stored, roles_, groups, factors, steps, codes, agreed = theirs
        told = _picked(row, "id", "name", "email", "email_verified", "active", "created_at") | _plain(
            password=[_password(one) for one in stored],
            roles=[one.role for one in roles_],
            groups=[one.group_name for one in groups],
            consents=[_picked(one, "client_id", "audience", "scopes", "granted_at") for one in agreed],
        )
        if seal is None:
            return told
        return told | _plain(
            factors=[self._factor(one, seal) for one in factors if one.confirmed_at is not None],
            factor_step=steps[0].step if steps else None,
            recovery_codes=[_picked(one, "digest", "created_at", "consumed_at") for one in codes],
        )

    def _factor(self, row: Row[Any], seal: ArchiveSeal) -> Body:
        picked = _picked(row, "id", "name", "created_at", "confirmed_at", "last_used_at")
        return picked | {"sealed_secret": self._moved(totp_factors, row, row.id, seal)}

    def _key(self, row: Row[Any], seal: ArchiveSeal) -> Body:
        times = ("created_at", "published_at", "promote_at", "activated_at", "retiring_at")
        return _picked(row, "kid", "alg", "state", *times) | {
            "sealed_private": self._moved(signing_keys, row, row.kid, seal)
        }

    def _moved(self, table: Table, row: Row[Any], name: object, seal: ArchiveSeal) -> str:
        """A secret, from under the master key to under the archive's."""
        sealed = _SECRETS[table.name]
        place = sealed.place([getattr(row, column.name) for column in sealed.key])
        secret = self._master_keys.open(bytes(getattr(row, sealed.column.name)), **place)
        return seal.seal(secret, whose=f"{table.name} {name}")

    def _client(self, row: Row[Any], secrets: Sequence[Row[Any]]) -> Body:
        return _picked(row, *_CLIENT, *_ADDRESSES) | _plain(
            registration=row.registration_digest,
            secrets=[_picked(one, "id", "digest", "created_at", "expires_at") for one in secrets],
        )


def _password(row: Row[Any]) -> Body:
    told = _picked(row, "hash", "version", "stands_alone", "changed_at")
    return told | {"must_change": True} if row.must_change else told  # what a release before does not know is refused


_TIMES_OF_API_KEY = ("created_at", "expires_at", "revoked_at")


def _picked(row: Row[Any], *names: str) -> Body:
    return _plain(**{name: getattr(row, name) for name in names})


def _plain(**values: Any) -> Body:
    """As JSON; what is not set or empty is left out."""
    return {name: _written(value) for name, value in values.items() if value is not None and value != []}


def _written(value: Any) -> Any:
    match value:
        case datetime():
            return value.isoformat()
        case UUID():
            return str(value)
        case bytes():
            return value.hex()
    return value
