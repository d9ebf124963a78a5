"""The transactional outbox: an event is inserted in the same transaction as the change that it tells of (rule 3)."""

import secrets
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from policies.severity import severity_of
from tenants.audit_event import Event, encode
from tenants.tables import audit_outbox

# inline: without RETURNING, which needs a right to read that ``yett_app`` does not have here.
_INSERT = insert(audit_outbox).inline()


class AuditOutbox:
    """One tenant's way into its log. Reading is ``audit_log``'s."""

    def __init__(self, connection: AsyncConnection, tenant_id: UUID, now: datetime) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._now = now

    async def add(self, event: Event) -> None:
        """Tell of a change. Both are there after a crash, or neither."""
        await self._connection.execute(_INSERT, row(event, self._tenant_id, self._now))


def row(event: Event, tenant_id: UUID, at: datetime) -> dict[str, object]:
    """An outbox row: the final bytes, and the 16 random bytes that let them be erased later without being guessed. Here
    each event gets its severity.
    """
    severity = severity_of(event.type, event.reason, event.details)
    if severity is not None:
        event = event._replace(severity=severity)
    return {
        "tenant_id": tenant_id,
        "salt": secrets.token_bytes(16),
        "event": encode(event, event_id=uuid4(), tenant_id=tenant_id, at=at),
    }
