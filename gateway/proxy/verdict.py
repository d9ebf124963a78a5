"""What the gate decided, in the words of logs, tests and commands."""

from dataclasses import dataclass
from typing import Literal, assert_never

from gateway.proxy.own_answer import OwnAnswer
from gateway.proxy.refusal import Refusal
from gateway.proxy.request import ProxiedRequest

Decision = Literal["allow", "challenge", "deny", "refuse", "answer"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """``challenge``: the caller may come back with more; ``deny``: not this caller; ``refuse``: nobody, or not now;
    ``answer``: the gateway's own. ``status`` is of the gateway's answer, so None where it lets through.

    ``would`` is what a route in shadow decided and did not do.
    """

    decision: Decision
    reason: str
    status: int | None
    route: str | None
    would: "Verdict | None" = None


def verdict(outcome: Refusal | OwnAnswer | None, request: ProxiedRequest) -> Verdict:
    """Of ``Gate.decide``'s answer about this request."""
    route = None if request.matched is None else request.matched.route.name
    decision, reason = in_words(outcome)
    would = None if request.would is None else _verdict(request.would, route)
    return Verdict(decision, reason, _status(outcome), route, would)


def in_words(outcome: Refusal | OwnAnswer | None) -> tuple[Decision, str]:
    """The decision and its reason."""
    match outcome:
        case None:
            return "allow", "allowed"
        case OwnAnswer(_, reason):
            return "answer", reason
        case Refusal():
            return decision_of(outcome), outcome.reason
        case _:
            assert_never(outcome)


def decision_of(refused: Refusal) -> Decision:
    """By the status that it is answered with."""
    match refused.problem.status:
        case 401:
            return "challenge"
        case 403:
            return "deny"
        case _:
            return "refuse"


def _verdict(refused: Refusal, route: str | None) -> Verdict:
    return Verdict(decision_of(refused), refused.reason, refused.problem.status, route)


def _status(outcome: Refusal | OwnAnswer | None) -> int | None:
    match outcome:
        case None:
            return None
        case OwnAnswer(status):
            return status
        case Refusal(problem):
            return problem.status
        case _:
            assert_never(outcome)
