"""A psycopg connection that waits for its server for so long and no longer.

``statement_timeout`` is the server's to keep. One that is stopped, or that vanished with its machine, keeps nothing and
says nothing, and a request would wait for as long as it does.
"""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from datetime import timedelta
from threading import Event
from typing import Any, TypeVar
from weakref import WeakSet

from psycopg import AsyncConnection, OperationalError
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
        hang_up = asyncio.get_running_loop().call_later(self.bound.total_seconds(), self.hang_up)
        try:
            return await super().wait(gen, interval, timeout)
        finally:
            hang_up.cancel()

    def hang_up(self) -> None:
        """The driver finds the end of what it reads, on its own way."""
        if not self.closed:
            with socket.socket(fileno=os.dup(self.pgconn.socket)) as ours:
                ours.shutdown(socket.SHUT_RDWR)


class Connections:
    """Those of one process, so that they can be broken off together."""

    def __init__(self) -> None:
        self._open: WeakSet[BoundedConnection] = WeakSet()
        self._over = Event()

    def connecting(self, bound: timedelta) -> Callable[..., Awaitable[BoundedConnection]]:
        """Makes connections of this bound, for SQLAlchemy's ``async_creator_fn``."""

        async def connect(*arguments: Any, **options: Any) -> BoundedConnection:
            if self._over.is_set():
                raise OperationalError("the database was given up")
            connection = await BoundedConnection.connect(*arguments, **options)
            connection.bound = bound
            self._open.add(connection)
            if self._over.is_set():
                connection.hang_up()
            return connection

        return connect

    def give_up(self) -> None:
        """Wait for no answer any more, and connect no more: each is an OperationalError from here on."""
        self._over.set()
        for connection in tuple(self._open):
            connection.hang_up()
