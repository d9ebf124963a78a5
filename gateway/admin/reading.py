"""What a request asks, read strictly: its query, its body, and the fields that say under which condition."""

from dataclasses import dataclass, field
from typing import Any

from starlette.types import Receive, Scope

from gateway.admin.document import Document, read_json, validated_query
from gateway.admin.errors import BodyTooLarge, MediaTypeUnsupported, ValidationFailed
from gateway.admin.operation import Operation
from gateway.errors import InvalidRequest, RequestTooLarge
from gateway.form import parse_query, read_body
from gateway.header_fields import Fields

_FIELDS = frozenset({b"content-length", b"content-type", b"if-match", b"idempotency-key"})
JSON, MERGE_PATCH = "application/json", "application/merge-patch+json"


@dataclass(frozen=True, slots=True)
class Asked:
    """``json`` is the body's object, ``raw`` its bytes. ``if_match`` and ``idempotency`` are those fields, as many as
    there are.
    """

    query: Any
    json: dict[str, Any] = field(repr=False)
    raw: bytes = field(repr=False)
    if_match: tuple[str, ...]
    idempotency: tuple[str, ...]


async def asked(operation: Operation, scope: Scope, receive: Receive) -> Asked:
    """Raises AdminProblem: it cannot be read, or is more than this takes."""
    fields = Fields.of(scope, _FIELDS)
    query = _query(operation, scope["query_string"])
    raw, json = b"", dict[str, Any]()
    if operation.body is not None:
        raw = await _raw(fields, receive)
        if raw or not operation.body_optional:
            _check_media_type(operation, fields.first(b"content-type"))
            json = read_json(raw)
    return Asked(query, json, raw, fields.all(b"if-match"), fields.all(b"idempotency-key"))


def media_type(operation: Operation) -> str:
    """Of its body."""
    return MERGE_PATCH if operation.method == "PATCH" else JSON


def _query(operation: Operation, query: bytes) -> Document:
    try:
        sent = parse_query(query).stored()
    except InvalidRequest as error:
        raise ValidationFailed([{"detail": "the query cannot be read, or a parameter is repeated"}]) from error
    return validated_query(operation.query or Document, {name: values[0] for name, values in sent.items()})


async def _raw(fields: Fields, receive: Receive) -> bytes:
    try:
        return await read_body(receive, fields.first(b"content-length"))
    except RequestTooLarge as error:
        raise BodyTooLarge(reason="body_too_large") from error


def _check_media_type(operation: Operation, sent: str | None) -> None:
    wanted = media_type(operation)
    if (sent or "").partition(";")[0].strip().lower() != wanted:
        raise MediaTypeUnsupported(wanted=wanted, patches=operation.method == "PATCH")
