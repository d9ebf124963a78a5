"""One event on its way to a sink, and what a sink says of a batch."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Record:
    """``event`` is the audit event's own fields; ``body`` what is sent, in the form that the sink wants."""

    tenant: str
    position: int
    event: Body
    body: Body

    @property
    def id(self) -> str:
        """The event's, which is how a receiver finds one that came twice."""
        return str(self.event["id"])

    @property
    def at(self) -> datetime:
        """When it happened."""
        return datetime.fromisoformat(self.event["time"])


@dataclass(frozen=True, slots=True)
class Receipt:
    """Which records of a batch, by their places in it, the receiver has for certain; and a stable code of why not all.
    ``problem`` says nothing of what was sent.
    """

    taken: frozenset[int]
    problem: str | None = None


class Transmitter(Protocol):
    """A way to one receiver."""

    async def send(self, records: Sequence[Record], /) -> Receipt:
        """Send these in order. Never raises for what the receiver does, and may be cut off."""
        ...


def all_of(records: Sequence[Record]) -> Receipt:
    """Everything was taken."""
    return Receipt(frozenset(range(len(records))))


def nothing(problem: str) -> Receipt:
    """None of it was, as far as is known."""
    return Receipt(frozenset(), problem)


def parsed(event: bytes) -> Body:
    """An event as the log has it. Half a surrogate pair, which a stranger may have typed, becomes U+FFFD: receivers
    refuse it, and one event that is refused would hold up all behind it.
    """
    text = event.decode()
    found: Body = json.loads(text)
    return _whole(found) if "\\ud" in text else found


def plain(event: Body, tenant: str, position: int) -> Body:
    """The form ``yett``: the event with its place in the log, as ``yett audit list --json`` has it."""
    return {**event, "tenant": tenant, "position": position}


def compact(body: Body) -> bytes:
    """JSON in ASCII on one line."""
    return json.dumps(body, separators=(",", ":")).encode("ascii")


def _whole(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case list():
            return [_whole(item) for item in value]
        case dict():
            return {_whole(key): _whole(item) for key, item in value.items()}
    return value
