"""Bringing a database to this version, and what is said of one that is not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError

from tenants import migrate
from tenants.database import Database
from tests.conftest import (
    DatabaseUrls,
    administer,
    drop_postgresql_database,
    make_postgresql_database,
    roles_of,
)
from tests.tenants.test_row_level_security import role

postgresql_only = pytest.mark.parametrize("database_urls", ["postgresql"], indirect=True)


def owner_url(urls: DatabaseUrls) -> str:
    return urls.owner or urls.app


async def test_an_upgrade_twice_changes_nothing(database_urls: DatabaseUrls) -> None:
    assert await migrate.upgrade(owner_url(database_urls)) == (migrate.newest(), migrate.newest())


async def test_a_new_sqlite_file_is_brought_to_the_newest_schema(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
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
    database = Database.open(f"sqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(migrate.SchemaMismatch, match=r"has no schema yet.*Run `yett migrate`"):
        await migrate.check(database)
    await database.close()


async def alter(urls: DatabaseUrls, *statements: str) -> None:
    """What another version of the product did to this database."""
    if urls.admin is not None:
        await administer(urls.admin, *statements)
        return
    database = Database.open(urls.app)
    async with database.system_step() as connection:
        for statement in statements:
            await connection.exec_driver_sql(statement)
    await database.close()


async def checked(urls: DatabaseUrls) -> migrate.Standing:
    """As a start would find it."""
    database = Database.open(urls.app, urls.system)
    try:
        await migrate.check(database)
        return await migrate.standing(database)
    finally:
        await database.close()


NEWER = "UPDATE alembic_version SET version_num = '9999'"


async def test_an_upgrade_says_which_code_runs_on_the_schema(database_urls: DatabaseUrls) -> None:
    await alter(database_urls, "UPDATE schema_support SET oldest_code = '0000'")
    await migrate.upgrade(owner_url(database_urls))
    await alter(database_urls, NEWER)
    assert (await checked(database_urls)).oldest_code == migrate.OLDEST_CODE


async def test_this_version_starts_on_a_newer_schema_that_still_carries_it(database_urls: DatabaseUrls) -> None:
    await alter(database_urls, NEWER, f"UPDATE schema_support SET oldest_code = '{migrate.newest()}'")
    assert await checked(database_urls) == migrate.Standing("9999", oldest_code=migrate.newest())


async def test_this_version_does_not_start_on_a_newer_schema_that_has_left_it_behind(
    database_urls: DatabaseUrls,
) -> None:
    await alter(database_urls, NEWER, "UPDATE schema_support SET oldest_code = '9998'")
    told = rf"has schema 9999, on which code of schema 9998 or later runs; this version is of schema {migrate.newest()}"
    with pytest.raises(migrate.SchemaMismatch, match=f"{told}: upgrade Yett"):
        await checked(database_urls)


@pytest.mark.parametrize("oldest_code", ["0001", "9998"])
async def test_a_newer_schema_is_never_migrated_by_this_version(database_urls: DatabaseUrls, oldest_code: str) -> None:
    await alter(database_urls, NEWER, f"UPDATE schema_support SET oldest_code = '{oldest_code}'")
    told = r"has schema 9999, which this version does not know: it belongs to a newer version; upgrade Yett"
    with pytest.raises(migrate.SchemaMismatch, match=told):
        await migrate.upgrade(owner_url(database_urls))


async def test_an_older_schema_is_refused_with_what_it_lacks(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    await migrate.upgrade(url)
    last = migrate.newest()
    urls = DatabaseUrls(url)
    await alter(urls, "UPDATE alembic_version SET version_num = '0001'")
    with pytest.raises(
        migrate.SchemaMismatch, match=rf"has schema 0001, this version needs {last}. Run `yett migrate`"
    ):
        await checked(urls)
    database = Database.open(url)
    found = await migrate.standing(database)
    await database.close()
    assert found.current == "0001"
    assert [missing[:4] for missing in (found.missing[0], found.missing[-1])] == ["0002", last]
    assert "0006 API keys of tenants, for machines that cannot do OAuth" in found.missing


def test_revisions_can_be_compared_as_texts() -> None:
    """Which code is older is told by its schema, and a text is all that a database has of a newer one."""
    revisions = [script.revision for script in migrate._scripts().walk_revisions()]
    assert all(len(revision) == 4 and revision.isdecimal() for revision in revisions)
    assert revisions == sorted(revisions, reverse=True)
    assert migrate.OLDEST_CODE in revisions


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


# --- the roles' passwords


async def ask(url: str, query: str) -> str:
    parts = make_url(url)
    named: dict[str, Any] = {**parts.translate_connect_args(username="user", database="dbname"), **parts.query}
    async with await psycopg.AsyncConnection.connect(**named) as session:
        row = await (await session.execute(query.encode())).fetchone()
    assert row is not None
    return str(row[0])


def server_file(path: Path) -> Path:
    """A file of the server's, where it runs on this machine."""
    if not path.is_file():
        pytest.skip("that server's files are not ours")
    return path


