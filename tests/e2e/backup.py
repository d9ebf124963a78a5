"""Backups made and restored by the procedures of docs/operations.md."""

import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
from sqlalchemy import make_url

from tests.e2e import installation
from tests.e2e.installation import Installation
from tests.e2e.own_postgresql import program


def back_up(of: Installation, file: Path) -> None:
    """While it is served."""
    if of.admin_url is None:
        with closing(sqlite3.connect(of.data / "yett.db")) as source, closing(sqlite3.connect(file)) as target:
            source.backup(target)
        return
    program("pg_dump", "--format=custom", "--file", file, of.admin_url)


def restore(file: Path, of: Installation, folder: Path, upstream: str, *, database_url: str | None) -> Installation:
    """The installation whose backup this is, with its master key, in an empty database: PostgreSQL's of this
    superuser's URL.
    """
    if database_url is None:
        made = installation.moved(of, folder, None, upstream)
        for name in ("yett.db", "yett.db-wal", "yett.db-shm"):
            (made.data / name).unlink(missing_ok=True)
        file.rename(made.data / "yett.db")
    else:
        made = installation.moved(of, folder, database_url, upstream)
        made.does("migrate", "--create-roles")
        program(
            "pg_restore",
            *("--clean", "--if-exists", "--single-transaction", "--exit-on-error", "--dbname", database_url, file),
        )
    assert made.does("migrate")["before"] == made.does("migrate")["after"]
    return made


def empty_database(beside: str, name: str) -> str:
    """A new one on the server of that superuser's URL; its own."""
    server = make_url(beside).set(drivername="postgresql", database="postgres")
    with psycopg.connect(server.render_as_string(hide_password=False), autocommit=True) as session:
        session.execute(f'CREATE DATABASE "{name}"'.encode())
    return server.set(database=name).render_as_string(hide_password=False)
