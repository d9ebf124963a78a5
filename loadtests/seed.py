"""Tenants and users for a load test, in an installation's database, and the file that the locustfile logs in from.

    LOAD_PASSWORD=... python loadtests/seed.py --data DIR --tenants 10 --users 100 --totp 50 --out accounts.jsonl

It writes as `yett` does, through the same functions and into the same audit log, but everybody's password is one and
is hashed once. --totp users of each tenant have an authenticator. Make no account so in an installation that
people use: who reads the password, or FILE, which holds the authenticators' secrets, is all of them.
`yett tenant delete` takes a tenant back. Exit codes are those of `yett` (docs/cli.md): 0 made, 1 refused.
"""

import argparse
import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import pyotp
from scenarios.accounts import line

from gateway import urls
from gateway.cli.errors import Refused, reported
from gateway.installation import Installation, hashing_pool, open_installation
from gateway.settings import Settings, load
from policies.password import Password, PasswordRule, Unacceptable, for_setting, least_length
from policies.scope import OPENID
from tenants import common_passwords
from tenants.audit_event import Event
from tenants.client_options import ClientOptions
from tenants.clients import Client
from tenants.database import DATABASE_ERRORS
from tenants.errors import StoreError
from tenants.hash_spellings import Canonical, canonical
from tenants.import_lines import NewUser
from tenants.store import TenantStore
from tenants.tenant import Tenant
from tenants.users import User

DEMO_PASSWORD = "correct horse battery staple"
_ACTOR = "load-test"
_ROLE = "load-test"
_GRANTS = frozenset({"authorization_code", "password", "refresh_token"})
_BATCH = 1000
_AT_ONCE = 4  # tenants; SQLite has one writer
_STEP_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Wanted:
    """``totp`` of each tenant's ``users`` have an authenticator."""

    prefix: str
    tenants: int
    users: int
    totp: int
    client_id: str
    redirect_uri: str
    scopes: frozenset[str]

    def slugs(self) -> Iterator[str]:
        """Of the tenants."""
        return (f"{self.prefix}-{number}" for number in range(self.tenants))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    given = _options(arguments)
    wanted = Wanted(
        given.prefix,
        given.tenants,
        given.users,
        given.totp,
        given.client_id,
        given.redirect_uri,
        frozenset(given.scope.split()),
    )
    began = time.monotonic()
    with reported(as_json=False):
        settings = load(given.data / "yett.yaml" if given.config is None else given.config, os.environ)
        asyncio.run(seed(settings, wanted, os.environ.get("LOAD_PASSWORD", DEMO_PASSWORD), given.out))
    users, seconds = wanted.tenants * wanted.users, time.monotonic() - began
    print(f"made {wanted.tenants:,} tenants with {users:,} users in {seconds:.1f} s; they stand in {given.out}")


async def seed(settings: Settings, wanted: Wanted, password: str, out: Path) -> None:
    """Make them all, each tenant in a transaction of its own, and write them into the new file ``out``.

    Raises:
        Refused: the password may not be one, or a tenant or the file is there already.
    """
    accepted = _accepted(password, wanted)
    async with open_installation(settings) as installation:
        for slug in wanted.slugs():
            if await installation.directory.find(slug) is not None:
                raise Refused(f"there is a tenant {slug!r} already: choose another --prefix, or delete it")
        async with hashing_pool(settings, helpers=1) as hashing:
            hashed = canonical(await hashing.hash(accepted.text))
        room = asyncio.Semaphore(1 if installation.database.is_sqlite else _AT_ONCE)

        async def one(slug: str) -> None:
            async with room:
                file.writelines(await _seed_tenant(installation, slug, wanted, hashed))

        with _new_file(out) as file:
            try:
                async with asyncio.TaskGroup() as group:
                    for slug in wanted.slugs():
                        group.create_task(one(slug))
            except* (Refused, StoreError, *DATABASE_ERRORS) as failed:
                raise failed.exceptions[0] from None


def _accepted(password: str, wanted: Wanted) -> Password:
    words = (wanted.prefix, *wanted.slugs())
    rule = PasswordRule(least_length(None, second_factor=False), words, common_passwords.load())
    match for_setting(password, rule):
        case Unacceptable(reason):
            raise Refused(f"LOAD_PASSWORD may not be set as a password: {reason}")
        case Password() as accepted:
            return accepted


