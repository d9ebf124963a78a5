"""The sink ``elasticsearch``: ``_bulk`` of Elasticsearch and OpenSearch, into an index or a data stream.

Each event is created under its own id, so one that is sent again is there already (409) and not there twice.
"""

import base64
import re
from collections.abc import Sequence

from gateway.outbound import Outbound, OutboundFailed
from gateway.settings.sink import ElasticsearchSink
from gateway.sinks.answer import json_of
from gateway.sinks.record import Receipt, Record, compact, nothing

_ASKED = "_bulk?filter_path=errors,items.*.status,items.*.error.type"
_ERROR_TYPE = re.compile(r"[a-z_]{1,60}")
_THERE_ALREADY = 409


class ElasticsearchTransmitter:
    """``secret``: an API key, or the password of the sink's user."""

    def __init__(self, outbound: Outbound, sink: ElasticsearchSink, *, secret: str | None) -> None:
        self._outbound = outbound
        self._url = f"{sink.url}/{sink.index}/{_ASKED}"
        self._headers = {"Content-Type": "application/x-ndjson", **_authorization(sink.username, secret)}

    async def send(self, records: Sequence[Record], /) -> Receipt:
        """Each item is looked at: some may be taken and others not."""
        lines = []
        for record in records:
            lines.append(compact({"create": {"_id": record.id}}))
            lines.append(compact({"@timestamp": record.event["time"], **record.body}))
        try:
            answer = await self._outbound.post(self._url, b"\n".join(lines) + b"\n", headers=self._headers)
        except OutboundFailed as error:
            return nothing(error.reason)
        if answer.status != 200:
            return nothing(f"status_{answer.status}")
        return _receipt(json_of(answer.body), len(records))


def _receipt(said: object, sent: int) -> Receipt:
    items = said.get("items") if isinstance(said, dict) else None
    if not isinstance(items, list) or len(items) != sent:
        return nothing("answer_malformed")
    taken: set[int] = set()
    problem = None
    for place, item in enumerate(items):
        result = item.get("create") if isinstance(item, dict) else None
        status = result.get("status") if isinstance(result, dict) else None
        if not isinstance(status, int):
            return nothing("answer_malformed")
        if 200 <= status < 300 or status == _THERE_ALREADY:
            taken.add(place)
        elif problem is None:
            problem = f"item_{status}{_error_type(result)}"[:100]
    return Receipt(frozenset(taken), problem)


def _error_type(result: object) -> str:
    error = result.get("error") if isinstance(result, dict) else None
    type_ = error.get("type") if isinstance(error, dict) else None
    return f"_{type_}" if isinstance(type_, str) and _ERROR_TYPE.fullmatch(type_) else ""


def _authorization(username: str | None, secret: str | None) -> dict[str, str]:
    if secret is None:
        return {}
    if username is None:
        return {"Authorization": f"ApiKey {secret}"}
    return {"Authorization": f"Basic {base64.b64encode(f'{username}:{secret}'.encode()).decode()}"}
