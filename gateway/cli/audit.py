"""``yett audit``: the newest events; and what the other commands of this group share."""

import json
from typing import Any

import click

from gateway.cli.errors import Refused
from gateway.cli.options import Invocation, command
from gateway.installation import Installation
from policies.severity import LEVELS, Severity
from tenants.audit_log import BATCH, Entry
from tenants.audit_selection import Selection
from tenants.tenant import Tenant

_COLUMNS = [
    "time",
    "tenant",
    "type",
    "severity",
    "reason",
    "subject",
    "user_name",
    "client_id",
    "address",
    "route",
    "status",
    "count",
    "request_id",
]


types_option = click.option(
    "--type",
    "types",
    metavar="TYPE",
    multiple=True,
    help="Events of this type, or of all below it with login.* for example; may be repeated.",
)
severity_option = click.option(
    "--severity", type=click.Choice(LEVELS), help="Events of this severity or a higher one. Most have none."
)


@click.group()
def audit() -> None:
    """List, export and prove the audit log."""


async def sequence(installation: Installation) -> None:
    """What waits in the outbox belongs to the answer too, whether a server runs or not."""
    while await installation.audit_log.sequence(wait=True) >= BATCH:  # of a busy one something waits at any time
        pass


async def tenant_of(installation: Installation, slug: str) -> Tenant:
    """The tenant of this slug.

    Raises:
        Refused: there is none.
    """
    tenant = await installation.directory.find(slug)
    if tenant is None:
        raise Refused(f"there is no tenant {slug!r}; `yett tenant list` shows those that there are")
    return tenant


def fields_of(entry: Entry) -> dict[str, Any]:
    """What is shown of an entry."""
    if entry.event is None:
        return {"tenant": entry.tenant, "position": entry.position, "type": "(erased)"}
    return {**json.loads(entry.event), "tenant": entry.tenant, "position": entry.position}


@command(audit, "list")
@click.option("--tenant", "slug", help="One tenant's. Default: all, the platform's too.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10_000), help="The newest so many.")
@types_option
@severity_option
async def list_(
    call: Invocation, slug: str | None, limit: int, types: tuple[str, ...], severity: Severity | None
) -> None:
    """List the newest events, oldest first."""
    selection = Selection(types=types, severity=severity)
    async with call.installation() as installation:
        await sequence(installation)
        tenant_id = None if slug is None else (await tenant_of(installation, slug)).id
        entries = await installation.audit_log.newest(tenant_id, limit=limit, selection=selection)
    call.output.table([fields_of(entry) for entry in entries], _COLUMNS)
