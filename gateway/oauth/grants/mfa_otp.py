"""``grant_type=urn:yett:params:oauth:grant-type:mfa-otp``: the second half of a password login (rule 9).

The ``mfa_token`` dies at success or the fifth wrong code; every check that the password grant made is made again.
"""

from dataclasses import dataclass, field

from gateway.authn import second_factor
from gateway.authn.completion import factor_facts
from gateway.authn.password_attempt import Step
from gateway.authn.second_factor import OTP, RECOVERY, Code
from gateway.errors import BadCode, InvalidGrant, InvalidRequest, OAuthError
from gateway.oauth.grants.grant import GrantRequest, Issued, Refused
from gateway.oauth.grants.user_login import Asked, issue_for, wanted
from policies import login
from policies.decision import Allow, Challenge, Deny
from tenants.logins import PendingLogin
from tenants.store import TenantStore
from tenants.users import User

GRANT_TYPE = "urn:yett:params:oauth:grant-type:mfa-otp"


@dataclass(frozen=True, slots=True)
class MfaAttempt:
    """A code, and the login that it is to complete. ``pending`` is None for a token that is good for nothing."""

    code: Code = field(repr=False)
    pending: PendingLogin | None


@dataclass(frozen=True, slots=True)
class MfaOtpGrant:
    """Completes a login that waits for its second factor."""

    grant_type: str = GRANT_TYPE
    carried_by: str = "password"
    slow: bool = False

    def admit(self) -> None:
        """There is always room for it."""

    async def load(self, store: TenantStore, request: GrantRequest) -> MfaAttempt:
        """Find the login.

        Raises:
            InvalidRequest: not exactly one of ``otp`` and ``recovery_code``.
        """
        token = request.form.required("mfa_token")
        otp, recovery = request.form.optional("otp"), request.form.optional("recovery_code")
        if (otp is None) == (recovery is None):
            raise InvalidRequest(reason="one_code_wanted", detail="otp or recovery_code")
        code = Code(OTP, otp) if otp is not None else Code(RECOVERY, recovery or "")
        return MfaAttempt(code, await store.logins.find("token", token))

    async def prove(self, attempt: MfaAttempt, step: Step) -> MfaAttempt:  # noqa: ARG002 - the protocol's
        """Nothing is slow here."""
        return attempt

    async def issue(self, store: TenantStore, request: GrantRequest, attempt: MfaAttempt) -> Issued | Refused:
        """Prove the code, use the login up, start the session.

        Raises:
            InvalidGrant: a token that nobody was given, or that is over: observed and counted.
            TooManyCodes: too many wrong ones before.
        """
        pending = attempt.pending
        if pending is None or pending.client_id != request.client.client_id:
            raise InvalidGrant(reason="mfa_token_unknown")
        user = await store.users.get(pending.user_id, hold=True)
        current = await store.credentials.password(pending.user_id, hold=True)
        if user is None or not user.active:
            return _refused(InvalidGrant(reason="user_disabled"), user)
        if current is None or current.version != pending.password_version:
            return _refused(InvalidGrant(reason="password_changed_meanwhile"), user)
        found = await wanted(store, request, user, Asked.from_stored(pending.request))
        if isinstance(found, OAuthError):
            return _refused(found, user)
        network = request.visitor.network
        known = await store.devices.knows_network(user.id, network, within=request.tenant.lifetimes.known_network)
        source = f"network:{network}" if known else ""
        if not await second_factor.prove(store, user, attempt.code, source=source):
            await store.logins.count_failure(pending)
            return _refused(BadCode(reason="wrong_code"), user)
        if not await store.logins.consume(pending):
            return _refused(InvalidGrant(reason="mfa_token_used"), user)
        proved = pending.amr | {attempt.code.method}
        facts = await factor_facts(store, request.tenant, user, proved=proved, now=request.now)
        match login.next_step(facts, request.now):
            case Allow():
                return await issue_for(store, request, user, found, proved=proved)
            case Challenge(reason) | Deny(reason):
                return _refused(InvalidGrant(reason=reason), user)


def _refused(error: OAuthError, user: User | None) -> Refused:
    known = {} if user is None else {"subject": str(user.id), "user_name": user.name}
    return Refused(error, "login.refused", **known)
