"""An installation made as an operator makes it: ``yett init``, a configuration, ``yett migrate``, and tenants like the
demo's through the command line. Made once per database; whoever needs one of their own gets a copy.
"""

import shutil
import sqlite3
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from sqlalchemy import make_url

from tenants.client import DEVICE_CODE
from tests.e2e.command import Result, yett
from tests.e2e.server_process import PASSWORD

IDENTITY = "auth.example.com"
API = "api.example.com"
AUDIENCE = "https://api.example.com/orders"
ORIGINS = ("https://app.example.com", "https://shop.example.org")

_CONFIG = """\
public_url: https://auth.example.com
data_dir: {data}
api_hosts: [api.example.com]
upstreams:
  orders: {{targets: ["{upstream}"], audience: "https://api.example.com/orders"}}
routes:
  - name: orders-read
    match: {{path: /orders/**, methods: [GET]}}
    require: {{scopes: ["orders:read"]}}
    upstream: orders
  - name: orders-write
    match: {{path: /orders/**, methods: [POST, PUT, DELETE]}}
    require: {{scopes: ["orders:write"]}}
    upstream: orders
  - {{name: public, match: {{path: /public/**}}, require: anonymous, upstream: orders}}
  - name: admin
    match: {{path: /admin/**}}
    require: {{all: [{{scopes: [admin]}}, {{amr: [otp]}}, {{max_age: 15m}}]}}
    upstream: orders
  - name: files
    match: {{path: "/files/{{key}}"}}
    require: {{scopes: ["orders:read"]}}
    encoded_slash: keep
    upstream: orders
"""


@dataclass(frozen=True, slots=True)
class Installation:
    """Where it is, and the settings that every command on it needs. ``secrets`` are clients' secrets by tenant."""

    data: Path
    config: Path
    settings: Mapping[str, str]
    secrets: dict[str, str] = field(default_factory=dict)
    admin_url: str | None = None

    def run(self, *arguments: str | Path, stdin: str = "") -> Result:
        """A command on this installation."""
        return yett(*arguments, "--config", self.config, env=self.settings, stdin=stdin)

    def does(self, *arguments: str | Path, stdin: str = "") -> Any:
        """What a command that has to succeed says in JSON."""
        result = self.run(*arguments, "--json", stdin=stdin)
        assert result.code == 0, f"{arguments}: {result.err}"
        return result.json

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a query, read behind the product's back."""
        if self.admin_url is None:
            connection = sqlite3.connect(self.data / "yett.db")
            try:
                return connection.execute(query).fetchall()
            finally:
                connection.close()
        with psycopg.connect(self.admin_url) as session:
            return session.execute(query.encode()).fetchall()

    def serves(self, upstream: str) -> "Installation":
        """The same one with this API behind it."""
        self.config.write_text(_CONFIG.format(data=self.data, upstream=upstream), encoding="utf-8")
        return self


def make(folder: Path, postgresql_admin_url: str | None) -> Installation:
    """A new installation with the demo's tenants, on SQLite or on a new database of that PostgreSQL server."""
    data = folder / "data"
    begun = yett("init", "--data", data)
    assert begun.code == 0, begun.err
    made = Installation(data, data / "yett.yaml", {})
    if postgresql_admin_url is not None:
        made = _on_postgresql(made, folder, _create_database(postgresql_admin_url))
    made.serves("http://127.0.0.1:9")
    roles = () if made.admin_url is None else ("--create-roles",)
    assert made.does("migrate", *roles)["after"]
    with ThreadPoolExecutor(2) as pool:
        for chain in [pool.submit(_acme, made), pool.submit(_globex, made)]:
            chain.result()
    return made


def copy(original: Installation, folder: Path, upstream: str) -> Installation:
    """Another installation with the same tenants, keys and secrets, and a database of its own."""
    data = folder / "data"
    shutil.copytree(original.data, data)
    made = replace(original, data=data, config=data / "yett.yaml")
    if original.admin_url is not None:
        name = str(make_url(original.admin_url).database)
        made = _on_postgresql(made, folder, _create_database(original.admin_url, template=name))
    return made.serves(upstream)


