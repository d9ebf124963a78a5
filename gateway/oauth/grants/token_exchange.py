"""Token exchange (RFC 8693): a service that was called with a person's token gets one of its own for the next API.

Always delegation: the new token names who acts (``act``), so that no log takes a service for the person. What it stands
on is read again from the database, and it dies with the session and no later than what it was made of. Owns the form's
parameters and those facts. Not the decision (policies/token_exchange.py).
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, Literal
from uuid import UUID

from gateway.authn.bearer import InvalidToken
from gateway.authn.completion import session_facts
from gateway.authn.password_attempt import Step
from gateway.errors import InvalidRequest, InvalidScope, InvalidTarget, OAuthError
from gateway.form import Form
from gateway.oauth.access_token import AccessGrant, audiences_for
from gateway.oauth.errors import InvalidDpopProof, UnacceptableToken
from gateway.oauth.grants.grant import GrantRequest, Issued, Refused
from gateway.oauth.verified_token import PresentedTokens
from policies import login, token_exchange
from policies.decision import Allow, Deny
from policies.principal import Principal
from policies.scope import of_user
from tenants.client import TOKEN_EXCHANGE
from tenants.sessions import Session
from tenants.store import TenantStore
from tenants.users import User

ACCESS_TOKEN_URN: Final = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - RFC 8693 section 3
_EVENT: Final = "token.exchanged"
_REFUSED: Final = "token.refused"


@dataclass(frozen=True, slots=True)
class Presented:
    """The tokens of a request, verified, and the APIs that it asks for."""

    subject: Principal
    actor: Principal | None
    resources: tuple[str, ...]
    scope: str | None


@dataclass(frozen=True, slots=True)
class _Party:
    """What a verified token stands on, as it is now. A client that acts for itself has neither user nor session."""

    user: User | None = None
    session: Session | None = None
    scopes: frozenset[str] | None = field(default=None)


@dataclass(frozen=True, slots=True)
class TokenExchangeGrant:
    """Narrows an access token of this tenant for another API. No refresh token: the next call brings the next token."""

    tokens: PresentedTokens
    grant_type: str = TOKEN_EXCHANGE
    carried_by: str = TOKEN_EXCHANGE
    slow: bool = False

    def admit(self) -> None:
        """There is always room for it."""

    async def load(self, store: TenantStore, request: GrantRequest) -> Presented:  # noqa: ARG002 - the protocol's
        """Read the form and verify the tokens.

        Raises:
            InvalidRequest: a parameter is missing, or asks for a type of token that is not exchanged here.
            UnacceptableToken: one of the tokens is no valid access token of this tenant.
            Overloaded: revocations were not heard for too long.
        """
        form = request.form
        if form.optional("requested_token_type") not in (None, ACCESS_TOKEN_URN):
            raise InvalidRequest(reason="requested_token_type_unsupported")
        unverified_subject = _of_type(form, "subject")
        if unverified_subject is None:
            raise InvalidRequest(reason="parameter_missing", detail="subject_token")
        unverified_actor = _of_type(form, "actor")
        return Presented(
            self._verified(request, unverified_subject, "subject"),
            None if unverified_actor is None else self._verified(request, unverified_actor, "actor"),
            (*form.many("resource"), *form.many("audience")),
            form.optional("scope"),
        )

    async def prove(self, attempt: Presented, step: Step) -> Presented:  # noqa: ARG002 - the protocol's
        """Nothing is slow here."""
        return attempt

    async def issue(self, store: TenantStore, request: GrantRequest, attempt: Presented) -> Issued | Refused:
        """Read what the tokens stand on, decide, and say who acts for whom."""
        subject, client = attempt.subject, request.client
        party = await _party(store, request, subject)
        if isinstance(party, Deny):
            return _refuse(UnacceptableToken(reason=party.reason), subject)
        if attempt.actor is not None:
            acting = await _party(store, request, attempt.actor)
            if isinstance(acting, Deny):
                return _refuse(UnacceptableToken(reason=f"actor_{acting.reason}"), subject, party)
        try:
            audiences = audiences_for(client, attempt.resources)
        except InvalidTarget as error:
            return _refuse(error, subject, party)
        decision = token_exchange.decide(
            subject,
            attempt.actor,
            client=token_exchange.ExchangingClient(
                client.client_id, client.scopes, client.audiences, request.issuer.every, client.options.first_party
            ),
            asked=attempt.scope,
            audiences=audiences,
            user_scopes=party.scopes,
        )
        match decision:
            case Deny("invalid_target"):
                return _refuse(InvalidTarget(reason="resource_not_granted"), subject, party)
            case Deny("invalid_scope"):
                return _refuse(InvalidScope(reason="scope_not_granted"), subject, party)
            case Deny(reason):
                return _refuse(UnacceptableToken(reason=reason), subject, party)
            case token_exchange.Exchange():
                exchange = decision
        if not exchange.bindings <= {request.binding}:
            return _refuse(InvalidDpopProof(reason="token_bound_to_another_key"), subject, party)
        access = AccessGrant(
            subject.subject,
            client.client_id,
            exchange.scopes,
            audiences,
            party.session,
            actor=exchange.actor,
            expires_at=datetime.fromtimestamp(exchange.expires_at, UTC),
        )
        return Issued(
            access,
            _EVENT,
            user_name=None if party.user is None else party.user.name,
            issued_token_type=ACCESS_TOKEN_URN,
            details={
                "actor": str(exchange.actor["sub"]),
                "from_client": str(subject.client_id),
                "audiences": [*audiences],
            },
        )

    def _verified(self, request: GrantRequest, unverified_token: str, whose: str) -> Principal:
        found = self.tokens.verify(unverified_token, request.tenant.id)
        if isinstance(found, InvalidToken):
            raise UnacceptableToken(reason=f"{whose}_{found.reason}", detail=found.detail)
        return found


async def _party(store: TenantStore, request: GrantRequest, principal: Principal) -> _Party | Deny:
    """What the token stands on. The checks of a login are made again: a token is no way around them (rule 9).

    Of the session the token keeps what it was issued with: who stepped up since did not do so for this token. No row is
    held: who is disabled in this moment is refused whenever the token was issued (tenants/revocations.py).
    """
    registered = None if principal.client_id is None else request.issuer.clients.get(principal.client_id)
    if registered is None or not registered.client.active:
        return Deny("client_disabled")
    if principal.session_id is None:
        return _Party()
    session = await store.sessions.get(UUID(principal.session_id))
    if session is None or session.ended_at is not None:
        return Deny("session_ended")
    user = await store.users.get(session.user_id)
    if user is None or not user.active:
        return Deny("user_disabled")
    match login.may_go_on(await session_facts(store, request.tenant, user, session), request.now):
        case Deny(reason):
            return Deny(reason)
        case Allow():
            pass
    if principal.auth_time is None or principal.acr is None:
        return Deny("claims_missing")
    auth_time = datetime.fromtimestamp(principal.auth_time, UTC)
    as_issued = replace(session, auth_time=auth_time, acr=principal.acr, amr=principal.amr)
    return _Party(user, as_issued, of_user(await store.roles.scopes_of(user.id)))


def _of_type(form: Form, whose: Literal["subject", "actor"]) -> str | None:
    """The token, where there is one with its type (RFC 8693 section 2.1): both, or neither."""
    token, token_type = form.optional(f"{whose}_token"), form.optional(f"{whose}_token_type")
    if (token is None) != (token_type is None):
        raise InvalidRequest(reason="parameter_missing", detail=f"{whose}_token or {whose}_token_type")
    if token_type not in (None, ACCESS_TOKEN_URN):
        raise InvalidRequest(reason=f"{whose}_token_type_unsupported")
    return token


def _refuse(error: OAuthError, subject: Principal, party: _Party | None = None) -> Refused:
    user = None if party is None else party.user
    return Refused(
        error,
        _REFUSED,
        subject=subject.subject,
        user_name=None if user is None else user.name,
        session_id=subject.session_id,
    )
