"""What stands between an authorization request and its answer: a login, a fresh one, a consent, or nothing
(OpenID Connect Core sections 3.1.2.3 and 3.1.2.4, RFC 9470 section 5).

Owns the order: who, how lately, how strongly, with whose consent. With ``prompt=none`` whatever would need a page is a
denial. Not whether a session lives (``policies.login``), nor what may be granted (``policies.scope``).
"""

from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass
from datetime import datetime, timedelta

from policies import acr, login
from policies.decision import Allow, Challenge, Deny
from policies.login import SessionFacts

LOGIN, FRESH_LOGIN, STEP_UP, CONSENT = "login", "fresh_login", "step_up", "consent"
"""Steps of a Challenge: nobody is logged in; somebody is, and has to be asked for the password again; the session needs
more, or newer, proof; the person has to be asked for their consent."""


CLOCK_TOLERANCE = timedelta(seconds=5)
"""The login may have been in a process whose clock is behind that of the one in which the request began: it would be
asked for again, and again.
"""


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What the request wants of a login. ``subject`` is the only user that will do, where one is named.

    ``begun_at`` is when a request began that has waited for a page; None for one that has just come: no login before
    now can be the one that it asks for. ``acr_values`` any of which will do, and has to where ``acr_essential``.
    """

    prompt: Set[str]
    max_age: timedelta | None
    acr_values: tuple[str, ...]
    acr_essential: bool
    subject: str | None
    begun_at: datetime | None


@dataclass(frozen=True, slots=True)
class Person:
    """Who is logged in in this browser."""

    subject: str
    session: SessionFacts


@dataclass(frozen=True, slots=True)
class ConsentFacts:
    """What would be granted, and ``before``: the scopes that the person let this client have before, by API. ``given``:
    they said yes to this very request. ``first_party``: the client is the tenant's own.
    """

    scopes: Set[str]
    audiences: Set[str]
    first_party: bool
    before: Mapping[str, Set[str]]
    given: bool


def who(request: RequestFacts, person: Person | None, now: datetime) -> Allow | Challenge | Deny:
    """Whether this is the person, proved as lately and as strongly as the request wants.

    Denials: ``login_required``, ``unmet_authentication_requirements``.
    """
    decision = _who(request, person, now)
    match decision:
        case Challenge() if "none" in request.prompt:
            return Deny("login_required")
        case _:
            return decision


def consent(request: RequestFacts, facts: ConsentFacts) -> Allow | Challenge | Deny:
    """Whether the person has agreed to what would be granted. Denial: ``consent_required``."""
    if facts.given or not _has_to_ask(request, facts):
        return Allow()
    return Deny("consent_required") if "none" in request.prompt else Challenge(CONSENT)


def agreed(before: Mapping[str, Set[str]], *, scopes: Set[str], audiences: Collection[str]) -> bool:
    """Whether all of these scopes were agreed to before, at each of these APIs. To no API is nothing agreed."""
    return bool(audiences) and all(audience in before and scopes <= before[audience] for audience in audiences)


def _who(request: RequestFacts, person: Person | None, now: datetime) -> Allow | Challenge | Deny:
    known = [value for value in request.acr_values if value in acr.ORDER]
    if request.acr_values and request.acr_essential and not known:
        return Deny("unmet_authentication_requirements")
    wanted = min(known, key=acr.rank, default=None)  # any of them will do
    if person is None:
        return Challenge(LOGIN, () if wanted is None else (wanted,), _seconds(request.max_age))
    session = person.session
    is_new = request.begun_at is not None and session.auth_time >= request.begun_at - CLOCK_TOLERANCE
    if request.subject is not None and request.subject != person.subject:
        # Who has just logged in is another: to ask again would go on for ever.
        return Deny("login_required") if is_new else Challenge(FRESH_LOGIN, () if wanted is None else (wanted,))
    if not is_new and not {"login", "select_account"}.isdisjoint(request.prompt):
        return Challenge(FRESH_LOGIN, () if wanted is None else (wanted,), _seconds(request.max_age))
    # A login since the request began is fresh, however long it took to come back (max_age=0).
    max_age = (
        max(request.max_age, now - session.auth_time) if is_new and request.max_age is not None else request.max_age
    )
    match login.step_up(session, wanted_acr=wanted, max_age=max_age, now=now):
        case Allow():
            return Allow()
        case Challenge() if not request.acr_essential and "none" in request.prompt:
            return _at_least_fresh(session, max_age, now)
        case Challenge():
            return Challenge(STEP_UP, () if wanted is None else (wanted,), _seconds(request.max_age))
        case Deny() if not request.acr_essential:
            return _at_least_fresh(session, max_age, now)
        case Deny():
            return Deny("unmet_authentication_requirements")


def _at_least_fresh(session: SessionFacts, max_age: timedelta | None, now: datetime) -> Allow | Challenge | Deny:
    """Where the context class was a wish that cannot be met: the rest has to be."""
    match login.step_up(session, wanted_acr=None, max_age=max_age, now=now):
        case Allow():
            return Allow()
        case Challenge() | Deny():
            return Challenge(STEP_UP, (), _seconds(max_age))


def _has_to_ask(request: RequestFacts, facts: ConsentFacts) -> bool:
    if "consent" in request.prompt:
        return True
    if facts.first_party:
        return False
    return not agreed(facts.before, scopes=facts.scopes, audiences=facts.audiences)


def _seconds(max_age: timedelta | None) -> int | None:
    return None if max_age is None else int(max_age.total_seconds())
