"""Group commit: events that are all that a request writes share a transaction with those of others (rule 7).

Whoever records an event goes on when it is on the disk, as with a transaction of one's own. What fails fails alone: an
event is encoded before it joins the others, and where the database refuses a row, each is written for itself.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from gateway.errors import Overloaded
from tenants import audit_outbox
from tenants.audit_event import Event
from tenants.database import DATABASE_ERRORS

_MOST_WAITING = 4096
_MOST_AT_ONCE = 128

_Entry = tuple[Mapping[str, object], asyncio.Future[None]]
Append = Callable[[Sequence[Mapping[str, object]]], Awaitable[None]]


class Journal:
    """``append`` writes outbox rows of any tenants in one transaction; there is one at a time. ``patience`` is how long
    anybody waits for one.
    """

    def __init__(self, append: Append, clock: Callable[[], datetime], patience: timedelta) -> None:
        self._append = append
        self._clock = clock
        self._patience = patience.total_seconds()
        self._waiting: list[_Entry] = []
        self._writing: asyncio.Task[None] | None = None

    async def record(self, tenant_id: UUID, event: Event) -> None:
        """Return when the event is committed. It is written even where the caller does not wait for it.

        Raises:
            Overloaded: as many wait as may wait, or the database has not answered; it may be written still.
            DATABASE_ERRORS: it could not be written.
        """
        if len(self._waiting) >= _MOST_WAITING:
            raise Overloaded(reason="audit_queue_full", retry_after=1)
        row = audit_outbox.row(event, tenant_id, self._clock())
        committed = asyncio.get_running_loop().create_future()
        self._waiting.append((row, committed))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        try:
            async with asyncio.timeout(self._patience):
                await committed
        except TimeoutError as error:
            raise Overloaded(reason="database_unavailable", retry_after=1) from error

    async def _write(self) -> None:
        """Until nobody waits: what came while the last transaction was written goes into the next."""
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:_MOST_AT_ONCE], self._waiting[_MOST_AT_ONCE:]
                await self._write_one(batch)
        finally:  # cut off at the end of the process: whoever comes after that begins anew
            self._writing = None

    async def _write_one(self, batch: Sequence[_Entry]) -> None:
        """One transaction. A row that the database refuses, as of a tenant that was deleted just now, fails alone."""
        try:
            await self._append([row for row, _ in batch])
        except DATABASE_ERRORS as error:
            _fail(batch, error)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told to whoever waits for it
            if len(batch) == 1:
                _fail(batch, error)
                return
            for entry in batch:
                await self._write_one([entry])
        except BaseException:
            for _, committed in batch:
                committed.cancel()
            raise
        else:
            for _, committed in batch:
                if not committed.done():
                    committed.set_result(None)


def _fail(batch: Sequence[_Entry], error: Exception) -> None:
    for _, committed in batch:
        if not committed.done():
            committed.set_exception(error)
