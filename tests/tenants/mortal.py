"""A process that dies in the middle: what it has committed is there, what it was at is not."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.database import Database


class Died(Exception):
    """The process is gone."""


class Mortal(Database):
    """A database in a process that commits so many steps of ``yett_system``, and dies before the commit of the next."""

    def __init__(self, database: Database, commits: int) -> None:
        super().__init__(database.app, database.system, database.feed)
        self._living = database
        self._left = commits

    @asynccontextmanager
    async def system_step(self, *, in_thread: bool = True) -> AsyncIterator[AsyncConnection]:
        async with self._living.system_step(in_thread=in_thread) as connection:
            yield connection
            if not self._left:
                raise Died
        self._left -= 1
