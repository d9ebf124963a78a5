"""What has to be done now and then for all tenants: keys that are due, rows and tenants whose time is over.

Every process may run it: each part is idempotent, and a second process finds nothing left to do. So that many do not
look for it all the time, they take turns (tenants/turns.py).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from gateway.erasing import Erasing
from policies.throttle import REMEMBERED
from tenants import (
    api_keys,
    authorization_codes,
    authorization_requests,
    begun_requests,
    budgets,
    changes,
    deletion,
    device_codes,
    devices,
    idempotency_keys,
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
from tenants.audit_erasure import AuditErasure
from tenants.audit_event import Details, Event
from tenants.audit_log import AuditLog
from tenants.database import Database
from tenants.jose import SigningKey
from tenants.lifetimes import LONGEST_KNOWN_NETWORK, LONGEST_REFRESH_GRACE
from tenants.pruning import Prune
from tenants.snapshot import FEED_RETENTION
from tenants.store import Store
from tenants.tenant import Tenant

_log = structlog.get_logger("yett.housekeeping")
_ENDED_KEPT = timedelta(days=1)
_LETTERS_KEPT = timedelta(days=2)  # longer than the mailer goes on trying
_NOTICES_KEPT = timedelta(days=2)  # likewise
_DEVICE_CODES_KEPT = timedelta(minutes=10)  # a device that asks late is told that its code is over


class Housekeeping:
    """``advance_keys``, ``prune``, ``erase_events``, ``erase_people`` and ``delete_tenants``: none waits for another's
    failure.
    """

    def __init__(self, database: Database, store: Store, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._store = store
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

    async def delete_tenants(self, platform: Callable[[], Awaitable[Tenant]]) -> None:
        """Delete the tenants whose time has come, and tell of it in the log of ``platform``: one that fails keeps no
        other from its turn.

        Raises:
            ExceptionGroup: of the tenants that failed, once all had theirs.
        """
        failures: list[Exception] = []
        for doomed in await deletion.due(self._database, self._clock()):
            try:
                told_in = (await platform()).id
                if await deletion.carry_out(
                    self._database, doomed, platform=told_in, now=self._clock(), actor="schedule"
                ):
                    _log.info("tenant_deleted", tenant=doomed.slug)
            except Exception as error:  # noqa: BLE001 - raised below, with the others'
                failures.append(error)
        if failures:
            raise ExceptionGroup("tenants could not be deleted", failures)

    async def prune(self) -> None:
        """Delete rows whose time is over.

        Some rows of one table in each step: nobody waits for all of it, and one that fails keeps no other one from its
        turn.

        Raises:
            ExceptionGroup: of the tables that failed, once all had theirs.
        """
        failures: list[Exception] = []
        for prune, before in _over(self._clock()):
            try:
                while await self._prune_some(prune, before):
                    pass
            except Exception as error:  # noqa: BLE001 - raised below, with the others'
                failures.append(error)
        if failures:
            raise ExceptionGroup("tables could not be pruned", failures)

    async def erase_events(self) -> None:
        """Erase from the audit logs what is older than its tenant keeps, and tell of it there.

        Raises:
            ExceptionGroup: of the tenants that failed, once all had their turn.
        """
        await AuditErasure(self._database, self._clock).erase_old()

    async def erase_people(self, audit_log: AuditLog) -> None:
        """Go on with erasures of people that were broken off.

        Raises:
            ExceptionGroup: of those that failed, once all had their turn.
        """
        await Erasing(self._database, self._store, audit_log, self._clock).go_on()

    async def _prune_some(self, prune: Prune, before: datetime) -> bool:
        async with self._database.system_step() as connection:
            return await prune(connection, before)

    async def _advance_tenant(self, tenant_id: UUID) -> None:
        async with self._store.for_tenant(tenant_id, read_only=True) as store:
            tenant = await store.settings.get()
        if tenant is None:
            return
        spare = await asyncio.to_thread(SigningKey.generate, tenant.signing_alg)
        async with self._store.for_tenant(tenant_id) as store:
            tenant = await store.settings.get()
            if tenant is None:
                return
            signs_for = tenant.provider.key_rotation
            moves = list(await store.keys.advance(tenant.signing_alg, signs_for=signs_for, spare=spare))
            if moves:
                details: Details = {"moves": moves}
                await store.audit.add(Event(type="key.advanced", outcome="success", actor="schedule", details=details))
                _log.info("key_advanced", tenant=tenant.slug, moves=moves)


def _over(now: datetime) -> Sequence[tuple[Prune, datetime]]:
    """What is pruned, in this order, and what its time has to be before."""
    ended = now - _ENDED_KEPT
    return (
        (refresh_tokens.forget_successors, now - LONGEST_REFRESH_GRACE),
        (refresh_tokens.prune, ended),
        (sessions.prune, ended),
        (logins.prune, ended),
        (mail_links.prune, ended),
        (throttles.prune, now - REMEMBERED),
        (devices.prune_devices, now),
        (devices.prune_networks, now - LONGEST_KNOWN_NETWORK),
        (authorization_requests.prune, now),
        (begun_requests.prune, now),
        (authorization_codes.prune, ended),  # one that comes again tells of a theft
        (device_codes.prune, now - _DEVICE_CODES_KEPT),
        (seen_ids.prune, now),
        (mail_outbox.prune, now - _LETTERS_KEPT),
        (logout_notices.prune, now - _NOTICES_KEPT),
        (registration_tokens.prune, ended),
        (api_keys.prune_revoked, now - api_keys.KEPT),
        (api_keys.prune_expired, now - api_keys.KEPT),
        (idempotency_keys.prune, now),
        (revocations.prune, now),
        (changes.prune, now - FEED_RETENTION),
        (budgets.prune, now),
    )
