"""The header fields of a request that a part asks for, picked out in one look at all of them."""

from collections.abc import Container
from dataclasses import dataclass, field

from starlette.types import Scope


@dataclass(frozen=True, slots=True)
class Fields:
    """Values by lower-case name, in their order; names and values are as ASGI has them."""

    _values: dict[bytes, list[str]] = field(repr=False)  # secrets among them

    @classmethod
    def of(cls, scope: Scope, names: Container[bytes]) -> "Fields":
        """Those of ``names`` that the request has."""
        found: dict[bytes, list[str]] = {}
        for name, value in scope["headers"]:
            if name in names:
                found.setdefault(name, []).append(value.decode("latin-1"))
        return cls(found)

    def first(self, name: bytes) -> str | None:
        """The first value, or None."""
        values = self._values.get(name)
        return None if values is None else values[0]

    def all(self, name: bytes) -> tuple[str, ...]:
        """Every value: a field that may stand there once is for the caller to refuse."""
        return tuple(self._values.get(name, ()))
