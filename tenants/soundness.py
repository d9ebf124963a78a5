"""What a database says of its own condition, for whoever examines an installation. Reads only, and a bounded number of
rows whatever the number of tenants. What is to be done about it stands in ``gateway.cli.doctor``.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import String, and_, cast, exists, func, or_, select, text
from sqlalchemy.exc import ProgrammingError

from policies.administration import OPERATOR_ROLES
from policies.key_rotation import KeyState
from tenants.cluster_tables import serving
from tenants.database import CONNECTIONS, Database
from tenants.directory import PLATFORM
from tenants.resealing import sealed_columns
from tenants.roles import Roles
from tenants.sealing import MasterKeys, Unsealable, envelope_head
from tenants.store import enter
from tenants.tables import (
    audit_heads,
    audit_outbox,
    clients,
    installation,
    metadata,
    signing_keys,
    tenants,
)
from tenants.tables import audit_tables as trees

SAMPLE: Final = 200
"""As many rows of each sealed column are looked at."""
NAMED: Final = 10
"""As many tenants are named at most."""
_SERVES: Final = timedelta(minutes=1)
ONE_POD: Final = CONNECTIONS + CONNECTIONS // 2 + 1
"""Connections that a pod may open: tenants' steps, the cluster's, the feed."""


NOT_AS_MADE: Final = (ProgrammingError,)
"""Raised where a role lacks a right that the migrations give, or a table is not there."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """``since`` is when the oldest event was written that is in no log yet; ``served``: some process is there to move
    it.
    """

    since: datetime | None
    served: bool


async def tables_without_row_security(database: Database) -> Sequence[str]:
    """Those of tenants' tables that do not force it, on PostgreSQL."""
    if database.is_sqlite:
        return []
    names = [table.name for table in metadata.sorted_tables if "tenant_id" in table.columns]
    query = text(
        "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = current_schema() AND c.relname = ANY(:names)"
        " AND NOT (c.relrowsecurity AND c.relforcerowsecurity) ORDER BY 1"
    )
    async with database.system_snapshot() as connection:
        return list((await connection.execute(query, {"names": names})).scalars())


async def its_clock(database: Database) -> datetime | None:
    """What time the server has; SQLite has none of its own."""
    if database.is_sqlite:
        return None
    async with database.system_snapshot() as connection:
        found: datetime = (await connection.execute(text("SELECT clock_timestamp()"))).scalar_one()
    return found


async def free_connections(database: Database) -> int | None:
    """How many more the server takes from roles like ours; None on SQLite."""
    if database.is_sqlite:
        return None
    query = text(
        "SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int"
        " - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')"
    )
    async with database.system_snapshot() as connection:
        return int((await connection.execute(query)).scalar_one())


async def tenants_without_key(database: Database, state: KeyState) -> Sequence[str]:
    """The first few tenants that have no signing key in this state."""
    of_it = signing_keys.c.tenant_id == tenants.c.id, signing_keys.c.state == state.value
    has = exists(select(signing_keys.c.kid).where(*of_it))  # yett_system may read some of the columns
    stays = tenants.c.deletion_began_at.is_(None)
    query = select(tenants.c.slug).where(stays, ~has).order_by(tenants.c.slug).limit(NAMED)
    async with database.system_snapshot() as connection:
        return list((await connection.execute(query)).scalars())


async def unopened_samples(database: Database, master_keys: MasterKeys) -> Sequence[str]:
    """Of each sealed column: whether one row can be opened, and whether the ring has the keys of the next few. A column
    and its reason for each that is not so; never what was sealed.
    """
    heads = tuple(envelope_head(key_id) for key_id in master_keys.ids)
    found = []
    async with database.system_snapshot() as connection:
        for sealed in sealed_columns():
            query = select(*sealed.key, sealed.column).where(sealed.column.is_not(None)).limit(SAMPLE)
            rows = (await connection.execute(query)).all()
            if any(not bytes(row[-1]).startswith(heads) for row in rows):
                found.append(f"{sealed.name}: master_key_unknown")
            elif rows:
                try:
                    master_keys.open(bytes(rows[0][-1]), **sealed.place(rows[0][:-1]))
                except Unsealable as error:
                    found.append(f"{sealed.name}: {error.reason}")
    return found


async def waiting_events(database: Database, now: datetime) -> Waiting:
    """How long events have waited for the sequencer."""
    oldest = select(audit_outbox.c.event).order_by(audit_outbox.c.seq).limit(1)
    serves = select(exists(select(serving.c.seen_at).where(serving.c.seen_at > now - _SERVES)))
    async with database.system_snapshot() as connection:
        event = (await connection.execute(oldest)).scalar_one_or_none()
        served = bool((await connection.execute(serves)).scalar_one())
    since = None if event is None else datetime.fromisoformat(json.loads(event)["time"])
    return Waiting(since, served)


async def tenants_without_checkpoint(database: Database, before: datetime) -> Sequence[str]:
    """The first few tenants whose log is longer than their newest checkpoint says, which was signed before that."""
    tree = trees.audit_trees
    behind = or_(tree.c.tenant_id.is_(None), and_(tree.c.size < audit_heads.c.size, tree.c.signed_at < before))
    query = (
        select(tenants.c.slug)
        .join(audit_heads, audit_heads.c.tenant_id == tenants.c.id)
        .outerjoin(tree, tree.c.tenant_id == tenants.c.id)
        .where(audit_heads.c.size > 0, behind)
        .order_by(tenants.c.slug)
        .limit(NAMED)
    )
    async with database.system_snapshot() as connection:
        return list((await connection.execute(query)).scalars())


async def has_operator(database: Database) -> bool:
    """Whether somebody active holds a role of operators in the platform tenant. Asked as that tenant: ``yett_system``
    may not see who has which role.
    """
    async with database.system_snapshot() as connection:
        query = select(tenants.c.id).where(tenants.c.slug == PLATFORM)
        platform = (await connection.execute(query)).scalar_one_or_none()
    if platform is None:
        return False
    async with database.app_step(read_only=True) as connection:
        await enter(connection, platform)
        roles = Roles(connection, platform)
        return any([await roles.held_by_another(name) for name in OPERATOR_ROLES])


async def plain_redirects(database: Database) -> Sequence[tuple[str, str, Sequence[Any]]]:
    """Tenant, client and redirect URIs of the first clients that have one with http."""
    plain = cast(clients.c.redirect_uris, String).like('%"http://%')
    query = (
        select(tenants.c.slug, clients.c.client_id, clients.c.redirect_uris)
        .join(tenants, tenants.c.id == clients.c.tenant_id)
        .where(clients.c.active, plain)
        .limit(SAMPLE)
    )
    async with database.system_snapshot() as connection:
        return [(slug, client, uris) for slug, client, uris in await connection.execute(query)]


async def answers(database: Database) -> None:
    """Whether all of its roles can connect and ask."""
    for engine in (database.app, database.system):
        async with engine.connect() as connection:
            await connection.execution_options(yett_read_only=True)
            await connection.execute(select(func.count()).select_from(select(1).subquery()))


async def is_sealed(database: Database) -> bool:
    """Whether a master key is this database's own already."""
    async with database.system_snapshot() as connection:
        return bool((await connection.execute(select(exists(select(installation.c.id))))).scalar_one())
