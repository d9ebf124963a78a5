"""The addresses of a name, as the system's resolver knows them, in threads of their own.

A look-up blocks its thread for as long as the resolver goes on trying, and can't be cut off: names whose servers never
answer would fill whatever pool they share. So there are few threads, which do nothing else, and no queue before them;
and the end of the process waits for none of them.
"""

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import Future
from threading import BoundedSemaphore, Thread

_AT_ONCE = 8


class LookUpsBusy(Exception):
    """As many names as may be are being looked up."""


class NameLookUp:
    """Looks up ``at_once`` names at a time, each in a thread of its own."""

    def __init__(self, *, at_once: int = _AT_ONCE) -> None:
        self._free = BoundedSemaphore(at_once)

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """In the system's order. Who does not wait for it any longer leaves a thread busy until the system gives up.

        Raises:
            LookUpsBusy: no thread is free.
            OSError: the name has no address.
        """
        if not self._free.acquire(blocking=False):
            raise LookUpsBusy
        found: Future[Sequence[str]] = Future()
        found.add_done_callback(self._done)  # before whoever waits is told: the next one finds a thread free
        Thread(target=_look_up, args=(found, host, port), name="lookup", daemon=True).start()
        return await asyncio.wrap_future(found)

    def _done(self, _: Future[Sequence[str]]) -> None:
        self._free.release()


def _look_up(found: Future[Sequence[str]], host: str, port: int) -> None:
    if not found.set_running_or_notify_cancel():
        return
    try:
        addresses = _addresses(host, port)
    except Exception as error:  # noqa: BLE001 - told to whoever waits
        found.set_exception(error)
    else:
        found.set_result(addresses)


def _addresses(host: str, port: int) -> Sequence[str]:
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
