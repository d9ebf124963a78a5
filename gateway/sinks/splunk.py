"""The sink ``splunk_hec``: a batch in one POST to Splunk's HTTP Event Collector."""

import asyncio
import gzip
from collections.abc import Sequence

from gateway.outbound import Outbound, OutboundFailed
from gateway.settings.sink import SplunkSink
from gateway.sinks.answer import json_of
from gateway.sinks.portions import in_portions
from gateway.sinks.record import Body, Receipt, Record, all_of, compact, nothing

_PATH = "/services/collector/event"
_TAKEN = 0


class SplunkTransmitter:
    """``host`` is ours, as events have it."""

    def __init__(self, outbound: Outbound, sink: SplunkSink, *, token: str, host: str) -> None:
        self._outbound = outbound
        self._sink = sink
        self._token = token
        self._host = host

    async def send(self, records: Sequence[Record], /) -> Receipt:
        """Taken is what is answered with 200 and the code 0."""
        body = b"".join(await in_portions(self._wrapped, records))
        headers = {"Content-Type": "application/json", "Authorization": f"Splunk {self._token}"}
        if self._sink.gzip:
            body, headers["Content-Encoding"] = await asyncio.to_thread(gzip.compress, body, 5), "gzip"
        try:
            answer = await self._outbound.post(self._sink.url + _PATH, body, headers=headers)
        except OutboundFailed as error:
            return nothing(error.reason)
        if answer.status != 200:
            return nothing(f"status_{answer.status}")
        said = json_of(answer.body)
        code = said.get("code") if isinstance(said, dict) else None
        if not isinstance(code, int):
            return nothing("answer_malformed")
        return all_of(records) if code == _TAKEN else nothing(f"code_{code}"[:40])

    def _wrapped(self, record: Record) -> bytes:
        wrapped: Body = {
            "time": f"{record.at.timestamp():.6f}",
            "host": self._host,
            "source": "yett",
            "sourcetype": self._sink.sourcetype,
            "fields": {"tenant": record.tenant, "event_id": record.id},
        }
        if self._sink.index is not None:
            wrapped["index"] = self._sink.index
        return b'%b,"event":%b}' % (compact(wrapped)[:-1], record.body)
