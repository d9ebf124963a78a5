"""``yett role``: named sets of scopes in a tenant."""

import click

from gateway.cli.errors import Refused
from gateway.cli.options import Invocation, by, command
from policies.administration import OPERATOR_ROLES, TENANT_ROLES
from tenants.acts import roles as acts
from tenants.directory import PLATFORM

_tenant = click.option("--tenant", "slug", required=True, help="The tenant's slug.")


@click.group()
def role() -> None:
    """Create, change, delete, list and show roles."""


@command(role)
@_tenant
@click.argument("name")
@click.argument("scopes", nargs=-1, required=True)
async def create(call: Invocation, slug: str, name: str, scopes: tuple[str, ...]) -> None:
    """Create the role NAME that gives SCOPES."""
    async with call.tenant(slug) as (_, store):
        made = await acts.create(store, by(), name, scopes)
    call.output.say(f"created role {name} in {slug}", name=name, scopes=made.scopes)


@command(role, "list")
@_tenant
async def list_(call: Invocation, slug: str) -> None:
    """List the tenant's roles."""
    async with call.tenant(slug, read_only=True) as (_, store):
        rows = [{"name": found.name, "scopes": found.scopes} for found in await store.roles.list()]
    call.output.table(rows, ["name", "scopes"])


@command(role)
@_tenant
@click.argument("name")
async def show(call: Invocation, slug: str, name: str) -> None:
    """Show the role NAME."""
    async with call.tenant(slug, read_only=True) as (_, store):
        found = await store.roles.get(name)
    if found is None:
        raise Refused(f"there is no role {name!r} in {slug}")
    call.output.item({"name": found.name, "scopes": found.scopes})


@command(role, "set")
@_tenant
@click.argument("name")
@click.argument("scopes", nargs=-1, required=True)
async def set_(call: Invocation, slug: str, name: str, scopes: tuple[str, ...]) -> None:
    """Let the role NAME give SCOPES in place of those that it gives, from everybody's next token on."""
    _require_changeable(slug, name)
    async with call.tenant(slug) as (_, store):
        changed = await acts.set_scopes(store, by(), name, scopes)
    call.output.say(f"changed role {name} in {slug}", name=name, scopes=changed.scopes)


@command(role)
@_tenant
@click.argument("name")
async def delete(call: Invocation, slug: str, name: str) -> None:
    """Delete the role NAME; nobody has it any more."""
    _require_changeable(slug, name)
    async with call.tenant(slug) as (_, store):
        await acts.delete(store, by(), name)
    call.output.say(f"deleted role {name} in {slug}", name=name, deleted=True)


def _require_changeable(slug: str, name: str) -> None:
    """Built-in roles are what the service says they are, as in the admin API."""
    if name in (OPERATOR_ROLES if slug == PLATFORM else TENANT_ROLES):
        raise Refused(f"{name} is a built-in role of {slug}, which stays as it is")
