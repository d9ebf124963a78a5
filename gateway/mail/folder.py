"""Letters as ``*.eml`` files in a folder, for development: nothing leaves the machine."""

import asyncio
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from gateway.mail.sender import Envelope, ServerAway


class FolderSender:
    """Puts each letter into a file of its own, whole or not at all, for the process's user alone."""

    def __init__(self, folder: Path, *, clock: Callable[[], datetime]) -> None:
        self._folder = folder
        self._clock = clock

    async def send(self, envelope: Envelope, /) -> None:
        """Write the file; its name begins with the time.

        Raises:
            ServerAway: the folder cannot be written to.
        """
        name = f"{self._clock():%Y%m%dT%H%M%S.%f}-{uuid4().hex}.eml"
        try:
            await asyncio.to_thread(self._write, name, envelope.content)
        except OSError as error:
            raise ServerAway("folder_not_writable") from error

    def _write(self, name: str, content: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        whole, partial = self._folder / name, self._folder / f".{name}.part"
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.rename(whole)
        except OSError:
            partial.unlink(missing_ok=True)
            raise
