"""Where a request comes from, for what a login stores and counts."""

from starlette.requests import Request

from gateway.middleware import context_of
from tenants.visitor import Visitor


def visitor_of(request: Request) -> Visitor:
    """The address that trusted proxies vouch for, and what the client says of itself."""
    return Visitor.of(context_of(request.scope).address, request.headers.get("user-agent", ""))
