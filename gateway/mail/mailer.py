"""The job that sends what waits in the outbox: claim and write, COMMIT, send, settle.

    one step:   claim the letter for a while, look up who it is for, make its link
    no step:    write it and hand it over
    one step:   remove it and tell of it, or put it back and end the link

No transaction is open while a server is spoken to (rule 7). Every process may run this: a letter is claimed by one
conditional UPDATE. Delivery is at least once: who dies between the server's word and the last step leaves a letter that
is sent again, with a newer link.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from gateway.mail import schedule
from gateway.mail.address import Unwritable, UnwritableSender
from gateway.mail.recipients import Addressed, Case, address
from gateway.mail.sender import NotSent, PutOff, Refused, Sender, ServerAway
from gateway.mail.writer import Writer
from tenants import mail_outbox
from tenants.audit_event import Details, Event
from tenants.database import DATABASE_ERRORS, Database
from tenants.mail_outbox import WaitingLetter
from tenants.sealing import Unsealable
from tenants.store import Store, TenantStore

_log = structlog.get_logger("yett.mail")
_BATCH = 100
_CONNECTIONS = 4
_LOOK_AGAIN = 0.5
_FOR_THE_DATABASE = timedelta(minutes=1)  # what the steps before and after may take


@dataclass(frozen=True, slots=True)
class _Ready:
    """A claimed letter that somebody is to get."""

    tenant_id: UUID
    letter: WaitingLetter
    addressed: Addressed


@dataclass(slots=True)
class _Round:
    """What the connections of one ``deliver`` share."""

    waiting: deque[tuple[UUID, UUID]] = field(default_factory=deque)
    looking: asyncio.Lock = field(default_factory=asyncio.Lock)
    quiet: asyncio.Event = field(default_factory=asyncio.Event)
    busy: int = 0
    dealt_with: int = 0
    stopped: bool = False

    def __post_init__(self) -> None:
        self.quiet.set()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """While a letter is dealt with; ``quiet`` is set when none is."""
        self.busy += 1
        self.quiet.clear()
        try:
            yield
        finally:
            self.busy -= 1
            if self.busy == 0:
                self.quiet.set()


def nowhere(address: str) -> str:  # noqa: ARG001 - an address has a place where a database of places is configured
    """No address has a place."""
    return ""


class Mailer:
    """Sends letters of all tenants. ``longest`` is how long the sender may take for one; ``place_of`` names the place
    of an address, or nothing.
    """

    def __init__(
        self,
        database: Database,
        store: Store,
        *,
        writer: Writer,
        sender: Sender,
        longest: timedelta,
        clock: Callable[[], datetime],
        place_of: Callable[[str], str] = nowhere,
    ) -> None:
        self._place_of = place_of
        self._database = database
        self._store = store
        self._writer = writer
        self._sender = sender
        self._lease = longest + _FOR_THE_DATABASE
        self._clock = clock
        self._failures = 0
        self._rests_until: datetime | None = None

    async def deliver(self) -> int:
        """Send what is due, over a few connections at once; says how many letters were settled, one way or another.

        A letter that hangs holds its own connection only: the others go on, with what comes in meanwhile. Where there
        is no server, the rest waits unclaimed, and nothing is tried for a while.
        """
        if self._rests_until is not None and self._clock() < self._rests_until:
            return 0
        this_round = _Round()
        ended = await asyncio.gather(*(self._work(this_round) for _ in range(_CONNECTIONS)), return_exceptions=True)
        for outcome in ended:  # only once all have ended: none is cut off between sending and settling
            if isinstance(outcome, BaseException):
                raise outcome
        return 0 if this_round.stopped else this_round.dealt_with

    async def _work(self, this_round: _Round) -> None:
        """One connection's turn: a letter after the other, until nothing is due and nobody else is busy."""
        while not this_round.stopped:
            found = await self._next(this_round)
            if found is not None:
                with this_round.at_work():
                    await self._deliver_one(*found, this_round)
            elif this_round.quiet.is_set():
                return
            else:
                with suppress(TimeoutError):
                    await asyncio.wait_for(this_round.quiet.wait(), _LOOK_AGAIN)

    async def _next(self, this_round: _Round) -> tuple[UUID, UUID] | None:
        """Tenant and id of a letter that is due: they are looked up by one connection for all."""
        async with this_round.looking:
            if not this_round.waiting:
                async with self._database.system_snapshot() as connection:
                    this_round.waiting.extend(await mail_outbox.due(connection, self._clock(), limit=_BATCH))
            return this_round.waiting.popleft() if this_round.waiting else None

    async def _deliver_one(self, tenant_id: UUID, letter_id: UUID, this_round: _Round) -> None:
        try:
            if await self._attempt(tenant_id, letter_id, this_round):
                this_round.dealt_with += 1
        except DATABASE_ERRORS:
            raise
        except Exception:  # noqa: BLE001 - one letter that nobody foresaw must not keep the others from being sent
            _log.exception("letter_failed", letter=str(letter_id))
            async with self._store.for_tenant(tenant_id) as store:
                await store.mail_outbox.claim(letter_id, lease=self._lease)  # if it is not: it would be due for ever

    async def _attempt(self, tenant_id: UUID, letter_id: UUID, this_round: _Round) -> bool:
        """All three steps. False where there was nothing to send."""
        ready = await self._prepare(tenant_id, letter_id)
        if ready is None:
            return False
        try:
            await self._sender.send(self._writer.write(ready.addressed.draft))
        except Unwritable as error:
            _log.warning("letter_unwritable", kind=ready.letter.kind, problem=str(error))
            await self._settle(ready, Refused("unwritable"))
        except UnwritableSender:
            _log.error("letter_without_sender", tenant=ready.addressed.draft.tenant.slug)
            await self._settle(ready, PutOff("sender_unwritable"))
        except ServerAway as away:
            if not this_round.stopped:  # one absence, however many connections met it
                this_round.stopped = True
                self._failures += 1
                self._rests_until = schedule.next_connection(self._failures, self._clock())
            await self._settle(ready, away)
        except NotSent as problem:
            await self._settle(ready, problem)
        else:
            self._failures, self._rests_until = 0, None
            await self._settle(ready, None)
        return True

    async def _prepare(self, tenant_id: UUID, letter_id: UUID) -> _Ready | None:
        """The first step. None where nothing is to be sent: another process has it, it is too old, it is nobody's."""
        async with self._store.for_tenant(tenant_id) as store:
            letter = await store.mail_outbox.claim(letter_id, lease=self._lease)
            tenant = await store.settings.get()
            if letter is None or tenant is None:
                return None
            if schedule.is_too_old(letter.created_at, self._clock()):
                await _give_up(store, letter, "too_old")
                return None
            if not tenant.active:  # it may be resumed
                await store.mail_outbox.postpone(letter, self._clock() + self._lease, counted=False)
                return None
            try:
                fields = store.mail_outbox.open(letter)
                addressed = await address(Case(store, tenant, letter, fields, self._place_of))
            except Unsealable as error:  # claimed, and so tried again later: the right key may be back then
                _log.error("letter_unsealable", tenant=tenant.slug, problem=str(error))
                return None
            except Unwritable:
                await _give_up(store, letter, "unwritable")
                return None
            if addressed is None:
                await store.mail_outbox.remove(letter)
                return None
            return _Ready(tenant_id, letter, addressed)

    async def _settle(self, ready: _Ready, problem: NotSent | None) -> None:
        """The last step."""
        letter, made, now = ready.letter, ready.addressed.made, self._clock()
        async with self._store.for_tenant(ready.tenant_id) as store:
            if problem is None:
                await store.mail_outbox.remove(letter)
                await store.audit.add(_event("mail.sent", letter, ready.addressed))
                return
            if made is not None:
                await store.mail_links.end(made.purpose, made.secret)
            match problem:
                case ServerAway() if self._rests_until is not None:
                    await store.mail_outbox.postpone(letter, self._rests_until)
                case PutOff() | ServerAway():
                    await store.mail_outbox.postpone(letter, schedule.next_try(letter.attempts, now))
                case _:
                    await _give_up(store, letter, problem.reason, status=problem.status, addressed=ready.addressed)


async def _give_up(
    store: TenantStore,
    letter: WaitingLetter,
    reason: str,
    *,
    status: int | None = None,
    addressed: Addressed | None = None,
) -> None:
    """The letter will not be sent: it goes, and the log has why."""
    await store.mail_outbox.remove(letter)
    await store.audit.add(_event("mail.failed", letter, addressed, reason=reason, status=status))


def _event(
    type_: str,
    letter: WaitingLetter,
    addressed: Addressed | None,
    *,
    reason: str | None = None,
    status: int | None = None,
) -> Event:
    """Which letter, and about whom. No address: it may be that of somebody who never had to do with this tenant, and
    the log keeps what it is told.
    """
    details: Details = {"kind": letter.kind, "attempts": letter.attempts}
    if status is not None:
        details["smtp_status"] = status
    return Event(
        type=type_,
        outcome="success" if reason is None else "refused",
        reason=reason,
        subject=None if addressed is None or addressed.subject is None else str(addressed.subject),
        details=details,
    )
