"""``/tenants/{slug}/audit``: what happened in a tenant, and the proof that its log says so."""

import json
from base64 import b64encode
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AwareDatetime, Field, JsonValue

from gateway.admin.cursor import PageQuery
from gateway.admin.document import Document, Page
from gateway.admin.errors import LogDamaged, ResourceNotFound, ValidationFailed
from gateway.admin.operation import Answer, Call, Operation
from policies.administration import AUDIT_READ
from policies.severity import Severity
from tenants.audit_filed import proved
from tenants.audit_proofs import AuditProofs
from tenants.audit_selection import Selection
from tenants.audit_tree import LogIncomplete

_MOST_TYPES = 50
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)  # in UTC, too
_LARGEST = 10**18 - 1  # as a checkpoint can say it
Size = Annotated[int, Field(ge=0, le=_LARGEST)]
Moment = Annotated[AwareDatetime, Field(ge=_FIRST, le=_LAST)]


class EventsQuery(PageQuery):
    """``type`` is one or several, with commas between; ``login.*`` is all below it."""

    since: Annotated[Moment, Field(description="The first moment.")] | None = None
    until: Annotated[Moment, Field(description="The first moment after.")] | None = None
    type: Annotated[str, Field(max_length=2000, description="As `login.refused,user.*`.")] | None = None
    subject: Annotated[str, Field(max_length=254, description="A user's id, or a client's.")] | None = None
    severity: Annotated[Severity, Field(description="The least.")] | None = None


class ConsistencyQuery(Document):
    """Sizes of the log. ``later`` None: that of the newest checkpoint."""

    earlier: Annotated[Size, Field(description="How many events the log had.")]
    later: (
        Annotated[Size, Field(description="How many it had then; as in the newest checkpoint by default.")] | None
    ) = None


class EventDocument(Document):
    """``event`` is as it was written; null where it was erased."""

    position: int
    event: dict[str, JsonValue] | None


class ProvedEvent(EventDocument):
    """``proof`` is a file as ``yett audit prove`` writes it: ``yett audit verify`` checks it offline."""

    log_size: int
    proof: str


class CheckpointDocument(Document):
    """``note`` is a C2SP signed note: how many events the log has, and their root. ``key`` verifies it."""

    size: int
    signed_at: datetime
    note: str
    key: str


class ConsistencyDocument(Document):
    """``proof`` is in base64, a hash each, as RFC 9162 section 2.1.4 has them. Who holds the checkpoints of both sizes
    can tell with it that the later log begins with all that the earlier one had.
    """

    earlier: int
    later: int
    proof: tuple[str, ...]


def _shown(position: int, event: bytes | None) -> EventDocument:
    return EventDocument(position=position, event=None if event is None else json.loads(event))


def _selection(query: EventsQuery) -> Selection:
    types = () if query.type is None else tuple(query.type.split(",")[:_MOST_TYPES])
    return Selection(query.since, query.until, types, query.subject, query.severity)


async def _list(call: Call) -> Answer:
    """Newest first. A page may have fewer events than were asked for, or none, and go on: a long log is looked through
    in portions.
    """
    place, query = call.place(), call.query
    before = None if place is None else int(place[0])
    found = await call.store.audit_reading.before(before, selection=_selection(query), limit=query.limit)
    shown = [_shown(row.position, row.event) for row in found.rows]
    return Answer(call.page(shown, None if found.goes_on_at is None else [found.goes_on_at]))


async def _read(call: Call) -> Answer:
    event_id, installation = str(call.uuid("event_id")), call.services.installation
    checkpoint = await installation.audit_tree.newest_checkpoint(call.tenant_id)
    if checkpoint is None:  # there is one within a second or two of an event
        raise ResourceNotFound
    try:
        found = await proved(installation.database, installation.audit_log, call.tenant, checkpoint, event_id)
    except LogIncomplete as error:
        raise LogDamaged(detail=str(error)) from error
    if found is None:
        raise ResourceNotFound
    shown = _shown(found.entry.position, found.entry.event).model_dump()
    return Answer(ProvedEvent(**shown, log_size=checkpoint.size, proof=found.file))


async def _checkpoint(call: Call) -> Answer:
    tree = call.services.installation.audit_tree
    newest, key = await tree.newest_checkpoint(call.tenant_id), await tree.verifier(call.tenant_id)
    if newest is None or key is None:
        raise ResourceNotFound
    return Answer(CheckpointDocument(size=newest.size, signed_at=newest.signed_at, note=newest.note, key=key.text()))


async def _consistency(call: Call) -> Answer:
    installation, asked = call.services.installation, call.query
    newest = await installation.audit_tree.newest_checkpoint(call.tenant_id)
    if newest is None:
        raise ResourceNotFound
    later = newest.size if asked.later is None else asked.later
    if later > newest.size:
        raise ValidationFailed([{"detail": f"the newest checkpoint has {newest.size} events, not {later}"}])
    if asked.earlier > later:
        raise ValidationFailed([{"detail": f"a log of {later} events continues none of {asked.earlier}"}])
    try:
        proof = await AuditProofs(installation.database, call.tenant_id, later).consistency(asked.earlier)
    except LogIncomplete as error:
        raise LogDamaged(detail=str(error)) from error
    texts = tuple(b64encode(each).decode() for each in proof)
    return Answer(ConsistencyDocument(earlier=asked.earlier, later=later, proof=texts))


_EVENTS = "/tenants/{slug}/audit/events"
OPERATIONS = (
    Operation(
        "list_events",
        "GET",
        _EVENTS,
        AUDIT_READ,
        "List audit events, newest first; a page may be short and go on",
        _list,
        answer=Page[EventDocument],
        query=EventsQuery,
    ),
    Operation(
        "read_event",
        "GET",
        f"{_EVENTS}/{{event_id}}",
        AUDIT_READ,
        "Show an audit event with the proof that it is in the log",
        _read,
        answer=ProvedEvent,
        refusals=(LogDamaged, ResourceNotFound),
    ),
    Operation(
        "read_checkpoint",
        "GET",
        "/tenants/{slug}/audit/checkpoint",
        AUDIT_READ,
        "Show the newest checkpoint of the log, and the key that verifies it",
        _checkpoint,
        answer=CheckpointDocument,
        refusals=(ResourceNotFound,),
    ),
    Operation(
        "prove_consistency",
        "GET",
        "/tenants/{slug}/audit/consistency",
        AUDIT_READ,
        "Prove that the log of one size begins with all that it had at an earlier one",
        _consistency,
        answer=ConsistencyDocument,
        query=ConsistencyQuery,
        refusals=(LogDamaged, ResourceNotFound),
    ),
)
