"""Where a client's public keys come from: what it registered, or the address at which it publishes them (RFC 7591).

Owns the fetched sets: for how long they are believed, how often a client may be asked for one, how many are kept.
Whoever knows a client's id can name a key that is not there, and a client may register another address whenever it
likes, so one client causes a call every 30 seconds at most, whatever comes. Not what is verified with the keys
(tenants/client_keys.py), not where a call may go (outbound.py).
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from gateway.outbound import Outbound, OutboundFailed
from gateway.settings import Settings
from tenants.client import Client
from tenants.client_keys import ClientKeys, UnusableKeys
from tenants.jose import SignedClaims
from tenants.unverified_token import UnverifiedToken

_log = structlog.get_logger("yett.client_jwks")
_BELIEVED_FOR = timedelta(minutes=10)
_ASKED_EVERY = timedelta(seconds=30)
_MOST_SETS = 1000
_PATIENCE = timedelta(seconds=3)
_LARGEST = 64 * 1024
_NO_KEYS = ClientKeys({"keys": []})

_Place = tuple[UUID, str]


@dataclass(slots=True)
class _Published:
    """What a client's address said last, and when it was asked last: a failure leaves what was known in force for its
    time. Another address has said nothing yet, and has to wait for its turn.
    """

    uri: str
    public_only: bool
    asked_at: datetime | None = None
    keys: ClientKeys = _NO_KEYS
    told_at: datetime | None = None
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)


class ClientJwks:
    """Verifies what clients sign. ``most`` sets are remembered, those that were used last."""

    def __init__(self, outbound: Outbound, clock: Callable[[], datetime], *, most: int = _MOST_SETS) -> None:
        self._outbound = outbound
        self._clock = clock
        self._most = most
        self._published: OrderedDict[_Place, _Published] = OrderedDict()

    @classmethod
    def of(cls, settings: Settings, clock: Callable[[], datetime]) -> "ClientJwks":
        """With calls to where the operator lets them go, within what a client waits for an answer."""
        return cls(Outbound(settings.outbound_networks, timeout=_PATIENCE, max_bytes=_LARGEST), clock)

    async def verify(self, tenant_id: UUID, client: Client, token: UnverifiedToken) -> SignedClaims | None:
        """The token's claims, if this client signed them. No transaction may be open: this may call out."""
        options = client.options
        if options.jwks is not None:
            try:
                return ClientKeys(options.jwks).verify(token)
            except UnusableKeys:
                return None
        if options.jwks_uri is None:
            return None
        place = tenant_id, client.client_id
        published = self._remembered(place, options.jwks_uri, public_only=client.registered_itself)
        keys = await self._keys(published, place, _BELIEVED_FOR)
        claims = keys.verify(token)
        if claims is None and not keys.knows(token.header.get("kid")):  # it may have been published since
            claims = (await self._keys(published, place, _ASKED_EVERY)).verify(token)
        return claims

    def _remembered(self, place: _Place, uri: str, *, public_only: bool) -> _Published:
        published = self._published.get(place)
        if published is None or (published.uri, published.public_only) != (uri, public_only):
            asked_at = None if published is None else published.asked_at
            published = self._published[place] = _Published(uri, public_only, asked_at)
        self._published.move_to_end(place)
        while len(self._published) > self._most:
            self._published.popitem(last=False)
        return published

    async def _keys(self, published: _Published, place: _Place, within: timedelta) -> ClientKeys:
        """What the address says, or said less than ``within`` ago. While it cannot be asked: what it said lately."""
        if not self._recent(published.told_at, within):
            async with published.asking:  # whoever waited finds what the first one was told
                asked_lately = self._recent(published.asked_at, _ASKED_EVERY)
                if not asked_lately and not self._recent(published.told_at, within):
                    published.asked_at = self._clock()
                    keys = await self._fetch(place, published)
                    if keys is not None:
                        published.keys, published.told_at = keys, self._clock()
        return published.keys if self._recent(published.told_at, _BELIEVED_FOR) else _NO_KEYS

    def _recent(self, at: datetime | None, within: timedelta) -> bool:
        return at is not None and self._clock() - at < within

    async def _fetch(self, place: _Place, published: _Published) -> ClientKeys | None:
        tenant_id, client_id = place
        headers = {"Accept": "application/jwk-set+json, application/json"}
        try:
            answer = await self._outbound.get(published.uri, headers=headers, public_only=published.public_only)
            if answer.status != 200:
                raise OutboundFailed(f"status_{answer.status}")
            return ClientKeys.parse(answer.body)
        except OutboundFailed as failed:
            reason = failed.reason
        except UnusableKeys:
            reason = "answer_malformed"
        _log.warning("client_jwks_failed", tenant_id=str(tenant_id), client_id=client_id, reason=reason)
        return None
