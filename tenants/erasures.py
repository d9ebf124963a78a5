"""Whose erasure has begun, in all tenants. As ``yett_system``, which sees of users nothing but that."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, func, select

from tenants.database import Database
from tenants.tables import users

_AT_ONCE = 100
_BEGUN = (
    select(users.c.tenant_id, users.c.id)
    .where(users.c.erasing_since < bindparam("p_before", type_=users.c.erasing_since.type))
    .order_by(users.c.erasing_since)
    .limit(_AT_ONCE)
)
_WAITING = select(func.count(users.c.id)).where(users.c.erasing_since.is_not(None))


async def begun(database: Database, *, before: datetime) -> Sequence[tuple[UUID, UUID]]:
    """Tenant and user of each erasure that began before that time and is not over: the oldest of them, some."""
    async with database.system_snapshot() as connection:
        return [(row.tenant_id, row.id) for row in await connection.execute(_BEGUN, {"p_before": before})]


async def waiting(database: Database) -> int:
    """How many have begun and are not over."""
    async with database.system_snapshot() as connection:
        found: int = (await connection.execute(_WAITING)).scalar_one()
    return found
