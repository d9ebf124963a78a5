"""Which processes serve, on PostgreSQL: each says every few seconds that it does, by the server's clock.

As ``yett_system``.
"""

from datetime import timedelta
from uuid import uuid4

from sqlalchemy import bindparam, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from tenants.cluster_tables import serving
from tenants.database import Database

GONE_AFTER = timedelta(seconds=10)
"""Who was silent for so long does not count any more."""

_INSERT = insert(serving).values(id=bindparam("p_id"), seen_at=func.now())
_SAY = _INSERT.on_conflict_do_update(index_elements=("id",), set_={"seen_at": _INSERT.excluded.seen_at})
_FORGET = delete(serving).where(serving.c.seen_at < func.now() - GONE_AFTER)
_COUNT = select(func.count()).select_from(serving)
_LEAVE = delete(serving).where(serving.c.id == bindparam("p_id"))


class Serving:
    """This process among them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._me = {"p_id": uuid4()}

    async def count(self) -> int:
        """Say that this one serves, and how many do."""
        async with self._database.system_step() as connection:
            await connection.execute(_FORGET)
            await connection.execute(_SAY, self._me)
            return int((await connection.execute(_COUNT)).scalar_one())

    async def leave(self) -> None:
        """It does no more."""
        async with self._database.system_step() as connection:
            await connection.execute(_LEAVE, self._me)
