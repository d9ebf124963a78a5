"""The bytes of protobuf (proto3's encoding), and of the values that OTLP has in common: attributes and their resource.

Only what spans need is written, and nothing is read. Field numbers are those of OTLP 1.x
(opentelemetry/proto/common/v1, resource/v1); a field that has its default is left out, but in a oneof.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

Value: TypeAlias = "bool | int | float | str | bytes | Sequence[Value] | Mapping[str, Value] | None"
Attributes: TypeAlias = Mapping[str, Value]

_FIXED64, _BYTES, _FIXED32 = 1, 2, 5
_DEEPEST = 16
_INT64 = range(-(2**63), 2**63)


def varint(number: int) -> bytes:
    """A number of at least 0, seven bits in a byte, the least first."""
    if number < 0x80:
        return bytes((number,))
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def number(field: int, value: int) -> bytes:
    """An enum, or an integer of at least 0."""
    return varint(field << 3) + varint(value) if value else b""


def fixed64(field: int, value: int) -> bytes:
    """A time in nanoseconds since the epoch."""
    return varint(field << 3 | _FIXED64) + struct.pack("<Q", value) if value else b""


def fixed32(field: int, value: int) -> bytes:
    """Flags."""
    return varint(field << 3 | _FIXED32) + struct.pack("<I", value) if value else b""


def message(field: int, body: bytes) -> bytes:
    """A message in a message, which is there even if it is empty."""
    return varint(field << 3 | _BYTES) + varint(len(body)) + body


def octets(field: int, value: bytes) -> bytes:
    """Bytes, such as an id."""
    return message(field, value) if value else b""


def text(field: int, value: str) -> bytes:
    """A string. What is no character (a lone surrogate) becomes a question mark: receivers refuse the whole batch."""
    return octets(field, value.encode("utf-8", "replace"))


def attributes(field: int, values: Attributes) -> bytes:
    """Each as a ``KeyValue``; those that are None are left out."""
    return b"".join(
        message(field, text(1, key) + message(2, any_value(value)))
        for key, value in values.items()
        if value is not None
    )


def any_value(value: Value, depth: int = 0) -> bytes:
    """The body of an ``AnyValue``: empty for None, text for a number that no int64 holds and for what is too deep."""
    match value:
        case None:
            return b""
        case bool():
            return b"\x10\x01" if value else b"\x10\x00"
        case int() if value in _INT64:
            return b"\x18" + varint(value & (2**64 - 1))
        case float():
            return b"\x21" + struct.pack("<d", value)
        case str():
            return message(1, value.encode("utf-8", "replace"))
        case bytes():
            return message(7, value)
        case Mapping() if depth < _DEEPEST:
            pairs = (text(1, key) + message(2, any_value(item, depth + 1)) for key, item in value.items())
            return message(6, b"".join(message(1, pair) for pair in pairs))
        case Sequence() if depth < _DEEPEST:
            return message(5, b"".join(message(1, any_value(item, depth + 1)) for item in value))
        case _:
            return message(1, str(value).encode("utf-8", "replace"))


def resource(values: Attributes) -> bytes:
    """The body of a ``Resource``: who sends."""
    return attributes(1, values)


def export(sender: bytes, scope: str, version: str, items: Iterable[bytes]) -> bytes:
    """A whole ``ExportTraceServiceRequest``.

    ``sender`` is what ``resource`` wrote, ``items`` are bodies of spans, ``scope`` is what made them.
    """
    made_by = message(1, text(1, scope) + text(2, version))
    return message(1, message(1, sender) + message(2, made_by + b"".join(message(2, item) for item in items)))
