"""The decision about one caller under one rule.

``decide`` is the only judge; ``explain`` shows its judgement of every part, by asking it. A caller without a principal
passes ``Anonymous`` and nothing else. An ``acr`` or ``amr`` that does not suffice is a Challenge (RFC 9470): the caller
may come back with more. An API key may not: it never stands for a login, so there it is a Deny.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import assert_never

from policies import acr
from policies.decision import Allow, Challenge, Decision, Deny
from policies.principal import Principal
from policies.rule import (
    Acr,
    Address,
    All,
    Amr,
    Anonymous,
    Any,
    Claims,
    ClaimValue,
    ClientIs,
    MaxAge,
    Not,
    Rule,
    Scopes,
    SourceIp,
)

_SECOND_FACTORS = frozenset({"otp", "mfa", "recovery"})
_CLOCK_LEEWAY = 60  # seconds by which another process's clock may run ahead

_ALLOW = Allow()
_TOKEN_MISSING = Challenge("token_missing")
STEP_UP = "insufficient_user_authentication"
"""The reason of every challenge to log in anew (RFC 9470)."""
_LOGIN_MISSING = "login_missing"


@dataclass(frozen=True, slots=True)
class Explanation:
    """A rule, the decision about it, and the same for its parts. ``took`` are the parts that brought it about."""

    rule: Rule
    decision: Decision
    parts: tuple["Explanation", ...] = ()

    @property
    def took(self) -> tuple["Explanation", ...]:
        """The parts whose kind of decision is the whole's; under ``not`` the one part."""
        if isinstance(self.rule, Not):
            return self.parts
        return tuple(part for part in self.parts if type(part.decision) is type(self.decision))


def decide(rule: Rule, principal: Principal | None, *, source: Address, now: int) -> Decision:
    """Whether ``principal`` (None: no usable token) may pass ``rule`` from ``source`` at ``now`` (epoch seconds)."""
    if principal is None:
        return _ALLOW if isinstance(rule, Anonymous) else _TOKEN_MISSING
    match rule:
        case Scopes(scopes):
            missing = scopes - principal.scopes
            return _ALLOW if not missing else Deny("insufficient_scope", missing)
        case Anonymous():
            return _ALLOW
        case All(rules):
            return _all([decide(part, principal, source=source, now=now) for part in rules])
        case Any(rules):
            return _any([decide(part, principal, source=source, now=now) for part in rules])
        case Not(inner):
            return _not(inner, principal, source=source, now=now)
        case Claims(required):
            return _claims(required, principal)
        case Amr(methods):
            return _ALLOW if methods <= principal.amr else _step_up(principal, _acr_for(methods))
        case Acr(value):
            return _ALLOW if acr.rank(principal.acr) >= acr.rank(value) else _step_up(principal, value)
        case MaxAge(seconds):
            return _max_age(seconds, principal, now)
        case ClientIs(client_ids):
            return _ALLOW if principal.client_id in client_ids else Deny("client_not_allowed")
        case SourceIp(networks):
            return _ALLOW if any(source in network for network in networks) else Deny("source_not_allowed")
        case _:
            assert_never(rule)


def explain(rule: Rule, principal: Principal | None, *, source: Address, now: int) -> Explanation:
    """The same decision, with the decision about every part below it."""
    parts = tuple(explain(part, principal, source=source, now=now) for part in _parts(rule))
    return Explanation(rule, decide(rule, principal, source=source, now=now), parts)


def _all(decisions: list[Decision]) -> Decision:
    denied = [decision for decision in decisions if isinstance(decision, Deny)]
    if denied:
        first = denied[0]
        same = (deny.scopes for deny in denied if deny.reason == first.reason)
        return Deny(first.reason, frozenset().union(*same))
    challenges = [decision for decision in decisions if isinstance(decision, Challenge)]
    if challenges:
        return _joined(challenges)
    return _ALLOW


def _any(decisions: list[Decision]) -> Decision:
    for kind in (Allow, Challenge, Deny):
        for decision in decisions:
            if isinstance(decision, kind):
                return decision
    raise AssertionError("an empty rule cannot be built")


def _not(inner: Rule, principal: Principal, *, source: Address, now: int) -> Decision:
    missing = next(_missing(inner, principal), None)
    if missing is not None:
        return Deny(missing)  # absence proves nothing, so it must not open a door
    match decide(inner, principal, source=source, now=now):
        case Deny():
            return _ALLOW
        case Allow() | Challenge():
            return Deny("excluded")
        case other:
            assert_never(other)


def _joined(challenges: list[Challenge]) -> Challenge:
    """One challenge that meets them all: the highest context class and the shortest age."""
    classes = [value for challenge in challenges for value in challenge.acr_values]
    ages = [challenge.max_age for challenge in challenges if challenge.max_age is not None]
    return Challenge(
        challenges[0].reason,
        acr_values=(max(classes, key=acr.rank),) if classes else (),
        max_age=min(ages, default=None),
    )


def _claims(required: tuple[tuple[str, ClaimValue], ...], principal: Principal) -> Decision:
    for name, value in required:
        if name not in principal.claims:
            return Deny("claim_missing")
        found = principal.claims[name]
        candidates = found if isinstance(found, list | tuple) else (found,)
        if not any(type(candidate) is type(value) and candidate == value for candidate in candidates):
            return Deny("claim_not_allowed")
    return _ALLOW


def _max_age(seconds: int, principal: Principal, now: int) -> Decision:
    auth_time = principal.auth_time
    if auth_time is not None and -_CLOCK_LEEWAY <= now - auth_time <= seconds:
        return _ALLOW
    return _step_up(principal, max_age=seconds)


def _step_up(principal: Principal, *acr_values: str, max_age: int | None = None) -> Decision:
    if principal.api_key_id is not None:
        return Deny(_LOGIN_MISSING)  # to ask a machine for a person's login would have it try for ever
    return Challenge(STEP_UP, acr_values, max_age)


def _acr_for(methods: frozenset[str]) -> str:
    """RFC 9470 has no way to ask for a method, so the challenge names the class that brings it."""
    return acr.MFA if methods & _SECOND_FACTORS else acr.PASSWORD


def _parts(rule: Rule) -> tuple[Rule, ...]:
    match rule:
        case All(rules) | Any(rules):
            return rules
        case Not(inner):
            return (inner,)
        case _:
            return ()


def _missing(rule: Rule, principal: Principal) -> Iterator[str]:
    """For each thing that the rule asks about and that nothing is known of, why it denies."""
    match rule:
        case Claims(required):
            yield from ("claim_missing" for name, _ in required if name not in principal.claims)
        case Amr() | Acr() | MaxAge() if principal.api_key_id is not None:
            yield _LOGIN_MISSING
        case ClientIs() if principal.client_id is None:
            yield "client_missing"
    for part in _parts(rule):
        yield from _missing(part, principal)
