"""Where the access log goes, while it goes there: opened before it is used, opened anew for logrotate, changed.

A file that is to be used from now on has to be there or be made, else the configuration is refused. One that was in use
and cannot be opened anew is told of, and what is open goes on to be written.
"""

import asyncio
import os
from pathlib import Path
from typing import Final

import structlog

from gateway.log_writer import LogWriter, opened
from gateway.settings import ConfigError, Problem

log = structlog.get_logger("yett.access_log")
_STANDARD_OUTPUT: Final = 1


class AccessLogFile:
    """``writer`` writes there."""

    def __init__(self, writer: LogWriter) -> None:
        self.writer = writer
        self._file: Path | str = "off"

    def prepared(self, file: Path | str) -> int | None:
        """A descriptor for it, which may be in a thread. None: there is nothing to open, or what is open stays.

        Raises:
            ConfigError: it is another one than before, and cannot be opened.
        """
        if file == self._file == "off":
            return None
        try:
            if file == "off":  # so that the former file is let go of: whoever began before is not logged any more
                return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
            return os.dup(_STANDARD_OUTPUT) if file == "stdout" else opened(Path(file))
        except OSError as error:
            reason = error.strerror or type(error).__name__
            if file != self._file:
                raise ConfigError(
                    [Problem(str(file), None, "access_log.file", f"cannot be opened: {reason}")]
                ) from error
            log.error("access_log_not_reopened", file=str(file), error=reason)
            return None

    def take(self, file: Path | str, descriptor: int | None) -> None:
        """Write there from now on."""
        self._file = file
        if descriptor is not None:
            self.writer.write_to(descriptor)

    async def reopen(self) -> None:
        """For logrotate: the file of that name may be another one now. Of what a reload has changed meanwhile nothing
        is undone.
        """
        file = self._file
        descriptor = await asyncio.to_thread(self.prepared, file)
        if file == self._file:
            self.take(file, descriptor)
        elif descriptor is not None:
            os.close(descriptor)
