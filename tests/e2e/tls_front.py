"""TLS in front of a gateway, as an operator has it: browsers come by https, and the gateway sees plain HTTP.

Only bytes are moved. The certificate is nobody's that a browser knows, so the browser has to be told not to mind.
"""

import asyncio
import threading
from contextlib import suppress
from pathlib import Path

from tests.e2e.ports import free_port
from tests.gateway.mail import certificate

_START_SECONDS = 10
_CHUNK = 65_536


class TlsFront:
    """Listens on ``port`` of loopback, in a thread of its own, and connects to ``target`` there."""

    def __init__(self, target: int, folder: Path) -> None:
        self.port = free_port()
        self._target = target
        self._tls = certificate.make(folder).server()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> "TlsFront":
        self._thread.start()
        assert self._listening.wait(_START_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    async def _run(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connected, "127.0.0.1", self.port, ssl=self._tls)
        self._listening.set()
        await self._end.wait()
        server.close()  # the connections that are left end with the loop

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._target)
        await asyncio.gather(_move(reader, inner_writer), _move(inner_reader, writer))


async def _move(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until one of the two has gone, which ends both."""
    with suppress(OSError):
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
    writer.close()
