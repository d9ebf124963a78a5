"""What the audit log is told of a decision (rule 3, second class)."""

from gateway.audit import Observation, Outcome
from gateway.proxy.refusal import Refusal
from gateway.proxy.request import ProxiedRequest
from gateway.proxy.shown_path import shown_path
from gateway.proxy.verdict import decision_of


def observation(request: ProxiedRequest, outcome: Outcome, reason: str, status: int, config: str) -> Observation:
    """``config`` is the digest of the configuration that decided."""
    principal, matched = request.principal, request.matched
    return Observation(
        outcome=outcome,
        reason=reason,
        status=status,
        route=matched.route.name if matched else None,
        method=request.scope["method"],
        path=shown_path(request.scope["raw_path"]),
        request_id=request.ids.text,
        address=request.origin.text,
        tenant_id=principal.tenant_id if principal else request.proved_tenant,
        subject=principal.subject if principal else None,
        client_id=principal.client_id if principal else None,
        api_key_id=request.api_key_id,
        config=config or None,
    )


def shadowed(request: ProxiedRequest, would: Refusal, config: str) -> Observation:
    """Nobody was refused, but would have been."""
    outcome: Outcome
    match decision_of(would):
        case "challenge":
            outcome = "would_challenge"
        case "deny":
            outcome = "would_deny"
        case _:
            outcome = "would_refuse"
    return observation(request, outcome, would.reason, would.problem.status, config)
