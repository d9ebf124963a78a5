"""The listeners of ``yett serve`` as they are configured, and what of them another configuration changes: which
certificates are shown, and which proxies are not counted.

Not on which addresses they listen, nor whether by TLS: that waits for a restart.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import structlog
from starlette.types import ASGIApp

from gateway.jobs import Job, Jobs
from gateway.live import Service
from gateway.server.certificates import CertificateProblem, Certificates, Pair
from gateway.server.configured import HttpProtocols, http_protocol
from gateway.server.limits import ServerLimits
from gateway.server.run import Listener
from gateway.settings import Certificate, ConfigError, HostPort, Problem, Settings

PUBLIC, MANAGEMENT, FORWARD_AUTH = "public", "management", "forward auth"
_MANAGEMENT_CONNECTIONS = 100
_ASKING_CONNECTIONS = 1_000
_CERTIFICATES_INTERVAL = 2.0

log = structlog.get_logger("yett.tls")


class Listening:
    """``connections`` is how many the public listener may have open.

    Raises:
        CertificateProblem: a certificate or its key cannot be used.
    """

    def __init__(self, settings: Settings, connections: int) -> None:
        self._settings = settings
        self._connections = connections
        self._public_tls = _certificates(settings.tls.certificates)
        self._management_tls = _certificates(settings.management_tls.certificates)
        self._public = http_protocol(_limits(settings, connections), exempt=settings.trusted_proxies)
        self._management = http_protocol(_limits(settings, _MANAGEMENT_CONNECTIONS), exempt=settings.trusted_proxies)
        self._warn_of_names()

    def listeners(self, service: Service) -> list[Listener]:
        """The public one, that for management, and that where other proxies ask, if there is one."""
        addresses = listen_addresses(self._settings)

        def listener(name: str, app: ASGIApp, protocol: HttpProtocols, shown: Certificates | None) -> Listener:
            at = addresses[name]
            return Listener(name, app, host=at.address, port=at.port or 0, protocol=protocol, certificates=shown)

        found = [
            listener(PUBLIC, service.public, self._public, self._public_tls),
            listener(MANAGEMENT, service.management, self._management, self._management_tls),
        ]
        if service.forward_auth is not None:
            limits = _limits(self._settings, min(self._connections, _ASKING_CONNECTIONS))
            protocol = http_protocol(limits, exempt=self._settings.forward_auth.peers)
            found.append(listener(FORWARD_AUTH, service.forward_auth, protocol, None))
        return found

    def prepare(self, settings: Settings) -> Callable[[], None]:
        """What takes these. Another list of certificates is read here, which may be in a thread.

        Raises:
            ConfigError: one of them cannot be used.
        """
        before = self._settings
        takes = [
            *_changed("tls", self._public_tls, before.tls.certificates, settings.tls.certificates),
            *_changed(
                "management_tls",
                self._management_tls,
                before.management_tls.certificates,
                settings.management_tls.certificates,
            ),
        ]

        def take() -> None:
            for each in takes:
                each()
            for protocol in (self._public, self._management):
                protocol.room.trust(settings.trusted_proxies)
            self._settings = settings
            self._warn_of_names()

        return take

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """While it lasts, certificates that are replaced are read again."""
        shown = [one for one in (self._public_tls, self._management_tls) if one is not None]

        async def look() -> None:
            for certificates in shown:
                await certificates.watch()

        jobs = Jobs([Job("certificates", _CERTIFICATES_INTERVAL, look)] if shown else [])
        jobs.start()
        try:
            yield
        finally:
            await jobs.stop()

    def _warn_of_names(self) -> None:
        """Hosts that are asked for by https and will be answered 421 (RFC 9110 section 4.2.2), but to trusted
        proxies.
        """
        if self._public_tls is None:
            return
        names = sorted(self._settings.identity_host_set().names | self._settings.api_host_set().names)
        for name in dict.fromkeys(HostPort.parse(name).host for name in names):
            if not self._public_tls.covers(name):
                log.warning("tls_name_not_covered", host=name)


def check_certificates(running: Settings, wanted: Settings) -> None:
    """For a process that does not listen.

    Raises:
        ConfigError: one that is named anew cannot be used.
    """
    for section, before, now in (
        ("tls", running.tls.certificates, wanted.tls.certificates),
        ("management_tls", running.management_tls.certificates, wanted.management_tls.certificates),
    ):
        if before != now:
            with _refused(section):
                _certificates(now)


def listen_addresses(settings: Settings) -> dict[str, HostPort]:
    """Where each listener is, by its name, in their order."""
    asked = settings.forward_auth.listen
    further = {} if asked is None else {FORWARD_AUTH: asked}
    return {PUBLIC: settings.listen, MANAGEMENT: settings.management_listen, **further}


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
    return Certificates(_pairs(configured)) if configured else None


def _pairs(configured: Sequence[Certificate]) -> list[Pair]:
    return [Pair(one.certificate_file, one.key_file) for one in configured]


def _changed(
    section: str, shown: Certificates | None, before: Sequence[Certificate], wanted: Sequence[Certificate]
) -> list[Callable[[], None]]:
    """What shows another list, where it is another one."""
    if shown is None or before == wanted:
        return []
    with _refused(section):
        return [shown.prepared(_pairs(wanted))]


@contextmanager
def _refused(section: str) -> Iterator[None]:
    try:
        yield
    except CertificateProblem as problem:
        raise ConfigError([Problem("configuration", None, f"{section}.certificates", str(problem))]) from problem
