"""Receivers of a test's own: a web server that answers what it is told to, and events to send there."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from gateway.settings import from_mapping
from gateway.sinks.record import Record, compact, parsed, plain
from gateway.sinks.recorded import checkpoint_record
from tenants.audit_event import Event, encode
from tenants.signed_note import SignerKey
from tenants.sink_batch import QueuedCheckpoint
from tests.gateway.web_server import answer

AT = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
TENANT = UUID("0190b8a0-0000-7000-8000-000000000001")

Request = tuple[bytes, dict[str, str], bytes]
"""Its line, its header fields by lower-case name, its body."""


def record(type_: str = "login.refused", position: int = 0, **fields: Any) -> Record:
    told = Event(type_, fields.pop("outcome", "refused"), **fields)
    event = parsed(encode(told, event_id=uuid4(), tenant_id=TENANT, at=AT))
    return Record("acme", position, event, compact(plain(event, "acme", position)))


def checkpoint(format_: str = "yett") -> Record:
    """Of a log of eight events, signed by a key that nobody keeps."""
    sink = {"name": "f", "kind": "file", "path": "/f", "format": format_}
    settings = from_mapping({"public_url": "https://auth.example.com", "sinks": [sink]}, source="test")
    note = SignerKey.generate("auth.example.com/t/acme/audit").signed(8, bytes(32))
    return checkpoint_record(QueuedCheckpoint(TENANT, "acme", note, 8, AT, 3), settings.sinks[0])


@dataclass
class Receiver:
    """``says`` makes the answer of a request's body; None: it never answers."""

    says: Callable[[bytes], bytes | None] = lambda _: answer(b"{}")
    port: int = 0
    requests: list[Request] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii")
            line, *rest = head.rstrip().split("\r\n")
            headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in rest)}
            body = await reader.readexactly(int(headers["content-length"]))
            self.requests.append((line.encode(), headers, body))
            self.asked.set()
            said = self.says(body)
            if said is None:
                await self.released.wait()
            else:
                writer.write(said)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # who called has left
        finally:
            writer.close()

    @property
    def ids(self) -> list[str]:
        """Of the events that came, in the order in which they came."""
        return [each for _, _, body in self.requests for each in re.findall(r'"id":"([0-9a-f-]{36})"', body.decode())]


@asynccontextmanager
async def receiving(
    says: Callable[[bytes], bytes | None] | bytes | None, *, tls: ssl.SSLContext | None = None, port: int = 0
) -> AsyncIterator[Receiver]:
    receiver = Receiver(says if callable(says) else lambda _: says)
    listener = await asyncio.start_server(receiver.serve, "127.0.0.1", port, ssl=tls)
    receiver.port = listener.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        receiver.released.set()
        listener.close()
        await listener.wait_closed()
