"""What migrations do to the rows of a database that was in use, on both databases: the second one, and the twelfth."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from alembic import command
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from tenants import migrate
from tenants.database import Database, postgresql_engine, sqlite_engine
from tenants.sealing import MasterKeys
from tenants.store import Store
from tests.conftest import Clock, DatabaseUrls, drop_postgresql_database, make_postgresql_database, roles_of

AT = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
NAMES = {"alice": "alice", "Bob@Acme.test": "bob@acme.test", "carol\uff20acme.test": "carol@acme.test"}
LIFETIMES = {"access_token": 60, "audit_events": 172_800}  # as between the two
HASH = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$" + "A" * 43


@pytest.fixture(params=["sqlite", "postgresql"])
async def empty(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[DatabaseUrls]:
    if request.param == "sqlite":
        yield DatabaseUrls(f"sqlite:///{tmp_path / 'old.db'}")
        return
    admin_url = request.getfixturevalue("postgresql_admin_url")
    urls = await make_postgresql_database(admin_url, empty=True)
    assert urls.admin is not None
    await migrate.create_roles(urls.admin, roles_of(urls))
    yield urls
    await drop_postgresql_database(admin_url, urls)


def engine_of(url: str) -> AsyncEngine:
    return (sqlite_engine if url.startswith("sqlite") else postgresql_engine)(url, pool_size=1)


async def as_of_the_first_version(urls: DatabaseUrls, tenant_id: Any) -> None:
    """The first schema, and a tenant with people in it."""
    owner = engine_of(urls.owner or urls.app)
    async with owner.begin() as connection:

        def to_the_first(sync: Connection) -> None:
            command.upgrade(migrate._config(sync), "0001")

        await connection.run_sync(to_the_first)
    await owner.dispose()
    rows = engine_of(urls.admin or urls.app)
    key = str(tenant_id) if urls.admin else tenant_id.hex
    at = AT if urls.admin else AT.replace(tzinfo=None).isoformat(" ", "microseconds")
    async with rows.begin() as connection:

        async def run(statement: str, **values: Any) -> None:
            await connection.execute(text(statement), {"tenant": key, "at": at, **values})

        await run(
            "INSERT INTO tenants (id, slug, name, issuer, active, signing_alg, lifetimes, created_at)"
            " VALUES (:tenant, 'acme', 'Acme', 'https://a.test/t/acme', true, 'ES256', :lifetimes, :at)",
            lifetimes=json.dumps(LIFETIMES),
        )
        for name, name_key in NAMES.items():
            user = uuid4()
            values = {"user": str(user) if urls.admin else user.hex, "name": name, "name_key": name_key}
            await run(
                "INSERT INTO users (tenant_id, id, name, name_key, active, created_at)"
                " VALUES (:tenant, :user, :name, :name_key, true, :at)",
                **values,
            )
            await run(
                "INSERT INTO passwords (tenant_id, user_id, hash, version, changed_at)"
                " VALUES (:tenant, :user, :hash, 1, :at)",
                user=values["user"],
                hash=HASH,
            )
            await run(
                "INSERT INTO sessions (tenant_id, id, user_id, auth_time, acr, amr, expires_at)"
                " VALUES (:tenant, :id, :user, :at, 'urn:yett:acr:pwd', '[\"pwd\"]', :at)",
                user=values["user"],
                id=values["user"],
            )
    await rows.dispose()


async def test_people_of_the_first_version_are_there_with_what_is_new(
    empty: DatabaseUrls, master_keys: MasterKeys, clock: Clock
) -> None:
    tenant_id = uuid4()
    await as_of_the_first_version(empty, tenant_id)

    assert await migrate.upgrade(empty.owner or empty.app) == ("0001", migrate.newest())

    database = Database.open(empty.app, empty.system)
    await database.check_roles()
    async with Store(database, master_keys, clock).for_tenant(tenant_id) as store:
        tenant = await store.settings.get()
        assert tenant is not None
        assert (tenant.lifetimes.access_token, tenant.lifetimes.audit_events) == (
            timedelta(minutes=1),
            timedelta(days=2),
        )
        await store.settings.set_lifetimes({"access_token": 30})
        found = {user.name: user for user in await store.users.list()}
        emails = {name: (user.email, user.email_verified) for name, user in found.items()}
        assert emails == {
            "alice": (None, False),
            "Bob@Acme.test": ("Bob@Acme.test", False),
            "carol\uff20acme.test": ("carol@acme.test", False),
        }
        for typed in ("bob@acme.test", "carol@acme.test", "ALICE"):
            assert await store.users.by_login(typed) is not None, typed
        session = await store.sessions.get(found["alice"].id)
        assert session is not None
        assert (session.created_at, session.seen_at, session.factor_waived) == (AT, AT, False)
        # What stands in for nobody costs what these passwords do, whatever is configured today.
        assert (await store.credentials.stand_in("nobody")).startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    await database.close()
