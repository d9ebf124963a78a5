"""Many people of one tenant, each with a network of their own: as a file to import, and as the requests of a login."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from keep_alive import Answer, request
from yett_peer import TENANT, Command

PASSWORD = "correct horse battery staple"
CLIENT = "login-app"
ROLE = "reader"
SCOPE = "orders:read"
SETTINGS = """\
trusted_proxies: [127.0.0.0/8]
limits: {token: 1000000/second, pages: 1000000/second}
"""
"""Everybody comes through a proxy that is trusted, and no limit per address but the login's own."""

_FORM_TOKEN = re.compile(r'name="form_token" value="([A-Za-z0-9_-]{43})"')
_COOKIE = f"yett-{TENANT}-login"


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody, or a name that is nobody's. ``hash`` empty: not in the tenant."""

    name: str
    address: str
    hash: str = ""
    active: bool = True


def address(number: int) -> str:
    """An IPv4 address of its own for each number below 2**24, as a trusted proxy vouches for it."""
    if not 0 <= number < 2**24:
        raise ValueError("there are 2**24 addresses")
    return f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"


def write_import(path: Path, accounts: Iterable[Account]) -> None:
    """What ``yett user import`` reads."""
    with path.open("w", encoding="utf-8") as file:
        for account in accounts:
            fields = {"name": account.name, "password_hash": account.hash, "roles": [ROLE], "active": account.active}
            file.write(json.dumps(fields) + "\n")


def token_request(port: int, account: Account, password: str = PASSWORD) -> bytes:
    """RFC 6749 section 4.3."""
    form = {"grant_type": "password", "client_id": CLIENT, "username": account.name, "password": password}
    return request("POST", f"/t/{TENANT}/token", _fields(port, account), urlencode({**form, "scope": SCOPE}))


def page_request(port: int, account: Account) -> bytes:
    """A browser without cookies opens the login page."""
    return request("GET", f"/t/{TENANT}/login", _fields(port, account))


@dataclass(frozen=True, slots=True)
class LoginForm:
    """What a browser has once it shows the login page. Raises ValueError for an answer that is no login page."""

    cookie: str
    token: str

    @classmethod
    def of(cls, answer: Answer) -> "LoginForm":
        """Read the page."""
        found = _FORM_TOKEN.search(answer.body.decode("utf-8", "replace"))
        cookie = (answer.field("set-cookie") or "").partition(";")[0]
        if answer.status != 200 or found is None or not cookie.startswith(f"{_COOKIE}="):
            raise ValueError(f"the login page answered {answer.status} and no form: {answer.body[:200]!r}")
        return cls(cookie, found[1])

    def submit(self, port: int, account: Account, password: str = PASSWORD) -> bytes:
        """Send the form."""
        fields = {**_fields(port, account), "Cookie": self.cookie, "Origin": f"http://localhost:{port}"}
        form = {"form_token": self.token, "username": account.name, "password": password}
        return request("POST", f"/t/{TENANT}/login", fields, urlencode(form))


def in_turn(accounts: list[Account], first: int = 0) -> Iterator[Account]:
    """Round and round, from the ``first``: whoever is asked for twice at once, there are too few."""
    number = first
    while True:
        yield accounts[number % len(accounts)]
        number += 1


def _fields(port: int, account: Account) -> dict[str, str]:
    return {"Host": f"localhost:{port}", "X-Forwarded-For": account.address}


def prepare_tenant(command: Command, audience: str, path: Path, accounts: list[Account]) -> None:
    """A role, a client for the password grant, and the accounts by way of ``yett user import``."""
    command("role", "create", "--tenant", TENANT, ROLE, SCOPE)
    client = ["--grant", "password", "--scope", SCOPE, "--audience", audience]
    command("client", "create", CLIENT, "--tenant", TENANT, *client)
    write_import(path, [account for account in accounts if account.hash])
    command("user", "import", str(path), "--tenant", TENANT)
