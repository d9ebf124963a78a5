"""What the audit log is told of a decision about an API request."""

from typing import Literal

from gateway.audit import Observation
from gateway.proxy.request import ProxiedRequest


def observation(
    request: ProxiedRequest, outcome: Literal["refused", "allowed"], reason: str, status: int
) -> Observation:
    """``status`` is the answer's. The path is without its query, which may carry a secret."""
    principal, matched = request.principal, request.matched
    return Observation(
        outcome=outcome,
        reason=reason,
        status=status,
        route=matched.route.name if matched else None,
        method=request.scope["method"],
        path=request.scope["raw_path"].decode("latin-1"),
        request_id=request.ids.text,
        address=request.origin.text,
        tenant_id=principal.tenant_id if principal else request.proved_tenant,
        subject=principal.subject if principal else None,
        client_id=principal.client_id if principal else None,
        api_key_id=request.api_key_id,
    )
