"""A psycopg connection that waits for its server for so long and no longer.

``statement_timeout`` is the server's to keep. One that is stopped, or that vanished with its machine, keeps nothing and
says nothing, and a request would wait for as long as it does.
"""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

from psycopg import AsyncConnection
from psycopg.abc import PQGen
from psycopg.rows import TupleRow

RV = TypeVar("RV")
_INTERVAL = 0.1  # seconds; psycopg's own


class BoundedConnection(AsyncConnection[TupleRow]):
    """Where an answer takes longer than ``bound``, the connection is broken off: that is an OperationalError, as if the
    server had done it, and the pool makes another one.
    """

    bound: timedelta

    async def wait(
        self,
        gen: PQGen[RV],
        interval: float = _INTERVAL,
        timeout: float | None = None,  # noqa: ASYNC109 - psycopg's own signature
    ) -> RV:
        """Every exchange with the server goes through here."""
        hang_up = asyncio.get_running_loop().call_later(self.bound.total_seconds(), self._hang_up)
        try:
            return await super().wait(gen, interval, timeout)
        finally:
            hang_up.cancel()

    def _hang_up(self) -> None:
        """The driver finds the end of what it reads, on its own way."""
        if not self.closed:
            with socket.socket(fileno=os.dup(self.pgconn.socket)) as ours:
                ours.shutdown(socket.SHUT_RDWR)


def connecting(bound: timedelta) -> Callable[..., Awaitable[BoundedConnection]]:
    """Makes connections of this bound, for SQLAlchemy's ``async_creator_fn``."""

    async def connect(*arguments: Any, **options: Any) -> BoundedConnection:
        connection = await BoundedConnection.connect(*arguments, **options)
        connection.bound = bound
        return connection

    return connect
