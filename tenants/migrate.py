"""Bringing a database to this version's schema, saying which code may run on which schema, making PostgreSQL's roles.

A schema grows before it shrinks: a release adds what it needs, and what the release before it still needs is taken away
by a later one. ``OLDEST_CODE`` is written into the database with each upgrade, so that code which does not know the
schema can tell whether it may run there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg.errors import InsufficientPrivilege
from psycopg.sql import Literal
from sqlalchemy import Connection, make_url, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from tenants.database import Database, postgresql_engine, sqlite_engine
from tenants.tables import schema_support

APP_ROLE = "yett_app"
SYSTEM_ROLE = "yett_system"
OWNER_ROLE = "yett_owner"

OLDEST_CODE = "0001"
"""The newest schema of the oldest code that runs on ``newest()``. Raised by a migration that takes something away, and
never beyond the schema of the release before.
"""

_LOCK = 0x79657474_6D696772  # "yettmigr"
_ATTRIBUTES = {
    OWNER_ROLE: "NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB",
    APP_ROLE: "NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB",
    SYSTEM_ROLE: "NOSUPERUSER BYPASSRLS NOCREATEROLE NOCREATEDB",
}


class SchemaMismatch(Exception):
    """The database has another version's schema. Start-up must stop."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a database's schema is to this code. ``missing`` are the migrations that it still needs, oldest first;
    ``oldest_code`` is told where the schema is a newer version's.
    """

    current: str | None
    missing: Sequence[str] = ()
    oldest_code: str | None = None

    def require(self) -> None:
        """Raises SchemaMismatch, with a sentence that says what to do, unless this code may run on it."""
        if self.missing:
            found = "has no schema yet" if self.current is None else f"has schema {self.current}"
            raise SchemaMismatch(f"The database {found}, this version needs {newest()}. Run `yett migrate`.")
        if self.oldest_code is not None and self.oldest_code > newest():
            raise SchemaMismatch(
                f"The database has schema {self.current}, on which code of schema {self.oldest_code} or later runs; "
                f"this version is of schema {newest()}: upgrade Yett."
            )


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
def _scripts() -> ScriptDirectory:  # read once: a serving process looks at its schema every few seconds
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
        else postgresql_engine(url, pool_size=1, patience=None)
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
            await connection.execute(update(schema_support).values(oldest_code=OLDEST_CODE))
        return before, newest()
    finally:
        await engine.dispose()


async def standing(database: Database) -> Standing:
    """What the database's schema is to this code; asked as the system role, nothing is changed."""
    async with database.system.connect() as connection:
        await connection.execution_options(yett_read_only=True)
        return await connection.run_sync(_standing)


def nothing_yet() -> Standing:
    """Of a database that is not there."""
    return Standing(None, _missing(None))


def is_there(sqlite_url: str) -> bool:
    """Whether SQLite has the file: to ask the database itself would make it."""
    path = make_url(sqlite_url).database
    return path is not None and Path(path).exists()


async def check(database: Database) -> None:
    """Refuse a schema on which this code may not run: an older one, or a newer one that has left it behind.

    Raises:
        SchemaMismatch: with a sentence that says what to do.
    """
    (await standing(database)).require()


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
    if current is not None and not _known(current):
        raise SchemaMismatch(
            f"The database has schema {current}, which this version does not know: it belongs to a newer version; "
            "upgrade Yett."
        )


def _known(revision: str) -> bool:
    return any(script.revision == revision for script in _scripts().walk_revisions())


def _standing(connection: Connection) -> Standing:
    current = _current(connection)
    if current == newest():
        return Standing(current)
    if current is not None and not _known(current):
        return Standing(current, oldest_code=connection.execute(select(schema_support.c.oldest_code)).scalar_one())
    return Standing(current, _missing(current))


def _missing(current: str | None) -> list[str]:
    scripts = _scripts().walk_revisions(base=current or "base", head="heads")
    missing = [f"{script.revision} {script.doc.rstrip('.')}" for script in scripts if script.revision != current]
    return missing[::-1]


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
