"""The answer to an operation that was done: its document, where that is, its entity tag; and how it is kept."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from starlette.responses import Response

from gateway.admin.document import encoded, entity_tag
from gateway.admin.operation import Answer, Operation
from tenants.compact_json import compact


@dataclass(frozen=True, slots=True)
class Written:
    """``body`` None: there is none to send. ``replayed``: it was done before, and is told once more."""

    body: str | None = field(repr=False)
    location: str | None = None
    tag: str | None = None
    afterwards: Callable[[], Awaitable[None]] | None = field(default=None, repr=False)
    replayed: bool = False

    @classmethod
    def of(cls, operation: Operation, answer: Answer) -> "Written":
        """An operation's answer."""
        shown = answer.tag or answer.document
        return cls(
            body=None if answer.document is None else encoded(answer.document).decode(),
            location=answer.location,
            tag=entity_tag(shown) if operation.tagged and shown is not None else None,
            afterwards=answer.afterwards,
        )

    @classmethod
    def kept(cls, stored: bytes) -> "Written":
        """What ``stored`` gave."""
        return cls(**json.loads(stored), replayed=True)

    def stored(self) -> bytes:
        """All that is sent, to be sent again."""
        return compact({"body": self.body, "location": self.location, "tag": self.tag})

    def response(self, operation: Operation) -> Response:
        """As HTTP. What it says may be secret, and is never another's."""
        told = {
            "Location": self.location,
            "ETag": self.tag,
            "Idempotent-Replayed": "true" if self.replayed else None,
        }
        headers = {"Cache-Control": "no-store"} | {name: value for name, value in told.items() if value is not None}
        if self.body is None:
            return Response(status_code=204, headers=headers)
        return Response(self.body, operation.status, headers, media_type="application/json")
