"""Entries of a log as they stand in a file: all of them, a selection, and the file that proves one."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from policies.audit_file import Block, End, FiledEvent, Header, Kind, written
from policies.merkle import TILE
from tenants.audit_log import AuditLog, Entry
from tenants.audit_proofs import AuditProofs
from tenants.audit_selection import Selection
from tenants.audit_tree import LogIncomplete, SignedCheckpoint
from tenants.database import Database
from tenants.tenant import Tenant

Part = Header | FiledEvent | Block | End


@dataclass(frozen=True, slots=True)
class ProvedEntry:
    """``file`` is what ``yett audit verify`` takes."""

    entry: Entry
    file: str


def filed(entry: Entry, proof: list[bytes] | None = None) -> FiledEvent:
    """The entry as it stands in a file."""
    event = None if entry.event is None else entry.event.decode()
    return FiledEvent(entry.position, entry.leaf, entry.salt, event, proof)


async def proved(
    database: Database, log: AuditLog, tenant: Tenant, checkpoint: SignedCheckpoint, event_id: str
) -> ProvedEntry | None:
    """The event with the proof that it is in the log of this checkpoint (RFC 9162 section 2.1.3); None where it is not.

    Raises:
        LogIncomplete: rows of the log are missing.
    """
    entry = await log.entry(tenant.id, event_id)
    if entry is None or entry.position >= checkpoint.size:
        return None
    proof = await AuditProofs(database, tenant.id, checkpoint.size).inclusion(entry.position)
    parts = (Header("events", tenant.slug, checkpoint.note, {"id": event_id}), filed(entry, proof), End(1))
    return ProvedEntry(entry, "".join(written(part) + "\n" for part in parts))


async def exported(
    database: Database, log: AuditLog, tenant: Tenant, checkpoint: SignedCheckpoint, selection: Selection
) -> AsyncIterator[Part]:
    """The log of this checkpoint, proved in blocks; or what ``selection`` takes of it, each event with its own proof.
    In constant memory, and without a transaction between two steps.

    Raises:
        LogIncomplete: rows of the log are missing.
    """
    proofs, told, count = AuditProofs(database, tenant.id, checkpoint.size), selection.told(), 0
    kind: Kind = "events" if told else "log"
    yield Header(kind, tenant.slug, checkpoint.note, told or None)
    async for entry in log.export(tenant.id, end=checkpoint.size, selection=selection):
        if told:
            yield filed(entry, await proofs.inclusion(entry.position))
        else:
            if entry.position != count:
                raise LogIncomplete(tenant.id, count, entry.position)
            yield filed(entry)
        count += 1
        if not told and (count % TILE == 0 or count == checkpoint.size):
            block = (count - 1) // TILE
            yield Block(block, await proofs.block(block))
    if told:
        yield End(count)
    elif count != checkpoint.size:
        raise LogIncomplete(tenant.id, count, checkpoint.size)
