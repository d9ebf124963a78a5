"""How sinks stand, for operators: what waits and since when, what went wrong. As ``yett_system``."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Select, and_, func, literal, select

from tenants.cluster_tables import sink_positions, sinks
from tenants.database import Database
from tenants.tables import audit_events, audit_heads, tenants

_NEXT = func.coalesce(sink_positions.c.next, 0)


class Place(NamedTuple):
    """Of a sink in a tenant's log: the position that it wants next, the log's size, since when that event waits (None:
    nothing waits), and how many events the newest checkpoint is of that it has.
    """

    next: int
    size: int
    waiting_since: datetime | None
    checkpoint: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How a sink stands. ``failures`` are those in a row, ``failing_since`` when the first of them was; ``refused``
    counts what the receiver will never take. ``tenants``: its places, by slug.
    """

    name: str
    began_at: datetime
    next_at: datetime
    failures: int
    problem: str | None
    failed_at: datetime | None
    failing_since: datetime | None
    refused: int
    delivered_at: datetime | None
    tenants: Mapping[str, Place] = field(repr=False)

    def behind(self, slugs: Collection[str] | None) -> int:
        """How many events wait, of these tenants; None: of all."""
        meant = (place for slug, place in self.tenants.items() if slugs is None or slug in slugs)
        return sum(place.size - place.next for place in meant)


async def standing(database: Database) -> Sequence[Standing]:
    """Of each sink that was ever begun, by name."""
    async with database.system_snapshot() as connection:
        rows = (await connection.execute(select(sinks).order_by(sinks.c.name))).all()
        places: dict[str, dict[str, Place]] = {row.name: {} for row in rows}
        for end in await connection.execute(_places()):
            places[end.name][end.slug] = Place(end.next, end.size, end.at, end.checkpoint)
    return [
        Standing(
            row.name,
            row.began_at,
            row.next_at,
            row.failures,
            row.problem,
            row.failed_at,
            row.failing_since,
            row.refused,
            row.delivered_at,
            places[row.name],
        )
        for row in rows
    ]


def _places() -> Select[Any]:
    mine = and_(sink_positions.c.tenant_id == audit_heads.c.tenant_id, sink_positions.c.sink == sinks.c.name)
    first = and_(audit_events.c.tenant_id == audit_heads.c.tenant_id, audit_events.c.position == _NEXT)
    return (
        select(sinks.c.name, tenants.c.slug, _NEXT.label("next"), audit_heads.c.size, audit_events.c.at)
        .add_columns(func.coalesce(sink_positions.c.checkpoint, 0).label("checkpoint"))
        .select_from(sinks.join(audit_heads, literal(True)).join(tenants, tenants.c.id == audit_heads.c.tenant_id))
        .outerjoin(sink_positions, mine)
        .outerjoin(audit_events, first)
    )
