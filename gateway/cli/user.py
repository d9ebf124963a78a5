"""``yett user``: the people of a tenant."""

import sys

import click

from gateway.cli.errors import Refused
from gateway.cli.options import Invocation, actor, command
from gateway.installation import hashing_pool
from policies.password import Unacceptable, for_setting
from tenants.audit_event import Event
from tenants.store import TenantStore
from tenants.users import User

_tenant = click.option("--tenant", "slug", required=True, help="The tenant's slug.")
_from_stdin = click.option("--password-stdin", is_flag=True, help="Read the password from standard input, one line.")


@click.group()
def user() -> None:
    """Create, list, show, disable and enable users."""


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
    password = _read_password(from_stdin=password_stdin)
    async with hashing_pool(call.settings(), helpers=1) as hashing:
        hashed = await hashing.hash(password)
    async with call.tenant(slug) as (_, store):
        made = await store.users.create(name)
        await store.credentials.set_password(made.id, hashed)
        for role in roles:
            await store.roles.assign(made.id, role)
        await store.audit.add(
            Event(
                type="user.created",
                outcome="success",
                subject=str(made.id),
                user_name=name,
                actor=actor(),
                details={"roles": list(roles)},
            )
        )
        fields = await _fields(store, made)
    call.output.say(f"created user {name} in {slug}, id {made.id}", **fields)


@command(user, "list")
@_tenant
async def list_(call: Invocation, slug: str) -> None:
    """List the tenant's users."""
    rows: list[dict[str, object]] = []
    async with call.tenant(slug) as (_, store):
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
    async with call.tenant(slug) as (_, store):
        call.output.item(await _fields(store, await _find(store, slug, name)))


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
        await store.audit.add(
            Event(
                type="user.enabled" if active else "user.disabled",
                outcome="success",
                subject=str(found.id),
                user_name=found.name,
                actor=actor(),
            )
        )
    call.output.say(f"{'enabled' if active else 'disabled'} user {name} in {slug}", name=name, active=active)


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
