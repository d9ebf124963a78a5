"""WebSocket frames written and read by hand (RFC 6455 section 5.2), without the code that is tested."""

import base64
import hashlib
from dataclasses import dataclass

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 section 1.3
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
MASK = bytes((0x37, 0xFA, 0x21, 0x3D))


@dataclass(frozen=True)
class Frame:
    opcode: int
    payload: bytes
    fin: bool = True
    key: bytes | None = None

    @property
    def code(self) -> int:
        """Of a Close."""
        return int.from_bytes(self.payload[:2], "big")


def masked(data: bytes, key: bytes) -> bytes:
    return bytes(byte ^ key[place % 4] for place, byte in enumerate(data))


def written(opcode: int, payload: bytes = b"", *, fin: bool = True, key: bytes | None = MASK) -> bytes:
    """A client's frame; a server's with ``key`` None."""
    flag = 0 if key is None else 0x80
    size = len(payload)
    if size < 126:
        length = bytes((flag | size,))
    elif size < 65536:
        length = bytes((flag | 126,)) + size.to_bytes(2, "big")
    else:
        length = bytes((flag | 127,)) + size.to_bytes(8, "big")
    first = bytes(((0x80 if fin else 0) | opcode,))
    return first + length + (payload if key is None else key + masked(payload, key))


def closing(code: int, reason: str = "", *, key: bytes | None = MASK) -> bytes:
    return written(CLOSE, code.to_bytes(2, "big") + reason.encode(), key=key)


def frames(data: bytes) -> list[Frame]:
    """The whole frames in ``data``; what is behind the last of them is left out."""
    found = []
    while (read := _read(data)) is not None:
        frame, data = read
        found.append(frame)
    return found


def _read(data: bytes) -> tuple[Frame, bytes] | None:
    if len(data) < 2:
        return None
    size, at = data[1] & 0x7F, 2
    if size > 125:
        at += 2 if size == 126 else 8
        size = int.from_bytes(data[2:at], "big")
    key = None
    if data[1] & 0x80:
        key, at = data[at : at + 4], at + 4
    if len(data) < at + size:
        return None
    payload = data[at : at + size]
    return (
        Frame(data[0] & 0x0F, payload if key is None else masked(payload, key), bool(data[0] & 0x80), key),
        data[at + size :],
    )


def accept_of(key: str) -> str:
    """RFC 6455 section 4.2.2, item 5.4."""
    digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode(), usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def handshake(
    target: str,
    host: str,
    *fields: tuple[str, str],
    without: tuple[str, ...] = (),
    method: str = "GET",
    version: str = "1.1",
) -> bytes:
    """The request of a client; ``without`` leaves fields of it out."""
    usual = [
        ("Host", host),
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", KEY),
    ]
    lines = [f"{name}: {value}" for name, value in [*usual, *fields] if (name, value) in fields or name not in without]
    return "\r\n".join((f"{method} {target} HTTP/{version}", *lines, "", "")).encode("latin-1")