def says_no_password(text: str) -> bool:
    return "PASSWORD 'SCRAM-SHA-256$4096:" in text and "@/ secret" not in text  # tests/conftest.py has the passwords


@postgresql_only
async def test_no_password_is_in_the_log_of_a_server_that_logs_every_statement(database_urls: DatabaseUrls) -> None:
    assert database_urls.admin is not None
    log = server_file(Path(await ask(database_urls.admin, "SHOW data_directory"), "log"))
    begun = log.stat().st_size
    name = make_url(database_urls.admin).database
    await administer(database_urls.admin, f"ALTER DATABASE {name} SET log_statement = 'ddl'")
    try:
        await migrate.create_roles(database_urls.admin, roles_of(database_urls))
    finally:
        await administer(database_urls.admin, f"ALTER DATABASE {name} RESET log_statement")
    told = log.read_bytes()[begun:].decode()
    assert "ALTER ROLE yett_system" in told
    assert says_no_password(told)


@postgresql_only
async def test_an_admin_without_the_right_to_make_roles_is_told_and_no_password_is_in_what_failed(
    database_urls: DatabaseUrls,
) -> None:
    assert database_urls.admin is not None
    async with role(database_urls.admin) as powerless:
        with pytest.raises(
            migrate.AdminNotAllowed, match=r"database_admin_url may not .*permission denied.*superuser"
        ) as no:
            await migrate.create_roles(powerless, roles_of(database_urls))
    failed = no.value.__cause__
    assert isinstance(failed, DBAPIError)
    assert says_no_password(failed.statement or "")


@asynccontextmanager
async def passwords_asked_for(urls: DatabaseUrls) -> AsyncIterator[None]:
    """The tests' own server trusts everybody; not in this database, for as long as the block lasts."""
    assert urls.admin is not None
    file = server_file(Path(await ask(urls.admin, "SHOW hba_file")))
    before = file.read_text(encoding="utf-8")
    name = make_url(urls.admin).database
    rules = [f"local {name} yett_app scram-sha-256", f"host {name} yett_app all scram-sha-256"]
    file.write_text("\n".join([*rules, before]), encoding="utf-8")
    try:
        await administer(urls.admin, "SELECT pg_reload_conf()")
        yield
    finally:
        file.write_text(before, encoding="utf-8")
        await administer(urls.admin, "SELECT pg_reload_conf()")


async def log_in_until_refused(url: str) -> None:
    """The server reads its rules anew in its own time."""
    while True:
        await ask(url, "SELECT 1")


@postgresql_only
async def test_the_password_of_a_roles_url_logs_in_and_no_other(database_urls: DatabaseUrls) -> None:
    assert database_urls.admin is not None
    wrong, new = (make_url(database_urls.app).set(password=password) for password in ("another", "nëw'\\%@/ secret"))
    changed = roles_of(database_urls) | {"yett_app": new.render_as_string(hide_password=False)}
    try:
        await migrate.create_roles(database_urls.admin, changed)
        async with passwords_asked_for(database_urls), asyncio.timeout(20):
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                await log_in_until_refused(wrong.render_as_string(hide_password=False))
            assert await ask(changed["yett_app"], "SELECT current_user") == "yett_app"
    finally:
        await migrate.create_roles(database_urls.admin, roles_of(database_urls))
