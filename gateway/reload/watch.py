"""Notices that the configuration file has changed, by looking at it every second.

No notification of the kernel's: those do not come from network file systems, and not for a link that is swapped further
up, as Kubernetes does. A file is taken up once two looks in a row have seen it the same, so that one that is being
written in place is left alone until its writer is done. Whoever renames a finished file into place is safe in any case.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from gateway.reload.fingerprint import Fingerprint, fingerprint

EVERY = 1.0  # seconds

Pause = Callable[[float], Awaitable[None]]


class Watch:
    """``seen`` is the state of the file that the running configuration was read from."""

    def __init__(self, path: Path, seen: Fingerprint | None, changed: Callable[[], Awaitable[object]]) -> None:
        self._path = path
        self._taken = seen
        self._last = seen
        self._changed = changed

    async def run(self, pause: Pause = asyncio.sleep) -> None:
        """Look until cancelled."""
        while True:
            await pause(EVERY)
            await self.look()

    async def look(self) -> bool:
        """Look once; whether there was something to take up, which has been done then."""
        now = await asyncio.to_thread(fingerprint, self._path)
        settled, self._last = now == self._last, now
        if not settled or now == self._taken:
            return False
        self._taken = now  # refused or not: the same file is not tried twice
        await self._changed()
        return True
