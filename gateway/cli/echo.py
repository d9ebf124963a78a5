"""The demo's upstream: an API that answers with what reached it. A plain ASGI application, for the demo only.

It shows what the gateway sends on, so it authenticates nobody and must not be reachable from outside. It holds
no body in memory: any size passes.

    ANY /...              JSON: method, path (as received, with its query), headers (pairs), body (length, sha256)
    ANY /...?download=N   N bytes, the pattern 00 01 .. ff repeated, in place of the JSON
    ANY /events           one server-sent event a second until the client leaves
    GET /ws               a WebSocket that sends every message back
"""

import asyncio
import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

from gateway.cli.echo_socket import echo_socket
from gateway.server.asgi import Receive, Scope, Send

Headers = Iterable[tuple[bytes, bytes]]

MAX_DOWNLOAD = 64 * 1024**3
_BLOCK = bytes(range(256)) * 256
_EVENT_SECONDS = 1.0
_NUMBER = re.compile(r"[0-9]{1,15}")


class Echo:
    """``sleep`` waits between two events; a test injects its own."""

    def __init__(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._sleep = sleep

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "http":
                await self._http(scope, receive, send)
            case "lifespan":
                await _lifespan(receive, send)
            case "websocket":
                await send({"type": "websocket.close", "code": 1000})
            case other:
                raise ValueError(f"echo knows no {other!r}")

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _digest(receive)
        if body is None:
            return
        if scope["raw_path"] == b"/ws" and await echo_socket(scope, send):
            return
        if scope["raw_path"] == b"/events":
            await self._until_gone(receive, self._events(send))
            return
        wanted = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True).get("download")
        if wanted is None:
            await _answer_json(send, 200, _seen(scope, body))
        elif _NUMBER.fullmatch(wanted[0]) and int(wanted[0]) <= MAX_DOWNLOAD:
            await self._until_gone(receive, _download(send, int(wanted[0])))
        else:
            await _answer_json(send, 400, {"error": f"download must be a number up to {MAX_DOWNLOAD}"})

    async def _until_gone(self, receive: Receive, answer: Awaitable[None]) -> None:
        """Ends the answer when its client leaves: a server takes what is sent to nobody without a word."""
        answering = asyncio.ensure_future(answer)
        leaving = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
            if answering.done():
                await answering
        finally:
            for task in (answering, leaving):
                task.cancel()
            await asyncio.gather(answering, leaving, return_exceptions=True)

    async def _events(self, send: Send) -> None:
        await _start(send, 200, [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")])
        number = 0
        while True:
            data = json.dumps({"number": number})
            text = f"id: {number}\ndata: {data}\n\n"
            await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
            await self._sleep(_EVENT_SECONDS)
            number += 1


def _seen(scope: Scope, body: dict[str, int | str]) -> dict[str, Any]:
    query: bytes = scope["query_string"]
    target: bytes = scope["raw_path"] + (b"?" + query if query else b"")
    return {
        "method": scope["method"],
        "path": target.decode("latin-1"),
        "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]],
        "body": body,
    }


async def _digest(receive: Receive) -> dict[str, int | str] | None:
    """Reads the body to its end. None: the client left before it had sent everything."""
    digest, length, more = hashlib.sha256(), 0, True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return None
        part = message.get("body", b"")
        digest.update(part)
        length += len(part)
        more = message.get("more_body", False)
    return {"length": length, "sha256": digest.hexdigest()}


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _download(send: Send, length: int) -> None:
    await _start(send, 200, [(b"content-type", b"application/octet-stream"), (b"content-length", b"%d" % length)])
    left = length
    while left > len(_BLOCK):
        await send({"type": "http.response.body", "body": _BLOCK, "more_body": True})
        left -= len(_BLOCK)
    await send({"type": "http.response.body", "body": _BLOCK[:left]})


async def _answer_json(send: Send, status: int, value: object) -> None:
    body = json.dumps(value).encode()
    await _start(send, status, [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))])
    await send({"type": "http.response.body", "body": body})


async def _start(send: Send, status: int, headers: Headers) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
