"""``yett user``: the people of a tenant."""

import sys

import click

from gateway.cli.errors import Refused
from gateway.cli.options import Invocation, actor, command
from gateway.installation import hashing_pool
from policies.password import Unacceptable, for_setting
from tenants.audit_event import Details, Event
from tenants.store import TenantStore
from tenants.users import User

_tenant = click.option("--tenant", "slug", required=True, help="The tenant's slug.")
_from_stdin = click.option("--password-stdin", is_flag=True, help="Read the password from standard input, one line.")


@click.group()
def user() -> None:
    """Create, list, show, disable and enable users; passwords and roles."""


async def _fields(store: TenantStore, found: User) -> dict[str, object]:
    return {
        "name": found.name,
        "id": found.id,
        "active": found.active,
        "roles": await store.roles.of_user(found.id),
        "scopes": await store.roles.scopes_of(found.id),
        "created_at": found.created_at,
    }


@command(user)
@_tenant
@click.argument("name")
@click.option("--role", "roles", multiple=True, help="A role that the user gets; may be repeated.")
@_from_stdin
async def create(call: Invocation, slug: str, name: str, roles: tuple[str, ...], password_stdin: bool) -> None:
    """Create the user NAME with a password that is asked for."""
    async with call.tenant(slug, read_only=True):
        pass  # before anything is asked
    password = _read_password(from_stdin=password_stdin)
    async with hashing_pool(call.settings(), helpers=1) as hashing:
        hashed = await hashing.hash(password)
    async with call.tenant(slug) as (_, store):
        made = await store.users.create(name)
        await store.credentials.set_password(made.id, hashed)
        for role in roles:
            await store.roles.assign(made.id, role)
        await _tell(store, "user.created", made, roles=list(roles))
        fields = await _fields(store, made)
    call.output.say(f"created user {name} in {slug}, id {made.id}", **fields)


@command(user, "list")
@_tenant
async def list_(call: Invocation, slug: str) -> None:
    """List the tenant's users."""
    rows: list[dict[str, object]] = []
    async with call.tenant(slug, read_only=True) as (_, store):
        after = ""
        while page := await store.users.list(after=after):
            rows += [await _fields(store, found) for found in page]
            after = page[-1].key
    call.output.table(rows, ["name", "id", "active", "roles"])


@command(user)
@_tenant
@click.argument("name")
async def show(call: Invocation, slug: str, name: str) -> None:
    """Show the user NAME."""
    async with call.tenant(slug, read_only=True) as (_, store):
        call.output.item(await _fields(store, await _find(store, slug, name)))


@command(user, "set-password")
@_tenant
@click.argument("name")
@_from_stdin
async def set_password(call: Invocation, slug: str, name: str, password_stdin: bool) -> None:
    """Give the user NAME another password, and end all of their sessions."""
    async with call.tenant(slug) as (_, store):
        await _find(store, slug, name)  # before anything is asked
    password = _read_password(from_stdin=password_stdin)
    async with hashing_pool(call.settings(), helpers=1) as hashing:
        hashed = await hashing.hash(password)
    async with call.tenant(slug) as (_, store):
        found = await _find(store, slug, name)
        await store.credentials.set_password(found.id, hashed)
        ended = await store.sessions.end_all(found.id)
        await _tell(store, "user.password_set", found, sessions_ended=ended)
    call.output.say(f"set the password of {name} in {slug}, {ended} sessions ended", name=name, sessions_ended=ended)


@command(user)
@_tenant
@click.argument("name")
@click.argument("role")
async def assign(call: Invocation, slug: str, name: str, role: str) -> None:
    """Give the user NAME the ROLE. Its scopes are there from the next login or refresh on."""
    async with call.tenant(slug) as (_, store):
        found = await _find(store, slug, name)
        await store.roles.assign(found.id, role)
        await _tell(store, "user.role_assigned", found, role=role)
    call.output.say(f"{name} in {slug} has role {role}", name=name, role=role)


@command(user)
@_tenant
@click.argument("name")
@click.argument("role")
async def withdraw(call: Invocation, slug: str, name: str, role: str) -> None:
    """Take the ROLE from the user NAME. Tokens that were issued before keep its scopes until they expire."""
    async with call.tenant(slug) as (_, store):
        found = await _find(store, slug, name)
        await store.roles.withdraw(found.id, role)
        await _tell(store, "user.role_withdrawn", found, role=role)
    call.output.say(f"{name} in {slug} has no role {role}", name=name, role=role)


@command(user)
@_tenant
@click.argument("name")
async def disable(call: Invocation, slug: str, name: str) -> None:
    """Disable the user NAME: logins and tokens are refused everywhere within a second."""
    await _set_active(call, slug, name, active=False)


@command(user)
@_tenant
@click.argument("name")
async def enable(call: Invocation, slug: str, name: str) -> None:
    """Enable the user NAME again. Tokens from before stay refused."""
    await _set_active(call, slug, name, active=True)


async def _set_active(call: Invocation, slug: str, name: str, *, active: bool) -> None:
    async with call.tenant(slug) as (_, store):
        found = await _find(store, slug, name)
        await store.users.set_active(found.id, active)
        await _tell(store, "user.enabled" if active else "user.disabled", found)
    call.output.say(f"{'enabled' if active else 'disabled'} user {name} in {slug}", name=name, active=active)


async def _tell(store: TenantStore, type_: str, found: User, **details: str | int | bool | list[str]) -> None:
    told: Details = dict(details)
    await store.audit.add(
        Event(
            type=type_,
            outcome="success",
            subject=str(found.id),
            user_name=found.name,
            actor=actor(),
            details=told,
        )
    )


async def _find(store: TenantStore, slug: str, name: str) -> User:
    found = await store.users.by_name(name)
    if found is None:
        raise Refused(f"there is no user {name!r} in {slug}")
    return found


def _read_password(*, from_stdin: bool) -> str:
    if from_stdin:
        text = sys.stdin.readline().removesuffix("\n")
    else:
        text = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    password = for_setting(text)
    if isinstance(password, Unacceptable):
        raise Refused(f"this cannot be a password: {password.reason.removeprefix('password_').replace('_', ' ')}")
    return password.text
