"""The first reading of a file of users: what it is, and everything in it that cannot be imported.

Nothing is written here. The second reading is user_import.py's.
"""

import hashlib
import os
import stat
import sys
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

import click

from gateway.cli.errors import Refused
from gateway.installation import Installation
from tenants.import_file import Format, ImportFile
from tenants.import_lines import Faulty, NewUser, Rules, read
from tenants.seen_keys import SeenKeys
from tenants.tenant import Tenant
from tenants.user_imports import Import

_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True)
class Source:
    """A file, how to read it, and what it looked like when it was opened first."""

    path: Path
    form: Format
    rules: Rules
    project: str
    looks: tuple[int, ...]

    @classmethod
    def of(cls, path: Path, form: Format, rules: Rules, project: str) -> "Source":
        """``project`` is the text of Firebase's parameters; empty where there are none.

        Raises:
            Refused: it is a pipe or a device, of which a second reading finds nothing.
        """
        if not stat.S_ISREG(path.stat().st_mode):
            raise Refused(f"{path} is no regular file: what is imported is read twice, so make a file of it first")
        return cls(path, form, rules, project, _looks(path))

    @property
    def size(self) -> int:
        """In bytes."""
        return self.looks[2]

    def users(self, reading: ImportFile) -> Iterator[NewUser | Faulty]:
        """Line by line."""
        for record in reading.records():
            yield record if isinstance(record, Faulty) else read(record.line, record.fields, self.rules)

    def digest(self, reading: ImportFile) -> bytes:
        """Of all that decides what is written."""
        return hashlib.sha256(hashlib.sha256(self.project.encode()).digest() + reading.digest).digest()

    def refuse_if_changed(self) -> None:
        """Raises Refused where the file is not what it was."""
        if _looks(self.path) != self.looks:
            raise Refused(f"{self.path} has changed since it was checked")


def _looks(path: Path) -> tuple[int, ...]:
    found = os.stat(path)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


@dataclass(slots=True)
class Checked:
    """What the first reading found. ``named`` are the faulty lines that are shown."""

    shown: int
    users: int = 0
    faulty: int = 0
    named: list[str] = field(default_factory=list)
    schemes: Counter[str] = field(default_factory=Counter)
    digest: bytes = b""

    def note(self, faults: Collection[Faulty]) -> None:
        """Count them, and keep what is to be shown."""
        self.faulty += len(faults)
        for fault in sorted(faults, key=lambda each: each.line):
            if not self.shown or len(self.named) < self.shown:
                self.named.append(f"line {fault.line}: {fault.reason}")

    def refusal(self) -> str:
        """What is said of them."""
        more = self.faulty - len(self.named)
        rest = [f"and {more:,} more; --show 0 names all"] if more else []
        head = f"{self.faulty:,} of the file's lines cannot be imported; nothing was written:"
        return "\n".join([head, *self.named, *rest])


async def check(
    installation: Installation, tenant: Tenant, source: Source, checked: Checked, begun: Import | None
) -> Checked:
    """Judge all of the file.

    Raises:
        Refused: with every line that cannot be imported; it is not the file that ``begun`` is of.
    """
    written = 0 if begun is None else begun.written
    with source.path.open("rb") as file, SeenKeys() as seen, progress("checking", source.size) as bar:
        reading = ImportFile(file, source.form)
        found = source.users(reading)
        while batch := list(islice(found, _AT_ONCE)):
            people = [each for each in batch if isinstance(each, NewUser)]
            faults = {each.line: each for each in batch if isinstance(each, Faulty)}
            faults |= {user.line: Faulty(user.line, why) for user in people if (why := _again(seen, user))}
            fresh = people[max(0, written - checked.users) :]
            async with installation.store.for_tenant(tenant.id, read_only=True) as store:
                taken = await store.imports.taken(fresh)
            for user in fresh:
                if (what := taken.by(user)) is not None:
                    faults.setdefault(user.line, Faulty(user.line, f"{what} exists already"))
            checked.note(faults.values())
            checked.users += len(people)
            checked.schemes.update(user.hash.scheme if user.hash else "no password" for user in people)
            bar.update(reading.read - bar.pos)
        checked.digest = source.digest(reading)
    await _refuse(installation, tenant, source, checked, begun)
    return checked


async def _refuse(
    installation: Installation, tenant: Tenant, source: Source, checked: Checked, begun: Import | None
) -> None:
    if begun is not None and begun.source_digest != checked.digest:
        raise Refused(f"{source.path} is not the file that import {begun.id} was begun with")
    if begun is None:
        async with installation.store.for_tenant(tenant.id, read_only=True) as store:
            left = await store.imports.unfinished(checked.digest)
        if left is not None:
            raise Refused(
                f"this file's import {left.id} is not finished, {left.written:,} of its {left.lines:,} users are "
                f"there: go on with --resume {left.id}, or take them out with --undo {left.id}"
            )
    if checked.faulty:
        raise Refused(checked.refusal())
    if not checked.users:
        raise Refused(f"there is no user in {source.path}")
    source.refuse_if_changed()


def _again(seen: SeenKeys, user: NewUser) -> str | None:
    """What the file says for the second time, in words."""
    line = seen.line_of(f"name {user.name_key}", user.line)
    if line is not None:
        return f"user {user.name!r} stands on line {line} already"
    line = None if user.email_key is None else seen.line_of(f"email {user.email_key}", user.line)
    return None if line is None else f"email address {user.email!r} stands on line {line} already"


def progress(label: str, length: int) -> Any:
    """A bar for a person who watches; on standard error, where no result is."""
    return click.progressbar(length=length, label=label, file=sys.stderr, hidden=not sys.stderr.isatty())
