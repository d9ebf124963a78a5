"""What callers have spent of the limits of routes in all processes together, on PostgreSQL.

A row is the moment until which what one caller did counts (policies/quota.py), in nanoseconds of the server's clock;
processes tell and are told how far off that is, so their own clocks do not matter. Who the caller is stands nowhere:
the key is a digest, behind the tenant. A row whose moment is past says nothing and is pruned. As ``yett_system``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import BigInteger, cast, delete, func, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.cluster_tables import budgets
from tenants.database import Database
from tenants.pruning import AT_ONCE as PRUNED_AT_ONCE

AT_ONCE: Final = 500
"""Charges in one statement."""

_FURTHEST: Final = 10**18  # nanoseconds, thirty years: what is further off does not fit, and makes no difference
_NOW = cast(func.extract("epoch", func.clock_timestamp()) * 1_000_000_000, BigInteger)

# Sorted, so that two processes lock the same rows in the same order. One request after the other would move the moment
# to the same place: on by the cost of all, but no less far than they alone would have moved it.
_CHARGE = text(
    """
WITH at AS (SELECT (extract(epoch FROM clock_timestamp()) * 1000000000)::bigint AS now)
INSERT INTO budgets AS kept (tenant_id, digest, until, cost)
SELECT tenant_id, digest, at.now + ahead, cost
  FROM unnest(CAST(:tenants AS uuid[]), CAST(:digests AS bytea[]), CAST(:aheads AS bigint[]), CAST(:costs AS bigint[]))
       AS asked (tenant_id, digest, ahead, cost), at
 ORDER BY tenant_id, digest
ON CONFLICT (tenant_id, digest) DO UPDATE SET
  until = least(
    greatest(kept.until + excluded.cost, excluded.until),
    (SELECT now FROM at) + CAST(:furthest AS bigint)
  ),
  cost = excluded.cost
RETURNING tenant_id, digest, until - (SELECT now FROM at) AS ahead
"""
)

# A charge locks rows by their keys, this by their age. So it waits for none: what somebody charges is not over.
_KEY = budgets.c.tenant_id, budgets.c.digest
_SOME = select(*_KEY).where(budgets.c.until < _NOW).order_by(budgets.c.until).limit(PRUNED_AT_ONCE)
_OVER = _SOME.with_for_update(skip_locked=True).cte("over")  # read once, whatever the planner makes of it
_PRUNE = delete(budgets).where(tuple_(*_KEY).in_(select(_OVER.c.tenant_id, _OVER.c.digest)))


@dataclass(frozen=True, slots=True)
class Charge:
    """Requests that cost ``cost`` nanoseconds and, if they were all, would count for ``ahead`` more: less than nothing
    where that is over. ``tenant_id`` is nil where the limit is no tenant's.
    """

    tenant_id: UUID
    digest: bytes
    ahead: int
    cost: int


class Budgets:
    """The counts that all processes share."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def charge(self, charges: Sequence[Charge]) -> Sequence[int]:
        """Add them, each of another key, ``AT_ONCE`` at most. How many nanoseconds off each key's moment is then; less
        than nothing where it is past.
        """
        asked = {
            "tenants": [charge.tenant_id for charge in charges],
            "digests": [charge.digest for charge in charges],
            "aheads": [max(-_FURTHEST, min(charge.ahead, _FURTHEST)) for charge in charges],
            "costs": [min(charge.cost, _FURTHEST) for charge in charges],
            "furthest": _FURTHEST,
        }
        async with self._database.system_step() as connection:
            rows = await connection.execute(_CHARGE, asked)
            ahead = {(row.tenant_id, bytes(row.digest)): int(row.ahead) for row in rows}
        return [ahead[charge.tenant_id, charge.digest] for charge in charges]


async def prune(connection: AsyncConnection, _now: datetime) -> bool:
    """Forget some of those that say nothing any more, by the server's clock; whether there may be more. There are none
    on SQLite. As ``yett_system``.
    """
    if connection.dialect.name == "sqlite":
        return False
    return (await connection.execute(_PRUNE)).rowcount == PRUNED_AT_ONCE
