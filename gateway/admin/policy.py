"""``/tenants/{slug}/policy/explain``: what the gateway would do with a request, and which rule says so.

Who asks is said by facts or is a user of the tenant. A token is never taken: what the API is sent may be logged on its
way.
"""

from datetime import datetime
from ipaddress import ip_address
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field, JsonValue

from gateway.admin.document import Document
from gateway.admin.errors import InsufficientScope, ResourceNotFound, ValidationFailed
from gateway.admin.operation import Answer, Call, Operation
from gateway.admin.question import Asker, NotAsked, Question, Told, Wanted
from policies.administration import INSTALLATION_READ, USERS_READ

Text = Annotated[str, Field(min_length=1, max_length=255)]
Words = Annotated[tuple[Text, ...], Field(max_length=200)]
_YEAR_9000 = 221_845_392_000


class TokenFacts(Document):
    """A token, taken as verified. ``audiences`` null: for the API that is asked. ``auth_age``: seconds since the login.

    For a user ``subject`` and ``scopes`` are theirs and stay away.
    """

    subject: Text | None = None
    client: Text = "some-client"
    scopes: Words | None = None
    audiences: Words | None = None
    acr: Text | None = None
    amr: Words = ()
    auth_age: Annotated[int, Field(ge=0, le=3_155_760_000)] | None = None
    claims: dict[str, JsonValue] = Field(default_factory=dict)
    api_key: bool = False


class PolicyQuestion(Document):
    """``at`` null: now. ``source_ip`` null: from no network that a rule knows. Without ``token`` and ``user_id`` nobody
    asks.
    """

    method: Annotated[str, Field(min_length=1, max_length=20)]
    url: Annotated[str, Field(min_length=1, max_length=4096)]
    source_ip: Annotated[str, Field(max_length=64)] | None = None
    at: AwareDatetime | None = None
    token: TokenFacts | None = None
    user_id: UUID | None = None


class PolicyAnswer(Document):
    """``status`` is of the gateway's own answer, null where it lets the request through. ``would``: what a route in
    shadow would have done. ``rule`` is the rule that was asked with its parts, ``took`` those that brought the decision
    about. ``digest`` is of the configuration.
    """

    sentence: str
    decision: Literal["allow", "challenge", "deny", "refuse", "answer"]
    reason: str
    status: int | None
    route: str | None
    would: dict[str, str] | None = None
    rule: dict[str, JsonValue] | None
    digest: str


class PolicyCase(PolicyQuestion):
    """A question and what is to be decided; ``reason`` and ``route`` null: any."""

    name: Text
    expect: Literal["allow", "challenge", "deny", "refuse", "answer"]
    reason: Text | None = None
    route: Text | None = None


class PolicyCases(Document):
    """At most 100."""

    cases: Annotated[tuple[PolicyCase, ...], Field(min_length=1, max_length=100)]


class FailedCase(Document):
    """``failed`` has a sentence for each thing that is otherwise."""

    name: str
    failed: tuple[str, ...]
    found: PolicyAnswer


class PolicyTested(Document):
    """How many cases there were, and those that are decided otherwise than they should be."""

    cases: int
    failed: tuple[FailedCase, ...]
    digest: str


async def _explain(call: Call) -> Answer:
    return Answer(_shown(await _told(call, call.body, None)))


async def _test(call: Call) -> Answer:
    wanted: PolicyCases = call.body
    failed, digest = [], ""
    for case in wanted.cases:
        told = await _told(call, case, Wanted(decision=case.expect, reason=case.reason, route=case.route))
        digest = told.digest
        if told.failed:
            failed.append(FailedCase(name=case.name, failed=told.failed, found=_shown(told)))
    return Answer(PolicyTested(cases=len(wanted.cases), failed=tuple(failed), digest=digest))


def _shown(told: Told) -> PolicyAnswer:
    rule = None if told.rule is None else dict(told.rule)
    return PolicyAnswer(sentence=told.sentence, **told.decision, rule=rule, digest=told.digest)


async def _told(call: Call, asked: PolicyQuestion, wanted: Wanted | None) -> Told:
    at: datetime = asked.at or call.now
    if not 0 < at.timestamp() < _YEAR_9000:
        raise ValidationFailed([{"pointer": "/at", "detail": "must be between 1970 and the year 9000"}])
    question = Question(
        method=asked.method,
        url=asked.url,
        address=_address(asked.source_ip),
        at=at.timestamp(),
        asker=await _asker(call, asked),
        wanted=wanted,
    )
    try:
        return call.services.explain(question)
    except NotAsked as error:
        raise ValidationFailed([{"detail": str(error)}]) from error


def _address(text: str | None) -> str | None:
    try:
        return None if text is None else str(ip_address(text))
    except ValueError as error:
        raise ValidationFailed([{"pointer": "/source_ip", "detail": "must be an address"}]) from error


async def _asker(call: Call, wanted: PolicyQuestion) -> Asker | None:
    """Raises InsufficientScope: users are not this caller's to see. ResourceNotFound: there is no such user."""
    if wanted.token is None and wanted.user_id is None:
        return None
    token = wanted.token or TokenFacts()
    if token.api_key and (token.model_fields_set & {"client", "acr", "amr", "auth_age", "claims"}):
        told = "an API key has neither a client nor a login nor claims"
        raise ValidationFailed([{"pointer": "/token", "detail": told}])
    subject, scopes, refused = token.subject or "somebody", token.scopes or (), None
    if wanted.user_id is not None:
        if token.subject is not None or token.scopes is not None or token.api_key:
            told = "of a user, subject and scopes are known, and an API key is none's"
            raise ValidationFailed([{"pointer": "/token", "detail": told}])
        if USERS_READ not in call.caller.principal.scopes:
            raise InsufficientScope(
                reason="insufficient_scope", scopes=frozenset({USERS_READ}), scheme=call.caller.scheme
            )
        user = await call.store.users.get(wanted.user_id)
        if user is None:
            raise ResourceNotFound
        subject, scopes = str(user.id), tuple(sorted(await call.store.roles.scopes_of(user.id)))
        refused = None if user.active and call.tenant.active else "token_revoked"
    return Asker(
        tenant=call.tenant.slug,
        subject=subject,
        client=token.client,
        scopes=scopes,
        audiences=token.audiences,
        acr=token.acr,
        amr=token.amr,
        auth_age=token.auth_age,
        claims=token.claims,
        api_key=token.api_key,
        refused=refused,
    )


OPERATIONS = (
    Operation(
        "explain_policy",
        "POST",
        "/tenants/{slug}/policy/explain",
        INSTALLATION_READ,
        "Say what the gateway would do with a request, and which rule says so; nothing is sent anywhere",
        _explain,
        answer=PolicyAnswer,
        body=PolicyQuestion,
        operators_only=True,
        asks=True,
        refusals=(InsufficientScope, ResourceNotFound),
    ),
    Operation(
        "test_policy",
        "POST",
        "/tenants/{slug}/policy/test",
        INSTALLATION_READ,
        "Decide cases, and tell those that are decided otherwise than they should be",
        _test,
        answer=PolicyTested,
        body=PolicyCases,
        operators_only=True,
        asks=True,
        refusals=(InsufficientScope, ResourceNotFound),
    ),
)
