"""A web server and a resolver of a test's own: what is called when an address that somebody else named is called."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

TRUSTS_NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # to load the system's authorities takes a while
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


@dataclass
class Names:
    """A resolver that answers what a test says, and remembers what it was asked."""

    addresses: dict[str, list[Sequence[str]]]
    asked: list[tuple[str, int]] = field(default_factory=list)

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        self.asked.append((host, port))
        answers = self.addresses.get(host)
        if answers is None:
            raise OSError("no such name")
        return answers.pop(0) if len(answers) > 1 else answers[0]


def names(**addresses: Sequence[str]) -> Names:
    return Names({name.replace("_", "."): [found] for name, found in addresses.items()})


@dataclass
class Server:
    """A server that reads one request and says what it was told to."""

    port: int
    requests: list[bytes] = field(default_factory=list)
    closed: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def serving(
    *says: bytes | float, address: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[Server]:
    """Bytes are sent, numbers are seconds to wait."""
    server = Server(0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            announced = re.search(rb"Content-Length: (\d+)", request)
            server.requests.append(request + (await reader.readexactly(int(announced[1])) if announced else b""))
            for said in says:
                if isinstance(said, bytes):
                    writer.write(said)
                    await writer.drain()
                else:
                    await asyncio.sleep(said)
        except (OSError, asyncio.IncompleteReadError):
            pass  # who called has left
        finally:
            server.closed.set()
            writer.close()

    listener = await asyncio.start_server(serve, address, 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    async with listener:
        yield server


def answer(body: bytes, *, status: str = "200 OK", **headers: str) -> bytes:
    """A whole answer as it goes over the wire."""
    fields = {"Content-Length": str(len(body)), **{name.replace("_", "-"): value for name, value in headers.items()}}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body
