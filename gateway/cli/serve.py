"""``yett serve``: the two listeners of a configured installation, until SIGTERM."""

from collections.abc import Callable
from contextlib import nullcontext

import click
import uvloop

from gateway import telemetry
from gateway.app import running
from gateway.cli import descriptors, garbage
from gateway.cli.options import Invocation, command
from gateway.installation import Installation, open_installation
from gateway.server.limits import ServerLimits
from gateway.server.protocol import http_protocol
from gateway.server.run import Listener
from gateway.server.run import serve as serve_listeners

_MANAGEMENT_CONNECTIONS = 100


@command(None, loop_factory=uvloop.new_event_loop)
async def serve(call: Invocation) -> None:
    """Serve identity and the proxied APIs on `listen`, probes on `management_listen`, until SIGTERM.

    Running requests are finished within `drain`, observations are written, and it exits 0.
    """
    settings = call.settings()
    telemetry.configure(settings.log)
    async with open_installation(settings) as installation:
        ready = f"yett serves {settings.listen} and, for management, {settings.management_listen}"
        await run(installation, on_ready=lambda: click.echo(ready, err=True))


async def run(installation: Installation, *further: Listener, on_ready: Callable[[], None]) -> None:
    """Serve this installation until a signal asks to stop.

    Raises:
        CannotListen: an address is taken.
    """
    settings = installation.settings
    room = descriptors.for_clients(descriptors.claim())
    public, management = settings.listen, settings.management_listen
    async with running(installation) as service:
        listeners = [
            Listener(
                "public",
                service.public,
                host=public.address,
                port=public.port or 0,
                protocol=http_protocol(ServerLimits(connections=room)),
            ),
            Listener(
                "management",
                service.management,
                host=management.address,
                port=management.port or 0,
                protocol=http_protocol(ServerLimits(connections=_MANAGEMENT_CONNECTIONS)),
            ),
            *further,
        ]
        garbage.settle()
        await serve_listeners(listeners, lifespan=nullcontext, drain=settings.drain, on_ready=lambda _: on_ready())
