"""Bringing a database to this version, and what is said of one that is not."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import make_url

from tenants import migrate
from tenants.database import Database
from tests.conftest import (
    DatabaseUrls,
    administer,
    drop_postgresql_database,
    make_postgresql_database,
    roles_of,
)

postgresql_only = pytest.mark.parametrize("database_urls", ["postgresql"], indirect=True)


def owner_url(urls: DatabaseUrls) -> str:
    return urls.owner or urls.app


async def test_an_upgrade_twice_changes_nothing(database_urls: DatabaseUrls) -> None:
    assert await migrate.upgrade(owner_url(database_urls)) == (migrate.newest(), migrate.newest())


async def test_a_new_sqlite_file_is_brought_to_the_newest_schema(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'new.db'}"
    outcomes = await asyncio.gather(*(migrate.upgrade(url) for _ in range(4)))
    assert {after for _, after in outcomes} == {migrate.newest()}
    database = Database.open(url)
    await migrate.check(database)
    await database.close()


async def test_four_upgrades_at_once_are_one(postgresql_admin_url: str) -> None:
    urls = await make_postgresql_database(postgresql_admin_url, empty=True)
    try:
        assert urls.admin is not None
        await migrate.create_roles(urls.admin, roles_of(urls))
        outcomes = await asyncio.gather(*(migrate.upgrade(owner_url(urls)) for _ in range(4)))
        assert {after for _, after in outcomes} == {migrate.newest()}
        assert await migrate.upgrade(owner_url(urls)) == (migrate.newest(), migrate.newest())
    finally:
        await drop_postgresql_database(postgresql_admin_url, urls)


async def test_a_database_without_a_schema_is_told_to_migrate(tmp_path: Path) -> None:
    database = Database.open(f"sqlite+aiosqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(migrate.SchemaMismatch, match=r"has no schema yet.*Run `yett migrate`"):
        await migrate.check(database)
    await database.close()


async def test_another_versions_schema_is_refused(database_urls: DatabaseUrls) -> None:
    database = Database.open(database_urls.app, database_urls.system)
    statement = "UPDATE alembic_version SET version_num = '9999'"
    if database_urls.admin is None:
        async with database.system_step() as connection:
            await connection.exec_driver_sql(statement)
    else:
        await administer(database_urls.admin, statement)
    with pytest.raises(migrate.SchemaMismatch, match=rf"has schema 9999, this version needs {migrate.newest()}"):
        await migrate.check(database)
    await database.close()


@postgresql_only
async def test_making_the_roles_twice_changes_nothing(database_urls: DatabaseUrls) -> None:
    assert database_urls.admin is not None
    for _ in range(2):
        done = await migrate.create_roles(database_urls.admin, roles_of(database_urls))
        assert done == ["altered role yett_owner", "altered role yett_app", "altered role yett_system"]
    database = Database.open(database_urls.app, database_urls.system)
    await database.check_roles()
    await migrate.check(database)
    await database.close()


@postgresql_only
async def test_a_role_that_was_given_too_much_is_mended(database_urls: DatabaseUrls) -> None:
    assert database_urls.admin is not None
    await administer(database_urls.admin, "ALTER ROLE yett_app CREATEDB")
    await migrate.create_roles(database_urls.admin, roles_of(database_urls))
    database = Database.open(database_urls.admin, database_urls.admin)
    async with database.system_step() as connection:
        query = (
            "SELECT rolname, rolsuper, rolbypassrls, rolcreatedb, rolcreaterole FROM pg_roles"
            " WHERE rolname IN ('yett_app', 'yett_system', 'yett_owner')"
        )
        found = {name: attributes for name, *attributes in await connection.exec_driver_sql(query)}
    await database.close()
    assert found["yett_app"] == found["yett_owner"] == [False, False, False, False]
    assert found["yett_system"] == [False, True, False, False]


@postgresql_only
async def test_a_url_must_connect_as_its_role(database_urls: DatabaseUrls) -> None:
    assert database_urls.admin is not None
    wrong = {**roles_of(database_urls), "yett_app": database_urls.admin}
    with pytest.raises(ValueError, match="its user must be yett_app"):
        await migrate.create_roles(database_urls.admin, wrong)


async def test_an_upgrade_without_the_roles_says_how_to_make_them(
    postgresql_admin_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls = await make_postgresql_database(postgresql_admin_url, empty=True)
    try:
        assert urls.admin is not None
        monkeypatch.setattr(migrate, "APP_ROLE", "yett_nobody")  # the server's own roles are shared by all tests
        with pytest.raises(migrate.RolesMissing, match=r"yett_nobody.*yett migrate --create-roles"):
            await migrate.upgrade(urls.admin)
        database = Database.open(urls.admin, urls.admin)
        with pytest.raises(migrate.SchemaMismatch, match="has no schema yet"):
            await migrate.check(database)
        await database.close()
    finally:
        await drop_postgresql_database(postgresql_admin_url, urls)


@postgresql_only
async def test_a_password_with_every_awkward_sign_logs_in(database_urls: DatabaseUrls) -> None:
    password = make_url(database_urls.app).password
    assert password is not None
    assert set(":'\\%@/ ") <= set(password)
    database = Database.open(database_urls.app, database_urls.system)
    await migrate.check(database)
    await database.close()
