"""``yett serve``: the listeners of a configured installation, until SIGTERM."""

import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext

import click
import structlog
import uvloop

from gateway import settings as configuration
from gateway import telemetry
from gateway.app import running
from gateway.cli import descriptors, garbage
from gateway.cli.listening import Listening
from gateway.cli.options import Invocation, command
from gateway.cli.reloading import reloading
from gateway.installation import Installation, open_installation
from gateway.live import Service
from gateway.reload.fingerprint import fingerprint
from gateway.reload.reloader import Reloader
from gateway.reload.watch import Watch
from gateway.server.run import SIGNALS, Listener
from gateway.server.run import serve as serve_listeners
from gateway.settings import Settings

_STOPS = (signal.SIGTERM, signal.SIGINT)

log = structlog.get_logger("yett.serve")

Beside = Callable[[Service, Listening], AbstractAsyncContextManager[None]]


@command(None, loop_factory=uvloop.new_event_loop)
@click.option(
    "--watch/--no-watch",
    default=True,
    show_default=True,
    help="Reload when the configuration file changes; without it, at SIGHUP only.",
)
async def serve(call: Invocation, watch: bool) -> None:
    """Serve identity and the proxied APIs on `listen`, probes on `management_listen`, until SIGTERM.

    SIGHUP reads the configuration again, SIGUSR1 opens the access log's file anew. At SIGTERM running requests are
    finished within `drain`, observations are written, and it exits 0.
    """
    for number in (signal.SIGHUP, signal.SIGUSR1):  # until there is something to reload, they must not end the process
        signal.signal(number, signal.SIG_IGN)
    path = call.config_file()
    seen = fingerprint(path)
    settings = call.settings()
    telemetry.configure(settings.log)

    def beside(service: Service, listening: Listening) -> AbstractAsyncContextManager[None]:
        live = service.live

        def prepare(wanted: Settings) -> Callable[[], None]:
            takes = listening.prepare(wanted), live.prepare(wanted)  # the second opens a file, so it comes last

            def take() -> None:
                for each in takes:
                    each()

            return take

        reloader = Reloader(path, lambda file: configuration.load(file, call.environ), live.settings, prepare)
        watched = Watch(path, seen, lambda: reloader.reload("file")) if watch and path is not None else None
        return reloading(
            reloader, watched, reopen=live.access_log.reopen, stop=lambda: signal.raise_signal(signal.SIGTERM)
        )

    async with open_installation(settings) as installation:
        log.info("config_loaded", file=None if path is None else str(path), digest=settings.digest)
        where = f"{settings.listen} and, for management, {settings.management_listen}"
        if settings.forward_auth.listen is not None:
            where += f"; proxies ask at {settings.forward_auth.listen}/forward-auth"
        ready = f"yett serves {where}; configuration {settings.digest}"
        await run(installation, on_ready=lambda: click.echo(ready, err=True), beside=beside)


async def run(
    installation: Installation, *further: Listener, on_ready: Callable[[], None], beside: Beside | None = None
) -> None:
    """Serve this installation until a signal asks to stop. ``beside`` runs along and has SIGHUP to itself.

    Raises:
        CannotListen: an address is taken.
        CertificateProblem: a certificate or its key cannot be used.
        TooFewDescriptors: more connections are configured than files may be open.
    """
    settings = installation.settings
    asked = settings.listen_limits.connections
    listening = Listening(settings, descriptors.for_clients(descriptors.claim(asked), asked))
    async with (
        running(installation) as service,
        listening.watching(),
        nullcontext() if beside is None else beside(service, listening),
    ):
        garbage.settle()
        await serve_listeners(
            [*listening.listeners(service), *further],
            lifespan=nullcontext,
            drain=settings.drain,
            on_ready=lambda _: on_ready(),
            stop_at=SIGNALS if beside is None else _STOPS,
        )
