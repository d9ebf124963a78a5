"""One transaction after the other, of a command that has many, with room for other writers between them."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

WANTED_SECONDS = 0.15
"""Of a transaction."""


class Turns:
    """``took`` is how long the last one was.

    SQLite's writers do not stand in line: they look again every 50 ms at most, and every 100 ms once they have waited
    for a quarter of a second. So the place stays empty that long, and who waited gets in before the next transaction.
    What is done meanwhile counts. PostgreSQL's writers do not wait for each other.
    """

    def __init__(self, *, polite: bool) -> None:
        self._polite = polite
        self._until = 0.0
        self.took = WANTED_SECONDS

    @asynccontextmanager
    async def next(self) -> AsyncIterator[None]:
        """Around the next transaction, begun when it is its turn."""
        if self._polite:
            await asyncio.sleep(max(0.0, self._until - time.monotonic()))
        began = time.monotonic()
        yield
        ended = time.monotonic()
        self.took = ended - began
        self._until = ended + (0.06 if self.took < 0.17 else 0.11)
