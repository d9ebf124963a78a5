"""The limits of a route: who is counted together, and what an answer says of it.

The header fields are those of draft-ietf-httpapi-ratelimit-headers-10: a policy's name, its quota ``q`` and window
``w``; what is left ``r`` and the seconds ``t`` until that is more. No partition key: it would say who is who.
"""

from collections.abc import Callable
from ipaddress import IPv6Address

from gateway.context import Address
from gateway.proxy import refusal
from gateway.proxy.ledger import Ledger
from gateway.proxy.own_answer import Fields
from gateway.proxy.quota_scope import OPERATOR
from gateway.proxy.quota_table import Account, QuotaTable, Refused
from gateway.proxy.refusal import Refusal
from gateway.proxy.request import ProxiedRequest
from policies.quota import SECOND, Quota, Spent, whole_seconds
from policies.route import Route

_FULL = 10 * SECOND  # who is refused for want of room need not come back at once


class RouteLimits:
    """``most`` callers are kept at a time. ``now`` is nanoseconds of a clock that never goes back. ``ledger`` and
    ``table`` are for whoever shares the counts with other processes.
    """

    def __init__(self, most: int, now: Callable[[], int]) -> None:
        self.now = now
        self.ledger = Ledger()
        self.table = QuotaTable(most, now, self.ledger)

    def refusal(self, request: ProxiedRequest, route: Route) -> Refusal | None:
        """Count the request; None lets it through. What its answer says then stands in ``request.quota``."""
        spent = self.table.spend([_account(request, route, quota) for quota in route.quotas])
        policy = b"ratelimit-policy", route.quota_policy
        if isinstance(spent, Refused):
            request.quota = (policy, *_reached(spent))
            wait = max((one.retry_in for _, one in spent.exhausted), default=_FULL)
            return refusal.rate_limited("rate_limited" if spent.exhausted else "rate_limit_full", whole_seconds(wait))
        left = ", ".join(map(_left, route.quotas, spent)).encode("ascii")
        request.quota = (policy, (b"ratelimit", left))
        return None


def _account(request: ProxiedRequest, route: Route, quota: Quota) -> Account:
    """Tenants come first, so that no two share a count; but for who is a tenant, or all, to this limit."""
    principal = request.principal if not route.anonymous and not request.nameless else None
    tenant = None if principal is None else principal.tenant_id
    match quota.per:
        case "address":
            return (tenant, route.name, quota.name), network(request.origin.address), quota
        case "route":
            return (OPERATOR, route.name, quota.name), "", quota
    if route.shadow and principal is None:
        return (tenant, route.name, quota.name), network(request.origin.address), quota  # nobody who could be counted
    if principal is None or tenant is None:
        raise AssertionError(f"route {route.name} counts callers, and has none")
    match quota.per:
        case "tenant":
            return (OPERATOR, route.name, quota.name), tenant, quota
        case "subject":
            return (tenant, route.name, quota.name), principal.subject, quota
        case "client":
            return (tenant, route.name, quota.name), principal.client_id or principal.subject, quota  # an API key's


def in_place_of_theirs(fields: list[tuple[bytes, bytes]], quota: Fields) -> list[tuple[bytes, bytes]]:
    """An upstream's header fields with what is said of our limits: a client can follow one of two."""
    return [*(field for field in fields if not field[0].startswith(b"ratelimit")), *quota]


def network(address: Address) -> bytes:
    """What one client has to itself: an IPv4 address, an IPv6 /64."""
    return address.packed[:8] if isinstance(address, IPv6Address) else address.packed


def _left(quota: Quota, spent: Spent) -> str:
    return f'"{quota.name}";r={spent.left};t={whole_seconds(spent.more_in)}'


def _reached(refused: Refused) -> Fields:
    if not refused.exhausted:
        return ()
    said = (f'"{quota.name}";r=0;t={whole_seconds(one.retry_in)}' for quota, one in refused.exhausted)
    return ((b"ratelimit", ", ".join(said).encode("ascii")),)
