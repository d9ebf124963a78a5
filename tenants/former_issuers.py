"""Issuers that a tenant had before, and until when they count."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.changes import ChangeWriter


class FormerIssuers:
    """One tenant's former issuers."""

    def __init__(self, connection: AsyncConnection, tenant_id: UUID, changes: ChangeWriter, now: datetime) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._changes = changes
        self._now = now
