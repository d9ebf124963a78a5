"""``yett route`` and ``yett limits``: what the configuration says of requests, as a server would take it now."""

import click

from gateway.cli.options import Invocation, command
from gateway.settings import Route


@click.group()
def route() -> None:
    """Show which requests reach which API."""


@command(route, "list")
async def list_(call: Invocation) -> None:
    """List the routes of the configuration, in its order."""
    call.output.table(
        [_fields(one) for one in call.settings().routes], ["name", "methods", "path", "upstream", "require"]
    )


@command(None)
async def limits(call: Invocation) -> None:
    """Show how many requests a client address may make, and how large a body may be (bytes)."""
    call.output.item(call.settings().limits.model_dump())


def _fields(found: Route) -> dict[str, object]:
    match, require = found.match, found.require
    return {
        "name": found.name,
        "path": match.path,
        "methods": match.methods,
        "hosts": match.hosts,
        "tenants": found.tenants,
        "upstream": found.upstream,
        "require": require if isinstance(require, str) else require.model_dump_json(by_alias=True, exclude_none=True),
    }
