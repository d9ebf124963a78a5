"""The admin API as the console asks it: in this process, as an ASGI application, with the session's own access token.

So every right is decided there, and no page can show what its reader could not ask for.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.types import ASGIApp, Message, Scope

from gateway.console.place import Place

_KEPT = frozenset({"type", "asgi", "http_version", "server", "client", "scheme"})
_OURS = "yett."
_MISTAKES = frozenset({400, 409, 422})
_MERGE, _JSON = b"application/merge-patch+json", b"application/json"


class ApiRefused(Exception):
    """What the API answered instead: ``problem`` as RFC 9457 has it, ``challenge`` its ``WWW-Authenticate``."""

    def __init__(self, status: int, problem: Mapping[str, Any], challenge: str) -> None:
        super().__init__(str(problem.get("code")))
        self.status = status
        self.problem = problem
        self.challenge = challenge

    @property
    def code(self) -> str:
        """The problem's."""
        return str(self.problem.get("code", ""))

    @property
    def mistake(self) -> bool:
        """Whether it is about what was asked, and not about who asks."""
        return self.status in _MISTAKES

    @property
    def told(self) -> str:
        """What was wrong, in the API's own words."""
        each = [str(found["detail"]) for found in self.problem.get("errors", ())]
        return "; ".join(each) or str(self.problem.get("detail", self.code))


@dataclass(frozen=True, slots=True)
class Api:
    """``app`` is the API's application, ``scope`` the request on whose behalf it is asked."""

    app: ASGIApp
    scope: Scope
    place: Place
    token: str

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """The document at an operation's path. Raises ApiRefused."""
        found, _ = await self._call("GET", path, query=query)
        return found

    async def send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Have something done. A PATCH is of the state that is there now. Raises ApiRefused."""
        tag = b""
        if method == "PATCH":
            _, tag = await self._call("GET", path)
        found, _ = await self._call(method, path, body=body, tag=tag)
        return found

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        tag: bytes = b"",
    ) -> tuple[Any, bytes]:
        sent = b"" if body is None else json.dumps(body).encode()
        fields = [(b"authorization", b"Bearer " + self.token.encode("ascii")), (b"content-length", b"%d" % len(sent))]
        if body is not None:
            fields.append((b"content-type", _MERGE if method == "PATCH" else _JSON))
        if tag:
            fields.append((b"if-match", tag))
        address = self.place.api_path(path)
        scope = {name: value for name, value in self.scope.items() if name in _KEPT or name.startswith(_OURS)}
        scope |= {
            "method": method,
            "path": address,
            "raw_path": address.encode("ascii"),
            "root_path": "",
            "query_string": urlencode(query or {}).encode("ascii"),
            "headers": fields,
        }
        status, headers, answered = await _answer(self.app, scope, sent)
        document = json.loads(answered) if answered else None
        if status >= 400:
            challenge = headers.get(b"www-authenticate", b"").decode("latin-1")
            raise ApiRefused(status, document or {}, challenge)
        return document, headers.get(b"etag", b"")


async def _answer(app: ASGIApp, scope: Scope, body: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
    status, headers, parts = 500, dict[bytes, bytes](), []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status, headers = message["status"], {name.lower(): value for name, value in message["headers"]}
        elif message["type"] == "http.response.body":
            parts.append(message.get("body", b""))

    await app(scope, receive, send)
    return status, headers, b"".join(parts)
