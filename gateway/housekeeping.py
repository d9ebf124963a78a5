"""What has to be done now and then for all tenants: keys that are due, rows whose time is over.

Every process may run it: each part is idempotent, and a second process finds nothing left to do.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from policies.throttle import REMEMBERED
from tenants import (
    authorization_codes,
    authorization_requests,
    begun_requests,
    changes,
    device_codes,
    devices,
    key_schedule,
    logins,
    logout_notices,
    mail_links,
    mail_outbox,
    refresh_tokens,
    registration_tokens,
    revocations,
    seen_ids,
    sessions,
    throttles,
)
from tenants.audit_event import Details, Event
from tenants.database import Database
from tenants.snapshot import FEED_RETENTION, Snapshot
from tenants.store import Store
from tenants.tenant import LONGEST_KNOWN_NETWORK, LONGEST_REFRESH_GRACE

_log = structlog.get_logger("yett.housekeeping")
_ENDED_KEPT = timedelta(days=1)
_LETTERS_KEPT = timedelta(days=2)  # longer than the mailer goes on trying
_NOTICES_KEPT = timedelta(days=2)  # likewise


class Housekeeping:
    """Two jobs: ``advance_keys`` and ``prune``. Neither waits for the other's failure to pass."""

    def __init__(self, database: Database, store: Store, snapshot: Snapshot, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._store = store
        self._snapshot = snapshot
        self._clock = clock

    async def advance_keys(self) -> None:
        """Promote and retire what is due, tenant by tenant: one that fails keeps no other from its turn.

        Raises:
            ExceptionGroup: of the tenants that failed, once all had theirs.
        """
        async with self._database.system_snapshot() as connection:
            due = await key_schedule.due_tenants(connection, self._clock())
        failures: list[Exception] = []
        for tenant_id in due:
            try:
                await self._advance_tenant(tenant_id)
            except Exception as error:  # noqa: BLE001 - raised below, with the others'
                failures.append(error)
        if failures:
            raise ExceptionGroup("keys could not be advanced", failures)

    async def prune(self) -> None:
        """Delete rows whose time is over, and forget them in this process's memory."""
        now = self._clock()
        async with self._database.system_step() as connection:
            await refresh_tokens.forget_successors(connection, now - LONGEST_REFRESH_GRACE)
            await refresh_tokens.prune(connection, now - _ENDED_KEPT)
            await sessions.prune(connection, now - _ENDED_KEPT)
            await logins.prune(connection, now - _ENDED_KEPT)
            await mail_links.prune(connection, now - _ENDED_KEPT)
            await throttles.prune(connection, now - REMEMBERED)
            await devices.prune_devices(connection, now)
            await devices.prune_networks(connection, now - LONGEST_KNOWN_NETWORK)
            await authorization_requests.prune(connection, now)
            await begun_requests.prune(connection, now)
            await authorization_codes.prune(connection, now - _ENDED_KEPT)  # one that comes again tells of a theft
            await device_codes.prune(connection, now - _ENDED_KEPT)
            await seen_ids.prune(connection, now)
            await mail_outbox.prune(connection, now - _LETTERS_KEPT)
            await logout_notices.prune(connection, now - _NOTICES_KEPT)
            await registration_tokens.prune(connection, now - _ENDED_KEPT)
            await revocations.prune(connection, now)
            await changes.prune(connection, now - FEED_RETENTION)
        self._snapshot.forget_expired()

    async def _advance_tenant(self, tenant_id: UUID) -> None:
        async with self._store.for_tenant(tenant_id) as store:
            tenant = await store.settings.get()
            if tenant is None:
                return
            moves = list(await store.keys.advance(tenant.signing_alg, signs_for=tenant.provider.key_rotation))
            if moves:
                details: Details = {"moves": moves}
                await store.audit.add(Event(type="key.advanced", outcome="success", actor="schedule", details=details))
                _log.info("key_advanced", tenant=tenant.slug, moves=moves)
