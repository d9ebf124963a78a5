"""From the log to records: which of its entries a sink wants, and the forms of what is no whole event.

An entry that was erased is told of by what stands: its id, type, time and leaf (``"erased": true``). A checkpoint is
told with the note as it was signed, which ``yett audit verify --checkpoint`` takes.
"""

import base64
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from gateway.settings import Sink
from gateway.settings.sink import EVERY_TYPE
from gateway.sinks.ocsf import ocsf
from gateway.sinks.ocsf_types import CHECKPOINT
from gateway.sinks.record import Body, Record, compact, parsed, plain
from policies.checkpoint import Checkpoint
from tenants.sink_batch import Queued, QueuedCheckpoint

_FORMS = {"ocsf": ocsf, "yett": plain}


def wants(types: Sequence[str], one: str) -> bool:
    """Whether a sink with these ``types`` has events of this one."""
    return any(
        wanted in (EVERY_TYPE, one) or (wanted.endswith(".*") and one.startswith(wanted.removesuffix("*")))
        for wanted in types
    )


def record_of(entry: Queued, sink: Sink) -> Record | None:
    """What is sent of an entry; None where it is of a type that the sink has not."""
    if not wants(sink.types, entry.type):
        return None
    event = _what_stands(entry) if entry.event is None else parsed(entry.event)
    return _record(event, sink, entry.slug, entry.position)


def checkpoint_record(checkpoint: QueuedCheckpoint, sink: Sink) -> Record:
    """What is sent of a checkpoint. Its id is the hash of the note, so that one of another history has another."""
    note = checkpoint.note
    read = Checkpoint.parse(note.partition("\n\n")[0] + "\n")
    event = {
        "id": hashlib.sha256(note.encode()).hexdigest(),
        **_head(checkpoint.tenant_id, checkpoint.signed_at, CHECKPOINT),
        "origin": read.origin,
        "size": read.size,
        "root": base64.b64encode(read.root).decode(),
        "note": note,
    }
    return _record(event, sink, checkpoint.slug, None)


def _record(event: Body, sink: Sink, slug: str, position: int | None) -> Record:
    return Record(slug, position, event, compact(_FORMS[sink.format](event, slug, position)))


def _what_stands(entry: Queued) -> Body:
    leaf = base64.b64encode(entry.leaf).decode()
    return {"id": entry.id, **_head(entry.tenant_id, entry.at, entry.type), "erased": True, "leaf": leaf}


def _head(tenant_id: UUID, at: datetime, type_: str) -> Body:
    time = at.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"
    return {"tenant_id": str(tenant_id), "time": time, "type": type_}
