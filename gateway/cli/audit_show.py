"""``yett audit show``: one event."""

import click

from gateway.cli.audit import fields_of, sequence, tenant_of
from gateway.cli.errors import Refused
from gateway.cli.options import Invocation, command


@command(None)
@click.option("--tenant", "slug", required=True, help="The tenant's slug.")
@click.argument("event_id")
async def show(call: Invocation, slug: str, event_id: str) -> None:
    """Show the event EVENT_ID of a tenant's log."""
    async with call.installation() as installation:
        await sequence(installation)
        tenant = await tenant_of(installation, slug)
        entry = await installation.audit_log.entry(tenant.id, event_id)
    if entry is None:
        raise Refused(f"there is no event {event_id!r} in the log of {slug}")
    call.output.item(fields_of(entry))
