"""The form ``ocsf``: an audit event as OCSF 1.6.0 has it, by the table in ``ocsf_types``. Pure.

What has no attribute of its own in every class is kept, under its own name, in ``unmapped``.
"""

from collections.abc import Callable
from datetime import datetime
from importlib.metadata import version
from ipaddress import ip_address
from typing import Final

from gateway.sinks.ocsf_types import (
    ACCOUNT_CHANGE,
    API_ACTIVITY,
    AUTHENTICATION,
    BY_METHOD,
    DETECTION_FINDING,
    ENTITY_MANAGEMENT,
    EVENT_LOG,
    INFORMATIONAL,
    LOW,
    METHODS,
    NAMES,
    OTHER,
    SEVERITIES,
    TYPES,
    UNFORESEEN,
    UNKNOWN,
    USER_ACCESS,
    VERSION,
    Line,
)
from gateway.sinks.record import Body
from policies.severity import severity_of

_PRODUCT: Final = {"name": "Yett", "vendor_name": "Yett", "version": version("yett")}
_SEVERITIES: Final = {1: "Informational", 2: "Low", 3: "Medium", 4: "High", 5: "Critical"}
_STATUSES: Final = {"success": (1, "Success"), "refused": (2, "Failure")}
_OAUTH: Final = 6
_SERVICE, _USER = 4, 1  # of a user's type_id
_ORGANIZATION, _OTHER_ENTITY = 4, 99
_NOBODY: Final = "unknown"
# What is always in an attribute of its own; of the rest some have one in some classes only.
_MAPPED: Final = frozenset(
    ("v", "id", "tenant_id", "time", "type", "outcome", "reason", "status", "count", "request_id", "severity")
)


def ocsf(event: Body, tenant: str, position: int | None) -> Body:
    """The event of this tenant, which stands at this place in its log. One that was erased has no outcome any more, and
    a checkpoint has none."""
    line = TYPES.get(event["type"], UNFORESEEN)
    activity = _activity(line, event)
    severity = _severity(event)
    reason = event.get("reason")
    found: Body = {
        "metadata": _metadata(event, position),
        "time": _milliseconds(event["time"]),
        "category_uid": line.class_uid // 1000,
        "class_uid": line.class_uid,
        "class_name": NAMES[line.class_uid],
        "activity_id": activity,
        "type_uid": line.class_uid * 100 + activity,
        "severity_id": severity,
        "severity": _SEVERITIES[severity],
        "message": event["type"] if reason is None else f"{event['type']}: {reason}",
        "unmapped": {"tenant": tenant, **{name: event[name] for name in event if name not in _MAPPED}},
    }
    if "outcome" in event:
        found["status_id"], found["status"] = _STATUSES.get(event["outcome"], (OTHER, "Notice"))
    if activity == OTHER:
        found["activity_name"] = event["type"]
    if reason is not None:
        found["status_detail"] = reason
    if "status" in event:
        found["status_code"] = str(event["status"])
    if "count" in event:
        found["count"] = event["count"]
    part = _PARTS.get(line.class_uid)
    return found if part is None else found | part(event, tenant)


def _activity(line: Line, event: Body) -> int:
    if line.activity != BY_METHOD:
        return line.activity
    return METHODS.get(event.get("method", ""), OTHER if "method" in event else UNKNOWN)


def _severity(event: Body) -> int:
    """The event's own; events of before they had one get it here."""
    own = event.get("severity") or severity_of(event["type"], event.get("reason"), event.get("details", {}))
    if own in SEVERITIES:
        return SEVERITIES[own]
    return LOW if event.get("outcome") == "refused" else INFORMATIONAL


def _metadata(event: Body, position: int | None) -> Body:
    found: Body = {
        "version": VERSION,
        "product": _PRODUCT,
        "uid": event["id"],
        "event_code": event["type"],
        "tenant_uid": event["tenant_id"],
        "log_name": "audit",
        "log_provider": "Yett",
        "original_time": event["time"],
    }
    if position is not None:
        found["sequence"] = position
    if "request_id" in event:
        found["correlation_uid"] = event["request_id"]
    return found


