"""What judging one line of an exported tenant needs to know of the lines before it."""

from dataclasses import dataclass, field
from typing import Any

from tenants.archive_seal import ArchiveSeal
from tenants.errors import InvalidValue
from tenants.seen_keys import SeenKeys

Row = tuple[str, dict[str, Any]]
"""A table's name, and a row of it without its tenant."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that is to be sealed in its row's place."""

    plain: bytes = field(repr=False)


@dataclass(slots=True)
class Known:
    """What earlier lines said, and the key to secrets, where there are any."""

    seal: ArchiveSeal | None
    seen: SeenKeys
    roles: set[str] = field(default_factory=set)
    clients: set[str] = field(default_factory=set)
    states: list[str] = field(default_factory=list)

    def once(self, what: str, value: str, line: int) -> None:
        """Raises InvalidValue where an earlier line said it."""
        before = self.seen.line_of(f"{what} {value}", line)
        if before is not None:
            raise InvalidValue(f"{what} {value!r} stands on line {before} already")

    def opened(self, sealed: str, *, whose: str) -> bytes:
        """Raises InvalidValue."""
        if self.seal is None:
            raise InvalidValue("a secret in an archive that has no passphrase")
        return self.seal.open(sealed, whose=whose)
