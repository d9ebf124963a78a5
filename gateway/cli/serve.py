"""``yett serve``: the listeners of a configured installation, until SIGTERM."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext

import click
import structlog
import uvloop

from gateway import telemetry
from gateway.app import running
from gateway.cli import descriptors, garbage
from gateway.cli.options import Invocation, command
from gateway.installation import Installation, open_installation
from gateway.jobs import Job, Jobs
from gateway.server.certificates import Certificates, Pair
from gateway.server.configured import http_protocol
from gateway.server.limits import ServerLimits
from gateway.server.run import Listener
from gateway.server.run import serve as serve_listeners
from gateway.settings import Certificate, HostPort, Settings

_MANAGEMENT_CONNECTIONS = 100
_ASKING_CONNECTIONS = 1_000
_CERTIFICATES_INTERVAL = 2.0

log = structlog.get_logger("yett.tls")


@command(None, loop_factory=uvloop.new_event_loop)
async def serve(call: Invocation) -> None:
    """Serve identity and the proxied APIs on `listen`, probes on `management_listen`, until SIGTERM.

    Running requests are finished within `drain`, observations are written, and it exits 0.
    """
    settings = call.settings()
    telemetry.configure(settings.log)
    async with open_installation(settings) as installation:
        ready = f"yett serves {settings.listen} and, for management, {settings.management_listen}"
        if settings.forward_auth.listen is not None:
            ready += f"; proxies ask at {settings.forward_auth.listen}/forward-auth"
        await run(installation, on_ready=lambda: click.echo(ready, err=True))


async def run(installation: Installation, *further: Listener, on_ready: Callable[[], None]) -> None:
    """Serve this installation until a signal asks to stop.

    Raises:
        CannotListen: an address is taken.
        CertificateProblem: a certificate or its key cannot be used.
    """
    settings = installation.settings
    room = descriptors.for_clients(descriptors.claim())
    public, management = settings.listen, settings.management_listen
    certificates = _certificates(settings.tls.certificates)
    management_certificates = _certificates(settings.management_tls.certificates)
    if certificates is not None:
        _warn_of_names(settings, certificates)
    async with running(installation) as service, _watched(certificates, management_certificates):
        listeners = [
            Listener(
                "public",
                service.public,
                host=public.address,
                port=public.port or 0,
                protocol=http_protocol(_limits(settings, room), exempt=settings.trusted_proxies),
                certificates=certificates,
            ),
            Listener(
                "management",
                service.management,
                host=management.address,
                port=management.port or 0,
                protocol=http_protocol(_limits(settings, _MANAGEMENT_CONNECTIONS), exempt=settings.trusted_proxies),
                certificates=management_certificates,
            ),
            *further,
        ]
        asked = settings.forward_auth.listen
        if service.forward_auth is not None and asked is not None:
            listeners.append(
                Listener(
                    "forward auth",
                    service.forward_auth,
                    host=asked.address,
                    port=asked.port or 0,
                    protocol=http_protocol(
                        _limits(settings, min(room, _ASKING_CONNECTIONS)), exempt=settings.forward_auth.peers
                    ),
                )
            )
        garbage.settle()
        await serve_listeners(listeners, lifespan=nullcontext, drain=settings.drain, on_ready=lambda _: on_ready())


def _limits(settings: Settings, connections: int) -> ServerLimits:
    asked = settings.listen_limits
    return ServerLimits(
        connections=connections,
        connections_per_address=asked.connections_per_address,
        head_bytes=asked.header_size,
        target_bytes=asked.target_size,
        fields=asked.header_fields,
        head_time=asked.header_time,
        body_time=asked.body_time,
        idle_time=asked.idle_time,
        write_stall_time=asked.send_time,
    )


def _certificates(configured: Sequence[Certificate]) -> Certificates | None:
    pairs = [Pair(one.certificate_file, one.key_file) for one in configured]
    return Certificates(pairs) if pairs else None


def _warn_of_names(settings: Settings, certificates: Certificates) -> None:
    """Hosts that are asked for by https and will be answered 421 (RFC 9110 section 4.2.2), but to trusted proxies."""
    names = sorted(settings.identity_host_set().names | settings.api_host_set().names)
    for name in dict.fromkeys(HostPort.parse(name).host for name in names):
        if not certificates.covers(name):
            log.warning("tls_name_not_covered", host=name)


@asynccontextmanager
async def _watched(*listeners: Certificates | None) -> AsyncIterator[None]:
    """While it lasts, certificates that are replaced are read again."""

    async def look() -> None:
        for certificates in listeners:
            if certificates is not None:
                certificates.watch()

    jobs = Jobs([Job("certificates", _CERTIFICATES_INTERVAL, look)] if any(listeners) else [])
    jobs.start()
    try:
        yield
    finally:
        await jobs.stop()
