"""A WebSocket's exchange (RFC 6455): the handshake with the upstream, and after its 101 the relay of frames.

The client's 101 follows the upstream's; any other answer is passed on as it is. Towards the upstream the gateway is a
client of its own, with its own key. Extensions are dropped from what is asked: whoever speaks of compression would have
to be believed about the size of what it unpacks. Owns the exchange's order; not the frames (relay.py).
"""

import os
from base64 import b64encode

import structlog

from gateway.proxy import handshake
from gateway.proxy.connection import UpstreamConnection
from gateway.proxy.forward import Exchange, stop
from gateway.proxy.long_answer import StreamEnded
from gateway.proxy.relay import Relay
from gateway.proxy.request import ProxiedRequest
from gateway.proxy.streams import Ended
from gateway.proxy.switch import SwitchingUpstream
from gateway.proxy.upstream import ClientGone, UpstreamMalformed
from gateway.server.frames import MaskKeys
from gateway.server.upgraded import UPGRADE
from policies import websocket
from policies.websocket import YETT, Handshake, NoHandshake, NotAccepted

log = structlog.get_logger("yett.proxy")
_KEYS = MaskKeys()

Fields = list[tuple[bytes, bytes]]


class WebSocketExchange(Exchange):
    """An exchange like any other until the upstream's answer is 101, which is why it is made of one."""

    __slots__ = ("_asked", "_key", "_opened", "_relay", "_switching")

    async def open(self) -> UpstreamConnection:
        """As of any exchange, where there is room for one that may last."""
        self._pool.begin_upgrade(self)
        try:
            connection = await super().open()
        except BaseException:
            self._pool.end_upgrade(self)
            raise
        self._opened = True
        return connection

    @property
    def received(self) -> int:
        """Bytes of the client's frames that went on, once there are any, else of the request's body."""
        return super().received if self._relay is None else self._relay.client.passed

    async def relay(self, connection: UpstreamConnection, headers: Fields) -> None:
        """Pass the answer on, or what follows a 101."""
        if connection.status == 101 and self._switching is not None:
            await self._speak(self._switching, headers)
        else:
            await super().relay(connection, headers)

    async def cut(self) -> None:
        """The relay has told its client."""
        if self._switching is None or not self._switching.fields:
            await super().cut()

    def _prepared(self, head: bytes) -> bytes:
        asked = handshake.read(self.request.scope)
        if isinstance(asked, NoHandshake):
            raise AssertionError("only a handshake gets here")
        self._asked = asked
        self._key = b64encode(os.urandom(16))
        self._switching: SwitchingUpstream | None = None
        self._opened = False
        self._relay: Relay | None = None
        return head.removesuffix(b"\r\n") + _lines(asked, self._key)

    def _begin(self, connection: UpstreamConnection) -> None:
        super()._begin(connection)
        self._switching = SwitchingUpstream(connection)

    def _give_back(self) -> None:
        super()._give_back()
        if self._opened:  # else it is sent once more, on another connection
            self._pool.end_upgrade(self)

    async def _speak(self, upstream: SwitchingUpstream, headers: Fields) -> None:
        chosen = websocket.chosen(upstream.fields, self._key, self._asked.protocols)
        if isinstance(chosen, NotAccepted):
            raise UpstreamMalformed(chosen.detail)
        if self._watcher is not None:  # from here on the client is the relay's
            watcher, self._watcher = self._watcher, None
            await stop(watcher)
        if self._gone:
            raise ClientGone
        relay = self._relay = Relay(self._streams.clock, _KEYS)
        stream = _Socket(relay, self.request)
        relay.upstream.opened(upstream)
        self.started = True
        try:
            fields = _answer(headers, self._asked, chosen)
            await self._send({"type": UPGRADE, "headers": fields, "receiver": relay.client})
            self._streams.discard(self)
            self._streams.add(stream)
            upstream.speak(relay.upstream)
            await relay.over
        finally:
            self._streams.discard(stream)
            relay.abort()
            self.relayed = relay.upstream.passed
        if relay.fault is not None:
            log.info("websocket_broken", detail=relay.fault, request_id=self.request.ids.text)
        if stream.ended is not None:
            raise StreamEnded(stream.ended)


class _Socket:
    """A running relay as a stream."""

    __slots__ = ("_relay", "ended", "request")

    def __init__(self, relay: Relay, request: ProxiedRequest) -> None:
        self._relay = relay
        self.request = request
        self.ended: Ended | None = None

    def end(self, ended: Ended) -> None:
        self.ended = self.ended or ended
        self._relay.end(ended.close_code, ended.text)

    def sweep(self, now: float) -> None:
        self._relay.sweep(now)


def _lines(asked: Handshake, key: bytes) -> bytes:
    """The end of the request's head."""
    pieces = [
        b"connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: %b\r\n" % key
    ]
    if asked.protocols:
        pieces.append(b"sec-websocket-protocol: %b\r\n" % b", ".join(asked.protocols))
    return b"".join((*pieces, b"\r\n"))


def _answer(headers: Fields, asked: Handshake, chosen: bytes | None) -> Fields:
    """The fields of the client's 101. Who offered ``yett`` has to be told a subprotocol: browsers insist on one."""
    fields = [field for field in headers if not field[0].startswith(b"sec-websocket-")]
    protocol = chosen or (YETT if YETT in asked.protocols else None)
    fields += (
        (b"connection", b"Upgrade"),
        (b"upgrade", b"websocket"),
        (b"sec-websocket-accept", websocket.accept_value(asked.key)),
    )
    return fields if protocol is None else [*fields, (b"sec-websocket-protocol", protocol)]
