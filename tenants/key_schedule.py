"""Which tenants have a key whose time has come: asked across tenants by the rotation job. As ``yett_system``."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy import String, and_, cast, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from policies.key_rotation import SIGNING_LAG, KeyState, outlived
from tenants.errors import Unreadable
from tenants.provider import LEAST_ROTATION, ProviderPolicy
from tenants.revocations import LONGEST_ACCESS_TOKEN
from tenants.tables import signing_keys, tenants

_log = structlog.get_logger("tenants.key_schedule")


async def due_tenants(connection: AsyncConnection, now: datetime) -> Sequence[UUID]:
    """Tenants with a promotion that is due, a key that has signed for its time, or one whose last token has expired."""
    moving = select(signing_keys.c.tenant_id).where(
        or_(
            and_(signing_keys.c.state == KeyState.NEXT, signing_keys.c.promote_at <= now),
            and_(
                signing_keys.c.state == KeyState.RETIRING,
                signing_keys.c.retiring_at <= now - LONGEST_ACCESS_TOKEN - SIGNING_LAG,
            ),
        )
    )
    due = set((await connection.execute(moving.distinct())).scalars())
    usual = ProviderPolicy().key_rotation
    old = signing_keys.c.activated_at <= now - LEAST_ROTATION
    # Most tenants set nothing of their own, and are left out here until the usual time is over.
    if usual is not None:
        old = and_(old, or_(signing_keys.c.activated_at <= now - usual, cast(tenants.c.provider, String) != "{}"))
    signing = (
        select(signing_keys.c.tenant_id, signing_keys.c.activated_at, tenants.c.provider)
        .join(tenants, tenants.c.id == signing_keys.c.tenant_id)
        .where(signing_keys.c.state == KeyState.ACTIVE, old)
    )
    for row in await connection.execute(signing):
        try:
            signs_for = ProviderPolicy.from_stored(row.provider).key_rotation
        except Unreadable as error:  # of one tenant: the keys of all others go on being rotated
            _log.error("tenant_unreadable", tenant_id=str(row.tenant_id), error=str(error))
            continue
        if outlived(row.activated_at, signs_for=signs_for, now=now):
            due.add(row.tenant_id)
    return sorted(due)
