"""``grant_type=authorization_code`` (RFC 6749 section 4.1.3, RFC 7636 section 4.5): a code for tokens, once.

Everything that ``/authorize`` found is found again here (rule 7): a minute is long enough for a login to end or a
consent to be withdrawn. ``CHECKS`` is the order. A code that comes a second time takes back what was got for it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from uuid import uuid4

from gateway.authn.completion import session_facts
from gateway.authn.password_attempt import Step
from gateway.errors import InvalidGrant, InvalidTarget, OAuthError
from gateway.oauth.access_token import AccessGrant, new_token_id
from gateway.oauth.errors import CodeReplayed
from gateway.oauth.grants.grant import GrantRequest, Issued, Refused
from gateway.oauth.grants.openid import id_token_facts
from policies import authorization, login, pkce, redirect_uri
from policies.decision import Allow, Deny
from policies.scope import of_user
from tenants.authorization_codes import AuthorizationCode
from tenants.revocations import of_grant
from tenants.sessions import Session
from tenants.store import TenantStore
from tenants.users import User

_REFUSED = "token.refused"


@dataclass(frozen=True, slots=True)
class CodeAttempt:
    """What a call of the token endpoint presents. ``code`` is None for one that nobody was given."""

    unverified_code: str = field(repr=False)
    redirect_uri: str
    unverified_verifier: str | None = field(repr=False)
    code: AuthorizationCode | None


@dataclass(frozen=True, slots=True)
class Facts:
    """What a check looks at: a code of this tenant and the login that it came from, as they are in this transaction."""

    store: TenantStore
    request: GrantRequest
    attempt: CodeAttempt
    code: AuthorizationCode
    user: User
    session: Session


Check = Callable[[Facts], Awaitable[OAuthError | None]]


@dataclass(frozen=True, slots=True)
class AuthorizationCodeGrant:
    """A client that carries ``refresh_token`` gets one with it, whether or not it asked for ``offline_access``."""

    grant_type: str = "authorization_code"
    carried_by: str = "authorization_code"
    slow: bool = False

    def admit(self) -> None:
        """There is always room for it."""

    async def load(self, store: TenantStore, request: GrantRequest) -> CodeAttempt:
        """The stored code.

        Raises:
            InvalidRequest: a parameter is missing.
        """
        form = request.form
        code = form.required("code")
        return CodeAttempt(
            code,
            form.required("redirect_uri"),
            form.optional("code_verifier"),
            await store.authorization_codes.find(code),
        )

    async def prove(self, attempt: CodeAttempt, step: Step) -> CodeAttempt:  # noqa: ARG002 - the protocol's
        """Nothing is slow here."""
        return attempt

    async def issue(self, store: TenantStore, request: GrantRequest, attempt: CodeAttempt) -> Issued | Refused:
        """Check all, then use the code up for the tokens."""
        issued = await self._redeem(store, request, attempt)
        if issued is None:
            # A parallel request was faster, so this one is the second: what it earns is decided anew.
            issued = await self._redeem(store, request, await self.load(store, request))
        if issued is None:
            raise InvalidGrant(reason="code_unknown")
        return issued

    async def _redeem(self, store: TenantStore, request: GrantRequest, attempt: CodeAttempt) -> Issued | Refused | None:
        """None where another request has used it up since it was loaded."""
        code = attempt.code
        session = None if code is None else await store.sessions.get(code.session_id)
        user = None if session is None else await store.users.get(session.user_id, hold=True)
        if code is None or session is None or user is None:
            # Nobody's, so anybody can make any number of these: observed and counted, not an event each.
            raise InvalidGrant(reason="code_unknown")
        facts = Facts(store, request, attempt, code, user, session)
        for check in CHECKS:
            error = await check(facts)
            if error is not None:
                return _refused(error, facts)
        scopes = await _scopes(facts)
        refreshes = "refresh_token" in request.client.grant_types
        family_id, token_id = uuid4() if refreshes else None, new_token_id()
        access = AccessGrant(
            str(user.id),
            request.client.client_id,
            scopes,
            request.form.many("resource") or code.audiences,
            session,
            token_id=token_id,
        )
        if not await store.authorization_codes.redeem(code, family_id=family_id, token_id=token_id):
            return None
        await store.logout_notices.used_by(session.id, request.client.client_id)
        refresh_token = None
        if refreshes:
            refresh_token = await store.refresh_tokens.begin_family(
                session.id,
                request.client.client_id,
                scopes=scopes,
                audiences=code.audiences,
                idle=request.tenant.lifetimes.refresh_idle,
                absolute=request.tenant.lifetimes.refresh_absolute,
                id_token_claims=code.id_token_claims,
                dpop_jkt=request.refresh_binding,
                family_id=family_id,
            )
        id_token = await id_token_facts(store, request, user, scopes, nonce=code.nonce, requested=code.id_token_claims)
        return Issued(access, "token.issued", user_name=user.name, refresh_token=refresh_token, id_token=id_token)


async def _of_this_client(facts: Facts) -> OAuthError | None:
    """Another client's code is left alone: its owner can still use it."""
    same = facts.code.client_id == facts.request.client.client_id
    return None if same else InvalidGrant(reason="client_mismatch")


