"""Looking through each tenant's log behind the sequencer, and telling there of what calls for attention.

Owns what a fact is of an event as it is stored, and what is told of a detection. The decision is
``policies.detection``'s, the place in the log ``tenants.detections``'. Nobody's request waits for any of it.
"""

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from gateway.place import Places
from policies.detection import TYPES, Detection, Fact, Watch, network_of
from tenants import detections
from tenants.audit_event import Details, Event
from tenants.database import Database
from tenants.detections import Progress
from tenants.store import Store, TenantStore
from tenants.turns import Turns

INTERVAL = 2.0
_TURN = timedelta(seconds=1.5)  # less than the interval, so that one process alone never finds it taken
_STEPS = 10
"""Of one log, before the others have their turn; the rest waits for the next run."""

_Body = Mapping[str, Any]


class _Seen(NamedTuple):
    """What one step saw, and where it came to. ``found`` are detections with the event that made them;
    ``came_from`` are users, and countries that they had not logged in from.
    """

    before: Progress
    position: int
    state: Mapping[str, Any]
    found: Sequence[tuple[Detection, _Body]] = ()
    came_from: Sequence[tuple[UUID, str]] = ()


@dataclass(frozen=True, slots=True)
class Detecting:
    """For all tenants; one process of a cluster at a time, as long as a run takes less than its turn. Of two that look
    at the same events, one tells.
    """

    database: Database
    store: Store
    turns: Turns
    places: Places
    clock: Callable[[], datetime]

    async def run(self) -> None:
        """Look through what was added to any log.

        Raises:
            ExceptionGroup: of the tenants whose logs could not be looked through, once all others had their turn.
        """
        failures: list[Exception] = []
        is_mine = False
        async for tenant_id in self._waiting():
            if not is_mine and not await self.turns.take("detections", _TURN):
                return
            is_mine = True
            try:
                await self._follow(tenant_id)
            except Exception as error:  # noqa: BLE001 - raised below, with the others'
                failures.append(error)
        if failures:
            raise ExceptionGroup("logs could not be looked through", failures)

    async def _waiting(self) -> AsyncIterator[UUID]:
        """Each tenant whose log has grown, from any one on: where a run takes so long that another process begins,
        the two share the work.
        """
        begin = uuid4()
        for first, until in ((begin, None), (None, begin)):
            after: UUID | None = first
            while found := await detections.behind(self.database, self.clock(), after=after, until=until):
                for tenant_id in found:
                    yield tenant_id
                after = found[-1]

    async def _follow(self, tenant_id: UUID) -> None:
        for _ in range(_STEPS):
            async with self.store.for_tenant(tenant_id, read_only=True) as store:
                seen = await self._look(store)
            if seen is None:
                return
            async with self.store.for_tenant(tenant_id) as store:
                if not await store.detections.advance(seen.before, seen.position, seen.state):
                    return  # another process was faster, and tells
                for user_id, country in seen.came_from:
                    await store.detections.remember_country(user_id, country)
                for detection, body in seen.found:
                    await store.audit.add(_event(detection, body))

    async def _look(self, store: TenantStore) -> _Seen | None:
        """None where there is nothing to be looked at."""
        tenant = await store.settings.get()
        before = await store.detections.progress()
        if tenant is None or (before.position >= before.size and not before.is_new):
            return None
        rules = tenant.detections.rules()
        if not rules:
            return _Seen(before, before.size, {})
        read = await store.detections.read(before.position, before.size, TYPES)
        bodies: list[_Body] = [json.loads(event) for event in read.events]
        countries = _Countries(self.places if "new_country" in rules else None, bodies)
        countries.known = await store.detections.countries(countries.users) if countries.users else set()
        watch, found = Watch(rules, before.state), []
        for body in bodies:
            found += [(detection, body) for detection in watch.look(_fact(body, countries.new(body)))]
        return _Seen(before, read.end, watch.stored(), found, countries.first)


@dataclass(slots=True)
class _Countries:
    """Who logged in from where, among these events, and what of it is new. Whoever has none yet gets the first one
    without a word: nobody knows where they are at home.
    """

    places: Places | None
    bodies: Sequence[_Body]
    known: set[tuple[UUID, str]] = field(default_factory=set)
    first: list[tuple[UUID, str]] = field(default_factory=list)

    @property
    def users(self) -> set[UUID]:
        """Whose countries have to be known."""
        return {user_id for user_id, _ in filter(None, map(self._login, self.bodies))}

    def new(self, body: _Body) -> str | None:
        """The country of this login, where it is not the user's first one, and they were never there."""
        login = self._login(body)
        if login is None or login in self.known:
            return None
        is_first = all(user_id != login[0] for user_id, _ in self.known)
        self.known.add(login)
        self.first.append(login)
        return None if is_first else login[1]

    def _login(self, body: _Body) -> tuple[UUID, str] | None:
        if self.places is None or body["type"] != "login.succeeded" or "subject" not in body:
            return None
        country = self.places.country(body.get("address", ""))
        return None if country is None else (UUID(body["subject"]), country)  # who logs in is a user


def _fact(body: _Body, new_country: str | None) -> Fact:
    details = body.get("details", {})
    return Fact(
        at=datetime.fromisoformat(body["time"]),
        id=body["id"],
        type=body["type"],
        reason=body.get("reason"),
        subject=body.get("subject"),
        account=details.get("account"),
        client_id=body.get("client_id"),
        network=network_of(body.get("address")),
        times=body.get("count", 1),
        new_device=details.get("new_device") is True,
        new_country=new_country,
        parts=tuple(details.get("parts", ())),
    )


def _event(found: Detection, body: _Body) -> Event:
    """What is told. Of a pattern it says what its events have in common, and not whom the last of them was about."""
    fact = found.fact
    details: Details = {"event": fact.id, "threshold": found.rule.threshold, "window": found.rule.seconds}
    if found.mean is not None:
        details["mean"] = found.mean
    if found.last:
        details["last"] = True
    told = Event(f"detection.{found.kind}", "notice", count=found.number, details=details)
    match found.kind:
        case "accounts_from_network":
            return told._replace(address=fact.network)
        case "networks_of_account":
            return told._replace(subject=fact.subject, user_name=body.get("user_name"))
        case "client_refusals":
            return told._replace(client_id=fact.client_id, reason=fact.reason)
        case "config_changed":
            details["changed"] = list(found.changed)
            return told._replace(config=body.get("config"))
        case "new_country":
            details["country"] = fact.new_country or ""
        case "steps_out_of_order":
            told = told._replace(reason=fact.reason)
        case "new_device":
            pass
    return told._replace(
        subject=fact.subject,
        user_name=body.get("user_name"),
        session_id=body.get("session_id"),
        client_id=fact.client_id,
        address=body.get("address"),
    )
