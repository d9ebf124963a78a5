"""A line of the access log: JSON with every fact that the decision went by, so that it can be decided again.

Never a token (not in a path either), an ``Authorization``, a cookie or a query, all of which carry secrets; of a
token's claims those only that a rule of the configuration names. What a stranger wrote is text within JSON in ASCII, so
no line can be forged.
"""

from datetime import UTC, datetime
from typing import Any

from gateway.proxy.access_log import Record, Way
from gateway.proxy.own_answer import OwnAnswer
from gateway.proxy.refusal import Refusal
from gateway.proxy.shown_path import shown_path
from gateway.proxy.verdict import decision_of, in_words
from policies.principal import Principal
from tenants.compact_json import compact_ascii

GAP = "access_log.gap"


def line(record: Record) -> bytes:
    """The line of a record of ``AccessLog``."""
    (
        (at, started),
        decided,
        ended,
        digest,
        claims,
        sample,
        partial,
        ids,
        outcome,
        status,
        matched,
        would,
        method,
        host,
        raw_path,
        address,
        authorized,
        upgrade,
        preflight,
        principal,
        token_refused,
        proved_tenant,
        way,
        sizes,
        asked,
    ) = record
    path = shown_path(raw_path)
    said: dict[str, Any] = {
        "time": _time(at),
        "request_id": ids.text,
        "config": digest,
        **_decision(outcome, would),
        "status": status,
        "route": None if matched is None else matched.route.name,
        "method": method,
        "host": host.decode("latin-1"),
        "path": path,
        "address": address,
        **_token(principal, token_refused, authorized=authorized),
    }
    if sample < 1:
        said["sample"] = sample
    elif partial:
        said["partial"] = True
    if len(path) != len(raw_path):
        said["masked"] = True
    if asked:
        said["forward_auth"] = True
    if upgrade is not None:
        said["upgrade"] = upgrade.decode("latin-1")
    if preflight is not None:
        said["preflight"] = preflight
    if principal is not None:
        said |= _caller(principal, claims)
    elif proved_tenant is not None:
        said["tenant_id"] = str(proved_tenant)
    times = {"decide": decided - started}
    if way is not None:
        said |= _way(way, *sizes[:2])
        times["connect"] = sizes[2]
        if way.first_byte is not None:
            times["first_byte"] = way.first_byte - started
    times["total"] = ended - started
    said["ms"] = {name: round(seconds * 1000, 3) for name, seconds in times.items()}
    return compact_ascii(said) + b"\n"


def gap(count: int) -> bytes:
    """So many lines are missing somewhere before this one."""
    said = {"time": _time(datetime.now(UTC).timestamp()), "event": GAP, "dropped": count}
    return compact_ascii(said) + b"\n"


def _decision(outcome: Refusal | OwnAnswer | None, would: Refusal | None) -> dict[str, Any]:
    decision, reason = in_words(outcome)
    found: dict[str, Any] = {"decision": decision, "reason": reason}
    if would is not None:
        found["would"] = {"decision": decision_of(would), "reason": would.reason}
    return found


def _token(principal: Principal | None, refused: Refusal | None, *, authorized: bool) -> dict[str, str]:
    """``unread``: one came, and nothing there asked for it."""
    if principal is not None:
        return {"token": "valid"}
    if refused is not None and refused.reason != "token_missing":
        return {"token": "refused", "token_reason": refused.reason}
    return {"token": "unread" if authorized and refused is None else "none"}


def _caller(principal: Principal, claims: tuple[str, ...]) -> dict[str, Any]:
    said: dict[str, Any] = {
        "tenant": principal.tenant,
        "tenant_id": str(principal.tenant_id),
        "subject": principal.subject,
        "client_id": principal.client_id,
        "api_key": principal.api_key_id,
        "scopes": sorted(principal.scopes),
        "audiences": sorted(principal.audiences),
        "acr": principal.acr,
        "amr": sorted(principal.amr),
        "auth_time": principal.auth_time,
    }
    if claims:
        said["claims"] = {name: principal.claims[name] for name in claims if name in principal.claims}
        said["claims_read"] = claims
    return said


def _way(way: Way, received: int, relayed: int) -> dict[str, Any]:
    said: dict[str, Any] = {
        "upstream": way.upstream,
        "target": way.target,
        "bytes_in": received,
        "bytes_out": relayed,
    }
    if way.fault is not None:
        said["fault"] = way.fault
    return said


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"
