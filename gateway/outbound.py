"""Calls to addresses that somebody else named, and the guard that they go through (rule 13).

A name is resolved once, each of its addresses is judged, and the connection goes to the very address that was judged:
a second look-up could answer otherwise (DNS rebinding). Only public addresses, but for networks that the operator
lists. No redirect is followed, no proxy and no other setting of the environment is heeded, nothing is decoded; size and
time are bounded, an answer's framing included. It stands on httpcore, which httpx is made of: what httpx adds is what
must not happen here.
"""

import asyncio
import math
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache, partial
from ipaddress import ip_address
from urllib.parse import urlencode

import httpcore

from gateway.counted_stream import CountedStream, TooManyBytes, at_most
from gateway.name_lookup import LookUpsBusy, NameLookUp
from gateway.settings.addresses import Network
from gateway.settings.web_address import WebAddress, may_reach

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

_MOST_ADDRESSES = 4
_FRAMING = 32 * 1024
_PIECE = 64 * 1024


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
    """What a server said, a redirect or an error too. ``retry_after`` is seconds, where it said a number of them."""

    status: int
    body: bytes = field(repr=False)
    retry_after: int | None = None


class Outbound:
    """``allowed`` are networks that may be reached though they are not public. ``timeout`` is for a whole call.

    An answer's body has at most ``max_bytes``, and 32 KiB more are read for all that surrounds it.
    """

    def __init__(
        self,
        allowed: Iterable[Network],
        *,
        timeout: timedelta = timedelta(seconds=10),
        max_bytes: int = 1024 * 1024,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._allowed = tuple(allowed)
        self._timeout = timeout.total_seconds()
        self._max_bytes = max_bytes
        self._resolve = resolve or NameLookUp().resolve
        self._tls = tls or _usual_tls()

    async def get(
        self, url: str, *, headers: Mapping[str, str] | None = None, public_only: bool = False
    ) -> OutboundAnswer:
        """Fetch ``url``, on a connection of its own; with ``public_only``, from none of the ``allowed`` networks.

        Raises:
            OutboundRefused: ``url_malformed``, ``address_not_public``.
            OutboundFailed: ``name_unknown``, ``lookups_busy``, ``unreachable``, ``timed_out``, ``answer_malformed``,
                ``answer_too_large``.
        """
        return await self._call("GET", url, headers or {}, public_only=public_only)

    async def post_form(self, url: str, fields: Mapping[str, str], *, public_only: bool = False) -> OutboundAnswer:
        """Send a form to ``url``, once: a call that fails may have arrived all the same.

        Raises:
            OutboundRefused: as ``get``.
            OutboundFailed: as ``get``.
        """
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return await self._call("POST", url, headers, urlencode(fields).encode(), public_only=public_only)

    async def post(self, url: str, content: bytes, *, headers: Mapping[str, str]) -> OutboundAnswer:
        """Send ``content`` to ``url``, once: a call that fails may have arrived all the same.

        Raises:
            OutboundRefused: as ``get``.
            OutboundFailed: as ``get``.
        """
        return await self._call("POST", url, headers, content, public_only=False)

    async def _call(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None = None, *, public_only: bool
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
        if content is not None:
            sent["Content-Length"] = str(len(content))
        try:
            async with AsyncExitStack() as opened, asyncio.timeout(self._timeout) as ends:
                addresses = partial(self._addresses, allowed=() if public_only else self._allowed)
                backend = _Guard(addresses, opened, ends, at_most(self._max_bytes + _FRAMING))
                pool = httpcore.AsyncConnectionPool(ssl_context=self._tls, network_backend=backend)
                await opened.enter_async_context(pool)
                body = None if content is None else _pieces(content)
                asked = pool.stream(method, target, headers=list({**headers, **sent}.items()), content=body)
                return await self._exchange(asked)
        except TimeoutError as error:
            raise OutboundFailed("timed_out") from error
        except (httpcore.NetworkError, httpcore.TimeoutException) as error:
            raise OutboundFailed("unreachable") from error
        except httpcore.ProtocolError as error:
            raise OutboundFailed("answer_malformed") from error
        except TooManyBytes as error:
            raise OutboundFailed("answer_too_large") from error

    async def _exchange(self, asked: AbstractAsyncContextManager[httpcore.Response]) -> OutboundAnswer:
        body = bytearray()
        async with asked as response:
            async for chunk in response.aiter_stream():
                body += chunk
                if len(body) > self._max_bytes:
                    raise OutboundFailed("answer_too_large")
        return OutboundAnswer(response.status, bytes(body), _retry_after(response.headers))

    async def _addresses(self, host: str, port: int, *, allowed: Iterable[Network]) -> list[str]:
        """Where this host may be reached.

        Raises:
            OutboundRefused: nowhere.
            OutboundFailed: it has no address, or nobody can look now.
        """
        try:
            found = [ip_address(text) for text in await self._resolve(host, port)]
        except LookUpsBusy as error:
            raise OutboundFailed("lookups_busy") from error
        except OSError as error:
            raise OutboundFailed("name_unknown") from error
        permitted = [str(address) for address in dict.fromkeys(found) if may_reach(address, allowed)]
        if not permitted:
            raise OutboundRefused("address_not_public")
        return permitted[:_MOST_ADDRESSES]


def _retry_after(headers: Iterable[tuple[bytes, bytes]]) -> int | None:
    """RFC 9110 section 10.2.3; a date is not read."""
    said = [value for name, value in headers if name.lower() == b"retry-after"]
    return int(said[0]) if len(said) == 1 and said[0].isdigit() and len(said[0]) < 7 else None


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    """So that the event loop encrypts a megabyte with others in between."""
    rest = memoryview(content)
    for begin in range(0, len(rest), _PIECE):
        yield bytes(rest[begin : begin + _PIECE])


class _Guard(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were judged, and to nothing else, and has ``count`` told of all that comes from there.

    ``opened`` closes what is left open; at ``ends`` the whole call does.
    """

    def __init__(
        self,
        addresses: Callable[[str, int], Awaitable[list[str]]],
        opened: AsyncExitStack,
        ends: asyncio.Timeout,
        count: Callable[[int], None],
    ) -> None:
        self._addresses = addresses
        self._opened = opened
        self._ends = ends
        self._count = count
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109 - the signature is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to the first address that answers. Each has a part of the time: one that says nothing leaves the
        others theirs.
        """
        failure: Exception = httpcore.ConnectError()
        addresses = await self._addresses(host, port)
        for untried, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
            try:
                stream = await self._inner.connect_tcp(
                    address, port, self._left() / untried, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                self._opened.push_async_callback(stream.aclose)
                return CountedStream(stream, self._count)
        raise failure

    def _left(self) -> float:
        ends = self._ends.when()
        return math.inf if ends is None else ends - asyncio.get_running_loop().time()
