"""Bringing a database to this version's schema, and making PostgreSQL's three roles."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg.errors import InsufficientPrivilege
from psycopg.sql import Literal
from sqlalchemy import Connection, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from tenants.database import Database, postgresql_engine, sqlite_engine

APP_ROLE = "yett_app"
SYSTEM_ROLE = "yett_system"
OWNER_ROLE = "yett_owner"

_LOCK = 0x79657474_6D696772  # "yettmigr"
_ATTRIBUTES = {
    OWNER_ROLE: "NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB",
    APP_ROLE: "NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB",
    SYSTEM_ROLE: "NOSUPERUSER BYPASSRLS NOCREATEROLE NOCREATEDB",
}


class SchemaMismatch(Exception):
    """The database has another version's schema. Start-up must stop."""


class RolesMissing(Exception):
    """PostgreSQL does not have the three roles."""


class AdminNotAllowed(Exception):
    """The role that should make the three roles may not."""


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    if connection is not None:
        config.attributes["connection"] = connection
    return config


@cache
def _scripts() -> ScriptDirectory:
    """What the package carries, read once in a process."""
    return ScriptDirectory.from_config(_config())


def newest() -> str:
    """The revision that this code stands on."""
    head = _scripts().get_current_head()
    if head is None:
        raise RuntimeError("the package carries no migrations")
    return head


async def upgrade(url: str) -> tuple[str | None, str]:
    """Bring the database to ``newest()``; says from which revision to which. ``url`` is the owner's on PostgreSQL.

    Raises:
        RolesMissing: PostgreSQL has no yett_app or yett_system to grant to.
        SchemaMismatch: the database belongs to a newer version.
    """
    parsed = make_url(url)
    engine = (
        sqlite_engine(url, pool_size=1)
        if parsed.get_backend_name() == "sqlite"
        else postgresql_engine(url, pool_size=1)
    )
    try:
        async with engine.connect() as connection:
            before = await connection.run_sync(_current)
            await connection.rollback()
        _refuse_newer(before)
        if engine.dialect.name == "postgresql":
            await _require_roles(engine)
        async with engine.begin() as connection:
            if engine.dialect.name == "postgresql":  # two upgrades at once: the second finds nothing left to do
                await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            await connection.run_sync(lambda sync: command.upgrade(_config(sync), "head"))
        return before, newest()
    finally:
        await engine.dispose()


async def check(database: Database) -> None:
    """Refuse a schema that is not this version's.

    Raises:
        SchemaMismatch: with a sentence that says what to do.
    """
    async with database.system.connect() as connection:
        current = await connection.run_sync(_current)
    _refuse_newer(current)
    if current != newest():
        found = "has no schema yet" if current is None else f"has schema {current}"
        raise SchemaMismatch(f"The database {found}, this version needs {newest()}. Run `yett migrate`.")


async def create_roles(admin_url: str, urls: dict[str, str]) -> list[str]:
    """Make or mend the three roles with the passwords that their configured URLs carry, and let the
    owner make tables. ``admin_url`` is a superuser's; ``urls`` maps each role to its URL. Says what was done.

    Raises:
        ValueError: a URL names another user than its role.
        AdminNotAllowed: ``admin_url`` is not a superuser's.
    """
    for role, url in urls.items():
        if make_url(url).username != role:
            raise ValueError(f"the URL of {role} connects as {make_url(url).username!r}; its user must be {role}")
    engine = postgresql_engine(admin_url, pool_size=1)
    done = []
    try:
        async with engine.begin() as connection:
            for role, url in urls.items():
                known = (
                    await connection.execute(text("SELECT 1 FROM pg_roles WHERE rolname = :r"), {"r": role})
                ).scalar()
                verb = "ALTER" if known else "CREATE"
                await connection.run_sync(_role_statement(verb, role, make_url(url).password))
                done.append(f"{'altered' if known else 'created'} role {role}")
            for statement in (
                f"GRANT USAGE, CREATE ON SCHEMA public TO {OWNER_ROLE}",
                f"GRANT USAGE ON SCHEMA public TO {APP_ROLE}, {SYSTEM_ROLE}",
            ):
                await connection.execute(text(statement))
    except DBAPIError as error:
        if not isinstance(error.orig, InsufficientPrivilege):
            raise
        raise AdminNotAllowed(
            "The role of database_admin_url may not make the three roles "
            f"({error.orig.diag.message_primary}). Connect as a superuser."
        ) from error
    finally:
        await engine.dispose()
    return done


def _role_statement(verb: str, role: str, password: str | None) -> Callable[[Connection], Any]:
    """The password is never sent, but its verifier (SCRAM-SHA-256, RFC 7677), made on this side: what fails and what
    alters a role is what servers log, word for word.
    """

    def run(connection: Connection) -> None:
        statement = f"{verb} ROLE {role} LOGIN {_ATTRIBUTES[role]}"
        if password is not None:
            driver: Any = connection.connection.driver_connection
            verifier = driver.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256")
            # A role's statement takes no bind parameters; base64 and "$" need no escape but the quotes.
            statement += " PASSWORD " + Literal(verifier.decode()).as_string(None)
        connection.exec_driver_sql(statement)

    return run


def _refuse_newer(current: str | None) -> None:
    if current is None or any(script.revision == current for script in _scripts().walk_revisions()):
        return
    raise SchemaMismatch(
        f"The database has schema {current}, which this version does not know: it belongs to a newer version; "
        "upgrade Yett."
    )


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


async def _require_roles(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        query = text("SELECT count(*) FROM pg_roles WHERE rolname IN (:app, :system)")
        if (await connection.execute(query, {"app": APP_ROLE, "system": SYSTEM_ROLE})).scalar_one() != 2:
            raise RolesMissing(
                f"PostgreSQL lacks the roles {APP_ROLE} and {SYSTEM_ROLE}. Run `yett migrate --create-roles` "
                "with database_admin_url set to a superuser's."
            )
