"""``yett audit key|checkpoint|prove|consistency``: what auditors hold, and proofs of single events and of two
checkpoints. `yett audit verify` checks them elsewhere.
"""

import re
from pathlib import Path

import click

from gateway.cli.audit import sequence, tenant_of
from gateway.cli.audit_export import newest_checkpoint
from gateway.cli.errors import Refused
from gateway.cli.options import Invocation, command
from gateway.cli.written_file import STDOUT, written_file
from gateway.installation import Installation
from policies.audit_file import Header, written
from policies.checkpoint import Checkpoint, MalformedCheckpoint
from policies.merkle_proof import consistent
from tenants.audit_filed import proved
from tenants.audit_proofs import AuditProofs
from tenants.audit_tree import LogIncomplete
from tenants.signed_note import LARGEST_NOTE, NotSigned, VerifierKey
from tenants.tenant import Tenant

_tenant = click.option("--tenant", "slug", required=True, help="The tenant's slug.")
_out = click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=STDOUT,
    help="Written anew. Default: standard output.",
)
_ORIGIN = re.compile(r"[^\s]{1,300}/t/([a-z0-9-]{1,63})/audit")
_NOTE = click.Path(exists=True, dir_okay=False, path_type=Path)


@command(None, "key")
@_tenant
@_out
async def verifier_key(call: Invocation, slug: str, out: Path) -> None:
    """Write the public key that verifies a tenant's checkpoints, as name+hash+base64 (C2SP signed note).

    Hand it to auditors once, by a way that whoever runs this installation cannot change afterwards.
    """
    async with call.installation() as installation:
        tenant = await tenant_of(installation, slug)
        key = await _key_of(installation, tenant)
    _put(call, out, key.text() + "\n", f"the key of {slug}", name=key.name, key=key.text())


@command(None)
@_tenant
@_out
async def checkpoint(call: Invocation, slug: str, out: Path) -> None:
    """Write a tenant's newest checkpoint: how many events the log has, and their root, signed.

    Whoever holds it can tell from any later export whether these events were altered since.
    """
    async with call.installation() as installation:
        await sequence(installation)
        tenant = await tenant_of(installation, slug)
        newest = await newest_checkpoint(installation, tenant)
    _put(call, out, newest.note, f"a checkpoint of {newest.size} events of {slug}", size=newest.size, note=newest.note)


@command(None)
@click.argument("event_id")
@_tenant
@_out
async def prove(call: Invocation, event_id: str, slug: str, out: Path) -> None:
    """Write the event EVENT_ID with the proof that it is in the tenant's log (RFC 9162 section 2.1.3)."""
    async with call.installation() as installation:
        await sequence(installation)
        tenant = await tenant_of(installation, slug)
        newest = await newest_checkpoint(installation, tenant)
        try:
            found = await proved(installation.database, installation.audit_log, tenant, newest, event_id)
        except LogIncomplete as error:
            raise Refused(str(error)) from error
    if found is None:
        raise Refused(f"there is no event {event_id!r} in the log of {slug}")
    position, text = found.entry.position, found.file
    _put(call, out, text, f"the proof of event {position} of {slug}", position=position, proof=text)


@command(None)
@click.argument("earlier", type=_NOTE)
@click.argument("later", type=_NOTE)
@_out
async def consistency(call: Invocation, earlier: Path, later: Path, out: Path) -> None:
    """Write the proof that the log of the checkpoint LATER continues the one of EARLIER (RFC 9162 section 2.1.4).

    Both are files that `yett audit checkpoint` wrote. Where the log cannot prove it, the exit code is 1.
    """
    notes = [_note(path) for path in (earlier, later)]
    slug = _slug_in(notes[0], earlier)
    async with call.installation() as installation:
        tenant = await tenant_of(installation, slug)
        newest = await newest_checkpoint(installation, tenant)
        key = await _key_of(installation, tenant)
        before, after = (_opened(key, note, path) for note, path in zip(notes, (earlier, later), strict=True))
        if before.size > after.size:
            raise Refused(f"{earlier} is the later one of the two: it has {before.size} events, {later} {after.size}")
        if after.size > newest.size:
            raise Refused(
                f"{later} has {after.size} events, and the log of {slug} only {newest.size}: its end was cut off, or "
                "the database is an older one"
            )
        try:
            proof = await AuditProofs(installation.database, tenant.id, after.size).consistency(before.size)
        except LogIncomplete as error:
            raise Refused(str(error)) from error
    if not consistent(before.size, before.root, after.size, after.root, proof):
        raise Refused(f"the log of {slug} does not prove it: {earlier} and {later} are of two histories")
    text = written(Header("consistency", slug, notes[1], earlier=notes[0], proof=proof)) + "\n"
    said = f"the proof that {after.size} events of {slug} continue the first {before.size}"
    _put(call, out, text, said, earlier=before.size, later=after.size, proof=text)


async def _key_of(installation: Installation, tenant: Tenant) -> VerifierKey:
    key = await installation.audit_tree.verifier(tenant.id)
    if key is None:  # before the first checkpoint
        await newest_checkpoint(installation, tenant)
        key = await installation.audit_tree.verifier(tenant.id)
    if key is None:
        raise Refused(f"the tenant {tenant.slug!r} is gone")
    return key


def _note(path: Path) -> str:
    with path.open("rb") as file:
        found = file.read(LARGEST_NOTE + 1)
    try:
        return found.decode()
    except UnicodeDecodeError:
        raise Refused(f"{path} is no checkpoint: it is not UTF-8") from None


def _slug_in(note: str, path: Path) -> str:
    """Whose log it is: its name ends with the tenant's slug."""
    named = _ORIGIN.fullmatch(note.partition("\n")[0])
    if named is None:
        raise Refused(f"{path} is no checkpoint of a tenant's log")
    return named[1]


def _opened(key: VerifierKey, note: str, path: Path) -> Checkpoint:
    try:
        return key.opened(note)
    except (MalformedCheckpoint, NotSigned) as error:
        raise Refused(f"{path}: {error}") from error


def _put(call: Invocation, out: Path, text: str, what: str, **facts: object) -> None:
    if str(out) == STDOUT:
        if call.output.as_json:
            call.output.say("", **facts)
        else:
            click.echo(text, nl=False)
        return
    with written_file(out) as file:
        file.write(text)
    call.output.say(f"wrote {what} to {out}", **facts, file=str(out))
