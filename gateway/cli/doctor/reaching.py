"""Checks that connect elsewhere: names, mail, upstreams, the gateway itself. Nothing is sent but what asks."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import urlsplit

from gateway.cli.doctor.check import Check, Examined
from gateway.mail.configured import server_of
from gateway.mail.sender import NotSent
from gateway.mail.smtp import SmtpSender
from gateway.settings.addresses import HostPort
from gateway.settings.upstream import TlsProblem, Upstream, tls_context

_LINE = 4096
_EACH = 3.0
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "::1"}  # noqa: S104 - what listens everywhere is asked here


async def names(examined: Examined) -> Sequence[str]:
    """Browsers find public_url."""
    host = urlsplit(examined.settings.public_url).hostname or ""
    try:
        async with asyncio.timeout(_EACH):
            found = await _resolves(host)
    except TimeoutError:
        return (f"DNS does not answer for {host} (public_url) within {_EACH:g} s: see to this machine's resolver.",)
    return () if found else (f"{host} (public_url) does not resolve: add it to DNS.",)


async def _resolves(host: str) -> bool:
    """Asked in a thread that nobody waits for: a resolver may take half a minute to give up."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[bool] = loop.create_future()

    def tell(found: bool) -> None:
        if not answer.done():
            answer.set_result(found)

    def ask() -> None:
        try:
            socket.getaddrinfo(host, None)
            found = True
        except OSError:
            found = False
        with suppress(RuntimeError):  # the loop is closed: it took too long
            loop.call_soon_threadsafe(tell, found)

    threading.Thread(target=ask, daemon=True).start()
    return await answer


async def mail(examined: Examined) -> Sequence[str]:
    """The mail server answers, encrypts as configured and takes the login. No letter is sent."""
    server = server_of(examined.settings)
    if server is None:
        return ()
    try:
        async with asyncio.timeout(_EACH):
            await SmtpSender(server).greet()
    except TimeoutError:
        return (f"{server.host}:{server.port} (mail) does not answer within {_EACH:g} s: see to the way there.",)
    except NotSent as problem:
        status = "" if problem.status is None else f", status {problem.status}"
        return (
            f"{server.host}:{server.port} (mail) cannot be used ({problem}{status}): see to host, security, login.",
        )
    return ()


async def upstreams(examined: Examined) -> Sequence[str]:
    """Every target takes connections, and is well where it is asked for its health."""
    asked = [
        _target(name, upstream, target.url.scheme, target.url.at)
        for name, upstream in examined.settings.upstreams.items()
        for target in upstream.targets
    ]
    return [finding for finding in await asyncio.gather(*asked) if finding is not None]


async def _target(name: str, upstream: Upstream, scheme: str, at: HostPort) -> str | None:
    where = f"upstreams.{name}: {scheme}://{at}"
    health = upstream.health
    try:
        context = tls_context(upstream.tls) if scheme == "https" else None
        server_name = None if upstream.tls is None else upstream.tls.server_name
        async with asyncio.timeout(_EACH):
            status = await _status(at, None if health is None else health.path, context, server_name)
    except TimeoutError:
        return f"{where} does not answer within {_EACH:g} s: start it, or correct its address."
    except TlsProblem:
        return None  # told of by the check of its files
    except (OSError, ValueError) as error:
        return f"{where} cannot be reached ({type(error).__name__}): start it, or correct its address."
    if status is not None and not 200 <= status < 300:
        return f"{where} answers {status} when asked for its health: see to the API, or to `health`."
    return None


async def gateway(examined: Examined) -> Sequence[str]:
    """One that runs here is ready. None need run."""
    settings = examined.settings
    at = settings.management_listen
    if at.port == 0:
        return ()
    context = None
    if settings.management_tls.certificates:
        context = ssl.create_default_context()
        context.check_hostname = False  # loopback: it is asked whether it is well, and told nothing
        context.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(_EACH):
            status = await _status(at, "/readyz", context, None)
    except TimeoutError:
        return (f"A gateway listens on {at} and does not answer: look into its log, or restart it.",)
    except (OSError, ValueError):
        return ()
    if status == 200:
        return ()
    return (f"The gateway on {at} answers {status} to /readyz: its log names the check that failed.",)


async def _status(at: HostPort, path: str | None, context: ssl.SSLContext | None, name: str | None) -> int | None:
    """The status of a GET, None where there is nothing to get. Raises OSError, and ValueError for no HTTP."""
    host = _ANYWHERE.get(at.host, at.host).strip("[]")
    reader, writer = await asyncio.open_connection(
        host, at.port, ssl=context, server_hostname=(name or host) if context is not None else None, limit=_LINE
    )
    try:
        if path is None:
            return None
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}:{at.port}\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        return int((await reader.readline()).split(b" ", 2)[1])
    except IndexError as error:
        raise ValueError("no status line") from error
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


CHECKS = (
    Check("hosts", "names", "public_url in DNS", "network", names),
    Check("mail", "mail", "connection, STARTTLS, login", "network", mail),
    Check("upstreams", "upstreams", "targets, and their health", "network", upstreams),
    Check("gateway", "gateway", "/readyz of one that runs", "network", gateway),
)
