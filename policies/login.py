"""What a login still has to prove, for every way in (rule 9). One place, so that no way in can forget a check.

Methods are RFC 8176's words in ``amr``: ``pwd``, ``otp``, ``mfa``; ``recovery`` is a recovery code, which is a second
factor and no ``otp``.
"""

from collections.abc import Set
from dataclasses import dataclass
from datetime import datetime, timedelta

from policies import acr
from policies.decision import Allow, Challenge, Deny

MAX_CODES = 5
"""Wrong codes after which a login that waits for one is over, and the password has to be given again."""

FRESH = timedelta(minutes=15)
"""How long ago a person may have authenticated at most who changes what protects the account."""

_SECOND = frozenset({"otp", "recovery"})
PASSWORD_STEP, CODE_STEP, ENROLMENT_STEP = "password", "code", "enrolment"


@dataclass(frozen=True, slots=True)
class PasswordFacts:
    """What is known once the password was hashed, re-read in the transaction that goes on with the login.

    ``credential_version`` is None where the user has no password; ``verified_version`` is that of the hash which the
    password was compared with.
    """

    user_known: bool
    user_active: bool
    tenant_active: bool
    password_matched: bool
    verified_version: int | None
    credential_version: int | None


@dataclass(frozen=True, slots=True)
class FactorRule:
    """What a tenant asks of one user. ``required_from`` None: a second factor is not required.

    ``offered`` says whether a user may enrol one; ``devices_trusted`` whether a trusted device stands in for it.
    """

    offered: bool = True
    required_from: datetime | None = None
    devices_trusted: bool = False


@dataclass(frozen=True, slots=True)
class FactorFacts:
    """A user whose account is in order, and what was proved of them. ``proved`` are methods of this login.

    ``has_factor``: a confirmed authenticator. ``device_trusted``: this browser was told to stand in for it, and still
    may. ``wanted_acr``: the context class that a client or route asks for.
    """

    proved: Set[str]
    has_factor: bool
    rule: FactorRule
    device_trusted: bool = False
    wanted_acr: str | None = None


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """A session that is asked for more, or is renewed. ``factor_waived``: a trusted device stood in at its login."""

    acr: str
    amr: Set[str]
    auth_time: datetime
    factor_waived: bool
    has_factor: bool
    rule: FactorRule


def check_password(facts: PasswordFacts) -> Allow | Deny:
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


def next_step(facts: FactorFacts, now: datetime) -> Allow | Challenge | Deny:
    """What a login needs next: a challenge whose reason is a step, or Allow where it is complete.

    A context class that is not known is refused (RFC 9470 section 5): nobody could say that it was reached.
    """
    if _is_unknown(facts.wanted_acr):
        return Deny("acr_unknown")
    if "pwd" not in facts.proved:
        return Challenge(PASSWORD_STEP)
    if not _SECOND.isdisjoint(facts.proved):
        return Allow()
    wants_more = acr.rank(facts.wanted_acr) > acr.rank(acr.PASSWORD)
    if facts.has_factor:
        trusted = facts.device_trusted and facts.rule.devices_trusted and not wants_more
        return Allow() if trusted else Challenge(CODE_STEP, acr_values=(acr.MFA,))
    if _is_due(facts.rule, now):
        return Challenge(ENROLMENT_STEP, acr_values=(acr.MFA,))
    if wants_more:
        return Challenge(ENROLMENT_STEP, acr_values=(acr.MFA,)) if facts.rule.offered else Deny("factor_not_offered")
    return Allow()


def step_up(
    facts: SessionFacts, *, wanted_acr: str | None, max_age: timedelta | None, now: datetime
) -> Allow | Challenge | Deny:
    """What a session needs to be of this context class and this fresh (RFC 9470): a fresh factor, never a new session.

    Who has a second factor brings that one: a password alone would make an old code look fresh. So a session that began
    without it, because a trusted device stood in, is never fresh enough (rule 9).
    """
    if _is_unknown(wanted_acr):
        return Deny("acr_unknown")
    age = now - facts.auth_time
    too_weak = acr.rank(wanted_acr) > acr.rank(facts.acr)
    half = facts.has_factor and _SECOND.isdisjoint(facts.amr)
    too_old = max_age is not None and (age > max_age or half)
    if not too_weak and not too_old:
        return Allow()
    if facts.has_factor:
        return Challenge(CODE_STEP, acr_values=(acr.MFA,))
    if too_weak and not facts.rule.offered:
        return Deny("factor_not_offered")
    if too_old or age > FRESH:  # who enrols changes what protects the account
        return Challenge(PASSWORD_STEP)
    return Challenge(ENROLMENT_STEP, acr_values=(acr.MFA,))


def may_go_on(facts: SessionFacts, now: datetime) -> Allow | Deny:
    """Whether a session may be used and refreshed: a factor that is due since it began is not skipped by staying."""
    if not _SECOND.isdisjoint(facts.amr):
        return Allow()
    if facts.has_factor and facts.factor_waived and facts.rule.devices_trusted:
        return Allow()
    if facts.has_factor or _is_due(facts.rule, now):
        return Deny("factor_missing")
    return Allow()


METHODS = frozenset({"pwd", "otp", "recovery", "mfa"})
"""All that ``achieved`` has to say: every ``amr`` of a token."""


def achieved(proved: Set[str]) -> tuple[str, frozenset[str]]:
    """The context class and the ``amr`` of a login that proved these methods. ``mfa`` stands for what was proved now.

    Raises:
        ValueError: no password is among them; one factor alone is no login.
    """
    if "pwd" not in proved:
        raise ValueError("a login proves a password first")
    methods = frozenset(proved - {"mfa"})
    if _SECOND.isdisjoint(methods):
        return acr.PASSWORD, methods
    return acr.MFA, methods | {"mfa"}


def _is_unknown(wanted_acr: str | None) -> bool:
    return wanted_acr is not None and wanted_acr not in acr.ORDER


def _is_due(rule: FactorRule, now: datetime) -> bool:
    return rule.required_from is not None and now >= rule.required_from
