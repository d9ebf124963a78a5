"""Token introspection (RFC 7662): whether a token counts now and what it says, to those whom it concerns.

An access token is shown to the client that it was issued to and to the clients that stand for an API that it is for; a
refresh token to its own client. Whatever else is asked, whoever asks, the answer is the same few bytes (section 2.2).
The signed form of the answer is RFC 9701's. Owns the members of the answer. Not what makes a token valid.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final, assert_never
from uuid import UUID

from fastapi import Response
from fastapi.responses import JSONResponse

from gateway.audit import Observation
from gateway.authn.bearer import InvalidToken
from gateway.authn.completion import session_facts_of
from gateway.errors import InvalidClient
from gateway.oauth.client_auth import ClientAuth, Recognised
from gateway.oauth.endpoint import Call
from gateway.oauth.errors import InvalidClientAssertion
from gateway.oauth.signing import needs_a_key
from gateway.oauth.verified_token import PresentedTokens, refused_token
from gateway.tenancy import step
from policies import login, refresh
from policies import scope as scopes
from policies.decision import Allow, Deny
from policies.principal import Principal
from policies.token_holder import may_hold
from tenants import refresh_tokens
from tenants.refresh_tokens import RefreshToken
from tenants.store import Store

SIGNED_TYPE: Final = "token-introspection+jwt"
_SIGNED_MEDIA_TYPE: Final = f"application/{SIGNED_TYPE}"
_INACTIVE: Final[Mapping[str, Any]] = {"active": False}
_SHOWN: Final = (
    *("scope", "client_id", "exp", "iat", "nbf", "sub", "aud", "iss", "jti"),
    *("sid", "auth_time", "acr", "amr", "cnf", "act"),
)
"""What is shown of an access token's claims: by name, so that a claim of tomorrow is not shown by accident."""
_NO_GRACE = timedelta()


class Introspection:
    """The endpoint ``/introspect``."""

    def __init__(
        self,
        store: Store,
        clients: ClientAuth,
        tokens: PresentedTokens,
        observe: Callable[[Observation], None],
    ) -> None:
        self._store = store
        self._clients = clients
        self._tokens = tokens
        self._observe = observe

    async def answer(self, call: Call) -> Response:
        """What the token is. ``token_type_hint`` changes nothing: a token's own form says what it is.

        Raises:
            InvalidClient: a client that did not prove itself, and every public one: it cannot.
            InvalidRequest: no token was sent.
            Overloaded: revocations were not heard for too long.
        """
        try:
            found = await self._clients.recognise(call)
        except InvalidClientAssertion as error:  # 400 at the token endpoint, 401 here (RFC 7662 section 2.3)
            raise InvalidClient(reason=error.reason, detail=error.detail) from error
        if not found.client.confidential:
            raise InvalidClient(reason="client_is_public")
        token = call.form.required("token")
        if token.startswith(refresh_tokens.PREFIX):
            body = await self._refresh_token(found, token)
        else:
            body = await self._access_token(found, token)
        if isinstance(body, Deny):
            self._observe(refused_token(call, found, body.reason))
            body = _INACTIVE
        if found.client.options.introspection_signed or _asks_for_signed(call.accept):
            return _signed(found, body)
        return JSONResponse(dict(body))

    async def _access_token(self, found: Recognised, token: str) -> Mapping[str, Any] | Deny:
        principal = self._tokens.verify(token, found.issuer.tenant.id)
        if isinstance(principal, InvalidToken):
            return Deny(principal.reason)
        client, issuers = found.client, found.issuer.every
        match may_hold(principal, client_id=client.client_id, audiences=client.audiences, issuers=issuers):
            case Deny(reason):
                return Deny(reason)
            case Allow():
                pass
        token_type = "DPoP" if "cnf" in principal.claims else "Bearer"
        shown = {name: principal.claims[name] for name in _SHOWN if name in principal.claims}
        return {"active": True, "token_type": token_type, **shown, **await self._username(found, principal)}

    async def _username(self, found: Recognised, principal: Principal) -> Mapping[str, str]:
        """The user's name, where the token may tell it anyway (OpenID Connect Core section 5.4)."""
        if "profile" not in principal.scopes or principal.session_id is None:
            return {}
        async with step(self._store, found.issuer.tenant.id, read_only=True) as store:
            user = await store.users.get(UUID(principal.subject))
        return {} if user is None else {"username": user.name}

    async def _refresh_token(self, found: Recognised, unverified_token: str) -> Mapping[str, Any] | Deny:
        async with step(self._store, found.issuer.tenant.id, read_only=True) as store:
            token = await store.refresh_tokens.find(unverified_token)
        return Deny("refresh_token_unknown") if token is None else _earns(found, token)


def _earns(found: Recognised, token: RefreshToken) -> Mapping[str, Any] | Deny:
    """What the token would be good for if it were spent now: a refresh asks the same, in the same order."""
    tenant, client = found.issuer.tenant, found.client
    user, session = token.user, token.session
    decision = refresh.decide(
        token.facts,
        client_id=client.client_id,
        asked=None,
        permitted=client.scopes & scopes.of_user(token.held.scopes),
        now=found.now,
        grace=_NO_GRACE,
        shown=token.facts.bound_to,
    )
    match decision:
        case Deny(reason):
            return Deny(reason)
        case refresh.Reuse() | refresh.ReplaySuccessor():
            return Deny("refresh_token_spent")
        case refresh.Rotate(granted):
            pass
        case _:
            assert_never(decision)
    if not user.active:
        return Deny("user_disabled")
    facts = session_facts_of(tenant, user, session, roles=token.held.roles, has_factor=token.has_factor)
    match login.may_go_on(facts, found.now):
        case Deny(reason):
            return Deny(reason)
        case Allow():
            pass
    body: dict[str, Any] = {
        "active": True,
        "client_id": client.client_id,
        "exp": int(min(token.facts.idle_expires_at, token.facts.family_expires_at).timestamp()),
        "sub": str(user.id),
        "aud": list(token.audiences),
        "iss": tenant.issuer,
        "sid": str(session.id),
        "auth_time": int(session.auth_time.timestamp()),
        "acr": session.acr,
        "amr": sorted(session.amr),
    }
    if token.facts.bound_to is not None:
        body["cnf"] = {"jkt": token.facts.bound_to}
    if granted:
        body["scope"] = scopes.canonical(granted)
    if "profile" in granted:
        body["username"] = user.name
    return body


def _signed(found: Recognised, body: Mapping[str, Any]) -> Response:
    """RFC 9701 section 5. Its type, and that it has neither ``sub`` nor ``exp`` of its own, keep it from being taken
    for a token (section 8.1).

    Raises:
        Overloaded: there is no key to sign with.
    """
    claims = {
        "iss": found.issuer.tenant.issuer,
        "aud": found.client.client_id,
        "iat": int(found.now.timestamp()),
        "token_introspection": dict(body),
    }
    with needs_a_key():
        signed = found.issuer.signing_key().sign(SIGNED_TYPE, claims)
    return Response(signed, media_type=_SIGNED_MEDIA_TYPE)


def _asks_for_signed(accept: str) -> bool:
    """Whether the field Accept names the signed form, and not in order to refuse it (RFC 9110 section 12.5.1)."""
    for choice in accept.split(","):
        media_type, *parameters = (part.strip().lower() for part in choice.split(";"))
        if media_type == _SIGNED_MEDIA_TYPE:
            return not any(_is_zero(parameter) for parameter in parameters)
    return False


def _is_zero(parameter: str) -> bool:
    name, _, weight = parameter.partition("=")
    return name.strip() == "q" and weight.strip().strip("0.") == ""
