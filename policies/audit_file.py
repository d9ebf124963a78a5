"""The file that ``yett audit export``, ``prove`` and ``consistency`` write: JSON lines, with all that proves them.

    {"yett_audit":1,"kind":"log","tenant":…,"checkpoint":"<signed note>"}        the first line of all three
    {"position":0,"leaf":…,"salt":…,"event":"<as it was hashed>"}                an event; null where it was erased
    {"block":0,"proof":[…]}                                                      behind each 256 events of a whole log
    {"position":7,"leaf":…,"salt":…,"event":…,"proof":[…]}                       an event of a selection
    {"end":3}                                                                    how many those were

Owns the spelling. Whoever sends such a file may be the one who altered the log: nothing in it is believed, and what
cannot be read in one way is refused. Whether it is true is audit_verification.py's.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, NoReturn, get_args

from policies.checkpoint import MalformedCheckpoint, exact_base64
from policies.merkle import HASH_BYTES, SALT_BYTES
from policies.merkle_proof import MOST_HASHES

VERSION = 1
LONGEST_LINE = 1024 * 1024
"""Bytes. An event is some 600."""
_MOST_DIGITS = 18

Kind = Literal["log", "events", "consistency"]


class Malformed(ValueError):
    """A line is none of this file. The message says in what, for a person, without the line's number."""


@dataclass(frozen=True, slots=True)
class Header:
    """The first line. ``checkpoint`` and ``earlier`` are signed notes; only a consistency proof has ``earlier`` and
    ``proof``.
    """

    kind: Kind
    tenant: str
    checkpoint: str
    selection: Mapping[str, Any] | None = None
    earlier: str | None = None
    proof: Sequence[bytes] = ()


class FiledEvent(NamedTuple):  # of a million lines, each: a frozen dataclass takes four times as long
    """One event. ``proof`` is None in a whole log, where blocks are proved."""

    position: int
    leaf: bytes
    salt: bytes | None
    event: str | None
    proof: Sequence[bytes] | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """What proves the events before it."""

    number: int
    proof: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class End:
    """How many events there were."""

    events: int


def written(part: Header | FiledEvent | Block | End) -> str:
    """The line, without its end."""
    match part:
        case Header():
            fields: dict[str, Any] = {"yett_audit": VERSION, "kind": part.kind, "tenant": part.tenant}
            if part.selection is not None:
                fields["selection"] = dict(part.selection)
            if part.earlier is not None:
                fields |= {"earlier": part.earlier, "proof": _texts(part.proof)}
            fields["checkpoint"] = part.checkpoint
        case FiledEvent():
            salt = None if part.salt is None else _text(part.salt)
            fields = {"position": part.position, "leaf": _text(part.leaf), "salt": salt, "event": part.event}
            if part.proof is not None:
                fields["proof"] = _texts(part.proof)
        case Block():
            fields = {"block": part.number, "proof": _texts(part.proof)}
        case End():
            fields = {"end": part.events}
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def read_header(line: bytes) -> Header:
    """The first line.

    Raises:
        Malformed: it is none.
    """
    fields = _object(line)
    if fields.pop("yett_audit", None) != VERSION:
        raise Malformed('not an export of an audit log: its first line begins with {"yett_audit":1')
    kind = fields.pop("kind", None)
    for known in get_args(Kind):
        if kind == known:
            break
    else:
        raise Malformed("the kind of file is unknown: it is of a newer version")
    selection = fields.pop("selection", None)
    if selection is not None and not isinstance(selection, dict):
        raise Malformed("selection is no object")
    tenant, checkpoint = _string(fields, "tenant"), _string(fields, "checkpoint")
    earlier: str | None = None
    proof: Sequence[bytes] = ()
    if known == "consistency":
        earlier, proof = _string(fields, "earlier"), _hashes(fields)
    _nothing_left(fields)
    return Header(known, tenant, checkpoint, selection, earlier, proof)


def read_line(line: bytes) -> FiledEvent | Block | End:
    """Any other line.

    Raises:
        Malformed: it is none.
    """
    fields = _object(line)
    part: FiledEvent | Block | End
    if "position" in fields:
        leaf, salt, event = _bytes(fields, "leaf", HASH_BYTES), None, fields.pop("event", _MISSING)
        if event is None:
            if fields.pop("salt", _MISSING) is not None:
                raise Malformed("an event that was erased has no salt")
        elif isinstance(event, str):
            salt = _bytes(fields, "salt", SALT_BYTES)
        else:
            raise Malformed("event is the text of an event, or null where it was erased")
        proof = _hashes(fields) if "proof" in fields else None
        part = FiledEvent(_count(fields, "position"), leaf, salt, event, proof)
    elif "block" in fields:
        part = Block(_count(fields, "block"), _hashes(fields))
    elif "end" in fields:
        part = End(_count(fields, "end"))
    else:
        raise Malformed("a line is an event, a block's proof or the end")
    _nothing_left(fields)
    return part


_MISSING = object()


def _object(line: bytes) -> dict[str, Any]:
    if len(line) > LONGEST_LINE:
        raise Malformed(f"longer than {LONGEST_LINE} bytes")
    try:
        text = line.decode("utf-8")
        found, end = _READ(text)
    except UnicodeDecodeError:
        raise Malformed("not UTF-8") from None
    except RecursionError:
        raise Malformed("nested too deeply") from None
    except Malformed:
        raise
    except ValueError:
        raise Malformed("not JSON") from None
    if end != len(text):
        raise Malformed("not JSON, or more than that")
    if not isinstance(found, dict):
        raise Malformed("not a JSON object")
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Malformed("a field is there twice")
    return found


def _no_number(text: str) -> NoReturn:
    raise Malformed(f"{text[:_MOST_DIGITS]} is no whole number")


def _whole(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise Malformed("a number is too large")
    return int(text)


_READ = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_no_number, parse_constant=_no_number, parse_int=_whole
).raw_decode


def _string(fields: dict[str, Any], name: str) -> str:
    found = fields.pop(name, None)
    if not isinstance(found, str):
        raise Malformed(f"{name} is missing, or no text")
    return found


def _count(fields: dict[str, Any], name: str) -> int:
    found = fields.pop(name)
    if type(found) is not int or found < 0:
        raise Malformed(f"{name} is no whole number from 0 on")
    return found


def _bytes(fields: dict[str, Any], name: str, length: int) -> bytes:
    text = fields.pop(name, None)
    if not isinstance(text, str):
        raise Malformed(f"{name} is missing, or no text")
    try:
        return exact_base64(text, length)
    except MalformedCheckpoint as error:
        raise Malformed(f"{name} is {error}") from None


def _hashes(fields: dict[str, Any]) -> list[bytes]:
    found = fields.pop("proof", None)
    if not isinstance(found, list) or len(found) > MOST_HASHES or not all(isinstance(text, str) for text in found):
        raise Malformed(f"proof is no list of at most {MOST_HASHES} hashes")
    return [_bytes({"proof": text}, "proof", HASH_BYTES) for text in found]


def _nothing_left(fields: dict[str, Any]) -> None:
    if fields:  # it would look as if it were proved
        raise Malformed("there is a field that is not proved: only those that an export writes may be there")


def _text(hash_: bytes) -> str:
    return base64.b64encode(hash_).decode()


def _texts(hashes: Sequence[bytes]) -> list[str]:
    return [_text(hash_) for hash_ in hashes]
