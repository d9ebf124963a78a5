"""A way to a receiver that is made anew when a file of its certificates has changed. What was being sent goes on by the
one of before; files that do not work leave it in use.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from gateway.reload.fingerprint import fingerprint
from gateway.settings.upstream import TlsProblem
from gateway.sinks.record import Receipt, Record, Transmitter

_log = structlog.get_logger("yett.sinks")


class Renewed:
    """``make`` reads the ``files``, and raises ``TlsProblem`` where one of them cannot be used."""

    def __init__(self, name: str, files: Sequence[Path], make: Callable[[], Transmitter]) -> None:
        self._name = name
        self._files = tuple(files)
        self._make = make
        self._tried = self._seen = self._states()  # before they are read: what changes meanwhile is seen
        self._current = make()

    async def send(self, records: Sequence[Record], /) -> Receipt:
        """By the newest."""
        return await self._current.send(records)

    async def look(self) -> None:
        """Look whether a file has changed; to be called every few seconds. It is read once nothing changes any more,
        since a certificate and its key are seldom replaced in one moment.
        """
        now = await asyncio.to_thread(self._states)
        settled, self._seen = now == self._seen, now
        if not settled or now == self._tried:
            return
        self._tried = now
        try:
            self._current = await asyncio.to_thread(self._make)
        except TlsProblem as problem:
            _log.error("sink_certificates_refused", sink=self._name, field=problem.field, reason=str(problem))
        else:
            _log.info("sink_certificates_loaded", sink=self._name)

    def _states(self) -> tuple[object, ...]:
        return tuple(map(fingerprint, self._files))
