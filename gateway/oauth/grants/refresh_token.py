"""``grant_type=refresh_token`` (RFC 6749 section 6) with rotation (RFC 9700 section 4.14.2)."""

from dataclasses import dataclass, field

from gateway.authn.completion import session_facts_of
from gateway.authn.password_attempt import Step
from gateway.errors import InvalidGrant, InvalidScope, InvalidTarget, OAuthError
from gateway.oauth.access_token import AccessGrant
from gateway.oauth.errors import InvalidDpopProof
from gateway.oauth.grants.grant import GrantRequest, Issued, Refused
from gateway.oauth.grants.openid import id_token_facts
from policies import authorization, login, refresh
from policies.decision import Allow, Deny
from policies.scope import of_user
from tenants.refresh_tokens import RefreshToken
from tenants.revocations import of_grant
from tenants.sessions import Session
from tenants.store import TenantStore

_EVENT = "token.refreshed"
_REFUSED = "token.refused"


@dataclass(frozen=True, slots=True)
class RefreshAttempt:
    """A presented token and what is stored of it. ``token`` is None for one that nobody was given."""

    unverified_token: str = field(repr=False)
    token: RefreshToken | None


@dataclass(frozen=True, slots=True)
class RefreshTokenGrant:
    """Spends a refresh token for a new access token and a successor. It never moves ``auth_time``."""

    grant_type: str = "refresh_token"
    carried_by: str = "refresh_token"
    slow: bool = False

    def admit(self) -> None:
        """There is always room for it."""

    async def load(self, store: TenantStore, request: GrantRequest) -> RefreshAttempt:
        """The stored token, and what its user may have today.

        Raises:
            InvalidRequest: no token was sent.
        """
        unverified_token = request.form.required("refresh_token")
        return RefreshAttempt(unverified_token, await store.refresh_tokens.find(unverified_token))

    async def prove(self, attempt: RefreshAttempt, step: Step) -> RefreshAttempt:  # noqa: ARG002 - the protocol's
        """Nothing is slow here."""
        return attempt

    async def issue(self, store: TenantStore, request: GrantRequest, attempt: RefreshAttempt) -> Issued | Refused:
        """Rotate, repeat the successor for a lost answer, or end a family whose token came back."""
        issued = await self._spend(store, request, attempt)
        if issued is None:  # a parallel request was faster: what the token earns now is decided anew
            issued = await self._spend(store, request, await self.load(store, request))
        if issued is None:
            raise InvalidGrant(reason="refresh_token_unknown")
        return issued

    async def _spend(
        self, store: TenantStore, request: GrantRequest, attempt: RefreshAttempt
    ) -> Issued | Refused | None:
        """None where another request has spent it since it was loaded."""
        token = attempt.token
        if token is None:
            # Nobody's, so anybody can make any number of these: observed and counted, not an event each.
            raise InvalidGrant(reason="refresh_token_unknown")
        user, session = token.user, token.session
        if not user.active:
            return _refuse(InvalidGrant(reason="user_disabled"), token)
        audiences = request.form.many("resource") or token.audiences
        decision = refresh.decide(
            token.facts,
            client_id=request.client.client_id,
            asked=request.form.optional("scope"),
            permitted=request.client.scopes & of_user(token.held.scopes),
            now=request.now,
            grace=request.tenant.lifetimes.refresh_grace,
            shown=request.binding,
        )
        if isinstance(decision, refresh.Rotate | refresh.ReplaySuccessor):  # it is this client's, and good
            if not set(audiences) <= set(token.audiences) & set(request.client.audiences):
                return _refuse(InvalidTarget(reason="resource_not_granted"), token)
            facts = session_facts_of(request.tenant, user, session, roles=token.held.roles, has_factor=token.has_factor)
            match login.may_go_on(facts, request.now):
                case Deny(reason):
                    return _refuse(InvalidGrant(reason=reason), token)
                case Allow():
                    pass
            if not await consent_stands(store, request, session, scopes=decision.scopes, audiences=audiences):
                return _refuse(InvalidGrant(reason="consent_withdrawn"), token)
        match decision:
            case Deny("invalid_scope"):
                return _refuse(InvalidScope(reason="scope_not_granted"), token)
            case Deny("dpop_proof_missing" as reason):
                return _refuse(InvalidDpopProof(reason=reason), token)
            case Deny(reason):
                return _refuse(InvalidGrant(reason=reason), token)
            case refresh.Reuse():
                await _end(store, token)
                return _refuse(InvalidGrant(reason="refresh_token_reused"), token)
            case refresh.ReplaySuccessor(scopes):
                successor = store.refresh_tokens.successor(token)
            case refresh.Rotate(scopes):
                spent = await store.refresh_tokens.spend(token, idle=request.tenant.lifetimes.refresh_idle)
                if spent is None:
                    return None
                successor = spent
        access = AccessGrant(str(user.id), request.client.client_id, scopes, audiences, session)
        # No nonce: it proved whose answer the first ID token was (OpenID Connect Core section 12.2).
        id_token = await id_token_facts(store, request, user, scopes, requested=token.id_token_claims)
        return Issued(access, _EVENT, user_name=user.name, refresh_token=successor, id_token=id_token)


async def consent_stands(
    store: TenantStore, request: GrantRequest, session: Session, *, scopes: frozenset[str], audiences: tuple[str, ...]
) -> bool:
    """What the client got by a browser's session was agreed to at ``/authorize``, where that is remembered, and is
    needed for as long as it goes on. A session of the client's own began with a password or with a device's code: who
    gave those agreed to that alone, and ends it by ending that session.
    """
    if request.client.options.first_party or session.client_id == request.client.client_id:
        return True
    consent = await store.consents.get(session.user_id, request.client.client_id)
    return consent is not None and authorization.agreed(consent.scopes_at, scopes=scopes, audiences=audiences)


async def _end(store: TenantStore, token: RefreshToken) -> None:
    """Of a token in two hands: all that came of it. A session that was begun for this client goes with it; in a
    browser's, other clients and the person themselves have a part, and go on.
    """
    session = token.session
    await store.refresh_tokens.revoke_family(token.family_id)
    if session.client_id == token.facts.client_id:
        await store.sessions.end(session.id)
    else:
        await store.revocations.revoke("grant", of_grant(session.id, token.facts.client_id))


def _refuse(error: OAuthError, token: RefreshToken) -> Refused:
    user, session_id = token.user, str(token.session.id)
    return Refused(error, _REFUSED, subject=str(user.id), user_name=user.name, session_id=session_id)
