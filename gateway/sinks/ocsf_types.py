"""What each type of audit event is in OCSF 1.6.0: a table, and nothing else. A test fails for a type without a line.

The activity numbers are those of the class that stands beside them.
"""

from dataclasses import dataclass
from typing import Final

VERSION: Final = "1.6.0"

ACCOUNT_CHANGE, AUTHENTICATION, ENTITY_MANAGEMENT, USER_ACCESS = 3001, 3002, 3004, 3005
DETECTION_FINDING, EVENT_LOG, API_ACTIVITY = 2004, 1008, 6003
BASE_EVENT: Final = 0

NAMES: Final = {
    BASE_EVENT: "Base Event",
    EVENT_LOG: "Event Log Activity",
    DETECTION_FINDING: "Detection Finding",
    ACCOUNT_CHANGE: "Account Change",
    AUTHENTICATION: "Authentication",
    ENTITY_MANAGEMENT: "Entity Management",
    USER_ACCESS: "User Access Management",
    API_ACTIVITY: "API Activity",
}
CHECKPOINT: Final = "audit.checkpoint"
"""In no log: what sinks are sent of a log's tree."""

OTHER: Final = 99
BY_METHOD: Final = -1
"""The activity is what the request's method says."""
METHODS: Final = {"GET": 2, "HEAD": 2, "POST": 1, "PUT": 3, "PATCH": 3, "DELETE": 4}

LOGON, LOGOFF, TICKET, PREAUTH, SERVICE_TICKET, RENEW = 1, 2, 3, 6, 4, 5  # Authentication
CREATE, ENABLE, PASSWORD_CHANGE, PASSWORD_RESET, DISABLE, DELETE = 1, 2, 3, 4, 5, 6  # Account Change
FACTOR_ENABLE, FACTOR_DISABLE, UNLOCK = 10, 11, 12
MADE, READ, UPDATED, REMOVED = 1, 2, 3, 4  # Entity Management
ENROLLED, ENABLED, DISABLED, SUSPENDED, RESUMED = 6, 8, 9, 12, 13
ASSIGN, REVOKE = 1, 2  # User Access Management

UNKNOWN, INFORMATIONAL, LOW = 0, 1, 2
SEVERITIES: Final = {"low": LOW, "medium": 3, "high": 4, "critical": 5}


@dataclass(frozen=True, slots=True)
class Line:
    """What a type is."""

    class_uid: int
    activity: int


def _each(line: Line, *types: str) -> dict[str, Line]:
    return dict.fromkeys(types, line)


