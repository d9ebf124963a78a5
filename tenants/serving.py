"""Which processes serve, on PostgreSQL: each says every few seconds that it does, and which master keys it has, by the
server's clock.

As ``yett_system``.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from uuid import uuid4

from sqlalchemy import bindparam, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from tenants.cluster_tables import serving
from tenants.database import Database

GONE_AFTER = timedelta(seconds=10)
"""Who was silent for so long does not count any more."""

_INSERT = insert(serving).values(id=bindparam("p_id"), seen_at=func.now(), master_keys=bindparam("p_master_keys"))
_SAY = _INSERT.on_conflict_do_update(
    index_elements=("id",),
    set_={"seen_at": _INSERT.excluded.seen_at, "master_keys": _INSERT.excluded.master_keys},
)
_FORGET = delete(serving).where(serving.c.seen_at < func.now() - GONE_AFTER)
_COUNT = select(func.count()).select_from(serving)
_RINGS = select(serving.c.master_keys).where(serving.c.seen_at >= func.now() - GONE_AFTER)
_LEAVE = delete(serving).where(serving.c.id == bindparam("p_id"))


class Serving:
    """This process among them. ``ring`` answers the ids of its master keys, the one that seals first."""

    def __init__(self, database: Database, ring: Callable[[], Sequence[str]]) -> None:
        self._database = database
        self._ring = ring
        self._me = {"p_id": uuid4()}

    async def count(self) -> int:
        """Say that this one serves, and how many do."""
        async with self._database.system_step() as connection:
            await connection.execute(_FORGET)
            await connection.execute(_SAY, self._me | {"p_master_keys": " ".join(self._ring())})
            return int((await connection.execute(_COUNT)).scalar_one())

    async def leave(self) -> None:
        """It does no more."""
        async with self._database.system_step() as connection:
            await connection.execute(_LEAVE, self._me)


async def rings(database: Database) -> Sequence[Sequence[str]]:
    """The ids of the master keys of each serving process, the one that seals first; empty for one that does not say.
    SQLite's one process never does.
    """
    if database.is_sqlite:
        return ()
    async with database.system_snapshot() as connection:
        return [(told or "").split() for told in (await connection.execute(_RINGS)).scalars()]
