"""The first reading of an exported tenant: whether all of it can be imported, and everything in it that cannot.

Nothing is written here. The second reading is tenant_import.py's.
"""

import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.cli.errors import Refused
from gateway.cli.import_check import progress
from gateway.cli.passphrase import read_passphrase
from policies.key_rotation import KeyState
from tenants.archive_file import FORMAT, ArchiveReader, Line
from tenants.archive_header import NewTenant
from tenants.archive_known import Known, Row
from tenants.archive_lines import read
from tenants.archive_seal import ArchiveSeal
from tenants.errors import InvalidValue
from tenants.seen_keys import SeenKeys

_SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class Archive:
    """A file, what its first line says, and what it looked like when it was opened first."""

    path: Path
    tenant: NewTenant
    seal: ArchiveSeal | None
    looks: tuple[int, ...]

    @classmethod
    def of(cls, path: Path, *, from_stdin: bool) -> "Archive":
        """Asks for the passphrase where the file has one.

        Raises:
            Refused: it is a pipe or a device, of which a second reading finds nothing.
            InvalidValue: it is no exported tenant, or the passphrase is another.
        """
        looks = _looks(path)
        if not stat.S_ISREG(path.stat().st_mode):
            raise Refused(f"{path} is no regular file: what is imported is read twice, so make a file of it first")
        with path.open("rb") as file:
            tenant = NewTenant.read(ArchiveReader(file).header, version=FORMAT)
        seal = None
        if tenant.salt is not None and tenant.check is not None:
            passphrase = read_passphrase(from_stdin=from_stdin, anew=False)
            seal = ArchiveSeal.under(passphrase, archive=tenant.archive, salt=tenant.salt)
            seal.confirm(tenant.check)
        return cls(path, tenant, seal, looks)

    def refuse_if_changed(self) -> None:
        """Raises Refused where the file is not what it was."""
        if _looks(self.path) != self.looks:
            raise Refused(f"{self.path} has changed since it was checked")


def _looks(path: Path) -> tuple[int, ...]:
    found = os.stat(path)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


@dataclass(slots=True)
class Checked:
    """What the first reading found."""

    counts: Counter[str] = field(default_factory=Counter)
    digest: bytes = b""
    faulty: int = 0
    named: list[str] = field(default_factory=list)

    @property
    def lines(self) -> int:
        """How many there are."""
        return self.counts.total()

    def note(self, fault: str) -> None:
        """Count it, and keep what is to be shown."""
        self.faulty += 1
        if len(self.named) < _SHOWN:
            self.named.append(fault)

    def refusal(self) -> str:
        """What is said of them."""
        more = self.faulty - len(self.named)
        head = f"{self.faulty:,} of the file's lines cannot be imported; nothing was written:"
        return "\n".join([head, *self.named, *([f"and {more:,} more"] if more else [])])


def check(archive: Archive) -> Checked:
    """Judge all of the file.

    Raises:
        Refused: with the lines that cannot be imported.
        InvalidValue: the file is not whole, or was changed.
    """
    checked = Checked()
    with archive.path.open("rb") as file, SeenKeys() as seen, progress("checking", archive.looks[2]) as bar:
        reader, known = ArchiveReader(file), Known(archive.seal, seen)
        for line in reader.lines(archive.seal):
            try:
                read(line.kind, line.body, line.number, known)
            except InvalidValue as error:
                checked.note(f"line {line.number}: {error}")
            checked.counts[line.kind] += 1
            bar.update(reader.read - bar.pos)
        checked.digest = reader.digest
    for fault in _missing(archive.tenant, known):
        checked.note(fault)
    if checked.faulty:
        raise Refused(checked.refusal())
    archive.refuse_if_changed()
    return checked


def _missing(tenant: NewTenant, known: Known) -> Iterator[str]:
    """What does not go together, though each line is in order."""
    if tenant.default_client is not None and tenant.default_client not in known.clients:
        yield f"the default client {tenant.default_client[:100]!r} is not in the file"
    for role in tenant.people.otp_roles:
        if role not in known.roles:
            yield f"the role {role!r}, of which a second factor is asked, is not in the file"
    if known.states and known.states.count(KeyState.ACTIVE) != 1:
        yield "of signing keys, exactly one is active"


def rows_of(archive: Archive, known: Known, reader: ArchiveReader) -> Iterator[tuple[Line, list[Row]]]:
    """The second reading, judged as in the first."""
    for line in reader.lines(archive.seal):
        yield line, read(line.kind, line.body, line.number, known)
