"""How long a tenant's audit log keeps what happened; what is older, audit_erasure.py erases.

Set as ``yett_system``: who has got hold of ``yett_app``, which serves tenants, can empty no log by way of a retention.
"""

from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy import bindparam, insert, update

from tenants import audit_outbox, changes
from tenants.audit_event import Event
from tenants.database import Database
from tenants.errors import InvalidValue
from tenants.lifetimes import Lifetimes
from tenants.tables import audit_outbox as outbox
from tenants.tables import tenants

_SECONDS = tenants.c.audit_retention.type
_IS_AS_BEFORE = tenants.c.audit_retention.is_not_distinct_from(bindparam("p_before", type_=_SECONDS))
_SET = update(tenants).where(tenants.c.id == bindparam("p_id")).values(audit_retention=bindparam("p_seconds"))
_SET_IF = _SET.where(_IS_AS_BEFORE)
_TELL = insert(outbox).inline()


def retention_of(stored: object) -> timedelta:
    """What is stored, as a time.

    Raises:
        InvalidValue: it is none, or shorter than a day, or longer than ten years.
    """
    if not isinstance(stored, int):
        raise InvalidValue(f"events of an audit log are kept for a number of seconds, not for {stored!r}")
    Lifetimes.from_seconds({"audit_events": stored})
    return timedelta(seconds=stored)


async def keep_events(
    database: Database,
    tenant_id: UUID,
    kept: timedelta | None,
    *,
    told: Event,
    now: datetime,
    before: timedelta | Literal["any"] | None = "any",
) -> bool:
    """Keep them for as long, from now on; None: for ever. ``told`` goes into the log with it. False where they are kept
    for another time than ``before`` by now: then nothing is changed.

    Raises:
        InvalidValue: shorter than a day, or longer than ten years.
    """
    seconds = None if kept is None else int(kept.total_seconds())
    if seconds is not None:
        retention_of(seconds)
    asked: dict[str, object] = {"p_id": tenant_id, "p_seconds": seconds}
    if not isinstance(before, str):
        asked["p_before"] = None if before is None else int(before.total_seconds())
    async with database.system_step() as connection:
        if (await connection.execute(_SET if isinstance(before, str) else _SET_IF, asked)).rowcount == 0:
            return False
        await connection.execute(_TELL, audit_outbox.row(told, tenant_id, now))
        writer = changes.ChangeWriter(connection, tenant_id, locked=not database.is_sqlite)
        writer.note("tenant")
        await writer.flush(now)
    return True
