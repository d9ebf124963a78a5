"""The audit event: its fields and its bytes, which are final from the first event on (rule 3).

Bytes are compact UTF-8 JSON with sorted keys, no floats and no nulls, hashed exactly as stored. A later release may add
fields; it never changes what a field means.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

Outcome = Literal["success", "refused", "notice"]
Details = dict[str, str | int | bool | list[str]]

_LONGEST_TEXT = 500
VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What happened, by whom, why. Never a secret: no token, code, password, header or query.

    ``type`` is dotted (``login.succeeded``); ``reason`` a snake_case code; ``count`` how many alike are told by this
    one event; ``actor`` who administered, where it is not the subject.
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
    count: int | None = None
    details: Mapping[str, str | int | bool | list[str]] = field(default_factory=dict)


_NAMES = tuple(entry.name for entry in fields(Event))
_JSON = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))


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
    for name in _NAMES:
        value = getattr(event, name)
        if isinstance(value, str):
            body[name] = value[:_LONGEST_TEXT]
        elif value is not None and value != {}:
            body[name] = _plain(value)
    return _JSON.encode(body).encode("utf-8", "backslashreplace")


def _plain(value: object) -> object:
    match value:
        case bool() | int():
            return value
        case str():
            return value[:_LONGEST_TEXT]
        case list() | tuple():
            return [_plain(item) for item in value]
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
    raise TypeError(f"an audit event holds no {type(value).__name__}")
