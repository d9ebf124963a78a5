"""Browser sessions in this process's memory: which access token a cookie stands for at the moment.

A token lives as long as any other, and is asked for again when it is nearly over: once for each cookie and process,
however many requests come at once, and with every check of a refresh. Between two such moments a request with a cookie
costs a look-up. That a session has ended is heard as for every token (rule 5). Owns that memory; not what the checks
are (oauth/grants/browser_session.py).
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

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
_DIGEST_BYTES = 16


class Unavailable(Exception):
    """It cannot be told now: the database is away, or there is no key to sign with."""


@dataclass(frozen=True, slots=True)
class _Known:
    """``token`` None: the session is over."""

    token: bytes | None = field(repr=False)
    until: float


class BrowserSessions:
    """``now`` is epoch seconds."""

    def __init__(self, client: OwnClient, seals: Seals, now: Callable[[], float]) -> None:
        self._client = client
        self._seals = seals
        self._now = now
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._asking: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()

    async def token(self, cookie: bytes, tenant: TenantFacts, host: str, request: ProxiedRequest) -> bytes | None:
        """The access token; None where the cookie is none of ours, or its session is over.

        Raises:
            Unavailable: try again later.
        """
        key = hashlib.sha256(b"%b\n%b\n%b" % (tenant.id.bytes, host.encode(), cookie)).digest()[:_DIGEST_BYTES]
        known = self._remembered(key)
        if known is None:
            async with self._asking.setdefault(key, asyncio.Lock()):  # who waited finds what the first one got
                known = self._remembered(key) or await self._ask(key, cookie, tenant, host, request)
        return known.token

    def opened(self, cookie: bytes, tenant: TenantFacts, host: str) -> SessionCookie | None:
        """What the cookie says, if it is ours; not whether its session lives."""
        return self._seals.opened_session(cookie, tenant_id=tenant.id, host=host)

    def _remembered(self, key: bytes) -> _Known | None:
        known = self._known.get(key)
        return known if known is not None and self._now() < known.until else None

    async def _ask(self, key: bytes, cookie: bytes, tenant: TenantFacts, host: str, request: ProxiedRequest) -> _Known:
        now = self._now()
        session = self.opened(cookie, tenant, host)
        if session is None:
            return _Known(None, now)  # not remembered: strangers decide how many there are
        form = {
            "grant_type": BROWSER_SESSION,
            "client_id": session.client_id,
            "session_id": session.session_id,
            "scope": canonical(frozenset(session.scopes)),
            "resource": session.audiences,
        }
        try:
            answer = await self._client.ask(tenant, request, form)
            known = _Known(answer.access_token.encode("ascii"), now + max(1.0, answer.expires_in - _EARLY))
        except OAuthError as error:
            if error.status >= 500:
                raise Unavailable from error
            known = _Known(None, now + _OVER_FOR)
        except DATABASE_ERRORS as error:
            raise Unavailable from error
        self._known[key] = known
        self._known.move_to_end(key)
        if len(self._known) > _MOST:
            self._known.popitem(last=False)
        return known
