"""Observations on their way to the audit log (rule 3, second class): bounded in memory, aggregated where a stranger
decides how many there are, written in batches within a second.

Refusals of somebody who was recognised are told one by one, up to a budget per tenant. All others are told once per
(tenant, route, reason, API key that did not count, network) and ten seconds, and then counted: the count follows when
the ten seconds are over.
What did not fit is an event itself (``audit.gap``).
"""

from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Literal, NamedTuple
from uuid import UUID

from tenants.audit_event import Event

_WINDOW = timedelta(seconds=10)
_MAX_PENDING = 10_000
_MAX_ALLOWED = 8_000
_MAX_WINDOWS = 200
_BUDGET_PER_WINDOW = 1_000
_OTHER_NETWORKS = ""
_REMEMBERED = 4096

Outcome = Literal["refused", "allowed", "would_challenge", "would_deny", "would_refuse"]
_Kind = tuple[UUID | None, str, Outcome, str | None, str, str | None, str | None, str]
_OUTCOMES: Mapping[str, Literal["success", "refused"]] = {"allowed": "success", "refused": "refused"}
Write = Callable[[Sequence[tuple[UUID, datetime, Event]]], Awaitable[None]]


class Observation(NamedTuple):
    """One decision that changed nothing: a tuple, since a stranger decides how many are made [measured: 1.2 us, and 4.6
    for a frozen dataclass]. ``path`` is without its query, which may carry a secret. ``api_key_id`` is of
    an API key that is known and did not count: whoever sent it was not recognised as its ``subject``. ``config`` is the
    digest of the configuration that decided.
    """

    outcome: Outcome
    reason: str
    status: int
    route: str | None
    method: str
    path: str
    request_id: str
    address: str
    tenant_id: UUID | None = None
    subject: str | None = None
    client_id: str | None = None
    event: str = "request"
    api_key_id: str | None = None
    config: str | None = None


@dataclass(slots=True)
class _Window:
    """The first of its kind was told; ``more`` followed."""

    first: Observation
    api_key_id: str | None
    network: str
    ends_at: datetime
    more: int = 0


class Recorder:
    """Takes observations synchronously on the hot path; ``flush`` writes them."""

    def __init__(self, write: Write, *, platform_id: UUID, clock: Callable[[], datetime]) -> None:
        self._write = write
        self._platform_id = platform_id
        self._clock = clock
        self._pending: deque[tuple[UUID, datetime, Event]] = deque()
        self._windows: dict[_Kind, _Window] = {}
        self._spent: dict[UUID, int] = {}
        self._budget_until: datetime | None = None
        self._dropped = 0

    def observe(self, observation: Observation) -> None:
        """Take note; never blocks, never raises, never grows without bound."""
        now = self._clock()
        if observation.outcome == "allowed" and observation.subject is not None:
            if len(self._pending) < _MAX_ALLOWED:
                self._tell(observation, now)
            else:  # what was refused must find room, however much is allowed
                self._dropped += 1
            return
        if self._within_budget(observation, now):
            self._tell(observation, now)
            return
        api_key_id, network = observation.api_key_id, _network(observation.address)
        key = _kind(observation, api_key_id, network)
        window = self._windows.get(key)
        if window is None and len(self._windows) >= _MAX_WINDOWS:
            api_key_id, network = None, _OTHER_NETWORKS
            key = _kind(observation, api_key_id, network)
            window = self._windows.get(key)
        if window is None or window.ends_at <= now:
            if window is not None:
                self._tell_more(window, now)
            self._windows[key] = _Window(observation, api_key_id, network, now + _WINDOW)
            self._tell(observation, now)
        else:
            window.more += 1

    async def flush(self) -> int:
        """Write what is pending; says how many events. What could not be written stays, up to the bound."""
        now = self._clock()
        self._close_windows(now)
        batch, dropped = list(self._pending), self._dropped
        gap = [(self._platform_id, now, Event(type="audit.gap", outcome="notice", count=dropped))] if dropped else []
        if not batch and not gap:
            return 0
        await self._write([*batch, *gap])
        self._dropped -= dropped
        for _ in batch:  # what came meanwhile stands behind these
            self._pending.popleft()
        return len(batch) + len(gap)

    async def close(self) -> None:
        """Write everything, open windows too."""
        for window in self._windows.values():
            self._tell_more(window, self._clock())
        self._windows.clear()
        await self.flush()

    def _within_budget(self, observation: Observation, now: datetime) -> bool:
        if observation.subject is None or observation.tenant_id is None:
            return False
        if self._budget_until is None or now >= self._budget_until:
            self._budget_until = now + _WINDOW
            self._spent.clear()
        spent = self._spent.get(observation.tenant_id, 0)
        self._spent[observation.tenant_id] = spent + 1
        return spent < _BUDGET_PER_WINDOW

    def _close_windows(self, now: datetime) -> None:
        for key in [key for key, window in self._windows.items() if window.ends_at <= now]:
            self._tell_more(self._windows.pop(key), now)

    def _tell(self, observation: Observation, now: datetime, *, count: int | None = None) -> None:
        if len(self._pending) >= _MAX_PENDING:
            self._dropped += count or 1
            return
        event = Event(
            type=f"{observation.event}.{observation.outcome}",
            outcome=_OUTCOMES.get(observation.outcome, "notice"),
            reason=observation.reason,
            subject=observation.subject,
            client_id=observation.client_id,
            request_id=observation.request_id or None,
            address=observation.address or None,
            route=observation.route,
            method=observation.method or None,
            path=observation.path or None,
            status=observation.status,
            count=count,
            details={} if observation.api_key_id is None else {"api_key": observation.api_key_id},
            config=observation.config,
        )
        self._pending.append((observation.tenant_id or self._platform_id, now, event))

    def _tell_more(self, window: _Window, now: datetime) -> None:
        if window.more:
            # Of those that followed only the number is known, and what they have in common: it may be other people's.
            alike = window.first._replace(
                method="",
                path="",
                request_id="",
                address=window.network,
                subject=None,
                client_id=None,
                api_key_id=window.api_key_id,
            )
            self._tell(alike, now, count=window.more)


def _kind(observation: Observation, api_key_id: str | None, network: str) -> _Kind:
    return (
        observation.tenant_id,
        observation.event,
        observation.outcome,
        observation.route,
        observation.reason,
        observation.config,
        api_key_id,
        network,
    )


@lru_cache(maxsize=_REMEMBERED)
def _network(address: str) -> str:
    """What one client has to itself: an IPv4 address, an IPv6 /64."""
    try:
        parsed = ip_address(address)
    except ValueError:  # a peer without an address; to observe never fails
        return _OTHER_NETWORKS
    if isinstance(parsed, IPv6Address):
        return f"{IPv6Address(int(parsed) >> 64 << 64)}/64"
    return address
