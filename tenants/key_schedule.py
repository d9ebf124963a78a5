"""Which tenants have a key whose time has come: asked across tenants by the rotation job. As ``yett_system``."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from policies.key_rotation import SIGNING_LAG, KeyState
from tenants.revocations import LONGEST_ACCESS_TOKEN
from tenants.tables import signing_keys


async def due_tenants(connection: AsyncConnection, now: datetime) -> Sequence[UUID]:
    """Tenants with a promotion that is due, or with a key whose last token has expired."""
    query = select(signing_keys.c.tenant_id).where(
        or_(
            and_(signing_keys.c.state == KeyState.NEXT, signing_keys.c.promote_at <= now),
            and_(
                signing_keys.c.state == KeyState.RETIRING,
                signing_keys.c.retiring_at <= now - LONGEST_ACCESS_TOKEN - SIGNING_LAG,
            ),
        )
    )
    return list((await connection.execute(query.distinct())).scalars())
