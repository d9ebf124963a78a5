"""A file of users to import, as JSON lines or CSV (RFC 4180): record by record, in memory that does not grow with it.

Owns how it is cut into records and that a malformed one is told with its line and spoils no other. What a record's
fields mean is import_lines.py's.
"""

import csv
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, Literal, get_args

from tenants.errors import InvalidValue
from tenants.import_lines import FIELDS, Faulty

Format = Literal["jsonl", "csv"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)

_LONGEST_LINE = 64 * 1024
_MOST_LINES = 100
"""Of one CSV record: a quote that is never closed would swallow the rest of the file."""

_TRUTHS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Record:
    """The fields of one user as they are written. CSV's are brought to the types of JSON."""

    line: int
    fields: dict[str, object]


class _Malformed(Exception):
    """A line that is no text. The next one may be."""


class ImportFile:
    """One reading of a file. ``read`` bytes of it are done; ``digest`` is of those, so of all of it at the end."""

    def __init__(self, file: BinaryIO, form: Format) -> None:
        self._file = file
        self._form = form
        self._digest = hashlib.sha256(form.encode())
        self._line = 0
        self._record_line = 0
        self.read = 0

    @property
    def digest(self) -> bytes:
        """SHA-256."""
        return self._digest.digest()

    def records(self) -> Iterator[Record | Faulty]:
        """All of them, in their order.

        Raises:
            InvalidValue: the header of a CSV file is none.
        """
        return self._json_records() if self._form == "jsonl" else self._csv_records()

    def _json_records(self) -> Iterator[Record | Faulty]:
        while True:
            self._record_line = self._line
            try:
                text = next(self).strip()
            except StopIteration:
                return
            except _Malformed as fault:
                yield Faulty(self._line, str(fault))
                continue
            if text:
                yield self._json_record(text)

    def _json_record(self, text: str) -> Record | Faulty:
        try:
            found = _JSON.decode(text)
        except InvalidValue as fault:
            return Faulty(self._line, str(fault))
        except (ValueError, RecursionError):
            return Faulty(self._line, "this is not JSON")
        return Record(self._line, found) if isinstance(found, dict) else Faulty(self._line, "this is not a JSON object")

    def _csv_records(self) -> Iterator[Record | Faulty]:
        rows = csv.reader(self, strict=True)
        try:
            header = next(rows, [])
        except (csv.Error, _Malformed) as fault:
            raise InvalidValue(f"line 1: {fault}") from fault
        if len(set(header)) < len(header) or not {"name", "email"} & set(header) or not set(header) <= set(FIELDS):
            raise InvalidValue(f"line 1 names the columns, each once, name or email among them: {', '.join(FIELDS)}")
        while True:
            self._record_line = self._line
            try:
                row = next(rows)
            except StopIteration:
                return
            except (csv.Error, _Malformed) as fault:
                yield Faulty(self._record_line + 1, str(fault))
                continue
            if not row:
                continue
            if len(row) != len(header):
                yield Faulty(
                    self._record_line + 1, f"{len(row)} cells where the first line names {len(header)} columns"
                )
                continue
            fields = {name: _typed(name, cell) for name, cell in zip(header, row, strict=True) if cell}
            yield Record(self._record_line + 1, fields)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        """A line as text. After ``_Malformed`` the next one can be asked for: csv.reader begins a record anew then."""
        raw = self._file.readline(_LONGEST_LINE)
        if not raw:
            raise StopIteration
        self._count(raw)
        self._line += 1
        if not raw.endswith(b"\n") and len(raw) == _LONGEST_LINE:
            while not raw.endswith(b"\n") and (raw := self._file.readline(_LONGEST_LINE)):
                self._count(raw)
            raise _Malformed(f"a line has at most {_LONGEST_LINE} bytes")
        if self._line - self._record_line > _MOST_LINES:
            raise _Malformed(f"a record of more than {_MOST_LINES} lines: is a quote left open?")
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            raise _Malformed("this is not UTF-8") from None
        return text.removeprefix("\ufeff") if self._line == 1 else text

    def _count(self, raw: bytes) -> None:
        self.read += len(raw)
        self._digest.update(raw)


def _without_repetition(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise InvalidValue("a field stands there twice")
    return found


_JSON = json.JSONDecoder(object_pairs_hook=_without_repetition)


def _typed(name: str, cell: str) -> object:
    match name:
        case "email_verified" | "active":
            return _TRUTHS.get(cell.lower(), cell)
        case "roles":
            return cell.split()
        case _:
            return cell
