"""The audit event: its fields and its bytes, which are final from the first event on (rule 3).

Bytes are compact UTF-8 JSON with sorted keys, no floats and no nulls, hashed exactly as stored. A later release may add
fields; it never changes what a field means.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final, Literal, NamedTuple
from uuid import UUID

from policies.severity import Severity
from tenants.compact_json import compact_sorted

Outcome = Literal["success", "refused", "notice"]
Detail = str | int | bool | list[str]
Details = dict[str, Detail]
NO_DETAILS: Final[Mapping[str, Detail]] = MappingProxyType({})

_LONGEST_TEXT = 500
VERSION = 1


class Event(NamedTuple):  # of many fields, and made for each request: a frozen dataclass takes four times as long
    """What happened, by whom, why. Never a secret: no token, code, password, header or query.

    ``type`` is dotted (``login.succeeded``); ``reason`` a snake_case code; ``count`` how many alike are told by this
    one event; ``actor`` who administered, where it is not the subject; ``config`` the digest of the configuration that
    decided. ``severity`` follows from the others, and is the outbox's to say (``policies.severity``).
    """

    type: str
    outcome: Outcome
    reason: str | None = None
    subject: str | None = None
    user_name: str | None = None
    client_id: str | None = None
    session_id: str | None = None
    actor: str | None = None
    request_id: str | None = None
    address: str | None = None
    route: str | None = None
    method: str | None = None
    path: str | None = None
    status: int | None = None
    count: int | None = None  # type: ignore[assignment]  # in place of a tuple's own, which nobody asks an event for
    config: str | None = None
    details: Mapping[str, Detail] = NO_DETAILS
    severity: Severity | None = None


_SAID: Final = Event._fields


def encode(event: Event, *, event_id: UUID, tenant_id: UUID, at: datetime) -> bytes:
    """The event's bytes. Text is cut at 500 characters, so that no stranger decides how large an event is.

    Raises:
        TypeError: a value that is neither text, integer, truth nor list of text.
        ValueError: a time without a zone.
    """
    if at.tzinfo is None:
        raise ValueError("an event's time has a zone")
    body: dict[str, object] = {
        "v": VERSION,
        "id": str(event_id),
        "tenant_id": str(tenant_id),
        "time": at.astimezone(UTC).isoformat(timespec="microseconds")[: -len("+00:00")] + "Z",
    }
    for name, value in zip(_SAID, event, strict=True):
        if value is not None:
            body[name] = value[:_LONGEST_TEXT] if isinstance(value, str) else _plain(value)
    if not event.details:
        del body["details"]
    return compact_sorted(body)


def _plain(value: object) -> object:
    match value:
        case str():
            return value[:_LONGEST_TEXT]
        case bool() | int():
            return value
        case list() | tuple():
            return [_plain(item) for item in value]
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
    raise TypeError(f"an audit event holds no {type(value).__name__}")
