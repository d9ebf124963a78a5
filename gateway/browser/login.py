"""A browser's login for an API host: to the tenant's ``/authorize``, and back with a code (RFC 6749 section 4.1,
RFC 7636, RFC 9207, OpenID Connect Core section 3.1).

``state`` carries all that has to come back, sealed, and counts in the browser that it was made in only: nothing is kept
here, and two tabs do not meet. Owns both halves. Not when a login is due (front.py).
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable
from typing import Final, Literal
from urllib.parse import urlencode

from gateway.browser import cookies
from gateway.browser.own_client import OwnClient
from gateway.browser.sealed import LoginState, Seals, SessionCookie
from gateway.errors import InvalidRequest, OAuthError
from gateway.form import Form, parse_query
from gateway.oauth.access_token import TokenResponse
from gateway.proxy import refusal
from gateway.proxy.browser_app import BrowserApp
from gateway.proxy.own_answer import OwnAnswer
from gateway.proxy.refusal import Refusal
from gateway.proxy.request import ProxiedRequest
from policies import pkce
from policies.browser_request import return_address
from policies.scope import canonical
from tenants.database import DATABASE_ERRORS
from tenants.snapshot import TenantFacts
from tenants.unverified_token import UnverifiedToken, parse_unverified

CALLBACK: Final = "/.yett/callback"
LONGEST_STATE: Final = 2000
_NO_STORE = (b"cache-control", b"no-store")
_NO_REFERRER = (b"referrer-policy", b"no-referrer")  # the address has a code in it
_AT_ONCE: Final = 60  # seconds after a login in which the same refusal again says that it did not help
_SHORT: Final = 16  # characters of a digest that need only differ from another challenge's
_SAID_NO = frozenset({"access_denied", "consent_required", "login_required", "unmet_authentication_requirements"})


class BrowserLogin:
    """``now`` is epoch seconds; ``kind`` names the cookies of what the login is for."""

    def __init__(
        self, client: OwnClient, seals: Seals, now: Callable[[], float], kind: Literal["app", "console"] = "app"
    ) -> None:
        self._client = client
        self._seals = seals
        self._now = now
        self._session: cookies.Kind = kind
        self._pending: cookies.Kind = "app-login" if kind == "app" else "console-login"

    async def begin(
        self,
        request: ProxiedRequest,
        app: BrowserApp,
        tenant: TenantFacts,
        refused: Refusal,
        held: SessionCookie | None,
        callback: str = CALLBACK,
    ) -> OwnAnswer | Refusal:
        """Send the browser to log in, with what more the route asks for (RFC 9470). ``refused`` itself, where the login
        that ``held`` is of has just been for that: another would end there too.
        """
        wanted, digest = refused.wanted, _digest(f"{refused.wanted}\n{refused.scope}".encode())[:_SHORT]
        times = 0
        if held is not None and held.wanted == digest and 0 <= self._now() - held.at <= _AT_ONCE:
            times = held.times
        # A session that ends right after a login is no loop: there it may be tried again.
        if times >= (1 if wanted is not None or refused.scope else 2):
            return refused
        host, secure = host_of(request), is_secure(request)
        address = f"{origin_of(request)}{callback}"
        fault = await self._client.fault(tenant, app.client_id, address, app.audiences)
        if fault is not None:
            return Refusal(refusal.BROWSER_CLIENT_UNUSABLE, fault)
        cookie = cookies.name(app.tenant, self._pending, secure=secure)
        binding = cookies.read(request.inbound.cookies, cookie) or secrets.token_urlsafe(32).encode()
        scope = request.scope
        goes_to = return_address(scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1"))
        nonce, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        state = b""
        for address_kept in (goes_to, goes_to.partition("?")[0], "/"):
            begun = LoginState(
                issuer=tenant.issuer,
                client_id=app.client_id,
                nonce=nonce,
                verifier=verifier,
                binding=_digest(binding),
                goes_to=address_kept,
                at=int(self._now()),
                wanted=digest,
                times=times + 1,
            )
            state = self._seals.login(begun, tenant_id=tenant.id, host=host)
            if len(state) <= LONGEST_STATE:
                break
        asked = {
            "response_type": "code",
            "client_id": app.client_id,
            "redirect_uri": address,
            "scope": canonical(app.scopes),
            "state": state.decode("ascii"),
            "nonce": nonce,
            "code_challenge": pkce.challenge_of(verifier),
            "code_challenge_method": pkce.METHOD,
            "resource": app.audiences,
        }
        if wanted is not None and wanted.acr_values:
            asked["acr_values"] = " ".join(wanted.acr_values)
        if wanted is not None and wanted.max_age is not None:
            asked["max_age"] = str(wanted.max_age)
        to = f"{tenant.issuer}/authorize?{urlencode(asked, doseq=True)}"
        bound = cookies.field(cookie, binding, secure=secure, max_age=cookies.LOGIN_SECONDS)
        return _to(to, bound)

    async def finish(
        self, request: ProxiedRequest, app: BrowserApp, tenant: TenantFacts, callback: str = CALLBACK
    ) -> OwnAnswer | Refusal:
        """Take the answer: the session's cookie, and back to where the person wanted to go."""
        try:
            form = parse_query(request.scope["query_string"])
        except InvalidRequest as error:
            return _failed(error.reason)
        begun = self._begun(request, app, tenant, form)
        if isinstance(begun, str):
            return _failed(begun)
        if (error_code := form.optional("error")) is not None:
            return _failed(error_code if error_code in _SAID_NO else "authorize_refused")
        try:
            answer = await self._client.ask(
                tenant,
                request,
                {
                    "grant_type": "authorization_code",
                    "client_id": begun.client_id,
                    "code": form.required("code"),
                    "redirect_uri": f"{origin_of(request)}{callback}",
                    "code_verifier": begun.verifier,
                },
            )
        except OAuthError as error:
            if error.status >= 500:
                return refusal.retry_later(refusal.BROWSER_UNAVAILABLE, error.reason)
            return _failed(error.reason)
        except DATABASE_ERRORS:
            return refusal.retry_later(refusal.BROWSER_UNAVAILABLE, "database_unavailable")
        session = _session(answer, begun, int(self._now()))
        if session is None or not set(app.audiences) <= set(session.audiences):
            return _failed("id_token_mismatch" if session is None else "audience_mismatch")
        value = self._seals.session(session, tenant_id=tenant.id, host=host_of(request))
        if len(value) > cookies.LONGEST:
            return _failed("cookie_too_large")
        secure = is_secure(request)
        kept = cookies.field(cookies.name(app.tenant, self._session, secure=secure), value, secure=secure)
        return _to(begun.goes_to, kept)

    def _begun(self, request: ProxiedRequest, app: BrowserApp, tenant: TenantFacts, form: Form) -> LoginState | str:
        """What was begun in this very browser, or why this is no answer to it."""
        sent = (form.optional("state") or "").encode("utf-8", "surrogatepass")
        begun = self._seals.opened_login(sent, tenant_id=tenant.id, host=host_of(request))
        if begun is None:
            return "state_unknown"
        cookie = cookies.name(app.tenant, self._pending, secure=is_secure(request))
        binding = cookies.read(request.inbound.cookies, cookie)
        if binding is None or not hmac.compare_digest(_digest(binding), begun.binding):
            return "state_of_another_browser"
        if not 0 <= self._now() - begun.at <= cookies.LOGIN_SECONDS:
            return "login_over"
        if form.optional("iss") != begun.issuer or begun.issuer != tenant.issuer or begun.client_id != app.client_id:
            return "issuer_mismatch"
        return begun


