"""What makes ``yett serve`` take another configuration: SIGHUP, and the file itself. SIGUSR1 is for logrotate.

SIGHUP has two senders. Whoever runs the service means "read your configuration"; the kernel means "your terminal is
gone". A server in the foreground of a terminal that is gone ends in order, since its log has nowhere to go; every other
one reloads, as nginx does, one in a terminal that is still there too.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from gateway.reload.reloader import Reloader
from gateway.reload.watch import Watch

_STANDARD_ERROR: Final = 2


@asynccontextmanager
async def reloading(
    reloader: Reloader,
    watch: Watch | None,
    *,
    reopen: Callable[[], Coroutine[Any, Any, object]],
    stop: Callable[[], None],
) -> AsyncIterator[None]:
    """While it is open, SIGHUP reloads, and so does a change that ``watch`` sees; SIGUSR1 opens the access log anew.
    Afterwards both are ignored: they come as long as there is a process, and must not end it at its last writes.

    ``stop`` ends the server.
    """
    loop = asyncio.get_running_loop()
    terminals = open_terminals()
    running: set[asyncio.Task[object]] = set()

    def hangup() -> None:
        if hung_up(terminals):
            stop()
            return
        begin(reloader.reload("SIGHUP"))

    def begin(work: Coroutine[Any, Any, object]) -> None:
        task = loop.create_task(work)
        running.add(task)
        task.add_done_callback(running.discard)

    loop.add_signal_handler(signal.SIGHUP, hangup)
    loop.add_signal_handler(signal.SIGUSR1, lambda: begin(reopen()))
    if watch is not None:
        begin(watch.run())
    try:
        yield
    finally:
        for number in (signal.SIGHUP, signal.SIGUSR1):
            loop.add_signal_handler(number, _ignored)
        for task in tuple(running):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def _ignored() -> None:
    """Nothing is to be done."""


def open_terminals() -> Sequence[int]:
    """Which of standard output and standard error are terminals."""
    return [descriptor for descriptor in (1, _STANDARD_ERROR) if is_terminal(descriptor)]


def hung_up(terminals: Sequence[int]) -> bool:
    """Whether standard error, which was one of these, is none any more; what is written goes nowhere then."""
    if _STANDARD_ERROR not in terminals or is_terminal(_STANDARD_ERROR):
        return False
    _write_nowhere(terminals)
    return True


def is_terminal(descriptor: int) -> bool:
    """Whether this is a terminal that somebody could read from; one that has hung up is none any more."""
    return os.isatty(descriptor)


def _write_nowhere(descriptors: Iterable[int]) -> None:
    """Each line of the log would fail, and with it whoever wrote it."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in descriptors:
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
