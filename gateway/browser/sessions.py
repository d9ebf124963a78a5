"""Browser sessions in this process's memory: which access token a cookie stands for at the moment.

A token lives as long as any other. It is asked for again when it is nearly over, and three times in the time that a
session may go unused, since that is what it is seen by: once for each cookie and process, however many requests come at
once, and with every check of a refresh. Where that cannot be done just now, the token at hand counts to its end, as it
would anywhere. Between two such moments a request with a cookie costs a look-up. That a session has ended is heard as
for every token (rule 5). Owns that memory; not what the checks are (oauth/grants/browser_session.py).
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from gateway.browser.own_client import OwnClient
from gateway.browser.sealed import Seals, SessionCookie
from gateway.errors import OAuthError
from gateway.oauth.grants.browser_session import BROWSER_SESSION
from gateway.proxy.request import ProxiedRequest
from policies.scope import canonical
from tenants.database import DATABASE_ERRORS
from tenants.snapshot import TenantFacts

_MOST = 50_000
_EARLY = 30.0  # seconds before its end in which a token is not begun with
_OVER_FOR = 60.0  # seconds: who shows an ended session again does not ask the database each time
_AGAIN = 5.0  # seconds between two questions where the last one was in vain
_DIGEST_BYTES = 16


class Unavailable(Exception):
    """It cannot be told now: the database is away, or there is no key to sign with."""


@dataclass(frozen=True, slots=True)
class _Known:
    """``token`` None: the session is over. It was asked for at ``since`` and is at ``until`` again; the token itself
    ends at ``ends``.
    """

    token: bytes | None = field(repr=False)
    since: float
    until: float
    ends: float


class BrowserSessions:
    """``now`` is epoch seconds."""

    def __init__(self, client: OwnClient, seals: Seals, now: Callable[[], float]) -> None:
        self._client = client
        self._seals = seals
        self._now = now
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._asking: dict[bytes, asyncio.Future[_Known]] = {}

    async def token(self, cookie: bytes, tenant: TenantFacts, host: str, request: ProxiedRequest) -> bytes | None:
        """The access token; None where the cookie is none of ours, or its session is over.

        Raises:
            Unavailable: try again later.
        """
        key = _key(cookie, tenant, host)
        known = self._known.get(key)
        if known is not None and self._now() < known.until:
            return known.token
        asking = self._asking.get(key)
        if asking is None:
            session = self.opened(cookie, tenant, host)
            if session is None:
                return None  # not remembered: strangers decide how many there are
            asking = self._asking[key] = asyncio.ensure_future(self._ask(key, session, tenant, request))
            asking.add_done_callback(partial(self._asked, key))
        return (await asyncio.shield(asking)).token  # whoever goes away, the others wait for it too

    def refused(self, cookie: bytes, tenant: TenantFacts, host: str) -> None:
        """The token will not do, whatever it says itself: let it be asked for again, though not all the time."""
        key = _key(cookie, tenant, host)
        known = self._known.get(key)
        if known is not None and known.token is not None:
            until = min(known.until, known.since + _AGAIN)
            self._known[key] = replace(known, until=until, ends=until)

    def opened(self, cookie: bytes, tenant: TenantFacts, host: str) -> SessionCookie | None:
        """What the cookie says, if it is ours; not whether its session lives."""
        return self._seals.opened_session(cookie, tenant_id=tenant.id, host=host)

    def _asked(self, key: bytes, asking: "asyncio.Future[_Known]") -> None:
        del self._asking[key]
        if not asking.cancelled():
            asking.exception()  # who asked may be gone: then nobody else takes it

    async def _ask(self, key: bytes, session: SessionCookie, tenant: TenantFacts, request: ProxiedRequest) -> _Known:
        try:
            known = await self._made(session, tenant, request)
        except Unavailable:
            now, held = self._now(), self._known.get(key)
            if held is None or held.token is None or now >= held.ends:
                raise
            known = replace(held, since=now, until=min(held.ends, now + _AGAIN))
        self._known[key] = known
        self._known.move_to_end(key)
        if len(self._known) > _MOST:
            self._known.popitem(last=False)
        return known

    async def _made(self, session: SessionCookie, tenant: TenantFacts, request: ProxiedRequest) -> _Known:
        now = self._now()
        form = {
            "grant_type": BROWSER_SESSION,
            "client_id": session.client_id,
            "session_id": session.session_id,
            "scope": canonical(frozenset(session.scopes)),
            "resource": session.audiences,
        }
        try:
            answer = await self._client.ask(tenant, request, form)
            idle = await self._client.session_idle(tenant)
        except OAuthError as error:
            if error.status >= 500:
                raise Unavailable from error
            return _Known(None, since=now, until=now + _OVER_FOR, ends=now + _OVER_FOR)
        except DATABASE_ERRORS as error:
            raise Unavailable from error
        lasts = answer.expires_in - _EARLY
        if idle is not None:
            lasts = min(lasts, idle.total_seconds() / 3)
        token = answer.access_token.encode("ascii")
        return _Known(token, since=now, until=now + max(1.0, lasts), ends=now + answer.expires_in)


def _key(cookie: bytes, tenant: TenantFacts, host: str) -> bytes:
    return hashlib.sha256(b"%b\n%b\n%b" % (tenant.id.bytes, host.encode(), cookie)).digest()[:_DIGEST_BYTES]
