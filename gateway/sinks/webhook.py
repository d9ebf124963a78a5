"""The sink ``webhook``: a batch of events in one POST, signed by Standard Webhooks 1.0.

``webhook-id`` is made of the ids of the events, so a batch that is sent again has the same; one that has grown in
between has another, and a receiver that must not count twice looks at the events' own ids.
"""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Callable, Sequence
from datetime import datetime

from gateway.outbound import Outbound, OutboundFailed
from gateway.sinks.record import Receipt, Record, all_of, compact, nothing

TYPE = "yett.events"


class WebhookTransmitter:
    """``keys``: each signs, so that one can be replaced without a gap."""

    def __init__(self, outbound: Outbound, url: str, keys: Sequence[bytes], clock: Callable[[], datetime]) -> None:
        self._outbound = outbound
        self._url = url
        self._keys = tuple(keys)
        self._clock = clock

    async def send(self, records: Sequence[Record], /) -> Receipt:
        """Any status from 200 to 299 is a yes. A redirect is not followed, and is none."""
        around = {"type": TYPE, "timestamp": records[-1].event["time"]}
        events = b",".join(record.body for record in records)
        body = b'%b,"data":{"events":[%b]}}' % (compact(around)[:-1], events)
        try:
            # A signature of a megabyte takes a thread milliseconds, in which the loop runs.
            headers = await asyncio.to_thread(self._headers, records, body)
            answer = await self._outbound.post(self._url, body, headers=headers)
        except OutboundFailed as error:
            return nothing(error.reason)
        return all_of(records) if 200 <= answer.status < 300 else nothing(f"status_{answer.status}")

    def _headers(self, records: Sequence[Record], body: bytes) -> dict[str, str]:
        ids = hashlib.sha256("\n".join(record.id for record in records).encode()).hexdigest()[:32]
        told, now = f"msg_{ids}", int(self._clock().timestamp())
        return {
            "Content-Type": "application/json",
            "webhook-id": told,
            "webhook-timestamp": str(now),
            "webhook-signature": signature(self._keys, told, now, body),
        }


def signature(keys: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> str:
    """``v1,…`` of each key, with blanks in between."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    digests = (hmac.new(key, signed, hashlib.sha256).digest() for key in keys)
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)
