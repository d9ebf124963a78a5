"""Applications for the protocol to call."""

import asyncio
import json
from dataclasses import dataclass, field

from gateway.server.asgi import App, Message, Receive, Scope, Send


@dataclass
class Seen:
    """One request as the application saw it. ``complete``: to the end of its body."""

    scope: Scope
    body: bytes = b""
    complete: bool = False
    disconnected: bool = False

    @property
    def target(self) -> bytes:
        query = self.scope["query_string"]
        return bytes(self.scope["raw_path"] + (b"?" + query if query else b""))


@dataclass
class Recorder:
    """Reads the whole body, then answers with what it saw."""

    requests: list[Seen] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        seen = Seen(scope)
        self.requests.append(seen)
        while not seen.complete:
            message = await receive()
            if message["type"] == "http.disconnect":
                seen.disconnected = True
                return
            seen.body += message["body"]
            seen.complete = not message["more_body"]
        answer = json.dumps(
            {"method": scope["method"], "target": seen.target.decode(), "size": len(seen.body)}
        ).encode()
        await reply(send, answer)

    @property
    def complete(self) -> list[Seen]:
        return [seen for seen in self.requests if seen.complete]


def start(status: int = 200, *headers: tuple[bytes, bytes]) -> Message:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(data: bytes = b"", *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


async def reply(send: Send, data: bytes, status: int = 200) -> None:
    await send(start(status, (b"content-length", str(len(data)).encode())))
    await send(body(data))


def sending(*messages: Message) -> App:
    """Reads nothing and sends these."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(dict(message))

    return app


class Gate:
    """Answers when it is opened, so that a test can act in the middle of a request."""

    def __init__(self) -> None:
        self.entered = 0
        self.opened = asyncio.Event()

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        self.entered += 1
        await self.opened.wait()
        await reply(send, scope["raw_path"])
