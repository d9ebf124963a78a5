"""The health check: asks each endpoint of an upstream whether it is well, on a connection of its own.

Judges nothing: what an answer means for an endpoint is in ``endpoints``. A job asks at its interval.
"""

import asyncio
from collections.abc import Awaitable, Callable

from gateway.proxy.connection import UpstreamConnection
from gateway.proxy.endpoint import Endpoint
from gateway.proxy.endpoints import Endpoints
from gateway.proxy.upstream import Health, UpstreamFault

Open = Callable[[Endpoint], Awaitable[UpstreamConnection]]


class Probe:
    """``open_to`` makes a connection that nobody else will use. ``now`` is monotonic seconds."""

    def __init__(self, health: Health, endpoints: Endpoints, open_to: Open, now: Callable[[], float]) -> None:
        self._health = health
        self._endpoints = endpoints
        self._open = open_to
        self._now = now
        self._timeout = health.timeout.total_seconds()

    async def run(self) -> None:
        """Ask all of them, at the same time."""
        async with asyncio.TaskGroup() as asked:
            for endpoint in self._endpoints.all:
                asked.create_task(self._ask(endpoint))

    async def _ask(self, endpoint: Endpoint) -> None:
        problem = await self._problem(endpoint)
        if not endpoint.retired:
            self._endpoints.probed(endpoint, self._health, problem, self._now())

    async def _problem(self, endpoint: Endpoint) -> str | None:
        host = self._health.host or endpoint.target.authority
        lines = f"GET {self._health.path} HTTP/1.1\r\nhost: {host}\r\nuser-agent: Yett\r\nconnection: close\r\n\r\n"
        connection: UpstreamConnection | None = None
        try:
            async with asyncio.timeout(self._timeout):
                connection = await self._open(endpoint)
                connection.begin(lines.encode("ascii"), head_only=False)
                await connection.answered()
            return None if 200 <= connection.status < 300 else f"status {connection.status}"
        except (OSError, UpstreamFault) as error:  # TimeoutError is an OSError
            return f"{type(error).__name__} {error}".rstrip()
        finally:
            if connection is not None:
                connection.close()
