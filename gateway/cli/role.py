"""``yett role``: named sets of scopes in a tenant."""

import click

from gateway.cli.errors import Refused
from gateway.cli.options import Invocation, by, command
from tenants.acts import roles as acts

_tenant = click.option("--tenant", "slug", required=True, help="The tenant's slug.")


@click.group()
def role() -> None:
    """Create, list and show roles."""


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
