"""``yett tenant import``: a tenant of another installation, whole or not at all.

The file is read twice: all of it is judged before the first row is written, then it is written in small transactions,
between which others write. Until the last one the tenant is suspended, has no key to sign with, and is to be deleted:
at once where the import fails, by a serving process where this one is killed. The first reading is archive_check.py's.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

import click

from gateway import urls
from gateway.cli.archive_check import Archive, Checked, check, rows_of
from gateway.cli.errors import Refused
from gateway.cli.import_check import progress
from gateway.cli.options import Invocation, actor, command
from gateway.cli.passphrase import passphrase_option
from gateway.cli.turns import WANTED_SECONDS, Turns
from gateway.free_issuer import free_issuer
from gateway.installation import Installation
from tenants import deletion
from tenants.archive_file import ArchiveReader, Line
from tenants.archive_known import Known, Row
from tenants.audit_event import Details, Event
from tenants.database import DATABASE_ERRORS
from tenants.errors import InvalidValue, StoreError
from tenants.lifetimes import Lifetimes
from tenants.seen_keys import SeenKeys

_STAYS: Final = frozenset({"api_key", "key"})
"""With the tenant that has them: an API key names it, and each tenant signs with its own."""

_FEWEST, _FIRST, _MOST = 50, 200, 2000
UNTIL_GONE: Final = timedelta(days=1)
"""After which what a killed import has left is deleted."""


@dataclass(frozen=True, slots=True)
class Begun:
    """The tenant as it is made. ``gone_at`` is when it is deleted, unless the import comes to its end. It ``moves``
    where no tenant here has its id: then that stays, and signing keys and API keys come along.
    """

    import_id: UUID
    id: UUID
    slug: str
    issuer: str
    gone_at: datetime
    moves: bool


@command(None, "import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--slug", help="Another than it had.")
@click.option(
    "--issuer",
    metavar="URL",
    help="https:// and a host that it gets to itself. Default: below public_url, /t/SLUG.",
)
@click.option("--dry-run", is_flag=True, help="Check every line, write nothing.")
@passphrase_option
async def import_tenant(
    call: Invocation, file: Path, slug: str | None, issuer: str | None, dry_run: bool, from_stdin: bool
) -> None:
    """Make the tenant that `yett tenant export` has written into FILE. It must not be there yet.

    Every line that cannot be imported is told with its number, and then nothing is written. Users keep their ids,
    passwords and factors, and log in anew. The audit log begins anew, too.
    """
    async with call.installation() as installation:
        archive = Archive.of(file, from_stdin=from_stdin)
        name = archive.tenant.slug if slug is None else slug
        wanted = await _refuse_if_taken(installation, name, issuer)
        checked = check(archive)
        tenant_id, keeps_id = await _free_id(installation, archive.tenant.id)
        if not keeps_id:
            click.echo(
                "yett: warning: the tenant that was exported is here still, so this one gets an id of its own, and its "
                f"{checked.counts['api_key']} API keys and {checked.counts['key']} signing keys stay with that one",
                err=True,
            )
        if archive.tenant.issuer != wanted:
            click.echo(
                f"yett: warning: its issuer was {archive.tenant.issuer} and is {wanted} now: applications and APIs "
                "have to be told",
                err=True,
            )
        if dry_run:
            said = f"{name} can be imported: {_summed(checked)}"
            call.output.say(said, slug=name, issuer=wanted, counts=checked.counts, dry_run=True)
            return
        begun = Begun(uuid4(), tenant_id, name, wanted, installation.clock() + UNTIL_GONE, moves=keeps_id)
        if not call.output.as_json:
            click.echo(f"import {begun.import_id} of {file}", err=True)
        await bring_in(installation, archive, checked, begun)
    call.output.say(
        f"imported {name}, issuer {wanted}: {_summed(checked)}",
        slug=name,
        issuer=wanted,
        id=tenant_id,
        import_id=begun.import_id,
        counts=checked.counts,
    )


async def _refuse_if_taken(installation: Installation, slug: str, issuer: str | None) -> str:
    """The issuer that it will have."""
    if not urls.is_slug(slug):
        raise Refused(f"{slug!r} is not a slug: 1 to 63 of a-z 0-9 and inner hyphens; say another with --slug")
    if not urls.may_be_named(slug):
        raise Refused(f"{slug!r} is reserved; say another with --slug")
    if await installation.directory.find(slug) is not None:
        raise Refused(f"tenant {slug!r} exists already; say another slug with --slug, or delete that one first")
    return await free_issuer(installation, slug, issuer)


async def _free_id(installation: Installation, wanted: UUID) -> tuple[UUID, bool]:
    """The id that it had, and True, where no tenant here has it."""
    async with installation.store.for_tenant(wanted, read_only=True) as store:
        taken = await store.settings.get() is not None
    return (uuid4(), False) if taken else (wanted, True)


async def bring_in(installation: Installation, archive: Archive, checked: Checked, begun: Begun) -> None:
    """All of it, or nothing: what fails on the way is undone.

    Raises:
        Refused: the file is not what it was when it was checked.
        StoreError: somebody was faster, or has meddled with the tenant.
    """
    await create(installation, archive, begun)
    try:
        await _write(installation, archive, checked, begun)
    except BaseException:
        try:
            await _undo(installation, begun)
        except (StoreError, *DATABASE_ERRORS):
            click.echo("yett: what is there already could not be taken back: deleted within a day", err=True)
        raise


async def create(installation: Installation, archive: Archive, begun: Begun) -> None:
    tenant = archive.tenant
    async with installation.store.for_tenant(begun.id) as store:
        await store.settings.create(
            slug=begun.slug,
            name=tenant.name,
            issuer=begun.issuer,
            signing_alg=tenant.signing_alg,
            gone_at=begun.gone_at,
            audit_events=Lifetimes.from_seconds(tenant.lifetimes).audit_events,
        )
        its_own = {name: seconds for name, seconds in tenant.lifetimes.items() if name != "audit_events"}
        await store.settings.set_lifetimes(its_own)
        await store.settings.set_people(tenant.people)
        await store.settings.set_branding(tenant.branding)
        await store.settings.set_provider(tenant.provider)
        await store.settings.set_detections(tenant.detections)
        details: Details = {"slug": begun.slug, "issuer": begun.issuer, "signing_alg": tenant.signing_alg}
        details["import"] = str(begun.import_id)
        await store.audit.add(Event(type="tenant.created", outcome="success", actor=actor(), details=details))


async def _write(installation: Installation, archive: Archive, checked: Checked, begun: Begun) -> None:
    size, turns = _FIRST, Turns(polite=installation.database.is_sqlite)
    last: list[Row] = []  # signing keys come with the end, so that nobody gets a token before
    with archive.path.open("rb") as file, SeenKeys() as seen, progress("importing", checked.lines) as bar:
        reader = ArchiveReader(file)
        found = _good(rows_of(archive, Known(archive.seal, seen), reader))
        while batch := _batch(found, size):
            archive.refuse_if_changed()
            bar.update(len(batch))
            if not begun.moves:
                batch = [(line, rows) for line, rows in batch if line.kind not in _STAYS]
            last += [row for line, rows in batch if line.kind == "key" for row in rows]
            async with turns.next(), installation.store.for_tenant(begun.id) as store:
                await store.archive.write(row for line, rows in batch if line.kind != "key" for row in rows)
            size = int(min(_MOST, max(_FEWEST, size * WANTED_SECONDS / turns.took)))
        if reader.digest != checked.digest:
            raise Refused(f"{archive.path} has changed since it was checked")
    await _finish(installation, archive, checked, begun, last)


def _batch(found: Iterator[tuple[Line, list[Row]]], rows: int) -> list[tuple[Line, list[Row]]]:
    """The next lines, of so many rows: one line may be of thousands."""
    batch: list[tuple[Line, list[Row]]] = []
    while rows > 0 and (one := next(found, None)) is not None:
        batch.append(one)
        rows -= len(one[1])
    return batch


def _good(found: Iterator[tuple[Line, list[Row]]]) -> Iterator[tuple[Line, list[Row]]]:
    """Raises Refused for what the first reading did not find."""
    try:
        yield from found
    except InvalidValue as error:
        raise Refused(f"the file was in order when it was checked, and is not now: {error}") from error


async def _finish(
    installation: Installation, archive: Archive, checked: Checked, begun: Begun, keys: list[Row]
) -> None:
    tenant = archive.tenant
    told = Event(
        type="tenant.imported",
        outcome="success",
        actor=actor(),
        count=checked.counts["user"],
        details={
            "slug": begun.slug,
            "tenant": str(begun.id),
            "import": str(begun.import_id),
            "archive": str(tenant.archive),
            "sha256": checked.digest.hex(),
            "from_slug": tenant.slug,
            "from_issuer": tenant.issuer,
            "keys": bool(keys),
        },
    )
    async with installation.store.for_tenant(begun.id) as store:
        await (store.archive.write(keys) if keys else store.keys.create_first(tenant.signing_alg))
        await store.settings.set_default_client(tenant.default_client)
    platform = (await installation.platform()).id
    await deletion.take_back(
        installation.database,
        begun.id,
        begun.gone_at,
        active=tenant.active,
        told={begun.id: told, platform: told},
        now=installation.clock(),
    )


async def _undo(installation: Installation, begun: Begun) -> None:
    """Nothing of it stays but the event of its deletion."""
    now, platform = installation.clock(), (await installation.platform()).id
    doomed = deletion.Doomed(begun.id, begun.slug, begun.issuer)
    await deletion.order(installation.database, doomed, now, platform=platform, now=now, actor=actor())
    await deletion.carry_out(installation.database, doomed, platform=platform, now=now, actor=actor())


def _summed(checked: Checked) -> str:
    named = (("user", "users"), ("client", "clients"), ("role", "roles"), ("group", "groups"), ("key", "signing keys"))
    return ", ".join(f"{checked.counts[kind]:,} {name}" for kind, name in named)