TYPES: Final[dict[str, Line]] = {
    # people who log in and out, and what applications get by it
    "login.succeeded": Line(AUTHENTICATION, LOGON),
    "login.refused": Line(AUTHENTICATION, LOGON),
    "login.challenged": Line(AUTHENTICATION, PREAUTH),
    "login.alarm": Line(DETECTION_FINDING, CREATE),
    **_each(Line(AUTHENTICATION, LOGOFF), "logout", "session.ended", "user.sessions_ended"),
    **_each(Line(AUTHENTICATION, TICKET), "authorization.granted", "authorization.refused"),
    **_each(Line(AUTHENTICATION, SERVICE_TICKET), "token.issued", "token.exchanged", "token.refused"),
    "token.refreshed": Line(AUTHENTICATION, RENEW),
    **_each(Line(AUTHENTICATION, OTHER), "token.revoked", "device.approved", "device.denied"),
    # accounts
    "user.created": Line(ACCOUNT_CHANGE, CREATE),
    "users.imported": Line(ACCOUNT_CHANGE, CREATE),
    "users.import_undone": Line(ACCOUNT_CHANGE, DELETE),
    "user.enabled": Line(ACCOUNT_CHANGE, ENABLE),
    "user.erased": Line(ACCOUNT_CHANGE, DELETE),
    "user.deleted": Line(ACCOUNT_CHANGE, DELETE),
    "user.disabled": Line(ACCOUNT_CHANGE, DISABLE),
    "user.unlocked": Line(ACCOUNT_CHANGE, UNLOCK),
    "throttle.lifted": Line(ENTITY_MANAGEMENT, REMOVED),
    "user.password_set": Line(ACCOUNT_CHANGE, PASSWORD_CHANGE),
    "user.reset_sent": Line(ACCOUNT_CHANGE, PASSWORD_RESET),
    "factor.added": Line(ACCOUNT_CHANGE, FACTOR_ENABLE),
    "factor.removed": Line(ACCOUNT_CHANGE, FACTOR_DISABLE),
    "user.factors_reset": Line(ACCOUNT_CHANGE, FACTOR_DISABLE),
    **_each(Line(ACCOUNT_CHANGE, OTHER), "factor.renamed", "recovery_codes.made", "device.revoked"),
    **_each(Line(ACCOUNT_CHANGE, OTHER), "user.invited", "user.uninvited", "user.email_asked", "user.email_set"),
    # what they may do
    **_each(Line(USER_ACCESS, ASSIGN), "user.role_assigned", "group.member_added", "consent.granted"),
    **_each(Line(USER_ACCESS, REVOKE), "user.role_withdrawn", "group.member_removed", "consent.withdrawn"),
    **_each(Line(USER_ACCESS, OTHER), "user.role_missing", "user.group_missing"),
    # what administrators keep
    **_each(
        Line(ENTITY_MANAGEMENT, MADE),
        "tenant.created",
        "tenant.imported",
        "role.created",
        "group.created",
        "client.created",
        "api_key.created",
    ),
    **_each(Line(ENTITY_MANAGEMENT, MADE), "client.registration_token_created", "key.created"),
    **_each(Line(ENTITY_MANAGEMENT, UPDATED), "tenant.configured", "tenant.issuer_changed", "tenant.overlap_changed"),
    **_each(Line(ENTITY_MANAGEMENT, UPDATED), "client.changed", "client.secret_added", "role.changed", "group.changed"),
    **_each(Line(ENTITY_MANAGEMENT, UPDATED), "key.scheduled", "key.rotated", "key.advanced"),
    **_each(Line(ENTITY_MANAGEMENT, REMOVED), "client.deleted", "client.registration_token_deleted", "role.deleted"),
    "group.deleted": Line(ENTITY_MANAGEMENT, REMOVED),
    "api_key.revoked": Line(ENTITY_MANAGEMENT, REMOVED),
    "key.revoked": Line(ENTITY_MANAGEMENT, REMOVED),
    "client.registered": Line(ENTITY_MANAGEMENT, ENROLLED),
    "client.enabled": Line(ENTITY_MANAGEMENT, ENABLED),
    "client.disabled": Line(ENTITY_MANAGEMENT, DISABLED),
    "tenant.suspended": Line(ENTITY_MANAGEMENT, SUSPENDED),
    "tenant.deletion_scheduled": Line(ENTITY_MANAGEMENT, SUSPENDED),
    "tenant.exported": Line(ENTITY_MANAGEMENT, READ),
    "tenant.deleted": Line(ENTITY_MANAGEMENT, REMOVED),
    "master_key.resealed": Line(ENTITY_MANAGEMENT, UPDATED),
    "audit.erased": Line(ENTITY_MANAGEMENT, REMOVED),
    "tenant.resumed": Line(ENTITY_MANAGEMENT, RESUMED),
    # requests
    **_each(Line(API_ACTIVITY, BY_METHOD), "request.allowed", "request.refused", "page.refused"),
    **_each(Line(API_ACTIVITY, BY_METHOD), "request.would_challenge", "request.would_deny", "request.would_refuse"),
    **_each(Line(API_ACTIVITY, BY_METHOD), "registration.refused", "admin.refused"),
    # what the service does itself
    **_each(Line(API_ACTIVITY, OTHER), "logout.notified", "logout.failed", "mail.sent", "mail.failed"),
    **_each(
        Line(DETECTION_FINDING, CREATE),
        "detection.accounts_from_network",
        "detection.networks_of_account",
        "detection.steps_out_of_order",
        "detection.new_device",
        "detection.new_country",
        "detection.client_refusals",
        "detection.config_changed",
    ),
    "job.ordered": Line(API_ACTIVITY, OTHER),
    "config.taken": Line(ENTITY_MANAGEMENT, UPDATED),
    "audit.gap": Line(EVENT_LOG, OTHER),
    CHECKPOINT: Line(EVENT_LOG, OTHER),
    "sink.test": Line(BASE_EVENT, OTHER),
}
UNFORESEEN: Final = Line(BASE_EVENT, OTHER)
"""For the events of a later release, in a log that an older one reads."""
