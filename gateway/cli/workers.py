"""Several processes that serve one installation: what their supervisor holds for them, and what it hands to each.

The sockets are opened here, once, and inherited: a worker that dies takes no connection with it but those that it had
accepted. Management is served by the first worker alone. The configuration is read here alone, and handed over: all
workers, and one that is started anew, have what was last accepted.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from socket import socket
from typing import Any

import uvloop

from gateway.cli.errors import reported
from gateway.cli.handover import Handover
from gateway.cli.lines import Line
from gateway.cli.listening import MANAGEMENT, listen_addresses
from gateway.cli.reloading import hung_up, open_terminals
from gateway.cli.supervisor import HURRY, Supervisor
from gateway.jobs import Job, Jobs
from gateway.live import Service
from gateway.reload.reloader import Reloader
from gateway.reload.watch import Watch
from gateway.server.listener import open_address
from gateway.settings import Settings
from gateway.worker import BEAT, Worker

_METRICS_INTERVAL = 1.0  # seconds: as old the numbers of other workers may be in a scrape

Serve = Callable[
    [Settings, Worker, Mapping[str, socket], Callable[[], None], Callable[[], Settings]], Coroutine[Any, Any, None]
]
"""With this configuration, as this worker, on these sockets by their listener's name; what to call when ready; and what
reads the configuration anew.
"""


def supervise(
    processes: int,
    serve: Serve,
    reloader: Reloader,
    watch: Watch | None,
    *,
    on_ready: Callable[[], None],
    as_json: bool,
) -> int:
    """Serve with so many workers until a signal asks to stop; the exit code.

    Raises:
        CannotListen: an address is taken.
    """
    held = {
        name: open_address(name, at.address, at.port or 0) for name, at in listen_addresses(reloader.running).items()
    }
    terminals = open_terminals()
    handover = Handover()
    handover.put(reloader.running)

    def work(worker: Worker, line: Line) -> int:
        mine = {name: opened for name, opened in held.items() if worker.number == 0 or name != MANAGEMENT}
        for name in held.keys() - mine.keys():
            held[name].close()

        try:
            with reported(as_json), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(_supervised(line, serve(reloader.running, worker, mine, line.ready, handover.take)))
        except SystemExit as ended:
            return ended.code if isinstance(ended.code, int) else 0
        return 0

    def reads_anew(by_signal: bool) -> bool:
        before = reloader.running
        if by_signal:
            asyncio.run(reloader.reload("SIGHUP"))
        elif watch is not None:
            asyncio.run(watch.look())
        if reloader.running is before:
            return False
        handover.put(reloader.running)
        return True

    def release() -> None:
        for opened in held.values():
            opened.close()  # else who connects now would wait in a queue that nobody empties

    return Supervisor(
        processes,
        work,
        drain=reloader.running.drain,
        on_ready=on_ready,
        on_stop=release,
        reads_anew=reads_anew,
        terminal_gone=lambda: hung_up(terminals),
    ).run()


@asynccontextmanager
async def telling(worker: Worker, service: Service) -> AsyncIterator[None]:
    """While it lasts, the pod's readiness hears whether this worker is well."""

    async def beat() -> None:
        worker.tell(service.ready())

    async def lay_down() -> None:
        worker.lay_down(service.metrics.read())

    ours = [Job("heartbeat", BEAT, beat), Job("metrics", _METRICS_INTERVAL, lay_down)]
    jobs = Jobs([] if worker.board is None else ours)
    jobs.start()
    try:
        yield
    finally:
        await jobs.stop()
        worker.tell(False)


async def _supervised(line: Line, work: Coroutine[Any, Any, None]) -> None:
    """The supervisor hears that this process goes on. One that is gone, however it went, is a signal to stop: nobody
    would ever end this process. Once the work is done nothing is left that a signal could stop.
    """
    loop = asyncio.get_running_loop()

    def orphaned() -> None:
        loop.remove_reader(line.alive)
        signal.raise_signal(signal.SIGTERM)

    async def beat() -> None:
        line.beat()

    loop.add_reader(line.alive, orphaned)
    beats = Jobs([Job("beat", BEAT, beat)])
    beats.start()
    try:
        await work
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, HURRY))
        await beats.stop()
        loop.remove_reader(line.alive)
