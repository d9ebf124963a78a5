"""Blocking calls in a thread of their own, one at a time: a disk or a peer that hangs holds up that thread alone, and
not the end of the process either.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock, Thread
from typing import TypeVar

T = TypeVar("T")


class StillBusy(Exception):
    """The call before has not come back."""


class Apart:
    """A thread for each call, and never two."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._free = Lock()

    async def call(self, work: Callable[[], T]) -> T:
        """What ``work`` returns or raises. Who waits no longer leaves it running.

        Raises:
            StillBusy: an earlier one is running.
        """
        if not self._free.acquire(blocking=False):
            raise StillBusy
        done: Future[T] = Future()
        try:
            Thread(target=self._run, args=(done, work), name=self._name, daemon=True).start()
        except RuntimeError:  # as many threads as may be are there
            self._free.release()
            raise
        return await asyncio.wrap_future(done)

    def _run(self, done: Future[T], work: Callable[[], T]) -> None:
        wanted = done.set_running_or_notify_cancel()
        try:
            result = work() if wanted else None
        except Exception as error:  # noqa: BLE001 - told to whoever waits
            self._free.release()
            done.set_exception(error)
        else:
            self._free.release()
            if wanted:
                done.set_result(result)  # type: ignore[arg-type]  # None only where it was not wanted
