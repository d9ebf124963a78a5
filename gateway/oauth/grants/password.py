"""``grant_type=password`` (RFC 6749 section 4.3), the form of FastAPI's ``OAuth2PasswordBearer``, word for word."""

from dataclasses import dataclass

from gateway.authn.completion import factor_facts
from gateway.authn.password_attempt import PasswordAttempt, PasswordCheck, Step, WrongPassword
from gateway.errors import (
    BadCredentials,
    EnrolmentRequired,
    InvalidRequest,
    MfaRequired,
    OAuthError,
    PasswordMustChange,
)
from gateway.oauth.grants.grant import GrantRequest, Issued, Refused
from gateway.oauth.grants.user_login import Asked, issue_for, wanted
from policies import login
from policies.decision import Allow, Challenge, Deny
from policies.password import Unacceptable, normalise
from tenants.store import TenantStore
from tenants.users import User


@dataclass(frozen=True, slots=True)
class PasswordGrant:
    """Proves a password; who has a second factor gets an ``mfa_token`` to bring it with (rule 9)."""

    check: PasswordCheck
    grant_type: str = "password"
    carried_by: str = "password"
    slow: bool = True

    def admit(self) -> None:
        """Refuse while as many passwords wait to be hashed as may wait."""
        self.check.require_room()

    async def load(self, store: TenantStore, request: GrantRequest) -> PasswordAttempt:
        """Count the attempt, and find the hash to compare with.

        Raises:
            InvalidRequest: user name or password is missing, or cannot be one. An empty one is an attempt like any.
            TooManyLogins: too many attempts before it.
        """
        name, password = request.form.text("username"), request.form.text("password")
        if name is None or password is None:
            raise InvalidRequest(reason="parameter_missing", detail="username or password")
        normal = normalise(password)
        if isinstance(normal, Unacceptable):
            raise InvalidRequest(reason=normal.reason)
        return await self.check.begin(
            store, request.tenant, name=name, password=password, visitor=request.visitor, trust_network=True
        )

    async def prove(self, attempt: PasswordAttempt, step: Step) -> PasswordAttempt:
        """Hash and compare, at one price for every kind of user.

        Raises:
            HashingBusy: more logins are waiting than can be served soon.
        """
        return await self.check.prove(attempt, step)

    async def issue(self, store: TenantStore, request: GrantRequest, attempt: PasswordAttempt) -> Issued | Refused:
        """Decide, then start the session or ask for the second factor."""
        proved = await self.check.conclude(store, request.tenant, attempt)
        if isinstance(proved, WrongPassword):
            return _refused(BadCredentials(reason=proved.reason), proved.user)._replace(account=proved.account)
        user = proved.user
        if proved.must_change:
            return _refused(PasswordMustChange(reason="password_must_change"), user)
        asked = Asked.of(request.form)
        found = await wanted(store, request, user, asked)
        if isinstance(found, OAuthError):
            return _refused(found, user)
        facts = await factor_facts(store, request.tenant, user, proved={"pwd"}, now=request.now)
        match login.next_step(facts, request.now):
            case Allow():
                return await issue_for(store, request, user, found, proved=facts.proved)
            case Challenge(login.CODE_STEP):
                token = await store.logins.begin(
                    "token",
                    user.id,
                    amr=facts.proved,
                    lifetime=request.tenant.lifetimes.mfa_token,
                    request=asked.stored(),
                    password_version=proved.version,
                    client_id=request.client.client_id,
                )
                return _refused(MfaRequired(mfa_token=token), user, "login.challenged")
            case Challenge() | Deny():
                return _refused(EnrolmentRequired(), user)


def _refused(error: OAuthError, user: User | None, event: str = "login.refused") -> Refused:
    known = {} if user is None else {"subject": str(user.id), "user_name": user.name}
    return Refused(error, event, **known)