def moved(original: Installation, folder: Path, admin_url: str | None, upstream: str) -> Installation:
    """The same folder at another place; on PostgreSQL for another database, which is there and empty."""
    data = folder / "data"
    shutil.copytree(original.data, data)
    made = replace(original, data=data, config=data / "yett.yaml")
    return (made if admin_url is None else _on_postgresql(made, folder, admin_url)).serves(upstream)


def _create_database(admin_url: str, template: str = "template1") -> str:
    name = f"yett_e2e_{uuid4().hex}"
    server = make_url(admin_url).set(drivername="postgresql", database="postgres")
    with psycopg.connect(server.render_as_string(hide_password=False), autocommit=True) as session:
        session.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
    return server.set(database=name).render_as_string(hide_password=False)


def _on_postgresql(made: Installation, folder: Path, admin_url: str) -> Installation:
    """The passwords are those of the whole suite: PostgreSQL's roles belong to the server, not to a database."""

    def url(role: str | None) -> str:
        parts = make_url(admin_url).set(drivername="postgresql+psycopg")
        if role is not None:
            parts = parts.set(username=role, password=f"{role}:'\\%@/ secret")
        return parts.render_as_string(hide_password=False)

    owner, admin = folder / "owner_url", folder / "admin_url"
    owner.write_text(url("yett_owner") + "\n", encoding="utf-8")
    admin.write_text(url(None), encoding="utf-8")
    settings = {
        "YETT_DATABASE_URL": url("yett_app"),
        "YETT_DATABASE_SYSTEM_URL": url("yett_system"),
        "YETT_DATABASE_OWNER_URL_FILE": str(owner),
        "YETT_DATABASE_ADMIN_URL_FILE": str(admin),
    }
    return replace(made, settings=settings, admin_url=admin_url)


def _acme(made: Installation) -> None:
    made.does("tenant", "create", "acme", "--name", "Acme")
    made.does("role", "create", "--tenant", "acme", "administrator", "orders:read", "orders:write", "admin", "ws")
    made.does("role", "create", "--tenant", "acme", "reader", "orders:read")
    _user(made, "acme", "alice", "--role", "administrator")
    _user(made, "acme", "bob", "--role", "reader")
    _user(made, "acme", "mallory")
    _app(made, "acme", ORIGINS[0])
    secret = made.does(
        *("client", "create", "--tenant", "acme", "demo-service", "--confidential", "--grant", "client_credentials"),
        *("--scope", "orders:read", "--default-scope", "orders:read"),
        *("--audience", AUDIENCE, "--origin", ORIGINS[1]),
    )["secret"]
    made.secrets["acme"] = secret


def _globex(made: Installation) -> None:
    made.does("tenant", "create", "globex", "--alg", "EdDSA")
    made.does("role", "create", "--tenant", "globex", "administrator", "orders:read", "orders:write", "admin", "ws")
    _user(made, "globex", "carol", "--role", "administrator")
    _user(made, "globex", "bob")
    _app(made, "globex", ORIGINS[0])


def _user(made: Installation, tenant: str, name: str, *more: str) -> None:
    said = made.does("user", "create", "--tenant", tenant, name, *more, "--password-stdin", stdin=PASSWORD + "\n")
    assert said["name"] == name


def _app(made: Installation, tenant: str, origin: str) -> None:
    scopes = [part for scope in ("orders:read", "orders:write", "admin", "ws") for part in ("--scope", scope)]
    default = [part for scope in ("orders:read", "orders:write", "ws") for part in ("--default-scope", scope)]
    made.does(
        *("client", "create", "--tenant", tenant, "demo-app", "--default", "--audience", AUDIENCE),
        *("--grant", "password", "--grant", "refresh_token", "--grant", DEVICE_CODE, "--origin", origin),
        *(*scopes, *default),
    )