def host_of(request: ProxiedRequest) -> str:
    """In lower case, with the port where there is one."""
    return request.inbound.host.decode("latin-1").lower()


def is_secure(request: ProxiedRequest) -> bool:
    """Whether the browser came by TLS."""
    return request.origin.proto == b"https"


def origin_of(request: ProxiedRequest) -> str:
    """As the browser knows it (RFC 6454): the scheme's own port is left out."""
    scheme, host = request.origin.proto.decode("ascii"), host_of(request)
    return f"{scheme}://{host.removesuffix(':443' if scheme == 'https' else ':80')}"


def _session(answer: TokenResponse, begun: LoginState, at: int) -> SessionCookie | None:
    """What the tokens say, which this process has just signed; None where they are of another login."""
    told = parse_unverified((answer.id_token or "").encode())
    access = parse_unverified(answer.access_token.encode())
    if not isinstance(told, UnverifiedToken) or not isinstance(access, UnverifiedToken):
        return None
    mine = (told.claims.get("iss"), told.claims.get("aud"), told.claims.get("nonce"))
    if mine != (begun.issuer, begun.client_id, begun.nonce) or told.claims.get("sub") != access.claims.get("sub"):
        return None
    audience = access.claims.get("aud")
    audiences = (audience,) if isinstance(audience, str) else tuple(audience or ())
    return SessionCookie(
        session_id=str(access.claims["sid"]),
        client_id=begun.client_id,
        scopes=tuple(answer.scope.split()),
        audiences=audiences,
        wanted=begun.wanted,
        times=begun.times,
        at=at,
    )


def _digest(binding: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(binding).digest()).rstrip(b"=").decode()


def _failed(reason: str) -> Refusal:
    return Refusal(refusal.LOGIN_REFUSED if reason in _SAID_NO else refusal.LOGIN_FAILED, reason)


def _to(address: str, *fields: tuple[bytes, bytes]) -> OwnAnswer:
    headers = ((b"location", address.encode("ascii")), (b"content-length", b"0"), _NO_STORE, _NO_REFERRER, *fields)
    return OwnAnswer(303, "browser_login", headers)
