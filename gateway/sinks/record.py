"""One record on its way to a sink, and what a sink says of a batch.

A record is an audit event, what is left of one that was erased, or a checkpoint (``audit.checkpoint``), which is in no
log and has no position.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Record:
    """``event`` is the audit event's own fields; ``body`` what is sent, in the form that the sink wants, as JSON in
    ASCII on one line.
    """

    tenant: str
    position: int | None
    event: Body
    body: bytes

    @property
    def id(self) -> str:
        """By which a receiver finds one that came twice."""
        return str(self.event["id"])

    @property
    def at(self) -> datetime:
        """When it happened."""
        return datetime.fromisoformat(self.event["time"])


@dataclass(frozen=True, slots=True)
class Receipt:
    """Which records of a batch, by their places in it, the receiver has for certain; which it ``refused`` and always
    will, and why; and a stable code of why it has not all others, which are worth another attempt. No code says
    anything of what was sent.
    """

    taken: frozenset[int]
    problem: str | None = None
    refused: Mapping[int, str] = field(default_factory=dict)


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


def plain(event: Body, tenant: str, position: int | None) -> Body:
    """The form ``yett``: the event with its place in the log, as ``yett audit list --json`` has it."""
    found = {**event, "tenant": tenant}
    return found if position is None else found | {"position": position}


def compact(body: Body | str) -> bytes:
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