def _milliseconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def _authentication(event: Body, tenant: str) -> Body:
    found = {"user": _user(event), "service": {"name": "Yett", "uid": tenant}, **_source(event)}
    if "session_id" in event:
        found["session"] = {"uid": event["session_id"]}
    if event["type"].startswith(("token.", "authorization.")):
        found |= {"auth_protocol_id": _OAUTH, "auth_protocol": "OAUTH 2.0"}
    return found


def _account_change(event: Body, tenant: str) -> Body:  # noqa: ARG001 - the same for each class
    return {"user": _user(event), "actor": _actor(event), **_source(event)}


def _user_access(event: Body, tenant: str) -> Body:  # noqa: ARG001 - the same for each class
    details = event.get("details", {})
    privileges = details.get("scopes") or [details.get("role") or details.get("group") or _NOBODY]
    return {"user": _user(event), "actor": _actor(event), "privileges": list(map(str, privileges)), **_source(event)}


def _entity_management(event: Body, tenant: str) -> Body:
    """The entity is named by what the event names: a key, a role, a client; else it is the tenant."""
    details = event.get("details", {})
    kind = event["type"].partition(".")[0]
    entity: Body
    if kind == "tenant":
        entity = {"uid": event["tenant_id"], "name": tenant, "type_id": _ORGANIZATION, "type": "Organization"}
    else:
        own = event.get("client_id") or details.get("kid") or details.get("api_key")
        own = own or details.get("role") or details.get("group")
        name = details.get("name") or own or kind
        entity = {"name": str(name), "type_id": _OTHER_ENTITY, "type": kind}
        if own is not None:
            entity["uid"] = str(own)
    return {"entity": entity, "actor": _actor(event), **_source(event)}


def _api_activity(event: Body, tenant: str) -> Body:
    found: Body = {
        "api": {"operation": event["type"], "service": {"name": "Yett", "uid": tenant}},
        "actor": _actor(event),
        "src_endpoint": {"name": "Yett"},
        **_source(event),
    }
    if "path" in event:
        found["http_request"] = {"url": {"path": event["path"]}}
        if event.get("method") in METHODS:
            found["http_request"]["http_method"] = event["method"]
    if "status" in event:
        found["http_response"] = {"code": event["status"]}
    return found


def _detection_finding(event: Body, tenant: str) -> Body:  # noqa: ARG001 - the same for each class
    """It is new to whoever gets it, whatever the outcome of ours."""
    info: Body = {"uid": event["id"], "title": event["type"], "types": [event["type"]]}
    info["created_time"] = _milliseconds(event["time"])
    if "count" in event:
        info["related_events_count"] = event["count"]
    return {"finding_info": info, "status_id": 1, "status": "New"}


def _event_log(event: Body, tenant: str) -> Body:  # noqa: ARG001 - the same for each class
    return {"log_name": "audit", "log_provider": "Yett"}


_PARTS: Final[dict[int, Callable[[Body, str], Body]]] = {
    EVENT_LOG: _event_log,
    DETECTION_FINDING: _detection_finding,
    ACCOUNT_CHANGE: _account_change,
    AUTHENTICATION: _authentication,
    ENTITY_MANAGEMENT: _entity_management,
    USER_ACCESS: _user_access,
    API_ACTIVITY: _api_activity,
}


def _user(event: Body) -> Body:
    """Who it is about. A client that acts for itself, or an API key, is a service."""
    subject, name, client = event.get("subject"), event.get("user_name"), event.get("client_id")
    found: Body = {}
    if subject is not None:
        is_service = subject == client or subject.startswith("key/")
        found = {"uid": subject, "type_id": _SERVICE if is_service else _USER}
    if name is not None:
        found["name"] = name
    return found or {"name": _NOBODY, "type_id": UNKNOWN}


def _actor(event: Body) -> Body:
    """Who did it: an administrator, else whom it is about, else the client."""
    if "actor" in event:
        return {"user": {"name": event["actor"]}}
    if "subject" not in event and "user_name" not in event and "client_id" in event:
        return {"app_uid": event["client_id"]}
    return {"user": _user(event)}


def _source(event: Body) -> Body:
    """The client's address; where several are told of at once it is a network, which is no address."""
    address = event.get("address")
    if address is None:
        return {}
    try:
        return {"src_endpoint": {"ip": str(ip_address(address))}}
    except ValueError:
        return {"src_endpoint": {"name": address}}
