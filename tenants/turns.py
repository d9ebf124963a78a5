"""Whose turn it is with a job that one process does for all: whoever asks first once it is due.

A turn is a time and no lock. So it outlives no process and keeps nobody out: who takes one and dies has missed it, and
the next one is anybody's. What is done must bear to be done twice at once, as where a run takes longer than its turn.
As ``yett_system``.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, or_
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from tenants.cluster_tables import turns
from tenants.database import Database

_INSERT: Mapping[bool, Any] = {True: sqlite_insert(turns), False: postgresql_insert(turns)}
_TAKE = {
    on_sqlite: insert.values(job=bindparam("p_job"), next_at=bindparam("p_next"))
    .on_conflict_do_update(
        index_elements=("job",),
        set_={"next_at": insert.excluded.next_at},
        # What lies further off than a turn lasts was said by a clock that is wrong.
        where=or_(turns.c.next_at <= bindparam("p_now"), turns.c.next_at > insert.excluded.next_at),
    )
    .returning(turns.c.job)
    for on_sqlite, insert in _INSERT.items()
}


class Turns:
    """``clock`` says the time. Those of all processes may differ by less than a turn."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock
        self._take = _TAKE[database.is_sqlite]

    async def take(self, job: str, lasts: timedelta) -> bool:
        """Whether this one is to do the job now; then nobody else is before the turn is over."""
        now = self._clock()
        asked = {"p_job": job, "p_now": now, "p_next": now + lasts}
        async with self._database.system_step(in_thread=False) as connection:
            return (await connection.execute(self._take, asked)).first() is not None
