"""The opening handshake of a WebSocket (RFC 6455 sections 4 and 11.3): what a client asks, what a server must answer.

Owns the rules of the fields and the access token among the subprotocols: a browser can set no ``Authorization``, so it
offers ``yett`` and ``bearer.<token>``. Not whose token that is, nor which pages may connect.
"""

import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha1
from typing import Literal

VERSION = b"13"
YETT = b"yett"
_BEARER = b"bearer."
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_KEY_BYTES = 16
_MOST_PROTOCOLS = 50

Fields = Iterable[tuple[bytes, bytes]]
"""Names in lower case."""


@dataclass(frozen=True, slots=True)
class Handshake:
    """What a client asks for. ``protocols`` are those of its subprotocols that the API may see, in their order;
    ``tokens`` are unverified, and of more than one none counts.
    """

    key: bytes
    protocols: tuple[bytes, ...] = ()
    tokens: tuple[bytes, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class NoHandshake:
    """It asks for a WebSocket, but not as one does; or in another version than 13."""

    reason: Literal["malformed", "version"]


@dataclass(frozen=True, slots=True)
class NotAccepted:
    """The answer of a server is not that to this handshake; ``detail`` is for the log."""

    detail: str


def read(method: str, http_version: str, fields: Fields) -> Handshake | NoHandshake:
    """Section 4.2.1."""
    found = _values(fields)
    version = found.get(b"sec-websocket-version", [])
    if len(version) == 1 and version[0] != VERSION:
        return NoHandshake("version")
    key = _only(found, b"sec-websocket-key")
    protocols = _protocols(found)
    if (
        method != "GET"
        or http_version != "1.1"
        or b"upgrade" not in _options(found, b"connection")
        or (_only(found, b"upgrade") or b"").lower() != b"websocket"
        or not version
        or len(version) > 1
        or key is None
        or not _is_nonce(key)
        or protocols is None
    ):
        return NoHandshake("malformed")
    tokens = tuple(each[len(_BEARER) :] for each in protocols if _is_token(each))
    return Handshake(key, tuple(each for each in protocols if not _is_token(each)), tokens)


def accept_value(key: bytes) -> bytes:
    """``Sec-WebSocket-Accept`` (section 4.2.2); SHA-1 because the RFC says so, and nothing rests on it."""
    return b64encode(sha1(key + _GUID, usedforsecurity=False).digest())


def chosen(fields: Fields, key: bytes, offered: tuple[bytes, ...]) -> bytes | NotAccepted | None:
    """The subprotocol that a server's 101 chose, None where none; section 4.1. No extension is ever offered to it."""
    found = _values(fields)
    if b"upgrade" not in _options(found, b"connection") or (_only(found, b"upgrade") or b"").lower() != b"websocket":
        return NotAccepted("its 101 is not to a WebSocket")
    if _only(found, b"sec-websocket-accept") != accept_value(key):
        return NotAccepted("its Sec-WebSocket-Accept does not belong to the key")
    if b"sec-websocket-extensions" in found:
        return NotAccepted("it chose an extension, and none was offered")
    if b"sec-websocket-protocol" not in found:
        return None
    protocol = _only(found, b"sec-websocket-protocol")
    if protocol is None or protocol not in offered:
        return NotAccepted("it chose a subprotocol that was not offered")
    return protocol


def _values(fields: Fields) -> dict[bytes, list[bytes]]:
    found: dict[bytes, list[bytes]] = {}
    for name, value in fields:
        found.setdefault(name, []).append(value)
    return found


def _only(found: dict[bytes, list[bytes]], name: bytes) -> bytes | None:
    values = found.get(name, [])
    return values[0] if len(values) == 1 else None


def _options(found: dict[bytes, list[bytes]], name: bytes) -> frozenset[bytes]:
    return frozenset(each.strip(b" \t").lower() for value in found.get(name, []) for each in value.split(b","))


def _protocols(found: dict[bytes, list[bytes]]) -> list[bytes] | None:
    """The subprotocols, in one field or several; None where they are no tokens, or one stands there twice."""
    values = found.get(b"sec-websocket-protocol")
    if values is None:
        return []
    listed = [each.strip(b" \t") for value in values for each in value.split(b",")]
    sound = len(listed) <= _MOST_PROTOCOLS and all(_TOKEN.fullmatch(each) for each in listed)
    return listed if sound and len(set(listed)) == len(listed) else None


def _is_token(protocol: bytes) -> bool:
    """Subprotocols tell upper case from lower case, but what anybody may have meant as a token goes to no API."""
    return protocol[: len(_BEARER)].lower() == _BEARER


def _is_nonce(key: bytes) -> bool:
    try:
        return len(b64decode(key, validate=True)) == _KEY_BYTES
    except NotBase64:
        return False
