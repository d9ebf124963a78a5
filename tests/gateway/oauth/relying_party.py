"""A client's own server, on loopback: it takes logout tokens, and answers what a test says."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs


@dataclass
class RelyingParty:
    """``answers`` come one after the other, the last one for ever; while ``held`` is set, none does."""

    answers: list[int] = field(default_factory=lambda: [200])
    port: int = 0
    requests: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    at_once: int = 0
    most_at_once: int = 0

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}/logout"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = re.search(r"Content-Length: (\d+)", head)
            body = (await reader.readexactly(int(length[1]) if length else 0)).decode()
            self.requests.append(head)
            self.tokens += parse_qs(body)["logout_token"]
            self.came.set()
            await self.released.wait()
            status = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            moved = "Location: http://127.0.0.1:1/\r\n" if 300 <= status < 400 else ""
            writer.write(f"HTTP/1.1 {status} X\r\n{moved}Content-Length: 0\r\n\r\n".encode())
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # who called has left
        finally:
            self.at_once -= 1
            writer.close()


@asynccontextmanager
async def relying_party(*answers: int, held: bool = False) -> AsyncIterator[RelyingParty]:
    """One that listens."""
    party = RelyingParty([*answers] or [200])
    if not held:
        party.released.set()
    listener = await asyncio.start_server(party.serve, "127.0.0.1", 0)
    party.port = listener.sockets[0].getsockname()[1]
    try:
        yield party
    finally:
        party.released.set()
        listener.close()
