"""How much an audit event calls for attention: a table of what it tells of, and nothing else.

Most events call for none, and have no severity. The words are OCSF's, whose further ones (informational, fatal, other)
say nothing here.
"""

from collections.abc import Iterable, Mapping
from typing import Final, Literal

from policies.administration import PREFIX

Severity = Literal["low", "medium", "high", "critical"]

LEVELS: Final[tuple[Severity, ...]] = ("low", "medium", "high", "critical")

STOLEN: Final = frozenset({"refresh_token_reused", "code_replayed"})
"""Reasons that say that somebody else has what was given to one: of high severity, whatever they are told of."""

IMPOSSIBLE: Final = frozenset(
    {
        "client_mismatch",
        "device_code_used",
        "dpop_key_mismatch",
        "mfa_token_used",
        "token_bound_to_another_key",
        "verifier_wrong",
    }
)
"""Reasons of who has something real that was another's, or of another moment: no client that works gets them."""

_ADMIN: Final = "admin"
_RULES: Final = frozenset(
    {
        "detections",
        "lifetimes.audit_events",
        "lifetimes.invitation",
        "lifetimes.refresh_absolute",
        "lifetimes.refresh_idle",
        "lifetimes.reset_link",
        "lifetimes.session",
        "lifetimes.session_idle",
        "lifetimes.trusted_device",
        "otp",
        "otp_grace",
        "otp_roles",
        "password_min_length",
        "registration",
        "require_pushed",
        "sign_up",
        "trusted_devices",
    }
)
"""What of a tenant's settings decides who gets in."""

_BY_TYPE: Final[Mapping[str, Severity]] = {
    "api_key.created": "low",
    "audit.erased": "medium",
    "audit.gap": "medium",
    "client.registration_token_created": "low",
    "detection.accounts_from_network": "high",
    "detection.client_refusals": "medium",
    "detection.config_changed": "medium",
    "detection.networks_of_account": "medium",
    "detection.new_country": "medium",
    "detection.new_device": "low",
    "detection.steps_out_of_order": "low",
    "factor.removed": "low",
    "group.changed": "low",
    "group.created": "low",
    "group.deleted": "low",
    "group.member_added": "low",
    "key.revoked": "medium",
    "login.alarm": "high",
    "master_key.resealed": "medium",
    "role.changed": "low",
    "role.created": "low",
    "role.deleted": "low",
    "tenant.deleted": "high",
    "tenant.deletion_scheduled": "high",
    "tenant.exported": "high",
    "tenant.issuer_changed": "medium",
    "tenant.suspended": "medium",
    "user.deleted": "low",
    "user.erased": "medium",
    "user.factors_reset": "medium",
    "user.role_assigned": "low",
}


def severity_of(type_: str, reason: str | None, details: Mapping[str, object]) -> Severity | None:
    """Of an event of this type, reason and details; None: it is there to be read, and calls for nothing.

    ``details.administrative`` says that somebody gets to administer, ``details.weakened`` which rules ask less than
    before.
    """
    if reason in STOLEN or details.get("administrative") or details.get("weakened"):
        return "high"
    match type_:
        case "tenant.configured":
            changed = details.get("changed")
            return "medium" if isinstance(changed, list) and not _RULES.isdisjoint(changed) else None
        case "factor.removed" if details.get("last"):
            return "medium"
        case "detection.steps_out_of_order" if reason in IMPOSSIBLE:
            return "medium"
    return _BY_TYPE.get(type_)


def administrative(scopes: Iterable[str]) -> bool:
    """Whether one of these scopes is for administrators: of the admin API, or ``admin``, or one below it
    (``admin:users``, ``admin.read``). What that one opens is up to a route.
    """
    return any(scope == _ADMIN or scope.startswith((PREFIX, f"{_ADMIN}:", f"{_ADMIN}.")) for scope in scopes)
