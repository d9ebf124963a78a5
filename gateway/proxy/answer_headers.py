"""The header rules of an upstream's answer: what the client may see, and what frames the body (RFC 9112 section 6)."""

import re
from collections.abc import Iterable
from enum import IntEnum

from gateway.proxy.headers import connection_options, sets_our_cookie

MAX_HEAD = 64 * 1024
_LONGEST_NAME = 256  # what our own server sends at most
_REMEMBERED = 2048
_STRANGE_CODING = "a transfer coding other than chunked"
_KEEP_ALIVE = (b"keep-alive",)  # what most servers say, and nothing follows from it
_BY_COOKIE, _PRIVATE = (b"vary", b"Cookie"), (b"cache-control", b"private")
_OTHER_SIGNS = re.compile(rb"[^a-z0-9]+")


class Kind(IntEnum):
    """What happens to an answer's header field."""

    KEEP = 0
    DROP = 1
    CONNECTION = 2
    LENGTH = 3
    CODING = 4
    SET_COOKIE = 5
    BAD = 6


# Compared as plain numbers: to fetch an enum's member costs more than the rest.
_LENGTH, _CONNECTION, _SET_COOKIE, _CODING, _BAD = map(
    int, (Kind.LENGTH, Kind.CONNECTION, Kind.SET_COOKIE, Kind.CODING, Kind.BAD)
)

# What is not in the table is kept.
RULES: dict[bytes, Kind] = {
    b"connection": Kind.CONNECTION,
    b"content-length": Kind.LENGTH,
    b"transfer-encoding": Kind.CODING,
    b"set-cookie": Kind.SET_COOKIE,  # without ours
    b"keep-alive": Kind.DROP,
    b"te": Kind.DROP,
    b"trailer": Kind.DROP,
    b"upgrade": Kind.DROP,
    b"x-request-id": Kind.DROP,  # the gateway's own is added
}
FAMILIES: tuple[tuple[bytes, Kind], ...] = ((b"x-yett-", Kind.DROP), (b"proxy-", Kind.DROP))


def classify(name: bytes) -> Kind:
    """The rule for a lower-case field name."""
    kind = RULES.get(name)
    if kind is not None:
        return kind
    reading = _OTHER_SIGNS.sub(b"-", name).strip(b"-") + b"-"
    return next((rule for prefix, rule in FAMILIES if reading.startswith(prefix)), Kind.KEEP)


class AnswerNames:
    """Remembers, per spelling of a name, its lower-case form and its rule; bounded."""

    def __init__(self) -> None:
        self.known: dict[bytes, tuple[bytes, int]] = {}

    def learn(self, name: bytes) -> tuple[bytes, int]:
        """For a name that is not in ``known``."""
        if len(self.known) >= _REMEMBERED:
            self.known.clear()
        lower = name.lower()
        if len(name) > _LONGEST_NAME:
            return lower, _BAD
        entry = self.known[name] = (lower, int(classify(lower)))
        return entry


class AnswerHead:
    """The header fields of one answer. ``fields`` are for the client."""

    __slots__ = ("chunked", "connection", "fields", "length", "wrong")

    def __init__(self) -> None:
        self.fields: list[tuple[bytes, bytes]] = []
        self.length: int | None = None
        self.chunked = False
        self.wrong: str | None = None
        self.connection: tuple[bytes, ...] = ()

    def read(self, parsed: Iterable[tuple[bytes, bytes]], names: AnswerNames) -> None:
        """All fields as the parser gave them: leading white space is gone, trailing is not."""
        known, keep = names.known, self.fields.append
        for name, value in parsed:
            entry = known.get(name)
            if entry is None:
                entry = names.learn(name)
            lower, kind = entry
            if kind == 0:
                keep((lower, value.rstrip(b" \t")))
            elif kind != 1:
                self._set_apart(kind, lower, value.rstrip(b" \t"))

    @property
    def size(self) -> int:
        """About the bytes of the fields that the client may see."""
        return sum(len(name) + len(value) + 4 for name, value in self.fields)

    def _set_apart(self, kind: int, lower: bytes, value: bytes) -> None:
        if kind == _LENGTH:
            self.length = int(value)  # the parser has let digits through, and one such field
            self.fields.append((lower, value))
        elif kind == _CONNECTION:
            self.connection += (value,)
        elif kind == _SET_COOKIE:
            if not sets_our_cookie(value):
                self.fields.append((lower, value))
        elif kind == _CODING:
            # Anything but chunked, once, is a coding that would have to be guessed at.
            if self.chunked or value.lower() != b"chunked":
                self.wrong = _STRANGE_CODING
            self.chunked = True
        elif kind == _BAD:
            self.wrong = "a field name over 256 bytes"
        else:
            raise AssertionError(f"no rule for kind {kind}")

    def malformed(self, status: int, version: str, received: int) -> str | None:
        """What keeps this from being the head of a final answer, if anything does. ``received`` bytes so far."""
        if not 200 <= status <= 599:
            return f"status {status}"
        if version not in ("1.1", "1.0"):
            return f"HTTP version {version}"
        if self.wrong is not None:
            return self.wrong
        if self.chunked and version == "1.0":
            return _STRANGE_CODING
        return "a head over 64 KiB" if received > MAX_HEAD and self.size > MAX_HEAD else None

    def finish(self) -> bool:
        """Drop what Connection names, and say whether the connection stays open as far as the fields tell."""
        if not self.connection or self.connection == _KEEP_ALIVE:
            return True
        options = connection_options(self.connection)
        if not options <= {b"close", b"keep-alive"}:
            # The length stays: it is framing, and the client must not be told another one.
            self.fields = [field for field in self.fields if field[0] not in options or field[0] == b"content-length"]
        return b"close" not in options

    def forget_length(self) -> None:
        """For an answer that has no body whatever its length says (204, 304)."""
        self.fields = [field for field in self.fields if field[0] != b"content-length"]


def of_a_session(fields: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """With what keeps a shared cache from showing one person's page to another: a cookie, unlike ``Authorization``,
    does not by itself (RFC 9111 section 3.5). What the upstream says of caching counts.
    """
    silent = all(name != b"cache-control" for name, _ in fields)
    return [*fields, _BY_COOKIE, _PRIVATE] if silent else [*fields, _BY_COOKIE]
