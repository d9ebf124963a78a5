"""What judging one line of an exported tenant needs to know of the lines before it."""

from dataclasses import dataclass, field
from typing import Any, Final

from tenants.api_keys import MOST
from tenants.archive_seal import ArchiveSeal
from tenants.errors import InvalidValue
from tenants.seen_keys import SeenKeys

_MOST_NAMES: Final = 100_000
_MOST_KEYS: Final = 100

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
    groups: set[str] = field(default_factory=set)
    clients: set[str] = field(default_factory=set)
    api_keys: int = 0
    states: list[str] = field(default_factory=list)

    def check_number(self) -> None:
        """Of what stays in memory, here or in every process that serves. Raises InvalidValue."""
        if (
            max(len(self.roles), len(self.groups), len(self.clients)) > _MOST_NAMES
            or self.api_keys > MOST
            or len(self.states) > _MOST_KEYS
        ):
            raise InvalidValue("there are more of this kind than a tenant has")

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
