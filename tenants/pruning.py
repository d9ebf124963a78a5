"""Deleting what is over in portions, so that no transaction holds a table for as long as a backlog takes.

The oldest go first, told apart by their time alone: of most tables ``yett_system`` may read nothing else. What may hang
on a row by the thousand goes before it, in portions of its own.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from uuid import UUID

from sqlalchemy import Column, ColumnElement, delete, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.tables import refresh_families, refresh_tokens, sessions

AT_ONCE = 1000

Prune = Callable[[AsyncConnection, datetime], Awaitable[bool]]
"""Does away with some of what is older; True where there may be more."""

Times = Column[datetime] | Column[int]


async def oldest(
    connection: AsyncConnection, by: Times, *over: ColumnElement[bool], most: int = AT_ONCE
) -> tuple[tuple[ColumnElement[bool], ...], bool]:
    """What is so of the ``most`` oldest rows, and those of the same time, for which all of ``over`` is so; and whether
    there may be more.
    """
    newest = select(by).where(*over).order_by(by).offset(most - 1).limit(1)
    last = (await connection.execute(newest)).scalar_one_or_none()
    return (over, False) if last is None else ((*over, by <= last), True)


async def delete_oldest(
    connection: AsyncConnection, by: Times, *over: ColumnElement[bool], most: int = AT_ONCE
) -> bool:
    """Delete ``most`` rows for which all of ``over`` is so, with those of the same time; whether there may be more."""
    some, more = await oldest(connection, by, *over, most=most)
    await connection.execute(delete(by.table).where(*some))
    return more


async def delete_tokens(connection: AsyncConnection, *of_families: ColumnElement[bool]) -> bool:
    """Delete some refresh tokens of such families, of which one may have a hundred thousand; whether there may be
    more.
    """
    token, family = refresh_tokens.c, refresh_families.c
    theirs = (token.tenant_id == family.tenant_id) & (token.family_id == family.id)
    which = token.tenant_id, token.family_id, token.issued_at  # their digests are nobody's to read
    some = select(*which).select_from(refresh_tokens.join(refresh_families, theirs)).where(*of_families).limit(AT_ONCE)
    gone = await connection.execute(delete(refresh_tokens).where(tuple_(*which).in_(some)))
    return gone.rowcount >= AT_ONCE


async def delete_tokens_of(connection: AsyncConnection, tenant_id: UUID, user_id: UUID) -> bool:
    """Delete some refresh tokens of a user who is to be deleted; whether there may be more."""
    theirs = select(sessions.c.id).where(sessions.c.tenant_id == tenant_id, sessions.c.user_id == user_id)
    families = refresh_families.c
    return await delete_tokens(connection, families.tenant_id == tenant_id, families.session_id.in_(theirs))
