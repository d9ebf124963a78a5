"""``/audit``: what happened in a tenant, and the proof of one event, for the reader's browser to verify."""

import json
from urllib.parse import urlencode

from gateway.console.api import ApiRefused
from gateway.console.users_page import id_in
from gateway.console.visit import Answer, Page, Show, Visit
from policies.severity import LEVELS

_FILTERS = ("type", "subject", "severity", "since", "until")


async def _list(visit: Visit) -> Answer:
    asked = visit.given(*_FILTERS, "cursor")
    events, next_cursor, error, status = [], None, None, 200
    try:
        found = await visit.api.get(f"{visit.api_tenant}/audit/events", asked)
        events, next_cursor = found["items"], found["next_cursor"]
    except ApiRefused as refused:
        if not refused.mistake:
            raise
        error, status = refused.told, refused.status
    asked.pop("cursor", None)
    context = {
        "events": events,
        "next_cursor": next_cursor,
        "error": error,
        "asked": {name: asked.get(name, "") for name in _FILTERS},
        "query": urlencode(asked),
        "severities": LEVELS,
    }
    return Show("audit.html", "Audit log", context, status=status)


async def _one(visit: Visit) -> Answer:
    event_id = id_in(visit)
    found = await visit.api.get(f"{visit.api_tenant}/audit/events/{event_id}")
    checkpoint = await visit.api.get(f"{visit.api_tenant}/audit/checkpoint")
    context = {
        "event_id": event_id,
        "found": found,
        "text": None if found["event"] is None else json.dumps(found["event"], indent=2, ensure_ascii=False),
        "key": checkpoint["key"],
    }
    return Show("event.html", "Audit event", context, script="audit_page.js")


PAGES = (Page("/audit", show=_list, of_tenant=True), Page("/audit/{id}", show=_one, of_tenant=True))
