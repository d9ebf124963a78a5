"""The addresses of a name, as the system's resolver knows them, in threads of their own.

A look-up blocks its thread for as long as the resolver goes on trying, and can't be cut off: names whose servers never
answer would fill whatever pool they share. So there are few threads, which do nothing else, and no queue before them.
"""

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import BoundedSemaphore

_AT_ONCE = 8


class LookUpsBusy(Exception):
    """As many names as may be are being looked up."""


class NameLookUp:
    """Looks up ``at_once`` names at a time. Threads are started when they are needed."""

    def __init__(self, *, at_once: int = _AT_ONCE) -> None:
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="lookup")
        self._free = BoundedSemaphore(at_once)

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """In the system's order. Who does not wait for it any longer leaves a thread busy until the system gives up.

        Raises:
            LookUpsBusy: no thread is free.
            OSError: the name has no address.
        """
        if not self._free.acquire(blocking=False):
            raise LookUpsBusy
        found = self._threads.submit(_addresses, host, port)
        found.add_done_callback(self._done)
        return await asyncio.wrap_future(found)

    def _done(self, _: Future[Sequence[str]]) -> None:
        self._free.release()


def _addresses(host: str, port: int) -> Sequence[str]:
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
