"""A browser session at an API host goes on: what was granted in it earns another access token.

No grant of the token endpoint: the gateway is its own client, and what it shows is a cookie that it sealed itself. What
a refresh checks is checked here (refresh_token.py), on the session that the person has at the issuer: that is what ends
it, by age, by hand, or by an administrator. Nothing is rotated, so tabs that come at once do each other no harm.
"""

from dataclasses import dataclass
from uuid import UUID

from gateway.authn.completion import session_facts
from gateway.authn.password_attempt import Step
from gateway.errors import InvalidGrant
from gateway.oauth.access_token import AccessGrant
from gateway.oauth.grants.grant import GrantRequest, Issued, Refused
from gateway.oauth.grants.refresh_token import consent_stands
from policies import login
from policies.decision import Allow, Deny
from policies.scope import of_user
from tenants.sessions import Session
from tenants.store import TenantStore
from tenants.users import User

BROWSER_SESSION = "browser_session"


@dataclass(frozen=True, slots=True)
class BrowserSessionAttempt:
    """The session that is shown, its user, and what that may have today."""

    session: Session | None
    user: User | None
    user_scopes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class BrowserSessionGrant:
    """``session_id``, ``scope`` and ``resource`` are of a cookie that was opened before."""

    grant_type: str = BROWSER_SESSION
    carried_by: str = "authorization_code"
    slow: bool = False

    def admit(self) -> None:
        """There is always room for it."""

    async def load(self, store: TenantStore, request: GrantRequest) -> BrowserSessionAttempt:
        """What is stored of it."""
        session = await store.sessions.get(UUID(request.form.required("session_id")))
        user = None if session is None else await store.users.get(session.user_id)
        if session is None or user is None:
            return BrowserSessionAttempt(session, user)
        return BrowserSessionAttempt(session, user, await store.roles.scopes_of(user.id))

    async def prove(self, attempt: BrowserSessionAttempt, step: Step) -> BrowserSessionAttempt:  # noqa: ARG002 - the protocol's
        """Nothing is slow here."""
        return attempt

    async def issue(
        self, store: TenantStore, request: GrantRequest, attempt: BrowserSessionAttempt
    ) -> Issued | Refused:
        """Another token, as long as the session lives; the session was seen."""
        session, user = attempt.session, attempt.user
        if session is None or user is None:  # forgotten: nobody is left to tell of
            raise InvalidGrant(reason="session_unknown")

        def refused(reason: str) -> Refused:
            return Refused(
                InvalidGrant(reason=reason),
                "token.refused",
                subject=str(user.id),
                user_name=user.name,
                session_id=str(session.id),
            )

        if not user.active:
            return refused("user_disabled")
        if not session.lives(request.now, idle=request.tenant.lifetimes.session_idle):
            return refused("session_ended")
        granted = frozenset((request.form.optional("scope") or "").split())
        audiences = request.form.many("resource")
        if not audiences or not set(audiences) <= set(request.client.audiences):
            return refused("resource_not_granted")
        match login.may_go_on(await session_facts(store, request.tenant, user, session), request.now):
            case Deny(reason):
                return refused(reason)
            case Allow():
                pass
        scopes = granted & request.client.scopes & of_user(attempt.user_scopes)
        if not await consent_stands(store, request, session, scopes=scopes, audiences=audiences):
            return refused("consent_withdrawn")
        await store.sessions.touch(session)
        access = AccessGrant(str(user.id), request.client.client_id, scopes, audiences, session)
        return Issued(access, "token.refreshed", user_name=user.name)
