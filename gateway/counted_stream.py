"""A connection whose other side is not trusted: all that it sends is counted, an answer's framing as well as its body.

A parser of HTTP goes on for as long as it has something to parse, and a server may send what never becomes an answer:
interim answers without end, a body in chunks of one byte. So little is read at a time, others have their turn after
each read, and there is an end to it. Not what the bytes mean.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

import httpcore

_READ_AT_ONCE = 1024


class TooManyBytes(Exception):
    """The other side has sent more than it may."""


class CountedStream(httpcore.AsyncNetworkStream):
    """``inner``, of which ``count`` is told how many bytes were read. ``count`` raises TooManyBytes."""

    def __init__(self, inner: httpcore.AsyncNetworkStream, count: Callable[[int], None]) -> None:
        self._inner = inner
        self._count = count

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore's
        """At most 1 KiB, however many bytes were asked for.

        Raises:
            TooManyBytes: there were more before than there may be in all.
        """
        read = await self._inner.read(min(max_bytes, _READ_AT_ONCE), timeout)
        self._count(len(read))
        await asyncio.sleep(0)
        return read

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - httpcore's
        """As ``inner`` does."""
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        """As ``inner`` does."""
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's
    ) -> httpcore.AsyncNetworkStream:
        """What is read inside of TLS counts like what was read before it."""
        return CountedStream(await self._inner.start_tls(ssl_context, server_hostname, timeout), self._count)

    def get_extra_info(self, info: str) -> Any:
        """As ``inner`` does."""
        return self._inner.get_extra_info(info)


def at_most(most_bytes: int) -> Callable[[int], None]:
    """A count that ends at ``most_bytes``, for the streams of one call."""
    read = 0

    def count(more: int) -> None:
        nonlocal read
        read += more
        if read > most_bytes:
            raise TooManyBytes

    return count
