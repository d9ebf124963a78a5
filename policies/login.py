"""Whether a login may be completed, for every way in (rule 9). One place, so that no way in can forget a check."""

from dataclasses import dataclass

from policies.decision import Allow, Deny


@dataclass(frozen=True, slots=True)
class LoginFacts:
    """What is known once the password was hashed, re-read in the transaction that would complete the login.

    ``credential_version`` is None where the user has no password; ``verified_version`` is that of the hash which the
    password was compared with.
    """

    user_known: bool
    user_active: bool
    tenant_active: bool
    password_matched: bool
    verified_version: int | None
    credential_version: int | None


def complete(facts: LoginFacts) -> Allow | Deny:
    """Allow, or the first reason against it. All reasons look the same to the caller, and cost the same."""
    if not facts.user_known:
        return Deny("unknown_user")
    if not facts.password_matched or facts.credential_version is None:
        return Deny("wrong_password")
    if facts.verified_version != facts.credential_version:
        return Deny("password_changed_meanwhile")
    if not facts.user_active:
        return Deny("user_disabled")
    if not facts.tenant_active:
        return Deny("tenant_suspended")
    return Allow()
