"""The sink ``file``: JSON lines, appended. The file is opened for each batch, so that nobody has to be told when it is
rotated by renaming.
"""

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from gateway.log_writer import opened
from gateway.sinks.apart import Apart, StillBusy
from gateway.sinks.record import Receipt, Record, all_of, nothing


class FileTransmitter:
    """``fsync``: what was taken is on the disk, and outlives a power cut."""

    def __init__(self, path: Path, *, fsync: bool) -> None:
        self._path = path
        self._fsync = fsync
        self._apart = Apart("file sink")

    async def send(self, records: Sequence[Record], /) -> Receipt:
        """Append them. What failed half-way is appended again, behind an end of line."""
        try:
            await self._apart.call(lambda: self._append(b"".join(record.body + b"\n" for record in records)))
        except StillBusy:
            return nothing("file_hangs")
        except OSError as error:
            return nothing("file_" + (os.strerror(error.errno).lower().replace(" ", "_") if error.errno else "failed"))
        return all_of(records)

    def _append(self, lines: bytes) -> None:
        descriptor = opened(self._path)
        try:
            rest = memoryview(b"\n" + lines if self._torn(descriptor) else lines)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            if self._fsync and stat.S_ISREG(os.fstat(descriptor).st_mode):  # a pipe or a terminal has no disk
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _torn(self, descriptor: int) -> bool:
        """Whether the file ends within a line, as a crash or a full disk leaves it."""
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size == 0:
            return False
        with self._path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"
