"""Logins of the console: the same as those of sites at API hosts, for the pages of the gateway's own administration.

The cookies have names of their own, and a session that is of another client counts for nothing here. Tokens stay in
this process. Owns how the console's requests look to the parts that browsers at API hosts are met with.
"""

from typing import Final
from uuid import UUID

from starlette.responses import Response
from starlette.types import Scope

from gateway.browser import cookies
from gateway.browser.login import BrowserLogin, host_of, is_secure, origin_of
from gateway.browser.logout import BrowserLogout
from gateway.browser.sealed import SessionCookie
from gateway.browser.sessions import BrowserSessions, Unavailable
from gateway.console.place import CLIENT_ID, Place
from gateway.context import Network
from gateway.errors import Problem
from gateway.errors import Unavailable as UnavailableProblem
from gateway.proxy import refusal
from gateway.proxy.browser_app import BrowserApp
from gateway.proxy.headers import HeaderReader
from gateway.proxy.identity import IdSource, Origins
from gateway.proxy.own_answer import OwnAnswer
from gateway.proxy.refusal import Refusal
from gateway.proxy.request import ProxiedRequest
from policies.administration import AUDIENCE, SCOPES
from policies.decision import Challenge
from policies.scope import OPENID
from tenants.database import DATABASE_ERRORS

_STEP_UP = "insufficient_user_authentication"
SESSION: Final = "console"


class LoginRefused(Problem):
    """Nobody was logged in: it was turned down, did not help, or the client will not do."""

    status = 403
    code = "login_refused"
    public = "Nobody was logged in: the login was turned down, or does not lead here."


class ConsoleSignIn:
    """The console's ``SignIn``."""

    def __init__(
        self, sessions: BrowserSessions, login: BrowserLogin, logout: BrowserLogout, proxies: tuple[Network, ...]
    ) -> None:
        self._sessions = sessions
        self._login = login
        self._logout = logout
        self._headers = HeaderReader()
        self._origins = Origins(proxies)
        self._ids = IdSource()

    def trust(self, proxies: tuple[Network, ...]) -> None:
        """These proxies' words about where a request came from count from here on."""
        self._origins = Origins(proxies)

    def origin(self, scope: Scope) -> str:
        """As the browser knows it."""
        return origin_of(self._request(scope))

    def secret(self, scope: Scope, place: Place) -> str | None:
        """The cookie's value."""
        value = _cookie(self._request(scope), place)
        return None if value is None else value.decode("ascii")

    async def token(self, scope: Scope, place: Place) -> str | None:
        """The access token of the session. Raises gateway.errors.Unavailable."""
        request = self._request(scope)
        value = _cookie(request, place)
        if value is None or self._opened(request, place) is None:
            return None
        try:
            token = await self._sessions.token(value, place.tenant, host_of(request), request)
        except Unavailable as error:
            raise UnavailableProblem(reason="browser_session_unavailable", retry_after=1) from error
        return None if token is None else token.decode("ascii")

    async def begin(self, scope: Scope, place: Place, acr_values: tuple[str, ...] | None) -> Response:
        """To the login. Raises Problem: that would not help."""
        request = self._request({**scope, "raw_path": place.below.encode("ascii")})
        wanted = None if acr_values is None else Challenge(_STEP_UP, acr_values)
        held, value = self._opened(request, place), _cookie(request, place)
        if value is not None and held is not None:
            self._sessions.refused(value, place.tenant, host_of(request))
        due = Refusal(refusal.TOKEN_MISSING if wanted is None else refusal.STEP_UP, "console", wanted=wanted)
        return _response(await self._login.begin(request, _app(place), place.tenant, due, held, place.callback))

    async def finish(self, scope: Scope, place: Place) -> Response:
        """Take the login's answer. Raises Problem: it is none, or a refusal."""
        request = self._request(scope)
        return _response(await self._login.finish(request, _app(place), place.tenant, place.callback))

    async def end(self, scope: Scope, place: Place) -> tuple[bytes, bytes]:
        """The session is over, here and at the issuer. Raises gateway.errors.Unavailable."""
        request = self._request(scope)
        held = self._opened(request, place)
        if held is not None:
            try:
                await self._logout.end_one(request, place.tenant, UUID(held.session_id), held.client_id)
            except DATABASE_ERRORS as error:
                raise UnavailableProblem(reason="database_unavailable", retry_after=1) from error
        secure = is_secure(request)
        name = cookies.name(place.tenant.slug, SESSION, secure=secure)
        return cookies.field(name, b"", secure=secure, max_age=0)

    def _request(self, scope: Scope) -> ProxiedRequest:
        inbound, client = self._headers.read(scope["headers"]), scope.get("client")
        origin = self._origins.of(client[0] if client else "", scope["scheme"], inbound)
        return ProxiedRequest(scope, inbound, origin, self._ids.draw())

    def _opened(self, request: ProxiedRequest, place: Place) -> SessionCookie | None:
        value = _cookie(request, place)
        held = None if value is None else self._sessions.opened(value, place.tenant, host_of(request))
        return held if held is not None and held.client_id == CLIENT_ID else None


def _cookie(request: ProxiedRequest, place: Place) -> bytes | None:
    name = cookies.name(place.tenant.slug, SESSION, secure=is_secure(request))
    return cookies.read(request.inbound.cookies, name)


def _app(place: Place) -> BrowserApp:
    return BrowserApp(place.tenant.slug, CLIENT_ID, SCOPES | OPENID, (AUDIENCE,))


class AddressUnknown(LoginRefused):
    """Nobody can log in from here."""

    public = (
        "Nobody can log in to the console at this address: the client yett-console does not redirect here. Register "
        "it with `yett client configure`, or use one that is registered (on the machine itself, 127.0.0.1)."
    )


def _response(answer: OwnAnswer | Refusal) -> Response:
    if isinstance(answer, Refusal):
        if answer.reason == "redirect_uri_unregistered":
            raise AddressUnknown(reason=answer.reason)
        if answer.problem.status == 503 and answer.problem is not refusal.BROWSER_CLIENT_UNUSABLE:
            raise UnavailableProblem(reason=answer.reason, retry_after=1)
        raise LoginRefused(reason=answer.reason)
    response = Response(status_code=answer.status)
    response.raw_headers = list(answer.headers)
    return response
