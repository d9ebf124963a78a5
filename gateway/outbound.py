"""Calls to addresses that somebody else named, and the guard that they go through (rule 13).

A name is resolved once, each of its addresses is judged, and the connection goes to the very address that was judged:
a second look-up could answer otherwise (DNS rebinding). Only public addresses, but for networks that the operator
lists. No redirect is followed, no proxy and no other setting of the environment is heeded, nothing is decoded; size and
time are bounded. It stands on httpcore, which httpx is made of: what httpx adds is what must not happen here.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from ipaddress import ip_address
from urllib.parse import urlencode

import httpcore

from gateway.settings.addresses import Network
from gateway.settings.web_address import WebAddress, may_reach

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

_MOST_ADDRESSES = 4


@cache
def _usual_tls() -> ssl.SSLContext:
    """The system's certificates, read once: that takes 40 ms."""
    return ssl.create_default_context()


class OutboundFailed(Exception):
    """There is no answer. ``reason`` is a stable code, which says nothing of what was sent."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class OutboundRefused(OutboundFailed):
    """The call is not allowed: no connection was made."""


@dataclass(frozen=True, slots=True)
class OutboundAnswer:
    """What a server said, a redirect or an error too."""

    status: int
    body: bytes = field(repr=False)


async def resolve(host: str, port: int) -> Sequence[str]:
    """The system's addresses for this name, in its order."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class Outbound:
    """``allowed`` are networks that may be reached though they are not public. ``timeout`` is for a whole call."""

    def __init__(
        self,
        allowed: Iterable[Network],
        *,
        timeout: timedelta = timedelta(seconds=10),
        max_bytes: int = 1024 * 1024,
        resolve: Resolve = resolve,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._allowed = tuple(allowed)
        self._timeout = timeout.total_seconds()
        self._max_bytes = max_bytes
        self._resolve = resolve
        self._tls = tls or _usual_tls()

    async def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> OutboundAnswer:
        """Fetch ``url``, on a connection of its own.

        Raises:
            OutboundRefused: ``url_malformed``, ``address_not_public``.
            OutboundFailed: ``name_unknown``, ``unreachable``, ``timed_out``, ``answer_malformed``,
                ``answer_too_large``.
        """
        return await self._call("GET", url, headers or {})

    async def post_form(self, url: str, fields: Mapping[str, str]) -> OutboundAnswer:
        """Send a form to ``url``, once: a call that fails may have arrived all the same.

        Raises:
            OutboundRefused: as ``get``.
            OutboundFailed: as ``get``.
        """
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return await self._call("POST", url, headers, urlencode(fields).encode())

    async def _call(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None = None
    ) -> OutboundAnswer:
        try:
            there = WebAddress.parse(url)
        except ValueError as error:
            raise OutboundRefused("url_malformed") from error
        target = httpcore.URL(
            scheme=there.scheme.encode(),
            host=there.host.strip("[]").encode(),
            port=there.port,
            target=there.target.encode(),
        )
        sent = {"Host": there.host_header, "User-Agent": "Yett", "Accept-Encoding": "identity", "Connection": "close"}
        try:
            async with AsyncExitStack() as opened, asyncio.timeout(self._timeout):
                backend = _Guard(self._addresses, opened)
                pool = httpcore.AsyncConnectionPool(ssl_context=self._tls, network_backend=backend)
                await opened.enter_async_context(pool)
                asked = pool.stream(method, target, headers=list({**headers, **sent}.items()), content=content)
                return await self._exchange(asked)
        except TimeoutError as error:
            raise OutboundFailed("timed_out") from error
        except (httpcore.NetworkError, httpcore.TimeoutException) as error:
            raise OutboundFailed("unreachable") from error
        except httpcore.ProtocolError as error:
            raise OutboundFailed("answer_malformed") from error

    async def _exchange(self, asked: AbstractAsyncContextManager[httpcore.Response]) -> OutboundAnswer:
        body = bytearray()
        async with asked as response:
            async for chunk in response.aiter_stream():
                body += chunk
                if len(body) > self._max_bytes:
                    raise OutboundFailed("answer_too_large")
        return OutboundAnswer(response.status, bytes(body))

    async def _addresses(self, host: str, port: int) -> list[str]:
        """Where this host may be reached.

        Raises:
            OutboundRefused: nowhere.
            OutboundFailed: it has no address.
        """
        try:
            found = [ip_address(text) for text in await self._resolve(host, port)]
        except OSError as error:
            raise OutboundFailed("name_unknown") from error
        permitted = [str(address) for address in dict.fromkeys(found) if may_reach(address, self._allowed)]
        if not permitted:
            raise OutboundRefused("address_not_public")
        return permitted[:_MOST_ADDRESSES]


class _Guard(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were judged, and to nothing else. ``opened`` closes what is left open."""

    def __init__(self, addresses: Callable[[str, int], Awaitable[list[str]]], opened: AsyncExitStack) -> None:
        self._addresses = addresses
        self._opened = opened
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to the first address that answers."""
        failure: Exception = httpcore.ConnectError()
        for address in await self._addresses(host, port):
            try:
                stream = await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                self._opened.push_async_callback(stream.aclose)
                return stream
        raise failure
