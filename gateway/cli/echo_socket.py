"""The WebSocket of the demo's upstream: sends every message back as it came, in the pieces that come.

It speaks at the server's own connection (server/upgraded.py), as an application may. For the demo only.
"""

import asyncio
from typing import Any

from gateway.server.asgi import Scope, Send
from gateway.server.frames import CLOSE, PING, PONG, FrameReader, close_frame, frame
from gateway.server.upgraded import UPGRADE, Upgraded
from policies import websocket
from policies.websocket import NoHandshake

_GOING_AWAY, _PROTOCOL_ERROR = 1001, 1002


class EchoSocket:
    """One connection. ``over`` is done when it has ended."""

    def __init__(self) -> None:
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._client: Upgraded | None = None
        self._answers: list[bytes] = []
        self._reader = FrameReader(masked=True, draw=None, on_control=self._control)

    def opened(self, client: Upgraded) -> None:
        """The connection stands."""
        self._client = client

    def received(self, data: bytes) -> None:
        """Send it back."""
        client = self._client
        if client is None or self._reader.ended:
            return
        reader = self._reader
        back = reader.feed(data)
        if back:
            client.write(back)
        if self._answers and not reader.inside:
            client.write(b"".join(self._answers))
            self._answers.clear()
        if reader.fault is not None:
            client.write(close_frame(_PROTOCOL_ERROR, reader.fault))
            client.linger()
        elif reader.ended:
            client.close()
        elif reader.rest:
            asyncio.get_running_loop().call_soon(self.received, b"")

    def full(self) -> None:
        """Read no more than is taken."""
        if self._client is not None:
            self._client.pause_reading()

    def free(self) -> None:
        """Go on."""
        if self._client is not None:
            self._client.resume_reading()

    def gone(self) -> None:
        """The other side has left."""
        if not self.over.done():
            self.over.set_result(None)

    def leave(self) -> None:
        """The server stops."""
        if self._client is not None:
            if not self._reader.inside:
                self._client.write(close_frame(_GOING_AWAY, ""))
            self._client.close()

    def _control(self, opcode: int, payload: bytes) -> bool:
        if opcode == PING:
            self._answers.append(frame(PONG, payload))
        return opcode == CLOSE


async def echo_socket(scope: Scope, send: Send) -> bool:
    """Answer a handshake and stay until the end; False where this is none."""
    asked = websocket.read(scope["method"], scope["http_version"], scope["headers"])
    if isinstance(asked, NoHandshake):
        return False
    socket = EchoSocket()
    fields: list[tuple[bytes, bytes]] = [
        (b"connection", b"Upgrade"),
        (b"upgrade", b"websocket"),
        (b"sec-websocket-accept", websocket.accept_value(asked.key)),
    ]
    message: dict[str, Any] = {"type": UPGRADE, "headers": fields, "receiver": socket}
    await send(message)
    await socket.over
    return True
