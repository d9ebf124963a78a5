"""When each API key was used last: noted on the proxied path in memory, written beside it, coarsely.

A key's time is written once in ``EVERY`` at most, however many processes see it used. As ``yett_system``, for all
tenants.
"""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import bindparam, or_, update

from tenants.database import Database
from tenants.provider_tables import api_keys

EVERY = timedelta(minutes=10)
"""Each process asks for as many rows as keys were used meanwhile, mostly to find that another one was first."""

_AT_ONCE = 500

_USED = (
    update(api_keys)
    .where(
        api_keys.c.tenant_id == bindparam("p_tenant_id"),
        api_keys.c.id == bindparam("p_id"),
        or_(api_keys.c.last_used_at.is_(None), api_keys.c.last_used_at <= bindparam("p_written_before")),
    )
    .values(last_used_at=bindparam("p_at"))
)


class ApiKeyUses:
    """Holds one time for each key that was used since the last ``write``: as many as there are keys, at most."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._noted: dict[tuple[UUID, UUID], float] = {}

    def note(self, tenant_id: UUID, key_id: UUID, at: float) -> None:
        """It was used at this time, in seconds since the epoch. Does nothing else."""
        self._noted[tenant_id, key_id] = at

    async def write(self) -> None:
        """Write what was noted. What could not be written is noted still."""
        taken, self._noted = self._noted, {}
        left = list(taken)
        try:
            while left:
                await self._write_some({key: taken[key] for key in left[-_AT_ONCE:]})
                del left[-_AT_ONCE:]
        finally:
            for key in left:
                self._noted.setdefault(key, taken[key])

    async def _write_some(self, noted: dict[tuple[UUID, UUID], float]) -> None:
        rows = []
        for tenant_id, key_id in sorted(noted):  # in one order, so that two processes do not wait for each other
            at = datetime.fromtimestamp(noted[tenant_id, key_id], UTC)
            rows.append({"p_tenant_id": tenant_id, "p_id": key_id, "p_at": at, "p_written_before": at - EVERY})
        async with self._database.system_step() as connection:
            await connection.execute(_USED, rows)
