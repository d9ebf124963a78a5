"""Entries of a log as they stand in a file, and the file that proves one of them."""

from dataclasses import dataclass

from policies.audit_file import End, FiledEvent, Header, written
from tenants.audit_log import AuditLog, Entry
from tenants.audit_proofs import AuditProofs
from tenants.audit_tree import SignedCheckpoint
from tenants.database import Database
from tenants.tenant import Tenant


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