async def _not_used(facts: Facts) -> OAuthError | None:
    """Whoever was first may be the thief (RFC 9700 section 4.5), also where the code is over by now.

    Everything goes that was got for it, so refreshed access tokens too; what the client got by that session in another
    way goes with them.

    Raises:
        CodeReplayed: that was done before. Who holds a spent code can send it for ever, so it is observed and counted.
    """
    code, store = facts.code, facts.store
    if code.consumed_at is None:
        return None
    if code.token_id is None or not await store.authorization_codes.take_back(code):
        raise CodeReplayed(reason="code_replayed")
    await store.revocations.forbid("token", code.token_id)
    if code.family_id is not None and await store.refresh_tokens.revoke_family(code.family_id):
        await store.revocations.revoke("grant", of_grant(code.session_id, code.client_id))
    return CodeReplayed(reason="code_replayed")


async def _not_over(facts: Facts) -> OAuthError | None:
    return None if facts.request.now < facts.code.expires_at else InvalidGrant(reason="code_expired")


async def _same_redirect_uri(facts: Facts) -> OAuthError | None:
    """The one that the request named, letter by letter, and still the client's."""
    asked = facts.attempt.redirect_uri
    if asked != facts.code.redirect_uri:
        return InvalidGrant(reason="redirect_uri_mismatch")
    known = redirect_uri.matches(asked, facts.request.client.redirect_uris)
    return None if known else InvalidGrant(reason="redirect_uri_unregistered")


async def _verifier(facts: Facts) -> OAuthError | None:
    match pkce.verify(facts.attempt.unverified_verifier, challenge=facts.code.code_challenge):
        case Deny(reason):
            return InvalidGrant(reason=reason)
        case Allow():
            return None


async def _same_key(facts: Facts) -> OAuthError | None:
    """RFC 9449 section 10: the code was asked for with a key."""
    if facts.code.dpop_jkt in (None, facts.request.binding):
        return None
    return InvalidGrant(reason="dpop_key_mismatch")


async def _user_active(facts: Facts) -> OAuthError | None:
    return None if facts.user.active else InvalidGrant(reason="user_disabled")


async def _session_lives(facts: Facts) -> OAuthError | None:
    lives = facts.session.lives(facts.request.now, idle=facts.request.tenant.lifetimes.session_idle)
    return None if lives else InvalidGrant(reason="session_ended")


async def _factor_is_there(facts: Facts) -> OAuthError | None:
    """One that is due since the login is not skipped by a code (rule 9)."""
    about = await session_facts(facts.store, facts.request.tenant, facts.user, facts.session)
    match login.may_go_on(about, facts.request.now):
        case Deny(reason):
            return InvalidGrant(reason=reason)
        case Allow():
            return None


async def _consent_stands(facts: Facts) -> OAuthError | None:
    if facts.request.client.options.first_party:
        return None
    consent = await facts.store.consents.get(facts.user.id, facts.code.client_id)
    scopes, audiences = facts.code.scopes, facts.code.audiences
    if consent is not None and authorization.agreed(consent.scopes_at, scopes=scopes, audiences=audiences):
        return None
    return InvalidGrant(reason="consent_withdrawn")


async def _audiences(facts: Facts) -> OAuthError | None:
    """RFC 8707 section 2.2: fewer than were asked for, never others."""
    if not set(facts.code.audiences) <= set(facts.request.client.audiences):
        return InvalidTarget(reason="resource_not_allowed")
    if not set(facts.request.form.many("resource")) <= set(facts.code.audiences):
        return InvalidTarget(reason="resource_not_granted")
    return None


async def _something_left(facts: Facts) -> OAuthError | None:
    """What was taken from the client or the user since is not granted; where that is all of it, there is no grant."""
    if not facts.code.scopes or await _scopes(facts):
        return None
    return InvalidGrant(reason="scope_not_allowed")


async def _scopes(facts: Facts) -> frozenset[str]:
    own = of_user(await facts.store.roles.scopes_of(facts.user.id))
    return facts.code.scopes & facts.request.client.scopes & own


CHECKS: tuple[Check, ...] = (
    _of_this_client,
    _not_used,
    _not_over,
    _same_redirect_uri,
    _verifier,
    _same_key,
    _user_active,
    _session_lives,
    _factor_is_there,
    _consent_stands,
    _audiences,
    _something_left,
)
"""In this order. Only the end of what a replayed code earned is written by one of them."""


def _refused(error: OAuthError, facts: Facts) -> Refused:
    user, session = facts.user, facts.session
    return Refused(error, _REFUSED, subject=str(user.id), user_name=user.name, session_id=str(session.id))