async def _seed_tenant(installation: Installation, slug: str, wanted: Wanted, hashed: Canonical) -> list[str]:
    """The tenant's lines of the accounts file."""
    settings = installation.settings
    issuer = urls.issuer(settings.public_url, slug)
    tenant = await installation.directory.create(slug=slug, name=slug, issuer=issuer, actor=_ACTOR)
    audiences = tuple(dict.fromkeys(str(upstream.audience) for upstream in settings.upstreams.values()))
    async with installation.store.for_tenant(tenant.id) as store:
        await store.roles.create(_ROLE, wanted.scopes)
        details: dict[str, str | int | bool | list[str]] = {"role": _ROLE, "scopes": sorted(wanted.scopes)}
        await store.audit.add(Event(type="role.created", outcome="success", actor=_ACTOR, details=details))
        await store.clients.create(_client(wanted, audiences))
        event = Event(type="client.created", outcome="success", client_id=wanted.client_id, actor=_ACTOR)
        await store.audit.add(event)
        names = await _import(store, wanted.users, hashed)
        users = await store.users.list(limit=wanted.users)
        secrets = {user.name: await _enrol(store, tenant, user, installation) for user in users[: wanted.totp]}
    return [line(slug, name, secrets.get(name, "")) for name in names]


def _client(wanted: Wanted, audiences: tuple[str, ...]) -> Client:
    return Client(
        client_id=wanted.client_id,
        name="Load test",
        confidential=False,
        grant_types=_GRANTS,
        scopes=OPENID | wanted.scopes,
        default_scopes=wanted.scopes,
        audiences=audiences,
        redirect_uris=(wanted.redirect_uri,),
        options=ClientOptions(first_party=True),
    )


async def _import(store: TenantStore, count: int, hashed: Canonical) -> list[str]:
    """Their names. As ``yett user import`` writes them, but from no file."""
    names = [f"user-{number}" for number in range(count)]
    begun = await store.imports.begin(bytes(32), count)
    people = [
        NewUser(number + 1, name, name, None, None, False, True, (_ROLE,), hashed) for number, name in enumerate(names)
    ]
    for first in range(0, count, _BATCH):
        begun = await store.imports.write(begun, people[first : first + _BATCH])
    details: dict[str, str | int | bool | list[str]] = {"import": str(begun.id)}
    await store.audit.add(Event(type="users.imported", outcome="success", actor=_ACTOR, count=count, details=details))
    return names


async def _enrol(store: TenantStore, tenant: Tenant, user: User, installation: Installation) -> str:
    """An authenticator, confirmed with the code of half a minute ago: that of now is still there for a login."""
    enrolment = await store.factors.enrol(user.id, name="Load test", issuer_name=tenant.name, account=user.name)
    now = int(installation.clock().timestamp())
    code = pyotp.TOTP(enrolment.secret).at(now - _STEP_SECONDS)
    if not await store.factors.confirm(user.id, enrolment.factor_id, code):
        raise Refused(f"the authenticator of {user.name} of {tenant.slug} could not be confirmed: try again")
    details: dict[str, str | int | bool | list[str]] = {"factor": str(enrolment.factor_id)}
    await store.audit.add(
        Event(
            type="factor.added",
            outcome="success",
            subject=str(user.id),
            user_name=user.name,
            actor=_ACTOR,
            details=details,
        )
    )
    return enrolment.secret


def _new_file(path: Path) -> TextIO:
    """For its owner alone, since secrets stand in it."""
    try:
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8")
    except OSError as error:
        raise Refused(f"{path} cannot be made: {error.strerror}") from error


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--data", type=Path, metavar="DIR", help="the folder of an embedded installation, or a demo's")
    where.add_argument("--config", type=Path, metavar="FILE", help="the configuration of another one")
    parser.add_argument("--tenants", type=int, default=10, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--users", type=int, default=100, metavar="N", help="of each tenant (default: %(default)s)")
    parser.add_argument(
        "--totp", type=int, default=0, metavar="N", help="of each tenant's users have an authenticator (default: 0)"
    )
    parser.add_argument("--prefix", default="load", metavar="NAME", help="tenants are NAME-0 … (default: %(default)s)")
    parser.add_argument("--client-id", default="demo-app", metavar="ID", help="(default: %(default)s, as locust asks)")
    parser.add_argument("--redirect-uri", default="http://127.0.0.1:9000/callback", help="(default: %(default)s)")
    parser.add_argument(
        "--scope", default="orders:read orders:write", help="what everybody may do (default: %(default)s)"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the accounts; must not be there yet")
    given = parser.parse_args(arguments)
    if min(given.tenants, given.users) < 1 or not 0 <= given.totp <= given.users:
        parser.error("--tenants and --users are at least 1, and --totp is at most --users")
    return given


if __name__ == "__main__":
    main()
