"""The strict reading of a compact JWS, before anything of it is believed (RFC 7515 section 3.1, RFC 7519 section 7.2).

joserfc leaves to its caller what is refused here: size, duplicate members, deep nesting, numbers without bound, lone
surrogates, a second base64url spelling. Owns the form. Not one word of the content, not the signature (jose.py).
"""

import base64
import binascii
import json
import math
import re
from dataclasses import dataclass, field
from typing import Any, NoReturn

MAX_TOKEN_BYTES = 8192
MAX_DEPTH = 16
MAX_DIGITS = 18

_COMPACT = re.compile(rb"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
# The closing quote is optional and the loop possessive, so that a string without end is read once and not once per
# quote.
_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[{\]}]', re.DOTALL)


@dataclass(frozen=True, slots=True)
class UnverifiedToken:
    """A well-formed token of which nothing is proved. ``header`` and ``claims`` may select what to check it with,
    nothing else.
    """

    header: dict[str, Any]
    claims: dict[str, Any]
    signing_input: bytes = field(repr=False)
    signature: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Malformed:
    """Not a compact JWS of two JSON objects. ``reason`` is for logs: size, form, base64url, json, depth, duplicate,
    number, text.
    """

    reason: str

    def __bool__(self) -> NoReturn:
        raise TypeError("a refusal is matched, never truth-tested")


def parse_unverified(token: bytes) -> UnverifiedToken | Malformed:
    """The parts of a compact JWS. Everything is bounded before it is read, and what has two readings is refused."""
    if len(token) > MAX_TOKEN_BYTES:
        return Malformed("size")
    parts = _COMPACT.fullmatch(token)
    if parts is None:
        return Malformed("form")
    try:
        header = _object(_decode(parts[1]))
        claims = _object(_decode(parts[2]))
        signature = _decode(parts[3])
    except _Refused as refused:
        return Malformed(refused.reason)
    return UnverifiedToken(header, claims, token[: parts.end(2)], signature)


def parse_object(data: bytes) -> dict[str, Any] | Malformed:
    """A JSON object that has one reading, whoever sent it."""
    try:
        return _object(data)
    except _Refused as refused:
        return Malformed(refused.reason)


class _Refused(Exception):
    def __init__(self, reason: str) -> None:
        self.reason = reason


def _decode(part: bytes) -> bytes:
    """base64url without padding, and canonical: bits that decoding drops would let one token have many spellings."""
    try:
        data = base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
    except binascii.Error as error:
        raise _Refused("base64url") from error
    if _encode(data) != part:
        raise _Refused("base64url")
    return data


def _encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _object(data: bytes) -> dict[str, Any]:
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH and _depth(data) > MAX_DEPTH:
        # json recurses, and a RecursionError is no answer to a stranger.
        raise _Refused("depth")
    try:
        value = _DECODER.decode(data.decode())
        if b"\\u" in data:
            # An escape can spell a lone surrogate, which no header, log or database takes.
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeError as error:
        raise _Refused("text") from error
    except ValueError as error:
        raise _Refused("json") from error
    if not isinstance(value, dict):
        raise _Refused("json")
    return value


def _depth(data: bytes) -> int:
    depth = deepest = 0
    for match in _BRACKETS.finditer(data):
        if match[0] in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif match[0] in b"]}":
            depth -= 1
    return deepest


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Refused("duplicate")
    return members


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise _Refused("number")
    return int(digits)


def _number(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise _Refused("number")
    return value


def _constant(_name: str) -> NoReturn:
    raise _Refused("number")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_integer, parse_float=_number, parse_constant=_constant
)
