"""The sink ``elasticsearch``: ``_bulk`` of Elasticsearch and OpenSearch, into an index or a data stream.

Each event is created under its own id, so one that is sent again is there already (409) and not there twice. One that
does not fit the index (400) never will; 429 and the like are for now.
"""

import base64
import re
from collections.abc import Sequence

from gateway.outbound import Outbound, OutboundFailed
from gateway.settings.sink import ElasticsearchSink
from gateway.sinks.answer import json_of
from gateway.sinks.portions import in_portions
from gateway.sinks.record import Receipt, Record, compact, nothing

_ASKED = "_bulk?filter_path=errors,items.*.status,items.*.error.type"
_ERROR_TYPE = re.compile(r"[a-z_]{1,60}")
_THERE_ALREADY, _REFUSED = 409, 400
# What is said of one document. Any other 400 may be of the index (it is closed, an alias has none to write to), unless
# that has just taken another document.
_OF_THE_DOCUMENT = frozenset(
    ("mapper_parsing_exception", "document_parsing_exception", "strict_dynamic_mapping_exception")
)


class ElasticsearchTransmitter:
    """``secret``: an API key, or the password of the sink's user."""

    def __init__(self, outbound: Outbound, sink: ElasticsearchSink, *, secret: str | None) -> None:
        self._outbound = outbound
        self._url = f"{sink.url}/{sink.index}/{_ASKED}"
        self._headers = {"Content-Type": "application/x-ndjson", **_authorization(sink.username, secret)}

    async def send(self, records: Sequence[Record], /) -> Receipt:
        """Each item is looked at: some may be taken and others not."""
        lines = await in_portions(_lines, records)
        try:
            answer = await self._outbound.post(self._url, b"".join(lines), headers=self._headers)
        except OutboundFailed as error:
            return nothing(error.reason)
        if answer.status != 200:
            return nothing(f"status_{answer.status}")
        return _receipt(json_of(answer.body), len(records))


def _lines(record: Record) -> bytes:
    action = compact({"create": {"_id": record.id}})
    return b'%b\n{"@timestamp":%b,%b\n' % (action, compact(record.event["time"]), record.body[1:])


def _receipt(said: object, sent: int) -> Receipt:
    items = said.get("items") if isinstance(said, dict) else None
    if not isinstance(items, list) or len(items) != sent:
        return nothing("answer_malformed")
    taken: set[int] = set()
    others: dict[int, tuple[int, str]] = {}
    for place, item in enumerate(items):
        result = item.get("create") if isinstance(item, dict) else None
        status = result.get("status") if isinstance(result, dict) else None
        if not isinstance(status, int):
            return nothing("answer_malformed")
        if 200 <= status < 300 or status == _THERE_ALREADY:
            taken.add(place)
        else:
            others[place] = status, _error_type(result)
    refused, again = {}, []
    for place, (status, error) in others.items():
        told = f"item_{status}_{error}" if error else f"item_{status}"
        if status == _REFUSED and (taken or error in _OF_THE_DOCUMENT):
            refused[place] = told
        else:
            again.append(told)
    return Receipt(frozenset(taken), again[0] if again else None, refused)


def _error_type(result: object) -> str:
    error = result.get("error") if isinstance(result, dict) else None
    type_ = error.get("type") if isinstance(error, dict) else None
    return type_ if isinstance(type_, str) and _ERROR_TYPE.fullmatch(type_) else ""


def _authorization(username: str | None, secret: str | None) -> dict[str, str]:
    if secret is None:
        return {}
    if username is None:
        return {"Authorization": f"ApiKey {secret}"}
    return {"Authorization": f"Basic {base64.b64encode(f'{username}:{secret}'.encode()).decode()}"}
