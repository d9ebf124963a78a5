"""``yett serve``: the listeners of a configured installation, until SIGTERM, in one process or in several."""

import asyncio
import resource
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from socket import socket
from typing import Any, Final

import click
import structlog
import uvloop

from gateway import settings as configuration
from gateway import telemetry
from gateway.app import running
from gateway.cli import acceptance, descriptors, garbage
from gateway.cli.listening import Listening
from gateway.cli.options import Invocation, command
from gateway.cli.reloading import reloading
from gateway.cli.supervisor import HURRY
from gateway.cli.workers import supervise, telling
from gateway.installation import Installation, open_installation
from gateway.live import Service
from gateway.reload.fingerprint import Fingerprint, fingerprint
from gateway.reload.reloader import Reloader
from gateway.reload.watch import Watch
from gateway.server.run import SIGNALS, Listener
from gateway.server.run import serve as serve_listeners
from gateway.settings import Settings
from gateway.worker import ALONE, Worker
from tenants import cpu_quota

LAST_WRITES: Final = timedelta(seconds=10)
"""After the drain: what is left to write is given up then, if the database has not taken it."""
_STOPS = (signal.SIGTERM, signal.SIGINT)

log = structlog.get_logger("yett.serve")

Beside = Callable[[Service, Listening], AbstractAsyncContextManager[None]]
_NO_SOCKETS: Mapping[str, socket] = {}


@command(None, loop_factory=uvloop.new_event_loop)
@click.option(
    "--watch/--no-watch",
    default=True,
    show_default=True,
    help="Reload when the configuration file changes; without it, at SIGHUP only.",
)
@click.option(
    "--processes",
    metavar="N",
    help="How many processes serve, or `auto` for one per core of the CPU quota; more than one on PostgreSQL only. "
    "Default: what the configuration says (`processes`).",
)
def serve(call: Invocation, watch: bool, processes: str | None) -> Awaitable[None] | None:
    """Serve identity and the proxied APIs on `listen`, probes on `management_listen`, until SIGTERM.

    SIGHUP reads the configuration again, SIGUSR1 opens the access log's file anew. At SIGTERM running requests are
    finished within `drain`, observations are written, and it exits 0.
    """
    for number in (signal.SIGHUP, signal.SIGUSR1):  # until there is something to reload, they must not end the process
        signal.signal(number, signal.SIG_IGN)
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))  # a core would hold master keys and passwords
    if processes is not None:
        call = replace(call, environ={**call.environ, "YETT_PROCESSES": processes})
    path = call.config_file()
    seen = fingerprint(path)
    settings = call.settings()
    telemetry.configure(settings.log)

    def load(file: Path | None) -> Settings:
        return configuration.load(file, call.environ)

    def tell_ready() -> None:
        click.echo(_ready(settings), err=True)

    def serving(
        mine: Settings,
        worker: Worker,
        sockets: Mapping[str, socket],
        on_ready: Callable[[], None],
        handed_over: Callable[[], Settings] | None = None,
    ) -> Coroutine[Any, Any, None]:
        def beside(service: Service, listening: Listening) -> AbstractAsyncContextManager[None]:
            prepare, watched = _prepare(listening, service), None
            if handed_over is not None:
                reloader = Reloader(None, lambda _: handed_over(), service.live.settings, prepare)
            else:
                reloader = Reloader(path, load, service.live.settings, prepare)
                watched = _watch(path, seen, reloader) if watch else None
            reopen = service.live.access_log.reopen
            return reloading(reloader, watched, reopen=reopen, stop=lambda: signal.raise_signal(signal.SIGTERM))

        return _serve(path, mine, worker, sockets, beside, on_ready)

    wanted = _processes(settings)
    if wanted == 1:
        return serving(settings, ALONE, _NO_SOCKETS, tell_ready)
    reloader = Reloader(path, load, settings, lambda new: acceptance.prepared(reloader.running, new))
    watched = _watch(path, seen, reloader) if watch else None
    code = supervise(wanted, serving, reloader, watched, on_ready=tell_ready, as_json=call.output.as_json)
    sys.exit(code)


def _watch(path: Path | None, seen: Fingerprint | None, reloader: Reloader) -> Watch | None:
    return None if path is None else Watch(path, seen, lambda: reloader.reload("file"))


def _processes(settings: Settings) -> int:
    if settings.processes is not None:
        return settings.processes
    return cpu_quota.cores() if settings.on_postgresql else 1


def _ready(settings: Settings) -> str:
    where = f"{settings.listen} and, for management, {settings.management_listen}"
    if settings.forward_auth.listen is not None:
        where += f"; proxies ask at {settings.forward_auth.listen}/forward-auth"
    return f"yett serves {where}; configuration {settings.digest}"


def _prepare(listening: Listening, service: Service) -> Callable[[Settings], Callable[[], None]]:
    def prepare(wanted: Settings) -> Callable[[], None]:
        takes = listening.prepare(wanted), service.live.prepare(wanted)  # the second opens a file, so it comes last

        def take() -> None:
            for each in takes:
                each()

        return take

    return prepare


async def _serve(
    path: Path | None,
    settings: Settings,
    worker: Worker,
    sockets: Mapping[str, socket],
    beside: Beside,
    on_ready: Callable[[], None],
) -> None:
    async with open_installation(settings, worker=worker) as installation:
        log.info("config_loaded", file=None if path is None else str(path), digest=settings.digest)
        await run(installation, sockets=sockets, on_ready=on_ready, beside=beside)


async def run(
    installation: Installation,
    *further: Listener,
    on_ready: Callable[[], None],
    beside: Beside | None = None,
    sockets: Mapping[str, socket] = _NO_SOCKETS,
) -> None:
    """Serve this installation until a signal asks to stop. ``beside`` runs along and has SIGHUP to itself. With
    ``sockets``, only the listeners that they are for are served.

    Raises:
        CannotListen: an address is taken.
        CertificateProblem: a certificate or its key cannot be used.
        TooFewDescriptors: more connections are configured than files may be open.
    """
    settings, worker = installation.settings, installation.worker
    loop = asyncio.get_running_loop()

    def give_up_later() -> None:
        """A database that does not answer keeps no process for longer than that."""
        loop.call_later((settings.drain + LAST_WRITES).total_seconds(), installation.database.give_up)

    asked = settings.listen_limits.connections
    listening = Listening(settings, descriptors.for_clients(descriptors.claim(asked), asked))
    async with (
        running(installation) as service,
        listening.watching(),
        telling(worker, service),
        nullcontext() if beside is None else beside(service, listening),
    ):
        garbage.settle()
        listeners = listening.listeners(service)
        if sockets:
            listeners = [replace(one, inherited=sockets[one.name]) for one in listeners if one.name in sockets]
        await serve_listeners(
            [*listeners, *further],
            lifespan=nullcontext,
            drain=settings.drain,
            on_ready=lambda _: on_ready(),
            stop_at=SIGNALS if beside is None else _STOPS if worker is ALONE else (signal.SIGTERM,),
            hurry_at=() if worker is ALONE else (HURRY,),
            on_stop=give_up_later,
        )
