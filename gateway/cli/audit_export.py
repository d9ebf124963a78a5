"""``yett audit export``: a tenant's log as a file that can be verified without this installation, or as a table.

The file is policies/audit_file.py's; it is written as it is read, so a log of any length takes the same memory.
"""

import csv
import json
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import TextIO

import click

from gateway.cli.audit import fields_of, sequence, severity_option, tenant_of, types_option
from gateway.cli.errors import Refused
from gateway.cli.options import Invocation, command
from gateway.cli.written_file import STDOUT, written_file
from gateway.installation import Installation
from policies.audit_file import FiledEvent, written
from policies.severity import Severity
from tenants.audit_filed import Part, exported
from tenants.audit_log import Entry
from tenants.audit_selection import Selection
from tenants.audit_tree import LogIncomplete, SignedCheckpoint
from tenants.sealing import Unsealable
from tenants.tenant import Tenant

_PROGRESS_EVERY = 10_000
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")
_COLUMNS = [
    "position", "id", "time", "type", "severity", "outcome", "reason", "subject", "user_name", "client_id",
    "session_id", "actor", "request_id", "address", "route", "method", "path", "status", "count", "config", "details",
]  # fmt: skip


def _moment(_: click.Context, __: click.Parameter, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter("a time is written as 2026-11-30T08:00:00Z or 2026-11-30T09:00+01:00") from error
    if moment.tzinfo is None:
        raise click.BadParameter("a time needs its zone: write Z behind it where it is UTC")
    return moment


@command(None)
@click.option("--tenant", "slug", required=True, help="The tenant's slug.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="Written anew; - is standard output."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl", "csv"]),
    default="jsonl",
    show_default=True,
    help="jsonl can be verified; csv is a table to read.",
)
@click.option("--since", metavar="TIME", callback=_moment, help="Events from this time on, as 2026-11-30T08:00:00Z.")
@click.option("--until", metavar="TIME", callback=_moment, help="Events before this time.")
@types_option
@click.option("--subject", metavar="ID", help="Events of this user (id), client or API key.")
@severity_option
async def export(
    call: Invocation,
    slug: str,
    out: Path,
    form: str,
    since: datetime | None,
    until: datetime | None,
    types: tuple[str, ...],
    subject: str | None,
    severity: Severity | None,
) -> None:
    """Write a tenant's log, with the newest checkpoint and what proves it: `yett audit verify` checks the file.

    With --since, --until, --type, --subject or --severity each event bears a proof of its own, and that none is left
    out is not proved.
    """
    selection = Selection(since, until, types, subject, severity)
    async with call.installation() as installation:
        await sequence(installation)
        tenant = await tenant_of(installation, slug)
        checkpoint = await newest_checkpoint(installation, tenant)
        with written_file(out) as file:
            if form == "csv":
                entries = installation.audit_log.export(tenant.id, end=checkpoint.size, selection=selection)
                count = await _write_table(file, entries)
            else:
                log = installation.audit_log
                parts = exported(installation.database, log, tenant, checkpoint, selection)
                count = await _write(file, parts, checkpoint.size)
    if str(out) != STDOUT:
        facts = {"tenant": slug, "events": count, "size": checkpoint.size, "file": str(out)}
        call.output.say(f"exported {count} events of {slug} to {out}", **facts)


async def newest_checkpoint(installation: Installation, tenant: Tenant) -> SignedCheckpoint:
    """One of everything that the log has by now.

    Raises:
        Refused: the log or its key are not in order; with what is wrong.
    """
    try:
        return await installation.audit_tree.bring_up(tenant.id, tenant.slug)
    except (LogIncomplete, Unsealable) as error:
        raise Refused(str(error)) from error


async def _write(file: TextIO, parts: AsyncIterator[Part], size: int) -> int:
    count = 0
    try:
        async for part in parts:
            file.write(written(part) + "\n")
            if isinstance(part, FiledEvent):
                count += 1
                if count % _PROGRESS_EVERY == 0:
                    click.echo(f"{part.position + 1} of {size} events …", err=True)
    except LogIncomplete as error:
        raise Refused(str(error)) from error
    return count


async def _write_table(file: TextIO, entries: AsyncIterator[Entry]) -> int:
    table = csv.writer(file, lineterminator="\n")
    table.writerow(_COLUMNS)
    count = 0
    async for entry in entries:
        fields = fields_of(entry)
        table.writerow([_cell(fields.get(column)) for column in _COLUMNS])
        count += 1
        if count % _PROGRESS_EVERY == 0:
            click.echo(f"{count} events …", err=True)
    return count


def _cell(value: object) -> str:
    """A stranger's text must not be a formula in a spreadsheet."""
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"'{text}" if text.startswith(_FORMULAS) else text
