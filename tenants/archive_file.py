"""The file that a tenant is exported to: JSON lines, in memory that does not grow with it, in either direction.

    {"yett_tenant_export": 1, "id": …, "tenant": {…}, …}     the first line: what this is, and the tenant's settings
    {"role": {…}}                                            one thing a line, by kinds in this order: KINDS
    {"end": {"counts": {…}, "sha256": …, "proof": …}}        the last line: how many of each, and the digest of all

No path is in it, nothing is compressed, no line names a tenant that its rows would belong to: what could point
elsewhere cannot be said. What the lines mean is archive_lines.py's.
"""

import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final

from tenants.archive_seal import ArchiveSeal
from tenants.compact_json import compact
from tenants.errors import InvalidValue

FORMAT: Final = "yett_tenant_export"
VERSION: Final = 1
KINDS: Final = ("logo", "role", "group", "client", "api_key", "user", "key")
LONGEST_LINE: Final = 1024 * 1024
"""Bytes. The largest that there is by itself is a logo, of 256 KiB."""

_END: Final = "end"


@dataclass(frozen=True, slots=True)
class Line:
    """One thing. ``number`` counts the lines of the file from 1."""

    number: int
    kind: str
    body: Mapping[str, Any] = field(repr=False)


@dataclass(slots=True)
class Written:
    """What an archive has in it so far."""

    counts: Counter[str] = field(default_factory=Counter)
    digest: Any = field(default_factory=hashlib.sha256)


class ArchiveWriter:
    """``seal`` is None where no secret is in it, and so nothing is proved."""

    def __init__(self, file: BinaryIO, header: Mapping[str, Any], seal: ArchiveSeal | None) -> None:
        self._file = file
        self._seal = seal
        self._written = Written()
        self._write({FORMAT: VERSION, **header})

    def add(self, kind: str, body: Mapping[str, Any]) -> None:
        """The next line.

        Raises:
            InvalidValue: it is too long to be read again.
        """
        self._write({kind: body})
        self._written.counts[kind] += 1

    def end(self) -> Mapping[str, int]:
        """The last line; how many of each kind there are."""
        digest, counts = self._written.digest.digest(), dict(self._written.counts)
        told: dict[str, Any] = {"counts": counts, "sha256": digest.hex()}
        if self._seal is not None:
            told["proof"] = self._seal.proof(digest)
        self._file.write(compact({_END: told}) + b"\n")
        return counts

    def _write(self, value: Mapping[str, Any]) -> None:
        line = compact(value) + b"\n"
        if len(line) > LONGEST_LINE:
            raise InvalidValue(f"a line would have {len(line):,} bytes, more than {LONGEST_LINE:,}: {line[:60]!r}…")
        self._written.digest.update(line)
        self._file.write(line)


class ArchiveReader:
    """One reading of a file; ``read`` bytes of it are done. Raises InvalidValue where it is no archive of this version,
    with the line.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._written = Written()
        self._number = 0
        self.read = 0
        found = self._next()
        if found is None or FORMAT not in found[1]:
            raise InvalidValue("this is no exported tenant: `yett tenant export` writes one")
        raw, self.header = found
        if self.header[FORMAT] != VERSION or isinstance(self.header[FORMAT], bool):
            raise InvalidValue(
                f"this file is of version {str(self.header[FORMAT])[:20]!r}, and this release reads version {VERSION}"
            )
        self._written.digest.update(raw)

    def lines(self, seal: ArchiveSeal | None) -> Iterator[Line]:
        """All of them, in their order. At the last one, that nothing is missing, added or changed: who stops before has
        not been told.

        Raises:
            InvalidValue: as above.
        """
        reached = 0
        while (found := self._next()) is not None:
            raw, value = found
            if len(value) != 1:
                raise self._fault("has one thing in it, by its kind")
            ((kind, body),) = value.items()
            if not isinstance(body, dict):
                raise self._fault("has an object in it")
            if kind == _END:
                self._finish(body, seal)
                return
            if kind not in KINDS:
                raise self._fault(f"is of no kind that is known: {kind[:40]!r}")
            if KINDS.index(kind) < reached:
                raise self._fault(f"is a {kind} where {KINDS[reached]}s stand")
            reached = KINDS.index(kind)
            self._written.digest.update(raw)
            self._written.counts[kind] += 1
            yield Line(self._number, kind, body)
        raise InvalidValue("the file has no end: it was cut off, or is still being written")

    @property
    def digest(self) -> bytes:
        """SHA-256 of all lines so far but the last."""
        return bytes(self._written.digest.digest())

    def _finish(self, told: Mapping[str, Any], seal: ArchiveSeal | None) -> None:
        if told.get("counts") != dict(self._written.counts) or told.get("sha256") != self.digest.hex():
            raise InvalidValue("the file was changed or damaged: it is not what its last line says")
        proof = told.get("proof")
        if seal is not None and not (
            isinstance(proof, str) and proof.isascii() and hmac.compare_digest(proof, seal.proof(self.digest))
        ):
            raise InvalidValue("the file was changed after it was exported: the passphrase does not prove it")
        if self._file.read(1):
            raise InvalidValue("something follows the last line of the file")

    def _next(self) -> tuple[bytes, dict[str, Any]] | None:
        raw = self._file.readline(LONGEST_LINE + 1)
        if not raw:
            return None
        self._number += 1
        self.read += len(raw)
        if len(raw) > LONGEST_LINE:
            raise self._fault(f"has more than {LONGEST_LINE:,} bytes")
        try:
            value = _JSON.decode(raw.decode())
        except (ValueError, RecursionError) as error:
            raise self._fault("is no JSON") from error
        if not isinstance(value, dict):
            raise self._fault("is no JSON object")
        return raw, value

    def _fault(self, what: str) -> InvalidValue:
        return InvalidValue(f"line {self._number} {what}")


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a member stands there twice")
    return found


def _none(text: str) -> object:
    raise ValueError(f"{text} is no JSON")


_JSON = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_none)
