"""The helper process that hashes passwords, and the frames that it and the pool exchange over their socketpair.

Started as a file (``python -P tenants/hashing_worker.py FD MEMORY_KIB TIME_COST PARALLELISM``), so it imports little
and is ready in some 60 ms. It answers one frame at a time and ends when the other side is gone, however that side
ended. A password comes in over the socket, never by argument or environment, and is not logged. Owns no queue and no
policy: hashing.py does.

    frame = length of what follows (4 bytes) ‖ job number (8 bytes) ‖ kind (1 byte) ‖ body
    body of a verification = length of the stored hash (2 bytes) ‖ stored hash ‖ length of the password (2 bytes) ‖
        password ‖ the password as it was typed, where that is to be tried too
"""

import os
import signal
import socket
import struct
import sys
from dataclasses import dataclass

from pwdlib.hashers.argon2 import Argon2Hasher

from tenants import foreign_hash

HASH = 1
VERIFY = 2
VERIFY_AND_HASH = 3
READY = 16
HASHED = 17
VERIFIED = 18
MISMATCH = 19
FAILED = 20

MAX_FRAME = 16 * 1024
_LENGTH = struct.Struct("!I")
_HEAD = struct.Struct("!QB")
_SIZE = struct.Struct("!H")
_NICEST = 19
_ARGON2 = b"$argon2"


@dataclass(frozen=True, slots=True)
class Frame:
    """One message. Its repr leaves the body out: it may be a password."""

    job: int
    kind: int
    body: bytes

    def __repr__(self) -> str:
        return f"Frame(job={self.job}, kind={self.kind})"

    def encoded(self) -> bytes:
        """The bytes on the socket."""
        return _LENGTH.pack(_HEAD.size + len(self.body)) + _HEAD.pack(self.job, self.kind) + self.body


def verification(stored: str, password: bytes, typed: bytes = b"") -> bytes:
    """The body of a verification. ``password`` is in normal form: it is what a new hash is of."""
    encoded = stored.encode("ascii")
    return _SIZE.pack(len(encoded)) + encoded + _SIZE.pack(len(password)) + password + typed


def take_frame(buffer: bytearray) -> Frame | None:
    """Remove the first frame from what was received; None where it is not whole yet. Raises ValueError for an
    impossible length.
    """
    if len(buffer) < _LENGTH.size:
        return None
    (size,) = _LENGTH.unpack_from(buffer)
    if not _HEAD.size <= size <= MAX_FRAME:
        raise ValueError(f"a frame of {size} bytes")
    end = _LENGTH.size + size
    if len(buffer) < end:
        return None
    job, kind = _HEAD.unpack_from(buffer, _LENGTH.size)
    body = bytes(memoryview(buffer)[_LENGTH.size + _HEAD.size : end])
    del buffer[:end]
    return Frame(job, kind, body)


def answer(hasher: Argon2Hasher, asked: Frame) -> Frame:
    """Do what a frame asks."""
    try:
        if asked.kind == HASH:
            return Frame(asked.job, HASHED, hasher.hash(asked.body).encode("ascii"))
        if asked.kind in (VERIFY, VERIFY_AND_HASH):
            return _verify(hasher, asked)
        return Frame(asked.job, FAILED, b"unknown kind")
    except Exception as error:  # noqa: BLE001 - whatever it is, this job fails and the next one is served
        return Frame(asked.job, FAILED, type(error).__name__.encode("ascii", "replace"))


def _verify(hasher: Argon2Hasher, asked: Frame) -> Frame:
    stored, rest = _taken(asked.body)
    password, typed = _taken(rest)
    # Each of them, though the first may match: the time is not to tell.
    matched = [_matches(hasher, stored, secret) for secret in ((password, typed) if typed else (password,))]
    if not any(matched):
        return Frame(asked.job, MISMATCH, b"")
    renewed = hasher.hash(password).encode("ascii") if asked.kind == VERIFY_AND_HASH else b""
    return Frame(asked.job, VERIFIED, renewed)


def _taken(body: bytes) -> tuple[bytes, bytes]:
    """What has its length before it, and the rest."""
    (size,) = _SIZE.unpack_from(body)
    return body[_SIZE.size : _SIZE.size + size], body[_SIZE.size + size :]


def _matches(hasher: Argon2Hasher, stored: bytes, password: bytes) -> bool:
    if stored.startswith(_ARGON2):
        return hasher.verify(password, stored)
    return foreign_hash.matches(stored.decode("ascii"), password)


def serve(connection: socket.socket, hasher: Argon2Hasher) -> None:
    """Answer frames until the other side is gone."""
    buffer = bytearray()
    try:
        connection.sendall(Frame(0, READY, b"").encoded())
        while received := connection.recv(65536):
            buffer += received
            while (asked := take_frame(buffer)) is not None:
                connection.sendall(answer(hasher, asked).encoded())
    except (BrokenPipeError, ConnectionResetError):
        return


def main(arguments: list[str]) -> None:
    """Serve on the inherited socket ``FD`` with this cost."""
    # A signal to the whole group (Ctrl-C, a service manager) is the gateway's to act on: it drains, then closes the
    # socket.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.setpriority(os.PRIO_PROCESS, 0, _NICEST)
    descriptor, memory_kib, time_cost, parallelism = (int(argument) for argument in arguments)
    hasher = Argon2Hasher(time_cost=time_cost, memory_cost=memory_kib, parallelism=parallelism)
    with socket.socket(fileno=descriptor) as connection:
        serve(connection, hasher)


if __name__ == "__main__":
    main(sys.argv[1:])
