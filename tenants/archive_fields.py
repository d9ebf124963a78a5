"""The members of one line of an exported tenant, each asked for once by its type. What was not asked for is refused."""

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from tenants.errors import InvalidValue, Unreadable
from tenants.jose import UnusableKey

_MISSING: Final = object()
_DIGEST = re.compile("[0-9a-f]{64}")
_LONGEST_TEXT: Final = 400_000
_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)


class Fields:
    """``of`` names the line's kind in what is told. Every method raises InvalidValue with the member's name."""

    def __init__(self, of: str, body: Mapping[str, Any]) -> None:
        self._of = of
        self._left = dict(body)

    def text(self, name: str, *, longest: int = _LONGEST_TEXT) -> str:
        value = self._take(name)
        if not isinstance(value, str) or not 0 < len(value) <= longest or not _storable(value):
            raise self._fault(name, f"is text of 1 to {longest} characters")
        return value

    def text_or_none(self, name: str, *, longest: int = _LONGEST_TEXT) -> str | None:
        return self.text(name, longest=longest) if self._has(name) else None

    def truth(self, name: str) -> bool:
        value = self._take(name)
        if not isinstance(value, bool):
            raise self._fault(name, "is true or false")
        return value

    def truth_or_false(self, name: str) -> bool:
        """Where it is not there, it is false."""
        return self.truth(name) if self._has(name) else False

    def number(self, name: str, *, most: int) -> int:
        value = self._take(name)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
            raise self._fault(name, f"is a whole number of at most {most}")
        return value

    def number_or_none(self, name: str, *, most: int) -> int | None:
        return self.number(name, most=most) if self._has(name) else None

    def uuid(self, name: str) -> UUID:
        text = self.text(name, longest=36)
        try:
            found = UUID(text)
        except ValueError:
            found = None
        if found is None or str(found) != text:
            raise self._fault(name, "is a UUID")
        return found

    def time(self, name: str) -> datetime:
        text = self.text(name, longest=40)
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            found = None
        if found is None or found.tzinfo is None or found < _EARLIEST:
            raise self._fault(name, "is a time with its zone (RFC 3339)")
        try:
            return found.astimezone(UTC)
        except OverflowError as error:
            raise self._fault(name, "is a time that there is") from error

    def time_or_none(self, name: str) -> datetime | None:
        return self.time(name) if self._has(name) else None

    def digest(self, name: str) -> bytes:
        text = self.text(name, longest=64)
        if _DIGEST.fullmatch(text) is None:
            raise self._fault(name, "is a SHA-256 in hex")
        return bytes.fromhex(text)

    def digest_or_none(self, name: str) -> bytes | None:
        return self.digest(name) if self._has(name) else None

    def texts(self, name: str, *, most: int) -> list[str]:
        """A list; empty where it is left out."""
        value = self._take(name) if self._has(name) else []
        if not isinstance(value, list) or len(value) > most:
            raise self._fault(name, f"is a list of at most {most}")
        if not all(isinstance(item, str) and 0 < len(item) <= _LONGEST_TEXT and _storable(item) for item in value):
            raise self._fault(name, "is a list of texts")
        return value

    def object_(self, name: str) -> dict[str, Any]:
        """Empty where it is left out. What is in it is the caller's to judge, but that it can be stored."""
        value = self._take(name) if self._has(name) else {}
        if not isinstance(value, dict) or not all(map(_storable, _texts_in(value))):
            raise self._fault(name, "is an object")
        return value

    def each(self, name: str, *, most: int) -> Iterator["Fields"]:
        """The objects of a list; none where it is left out."""
        value = self._take(name) if self._has(name) else []
        if not isinstance(value, list) or len(value) > most or not all(isinstance(item, dict) for item in value):
            raise self._fault(name, f"is a list of at most {most} objects")
        for item in value:
            inner = Fields(f"{self._of}.{name}", item)
            yield inner
            inner.done()

    def one_of(self, name: str, known: Collection[str]) -> str:
        value = self.text(name, longest=100)
        if value not in known:
            raise self._fault(name, f"is one of {', '.join(sorted(known))}")
        return value

    def done(self) -> None:
        """Nothing is left."""
        for name in self._left:
            raise InvalidValue(f"a {self._of} has no {name[:40]!r}")

    def _has(self, name: str) -> bool:
        if self._left.get(name, _MISSING) is None:
            del self._left[name]
        return name in self._left

    def _take(self, name: str) -> Any:
        value = self._left.pop(name, _MISSING)
        if value is _MISSING:
            raise InvalidValue(f"a {self._of} lacks {name}")
        return value

    def _fault(self, name: str, what: str) -> InvalidValue:
        return InvalidValue(f"{self._of}.{name} {what}")


@contextmanager
def told_in_words() -> Iterator[None]:
    """What a value of another shape makes the parsers of stored settings raise, as InvalidValue. Whatever a stranger
    put into it does not drive the operator's terminal.
    """
    try:
        yield
    except (InvalidValue, Unreadable, UnusableKey) as error:
        raise InvalidValue(_shown(str(error))) from error
    except (AttributeError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidValue("a value has another shape than it should") from error


def check_truths(*settings: Any) -> None:
    """Of dataclasses: what is true or false by default is one of both. Raises InvalidValue."""
    for one in settings:
        for entry in fields(one):
            if isinstance(entry.default, bool) and not isinstance(getattr(one, entry.name), bool):
                raise InvalidValue(f"{entry.name} is true or false")


def _shown(text: str) -> str:
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


def _storable(text: str) -> bool:
    """Neither database stores half of a surrogate pair, nor PostgreSQL a NUL."""
    return "\x00" not in text and not any("\ud800" <= sign <= "\udfff" for sign in text)


def _texts_in(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for name, item in value.items():
                yield name
                yield from _texts_in(item)
        case list():
            for item in value:
                yield from _texts_in(item)
