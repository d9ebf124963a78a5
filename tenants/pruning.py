"""Deleting what is over in portions, so that no transaction holds a table for as long as a backlog takes.

The oldest go first, told apart by their time alone: of most tables ``yett_system`` may read nothing else.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime

from sqlalchemy import Column, ColumnElement, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

AT_ONCE = 1000

Prune = Callable[[AsyncConnection, datetime], Awaitable[bool | None]]
"""Deletes some of what is older; True where there may be more."""


async def delete_oldest(
    connection: AsyncConnection, by: Column[datetime] | Column[int], *over: ColumnElement[bool], most: int = AT_ONCE
) -> bool:
    """Delete ``most`` rows for which all of ``over`` is so, with those of the same time; whether there may be more."""
    newest = select(by).where(*over).order_by(by).offset(most - 1).limit(1)
    last = (await connection.execute(newest)).scalar_one_or_none()
    up_to = () if last is None else (by <= last,)
    await connection.execute(delete(by.table).where(*over, *up_to))
    return last is not None
