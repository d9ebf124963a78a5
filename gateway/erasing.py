"""Erasing a person, once they are shut out: events, tokens and, last, the account. Each step tells in the log what it
did and can be taken again, so whoever finds an erasure that was broken off goes on with it.

Owns the order of these steps. Not who is erased (gateway/cli/user_erase.py) nor what of the log goes
(tenants/audit_erasure.py).
"""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

import structlog

from tenants import erasures, pruning
from tenants.audit_erasure import ERASED, AuditErasure
from tenants.audit_event import Event
from tenants.audit_log import BATCH, AuditLog
from tenants.database import Database
from tenants.store import Store
from tenants.user_names import look_up_key
from tenants.users import User

BROKEN_OFF: Final = timedelta(minutes=10)
"""So long after it began an erasure is gone on with by whoever keeps house. Two that erase the same do no harm."""

_log = structlog.get_logger("yett.housekeeping")


class Finished(NamedTuple):
    """``deleted``: there was an account still. ``events`` are those of the log that are gone."""

    deleted: bool
    events: int


def keys_of(names: Collection[str | None]) -> set[str]:
    """What invitations and events name a person by (user_names.py)."""
    return {key for key in map(look_up_key, filter(None, names)) if key is not None}


class Erasing:
    """``audit_log`` is brought up to date first: what waits to be filed is erased as well."""

    def __init__(self, database: Database, store: Store, audit_log: AuditLog, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._store = store
        self._audit_log = audit_log
        self._clock = clock

    async def finish(
        self, tenant_id: UUID, user_id: UUID | None, keys: Collection[str], *, actor: str
    ) -> Finished | None:
        """Erase what there is of them; None where there is nothing. ``user_id`` None: they never had an account."""
        while await self._audit_log.sequence(wait=True) >= BATCH:  # of a busy one something waits at any time
            pass
        erasure = AuditErasure(self._database, self._clock)
        erased = 0 if user_id is None else await erasure.erase_subject(tenant_id, str(user_id), actor=actor)
        if keys:
            erased += await erasure.erase_named(tenant_id, keys, actor=actor)
        if user_id is None and not erased:
            return None
        if user_id is not None:
            await self._delete_tokens(tenant_id, user_id)
        async with self._store.for_tenant(tenant_id) as store:
            deleted = user_id is not None and await store.users.get(user_id) is not None
            if user_id is not None and deleted:
                await store.users.delete(user_id)
            subject = None if user_id is None else str(user_id)
            await store.audit.add(Event(type=ERASED, outcome="success", subject=subject, actor=actor, count=erased))
        return Finished(deleted, erased)

    async def go_on(self) -> None:
        """Finish the erasures that were broken off.

        Raises:
            ExceptionGroup: of those that failed, once all had their turn.
        """
        failures: list[Exception] = []
        for tenant_id, user_id in await self._broken_off():
            try:
                user = await self._shut_out(tenant_id, user_id)
                if user is None:
                    continue
                keys = keys_of((user.name, user.email))
                if await self.finish(tenant_id, user_id, keys, actor="schedule") is not None:
                    _log.info("user_erased", tenant=str(tenant_id))
            except Exception as error:  # noqa: BLE001 - raised below, with the others'
                failures.append(error)
        if failures:
            raise ExceptionGroup("people could not be erased", failures)

    async def _broken_off(self) -> Sequence[tuple[UUID, UUID]]:
        return await erasures.begun(self._database, before=self._clock() - BROKEN_OFF)

    async def _shut_out(self, tenant_id: UUID, user_id: UUID) -> User | None:
        async with self._store.for_tenant(tenant_id, read_only=True) as store:
            user = await store.users.get(user_id)
        return None if user is None or user.erasing_since is None else user

    async def _delete_tokens(self, tenant_id: UUID, user_id: UUID) -> None:
        more = True
        while more:
            async with self._database.system_step() as connection:
                more = await pruning.delete_tokens_of(connection, tenant_id, user_id)
