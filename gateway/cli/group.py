"""``yett group``: users who hold the same roles because they do the same work."""

from collections.abc import Sequence

import click

from gateway.cli.errors import Refused
from gateway.cli.options import Invocation, by, command
from gateway.cli.people import find, tenant_option
from tenants.acts import groups as acts
from tenants.groups import Group
from tenants.store import TenantStore

_description = click.option("--description", help="What it is, in a few words.")


@click.group()
def group() -> None:
    """Create, list, show, change and delete groups, and say who is in them."""


@command(group)
@tenant_option
@click.argument("name")
@_description
@click.option("--role", "roles", multiple=True, help="A role that it carries; may be repeated.")
async def create(call: Invocation, slug: str, name: str, description: str | None, roles: tuple[str, ...]) -> None:
    """Create the group NAME. Who is in it holds its roles, beside their own."""
    async with call.tenant(slug) as (_, store):
        await _require_roles(store, slug, roles)
        made = await acts.create(store, by(), name, description=description or "", roles=roles)
    call.output.say(f"created group {name} in {slug}", **_fields(made))


@command(group, "list")
@tenant_option
async def list_(call: Invocation, slug: str) -> None:
    """List the tenant's groups."""
    async with call.tenant(slug, read_only=True) as (_, store):
        rows = [_fields(found) for found in await store.groups.list()]
    call.output.table(rows, ["name", "roles", "description"])


@command(group)
@tenant_option
@click.argument("name")
async def show(call: Invocation, slug: str, name: str) -> None:
    """Show the group NAME, with who is in it."""
    async with call.tenant(slug, read_only=True) as (_, store):
        found = await _found(store, slug, name)
        members = [each.name for each in await store.groups.members(name)]
    call.output.item(_fields(found) | {"members": members})


@command(group)
@tenant_option
@click.argument("name")
@_description
@click.option("--role", "roles", multiple=True, help="A role that it carries; may be repeated. Replaces those before.")
@click.option("--no-roles", is_flag=True, help="It carries no role any more.")
async def update(
    call: Invocation, slug: str, name: str, description: str | None, roles: tuple[str, ...], no_roles: bool
) -> None:
    """Change the group NAME. Who is in it has other scopes from the next login or refresh on."""
    if no_roles and roles:
        raise click.UsageError("--no-roles goes without --role")
    async with call.tenant(slug) as (_, store):
        before = await _found(store, slug, name)
        await _require_roles(store, slug, roles)
        changed = await acts.change(
            store,
            by(),
            before,
            description=before.description if description is None else description,
            roles=roles if roles or no_roles else before.roles,
        )
    call.output.say(f"changed group {name} in {slug}", **_fields(changed))


@command(group)
@tenant_option
@click.argument("name")
async def delete(call: Invocation, slug: str, name: str) -> None:
    """Delete the group NAME. Its members stay, without what it gave them."""
    async with call.tenant(slug) as (_, store):
        await _found(store, slug, name)
        await acts.delete(store, by(), name)
    call.output.say(f"deleted group {name} of {slug}", name=name)


@command(group)
@tenant_option
@click.argument("name")
@click.argument("users", nargs=-1, required=True)
async def add(call: Invocation, slug: str, name: str, users: tuple[str, ...]) -> None:
    """Put USERS into the group NAME. They have its scopes from their next login or refresh on."""
    async with call.tenant(slug) as (_, store):
        await _found(store, slug, name)
        for each in users:
            await acts.add(store, by(), name, await find(store, slug, each))
    call.output.say(f"{', '.join(users)} in {slug} {_are(users)} in group {name}", name=name, users=users)


@command(group)
@tenant_option
@click.argument("name")
@click.argument("users", nargs=-1, required=True)
async def remove(call: Invocation, slug: str, name: str, users: tuple[str, ...]) -> None:
    """Take USERS out of the group NAME. Tokens that were issued before keep its scopes until they expire."""
    async with call.tenant(slug) as (_, store):
        await _found(store, slug, name)
        for each in users:
            await acts.remove(store, by(), name, await find(store, slug, each))
    call.output.say(f"{', '.join(users)} in {slug} {_are(users)} not in group {name}", name=name, users=users)


async def require_groups(store: TenantStore, slug: str, names: Sequence[str]) -> None:
    """Raises Refused: one of them is none."""
    for name in names:
        await _found(store, slug, name)


async def _found(store: TenantStore, slug: str, name: str) -> Group:
    found = await store.groups.get(name)
    if found is None:
        raise Refused(f"there is no group {name!r} in {slug}")
    return found


async def _require_roles(store: TenantStore, slug: str, names: Sequence[str]) -> None:
    for name in names:
        if await store.roles.get(name) is None:
            raise Refused(f"there is no role {name!r} in {slug}")


def _fields(found: Group) -> dict[str, object]:
    return {
        "name": found.name,
        "description": found.description,
        "roles": sorted(found.roles),
        "created_at": found.created_at,
    }


def _are(users: Sequence[str]) -> str:
    return "is" if len(users) == 1 else "are"
