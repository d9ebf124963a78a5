"""``yett audit``: the log as it stands, newest events or a tenant's whole."""

import base64
import json
import os
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from gateway.cli.errors import Refused
from gateway.cli.options import Invocation, command
from gateway.installation import Installation
from tenants.audit_log import Entry

_COLUMNS = [
    "time",
    "tenant",
    "type",
    "reason",
    "subject",
    "user_name",
    "client_id",
    "route",
    "status",
    "count",
    "request_id",
]
_FILE = click.Path(dir_okay=False, path_type=Path)
_PROGRESS_EVERY = 10_000


@click.group()
def audit() -> None:
    """List and export the audit log."""


def _fields(entry: Entry) -> dict[str, Any]:
    if entry.event is None:
        return {"tenant": entry.tenant, "position": entry.position, "type": "(erased)"}
    return {**json.loads(entry.event), "tenant": entry.tenant, "position": entry.position}


async def _sequence(installation: Installation) -> None:
    """What waits in the outbox belongs to the answer too, whether a server runs or not."""
    while await installation.audit_log.sequence():
        pass


async def _tenant_id(installation: Installation, slug: str) -> UUID:
    tenant = await installation.directory.find(slug)
    if tenant is None:
        raise Refused(f"there is no tenant {slug!r}; `yett tenant list` shows those that there are")
    return tenant.id


@command(audit, "list")
@click.option("--tenant", "slug", help="One tenant's. Default: all, the platform's too.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10_000), help="The newest so many.")
async def list_(call: Invocation, slug: str | None, limit: int) -> None:
    """List the newest events, oldest first."""
    async with call.installation() as installation:
        await _sequence(installation)
        tenant_id = None if slug is None else await _tenant_id(installation, slug)
        entries = await installation.audit_log.newest(tenant_id, limit=limit)
    call.output.table([_fields(entry) for entry in entries], _COLUMNS)


@command(audit)
@click.option("--tenant", "slug", required=True, help="The tenant's slug.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="Written anew; - is standard output."
)
async def export(call: Invocation, slug: str, out: Path) -> None:
    """Write a tenant's whole log as JSON lines: position, leaf hash, salt, and the event exactly as it was hashed."""
    count = 0
    async with call.installation() as installation:
        await _sequence(installation)
        tenant_id = await _tenant_id(installation, slug)
        with click.open_file(str(out), "w", encoding="utf-8", atomic=str(out) != "-") as file:
            async for entry in installation.audit_log.export(tenant_id):
                file.write(_line(entry) + os.linesep)
                count += 1
                if count % _PROGRESS_EVERY == 0:
                    click.echo(f"{count} events …", err=True)
    if str(out) != "-":
        call.output.say(f"exported {count} events of {slug} to {out}", tenant=slug, events=count, file=str(out))


def _line(entry: Entry) -> str:
    body = {
        "tenant": entry.tenant,
        "position": entry.position,
        "leaf": base64.b64encode(entry.leaf).decode(),
        "salt": None if entry.salt is None else base64.b64encode(entry.salt).decode(),
        "event": None if entry.event is None else entry.event.decode(),
    }
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))
