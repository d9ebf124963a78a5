"""``yett tenant export``: all of a tenant that can move to another installation, in one file."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import UUID, uuid4

import click

from gateway.cli.errors import Refused
from gateway.cli.import_check import progress
from gateway.cli.options import Invocation, actor, command
from gateway.cli.passphrase import passphrase_option, read_passphrase
from gateway.cli.written_file import STDOUT, written_file
from gateway.installation import Installation
from tenants.archive_file import ArchiveWriter
from tenants.archive_header import header_of
from tenants.archive_seal import SALT_BYTES, ArchiveSeal
from tenants.audit_event import Event
from tenants.directory import PLATFORM
from tenants.tenant import Tenant


@command(None, "export")
@click.argument("slug")
@click.option(
    "--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The file; - is standard output."
)
@click.option("--keys", is_flag=True, help="Its signing keys, too, so that tokens and JWKS go on as they are.")
@click.option(
    "--without-secrets",
    is_flag=True,
    help="No passphrase, and so no authenticators and no recovery codes: people log in with their password alone.",
)
@passphrase_option
async def export(call: Invocation, slug: str, out: Path, keys: bool, without_secrets: bool, from_stdin: bool) -> None:
    """Write the tenant SLUG into a file: settings, roles, clients, API keys, users with password hashes and factors.

    Whoever has the file can try passwords out on its hashes. Secrets of authenticators and signing keys are sealed
    under a passphrase, which also proves the file unaltered. Sessions, devices, letters and the audit log stay: `yett
    audit export` writes the log.
    """
    if without_secrets and (keys or from_stdin):
        raise click.UsageError("--without-secrets excludes --keys and --passphrase-stdin")
    if slug == PLATFORM:
        raise Refused("the platform tenant stays where it is: each installation has its own")
    async with call.installation() as installation:
        found = await installation.directory.find(slug)
        if found is None:
            raise Refused(f"there is no tenant {slug!r}; `yett tenant list` shows those that there are")
        archive = uuid4()
        sealed = None if without_secrets else _Sealed.under(read_passphrase(from_stdin=from_stdin, anew=True), archive)
        await _tell(installation, found, archive, keys=keys, secrets=sealed is not None)
        with written_file(out) as file:
            counts = await _write(installation, found, file.buffer, archive, sealed, keys=keys)
            file.buffer.flush()
    if str(out) != STDOUT:
        said = _sentence(slug, out, counts, secrets=sealed is not None, keys=keys)
        call.output.say(said, out=str(out), archive=archive, counts=counts)


@dataclass(frozen=True, slots=True)
class _Sealed:
    seal: ArchiveSeal
    salt: bytes

    @classmethod
    def under(cls, passphrase: str, archive: UUID) -> "_Sealed":
        salt = os.urandom(SALT_BYTES)
        return cls(ArchiveSeal.under(passphrase, archive=archive, salt=salt), salt)


async def _tell(installation: Installation, found: Tenant, archive: UUID, *, keys: bool, secrets: bool) -> None:
    """Before anything is read: nobody has the file and no event."""
    for tenant_id in (found.id, (await installation.platform()).id):
        async with installation.store.for_tenant(tenant_id) as store:
            await store.audit.add(
                Event(
                    type="tenant.exported",
                    outcome="success",
                    actor=actor(),
                    details={"slug": found.slug, "archive": str(archive), "keys": keys, "secrets": secrets},
                )
            )


async def _write(
    installation: Installation, found: Tenant, file: BinaryIO, archive: UUID, sealed: _Sealed | None, *, keys: bool
) -> Mapping[str, int]:
    seal = None if sealed is None else sealed.seal
    async with installation.store.for_tenant(found.id, at_one_moment=True) as store:
        tenant = await store.settings.get()
        if tenant is None:
            raise Refused(f"{found.slug} has been deleted meanwhile")
        salt = None if sealed is None else sealed.salt
        writer = ArchiveWriter(file, header_of(tenant, archive, installation.clock(), salt, seal), seal)
        with progress("exporting", await store.archive.size()) as bar:
            async for kind, body in store.archive.lines(seal, keys=keys):
                writer.add(kind, body)
                bar.update(1)
    return writer.end()


def _sentence(slug: str, out: Path, counts: Mapping[str, int], *, secrets: bool, keys: bool) -> str:
    users, clients = counts.get("user", 0), counts.get("client", 0)
    said = f"wrote {users:,} users and {clients:,} clients of {slug} to {out}"
    if not secrets:
        return f"{said}; no authenticators, no recovery codes and no signing keys are in it"
    return f"{said}, with {counts.get('key', 0)} signing keys" if keys else f"{said}; no signing keys are in it"
