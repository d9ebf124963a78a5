"""Browsers at API hosts, before and after the gate: a session in a cookie stands in for a token, on routes that say so;
and who has none, and goes there as a person, is led to log in.

    arrive   /.yett/... | a route for browsers? -> may the cookie speak? -> its token, as if it had been sent
    instead  the gate wants a (better) login -> a redirect for who navigates, the refusal for everything else

Owns which requests a cookie counts for. Not the decision (proxy/gate.py), which sees a token like any other.
"""

from collections.abc import Callable, Mapping

from gateway.browser import cookies
from gateway.browser.login import CALLBACK, BrowserLogin, host_of, is_secure, origin_of
from gateway.browser.logout import PATH as LOGOUT
from gateway.browser.logout import BrowserLogout
from gateway.browser.sessions import BrowserSessions, Unavailable
from gateway.limits import AddressLimit
from gateway.proxy import refusal
from gateway.proxy.browser_app import BrowserApp
from gateway.proxy.own_answer import OwnAnswer
from gateway.proxy.plane_config import PlaneConfig
from gateway.proxy.refusal import Refusal
from gateway.proxy.request import ProxiedRequest
from policies.browser_request import Sent, may_use_cookie
from policies.decision import Allow, Deny
from policies.path import NotCanonical
from policies.route import Match, Matched
from tenants.snapshot import TenantFacts

_CALLBACK = CALLBACK.encode()
_READ = (b"origin", b"sec-fetch-site", b"sec-fetch-mode", b"accept")


class BrowserFront:
    """``tenant_of`` finds an active tenant by its slug. ``limit`` counts what costs a transaction, by address."""

    def __init__(
        self,
        sessions: BrowserSessions,
        login: BrowserLogin,
        logout: BrowserLogout,
        tenant_of: Callable[[str], TenantFacts | None],
        limit: AddressLimit,
    ) -> None:
        self._sessions = sessions
        self._login = login
        self._logout = logout
        self._tenant_of = tenant_of
        self._limit = limit

    async def arrive(self, request: ProxiedRequest, config: PlaneConfig) -> OwnAnswer | Refusal | None:
        """None: it goes on to the gate, as it came or with the token of its session."""
        host = request.inbound.host.decode("latin-1")
        apps = None if config.browser is None else config.browser.at(host)
        if apps is None:
            return None
        path: bytes = request.scope["raw_path"]
        if path in (_CALLBACK, LOGOUT):
            return await self._own(request, apps, path)
        if request.inbound.authorizations:
            return None
        try:
            segments = config.table.segments(path)
            method = request.scope["method"]
            slugs = cookies.tenants(request.inbound.cookies, secure=is_secure(request))
            shown = [apps[slug] for slug in sorted(slugs & apps.keys())]
            held = [
                app for app in shown if self._fits(request, app, config.table.match(host, method, segments, app.tenant))
            ]
        except NotCanonical:
            return None  # the gate says so
        if len(held) > 1:  # nobody says which tenant's
            return None
        if not held:
            only = config.table.browser_tenant(host, method, segments)
            request.browser_app = None if only is None else apps.get(only)
            return None
        (request.browser_app,) = held
        return await self._present(request, held[0])

    async def instead(self, request: ProxiedRequest, refused: Refusal) -> OwnAnswer | Refusal:
        """Of a refusal on a route for browsers: the way to a login, where that would help and somebody would see it."""
        app = request.browser_app
        tenant = None if app is None else self._tenant_of(app.tenant)
        status = refused.problem.status
        if app is None or tenant is None:
            return refused
        cookie = self._cookie(request, app)
        if cookie is not None and refused.problem is refusal.INVALID_TOKEN:
            self._sessions.refused(cookie, tenant, host_of(request))
        if not (status == 401 or refused.scope) or not _sent(request).navigates:
            return refused
        held = None if cookie is None else self._sessions.opened(cookie, tenant, host_of(request))
        if status != 401:
            missing = set(refused.scope.split())
            if held is None or not missing <= app.scopes or not missing.isdisjoint(held.scopes):
                return refused  # what was granted and is gone, and what no login asks for, does not come of one
        return await self._login.begin(request, app, tenant, refused, held)

    async def _present(self, request: ProxiedRequest, app: BrowserApp) -> Refusal | None:
        """Let the session's token stand in for one that was sent."""
        cookie, tenant = self._cookie(request, app), self._tenant_of(app.tenant)
        if cookie is None or tenant is None:
            return None
        match may_use_cookie(_sent(request)):
            case Deny("site_foreign"):
                return None
            case Deny(reason):
                return Refusal(refusal.REQUEST_FORGED, reason)
            case Allow():
                pass
        try:
            token = await self._sessions.token(cookie, tenant, host_of(request), request)
        except Unavailable:
            return refusal.retry_later(refusal.BROWSER_UNAVAILABLE, "browser_session_unavailable")
        if token is not None:
            request.inbound.authorization, request.inbound.authorizations = b"Bearer " + token, 1
        return None

    def _fits(self, request: ProxiedRequest, app: BrowserApp, found: Match) -> bool:
        return isinstance(found, Matched) and found.route.browser and self._cookie(request, app) is not None

    def _cookie(self, request: ProxiedRequest, app: BrowserApp) -> bytes | None:
        return cookies.read(request.inbound.cookies, cookies.name(app.tenant, "app", secure=is_secure(request)))

    async def _own(self, request: ProxiedRequest, apps: Mapping[str, BrowserApp], path: bytes) -> OwnAnswer | Refusal:
        method = request.scope["method"]
        seconds = self._limit.refused_for(request.origin.address)
        if seconds is not None:
            return refusal.retry_later(refusal.TOO_MANY_REQUESTS, "address_limit", seconds)
        if path == LOGOUT:
            if method == "GET":
                return self._logout.ask()
            if method != "POST":
                return refusal.method_not_allowed(("GET", "POST"))
            match may_use_cookie(_sent(request)):
                case Deny(reason):
                    return Refusal(refusal.REQUEST_FORGED, reason)
                case Allow():
                    return await self._logout.end(request, apps)
        if method != "GET":
            return refusal.method_not_allowed(("GET",))
        answer: OwnAnswer | Refusal = Refusal(refusal.LOGIN_FAILED, "state_unknown")
        for app in apps.values():  # the seal says whose it is
            tenant = self._tenant_of(app.tenant)
            if tenant is not None:
                answer = await self._login.finish(request, app, tenant)
                if not (isinstance(answer, Refusal) and answer.reason == "state_unknown"):
                    break
        return answer


def _sent(request: ProxiedRequest) -> Sent:
    found: dict[bytes, tuple[str, ...]] = {}
    for name, value in request.scope["headers"]:
        if name in _READ:
            found[name] = (*found.get(name, ()), value.decode("latin-1"))
    return Sent(
        request.scope["method"],
        origin_of(request),
        found.get(b"origin", ()),
        found.get(b"sec-fetch-site", ()),
        found.get(b"sec-fetch-mode", ()),
        ",".join(found.get(b"accept", ())),
    )
