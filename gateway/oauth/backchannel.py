"""The job that tells clients of sessions that have ended (OpenID Connect Back-Channel Logout 1.0 section 2.5).

    one step:   take the notice for a while, look up its client and the key, sign a logout token
    no step:    POST it to the address that the client registered
    one step:   the notice is done, or it waits to be tried again

No transaction is open while a client is spoken to (rule 7), and each call goes through ``outbound`` (rule 13). Every
process may run this. A client is told one thing at a time, and a tenant has a part of the calls at most, so that
whoever does not answer keeps only its own from their turn. Owns delivery; which notices there are is
``tenants.logout_notices``'s.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from gateway.oauth.logout_token import sign_logout_token
from gateway.outbound import Outbound, OutboundAnswer, OutboundFailed
from gateway.settings import Settings
from tenants import logout_notices
from tenants.audit_event import Details, Event
from tenants.database import DATABASE_ERRORS, Database
from tenants.jose import UnusableKey
from tenants.keys import NoActiveKey
from tenants.logout_notices import DueNotice, LogoutNotice
from tenants.sealing import Unsealable
from tenants.store import Store, TenantStore

_log = structlog.get_logger("yett.backchannel")
GIVE_UP_AFTER = timedelta(hours=12)
"""What a client did not take in half a day is given up: its own session is over by then, or will never hear of it."""

_PATIENCE = timedelta(seconds=5)
_LARGEST = 64 * 1024
_LEASE = timedelta(minutes=1) + _PATIENCE  # the minute is for the steps before and after
_BATCH = 200
_CALLS, _CALLS_OF_TENANT = 16, 4
_LOOK_AGAIN = 0.5
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=10), timedelta(minutes=30)
_MAX_DOUBLINGS = 16
_TAKEN = frozenset({200, 204})
_REFUSED = 400  # section 2.8: the client will not have it, now or later


def next_try(attempts: int, now: datetime) -> datetime:
    """After this many attempts: 10 seconds, doubled each time, at most half an hour."""
    return now + min(_FIRST_PAUSE * int(2 ** min(max(attempts, 1) - 1, _MAX_DOUBLINGS)), _LONGEST_PAUSE)


@dataclass(frozen=True, slots=True)
class _Ready:
    """A notice that was taken, and what is to be sent where."""

    due: DueNotice
    notice: LogoutNotice
    uri: str
    public_only: bool
    token: str = field(repr=False)


class BackChannel:
    """Delivers the notices of all tenants."""

    def __init__(self, database: Database, store: Store, outbound: Outbound, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._store = store
        self._outbound = outbound
        self._clock = clock
        self._stopping = False

    @classmethod
    def of(cls, settings: Settings, database: Database, store: Store, clock: Callable[[], datetime]) -> "BackChannel":
        """Within what the settings let be called."""
        return cls(database, store, Outbound(settings.outbound_networks, timeout=_PATIENCE, max_bytes=_LARGEST), clock)

    async def deliver(self) -> int:
        """Deliver what is due, several clients at once; says how many notices were looked at.

        It goes on while anything is due, with what comes in meanwhile, until ``stop``. What is due is asked for again
        once all that was found is under way, and every half second, not for each call that ends.
        """
        calls: dict[asyncio.Task[None], DueNotice] = {}
        due: list[DueNotice] = []
        looks_again, dealt_with = 0.0, 0
        clock = asyncio.get_running_loop().time
        try:
            while True:
                if not self._stopping and (not due or clock() >= looks_again):
                    under_way = list(calls.values())
                    due = [notice for notice in await self._due() if notice not in under_way]
                    looks_again = clock() + _LOOK_AGAIN
                for notice in [] if self._stopping else _admitted(due, calls.values()):
                    due.remove(notice)
                    calls[asyncio.create_task(self._deliver_one(notice))] = notice
                if not calls:
                    return dealt_with
                ended, _ = await asyncio.wait(calls, timeout=_LOOK_AGAIN, return_when=asyncio.FIRST_COMPLETED)
                dealt_with += len(ended)
                for call in ended:
                    del calls[call]
                    call.result()
        except asyncio.CancelledError:
            for call in calls:
                call.cancel()
            raise
        finally:  # none is cut off between a client's answer and its settling because another one failed
            await asyncio.gather(*calls, return_exceptions=True)

    def stop(self) -> None:
        """Begin no further call: those that run have their answer settled, and the rest waits for another process."""
        self._stopping = True

    async def _due(self) -> Iterable[DueNotice]:
        async with self._database.system_snapshot() as connection:
            return await logout_notices.due(connection, self._clock(), limit=_BATCH)

    async def _deliver_one(self, due: DueNotice) -> None:
        try:
            ready = await self._prepare(due)
            if ready is not None:
                await self._settle(ready, await self._call(ready))
        except DATABASE_ERRORS:
            raise
        except Exception:  # noqa: BLE001 - one notice that nobody foresaw must not keep the others from being sent
            _log.exception("logout_notice_failed", notice=str(due.id))
            async with self._store.for_tenant(due.tenant_id) as store:
                await store.logout_notices.take(due.id, lease=_LEASE)  # if it is not: it would be due for ever

    async def _prepare(self, due: DueNotice) -> _Ready | None:
        """The first step. None where nothing is to be sent now: another process has it, it is too old, the client
        does not want to know any more, there is no key.
        """
        async with self._store.for_tenant(due.tenant_id) as store:
            notice = await store.logout_notices.take(due.id, lease=_LEASE)
            tenant = await store.settings.get()
            if notice is None or tenant is None:
                return None
            now = self._clock()
            if now - notice.created_at >= GIVE_UP_AFTER:
                await _finish(store, notice, "too_old")
                return None
            if not tenant.active:  # nobody could verify the token; it may be resumed
                await store.logout_notices.retry(notice, now + _LONGEST_PAUSE, counted=False)
                return None
            client = await store.clients.get(notice.client_id)
            uri = None if client is None or not client.active else client.options.backchannel_logout_uri
            if client is None or uri is None:
                await store.logout_notices.done(notice)
                return None
            try:
                key = await store.keys.signing()
            except (NoActiveKey, UnusableKey, Unsealable) as error:
                _log.error("logout_token_unsigned", tenant=tenant.slug, error=type(error).__name__)
                await store.logout_notices.retry(notice, next_try(notice.attempts, now))
                return None
            token = sign_logout_token(
                key,
                issuer=tenant.issuer,
                client_id=notice.client_id,
                subject=notice.subject,
                session_id=notice.session_id,
                now=now,
            )
            return _Ready(due, notice, uri, client.registered_itself, token)

    async def _call(self, ready: _Ready) -> OutboundAnswer | OutboundFailed:
        try:
            form = {"logout_token": ready.token}
            return await self._outbound.post_form(ready.uri, form, public_only=ready.public_only)
        except OutboundFailed as failed:
            return failed

    async def _settle(self, ready: _Ready, outcome: OutboundAnswer | OutboundFailed) -> None:
        """The last step."""
        notice, now = ready.notice, self._clock()
        async with self._store.for_tenant(ready.due.tenant_id) as store:
            match outcome:
                case OutboundAnswer(status) if status in _TAKEN:
                    await _finish(store, notice)
                    return
                case OutboundAnswer(status):
                    reason, lost = f"status_{status}", status == _REFUSED
                case OutboundFailed():
                    reason, lost = outcome.reason, False
            again = next_try(notice.attempts, now)
            if lost or again - notice.created_at >= GIVE_UP_AFTER:
                await _finish(store, notice, reason)
                return
            await store.logout_notices.retry(notice, again)
        _log.info(
            "logout_notice_put_off",
            tenant_id=str(ready.due.tenant_id),
            client_id=notice.client_id,
            reason=reason,
            attempts=notice.attempts,
        )


def _admitted(due: Iterable[DueNotice], running: Iterable[DueNotice]) -> list[DueNotice]:
    """Those that may be called beside what runs: of each client one, of each tenant a few."""
    calls = list(running)
    busy = {(call.tenant_id, call.client_id) for call in calls}
    of_tenant = Counter(call.tenant_id for call in calls)
    admitted: list[DueNotice] = []
    for notice in due:
        if len(calls) + len(admitted) >= _CALLS:
            break
        client = notice.tenant_id, notice.client_id
        if client not in busy and of_tenant[notice.tenant_id] < _CALLS_OF_TENANT:
            busy.add(client)
            of_tenant[notice.tenant_id] += 1
            admitted.append(notice)
    return admitted


async def _finish(store: TenantStore, notice: LogoutNotice, reason: str | None = None) -> None:
    """It was delivered, or, with a ``reason``, never will be: it goes, and the log has which."""
    if not await store.logout_notices.done(notice):
        return
    details: Details = {"attempts": notice.attempts}
    await store.audit.add(
        Event(
            type="logout.notified" if reason is None else "logout.failed",
            outcome="success" if reason is None else "refused",
            reason=reason,
            subject=notice.subject,
            client_id=notice.client_id,
            session_id=str(notice.session_id),
            details=details,
        )
    )
