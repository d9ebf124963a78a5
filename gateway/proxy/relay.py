"""A WebSocket between a client and an upstream: frames go through as they come, and the end goes both ways.

Owns back-pressure, the closing handshake (RFC 6455 section 7) and its time, the pings of our own, and what becomes of
one side when the other leaves or breaks the rules. Works on calls from the two transports and from the sweep of all
streams: it has no task and no timer. Not what a frame must look like (server/frames.py).

A Close can stand between two frames only. Whoever is in the middle of one when the relay ends sees the connection end
without it (1006), which is what the rest of that frame would have to wait for otherwise.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from gateway.server.frames import CLOSE, PING, PONG, FrameReader, MaskKeys, close_frame, frame

PING_AFTER = 30.0  # seconds of silence, after which a side is asked whether it is there
GONE_AFTER = 60.0  # seconds of silence, or of taking nothing, after which it is not
CLOSE_TIME = 5.0  # seconds for the closing handshake

GOING_AWAY, PROTOCOL_ERROR, INTERNAL_ERROR, SERVICE_RESTART = 1001, 1002, 1011, 1012


class End(Protocol):
    """The transport of one side."""

    @property
    def unwritten(self) -> int: ...
    def write(self, data: bytes) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def close(self) -> None: ...
    def linger(self) -> None: ...
    def abort(self) -> None: ...


class Side:
    """One of the two: what it sends is read here, and what it is sent is written here."""

    def __init__(self, relay: "Relay", *, name: str, client: bool, keys: MaskKeys, away: int) -> None:
        self.name = name
        self.away = away  # what the other side is told when this one is gone
        self.reader = FrameReader(
            masked=client, draw=keys.draw if client else None, on_control=lambda *control: relay.control(self, *control)
        )
        self.draw = None if client else keys.draw  # what we send to a server is masked
        self.end: End | None = None
        self.here = True
        self.blocked = False  # it takes nothing at present
        self.moved = 0.0  # when it last took something of what waits
        self.waiting = 0  # bytes, by then
        self.held = False  # nothing is read of it
        self.heard = 0.0
        self.asks = b""  # what is in our Pings to it
        self.asked_at: float | None = None  # when it was sent one, if nothing was heard of it since
        self.passed = 0  # bytes of its frames that went on to the other
        self.told_close = False
        self.said_close = False
        self._relay = relay

    def opened(self, end: End) -> None:
        """The connection stands."""
        self.end = end

    def received(self, data: bytes) -> None:
        """It sent these."""
        self._relay.received(self, data)

    def full(self) -> None:
        """It takes nothing at present."""
        self._relay.full(self)

    def free(self) -> None:
        """It takes what it is sent again."""
        self._relay.free(self)

    def gone(self) -> None:
        """It has closed, or the connection is lost."""
        self._relay.gone(self)

    def leave(self) -> None:
        """The server stops."""
        self._relay.end(SERVICE_RESTART, "the server stops: connect again")

    def heard_at(self, now: float) -> None:
        """It is there; or its time begins anew."""
        self.heard, self.asked_at = now, None

    @property
    def done(self) -> bool:
        """Whether the closing handshake with it is over."""
        return not self.here or (self.told_close and self.said_close)

    def write(self, data: bytes) -> None:
        """Send, if there is anything to send and anybody to send it to."""
        if data and self.here and self.end is not None:
            self.end.write(data)

    def key(self) -> bytes | None:
        """For the next frame of our own."""
        return None if self.draw is None else self.draw()


class Relay:
    """``client`` and ``upstream`` are told of by their transports. ``over`` is done when both are closed.

    ``clock`` is monotonic seconds. ``fault`` says who broke which rule, for the log.
    """

    def __init__(self, clock: Callable[[], float], keys: MaskKeys) -> None:
        self._clock = clock
        self._keys = keys
        self._loop = asyncio.get_running_loop()
        self._until: float | None = None  # the end of the closing handshake
        self._closing = False  # of the connections
        self.fault: str | None = None
        self.over: asyncio.Future[None] = self._loop.create_future()
        self.client = Side(self, name="client", client=True, keys=keys, away=GOING_AWAY)
        self.upstream = Side(self, name="upstream", client=False, keys=keys, away=INTERNAL_ERROR)
        self.client.heard = self.upstream.heard = clock()

    def other(self, side: Side) -> Side:
        """The one that is not this one."""
        return self.upstream if side is self.client else self.client

    # What the transports tell.

    def received(self, side: Side, data: bytes) -> None:
        """Bytes of one side: for the other."""
        reader, other = side.reader, self.other(side)
        side.heard_at(self._clock())
        if reader.ended:
            return
        quiet = other.told_close  # nothing may follow a Close, so the rest is only looked through for its answer
        passed = reader.feed(data)
        if not quiet:
            side.passed += len(passed)
            other.write(passed)
        if reader.fault is not None:
            self._break(side, reader.fault)
            return
        if reader.rest:
            self._loop.call_soon(self._go_on, side)
        self._regulate(side)
        if self._until is not None:
            self._finish_if_done()

    def control(self, side: Side, opcode: int, payload: bytes) -> bool:
        """A whole control frame; whether the other side is to see it."""
        other = self.other(side)
        if opcode == PONG and payload and payload == side.asks:
            return False
        if opcode != CLOSE:
            return True
        side.said_close = True
        self._begin_to_close()
        passed = other.here and not other.told_close
        other.told_close = True
        return passed

    def full(self, side: Side) -> None:
        """Its buffer is over the high-water mark: the other one waits."""
        side.blocked, side.moved, side.waiting = True, self._clock(), 0
        self._regulate(self.other(side))

    def free(self, side: Side) -> None:
        """It is below the low-water mark."""
        side.blocked = False
        side.heard_at(self._clock())
        self._regulate(self.other(side))

    def gone(self, side: Side) -> None:
        """No byte comes from it any more, nor goes there."""
        if side.here:
            side.here = False
            self.end(side.away, f"the {side.name} is gone")
            self._finish_if_done()

    # How it ends.

    def end(self, code: int, reason: str) -> None:
        """Tell both sides, as far as they were not told."""
        for side in (self.client, self.upstream):
            if not side.here or side.told_close:
                continue
            if self.other(side).reader.inside:
                self._drop(side)
            else:
                side.told_close = True
                side.write(close_frame(code, reason, side.key()))
        self._begin_to_close()
        self._finish_if_done()

    def sweep(self, now: float) -> None:
        """Called every quarter of a second, or so."""
        if self._until is not None:
            if now >= self._until:
                self.abort()
            return
        for side in (self.client, self.upstream):
            if self._is_dead(side, now):
                self._drop(side)
                return
            if (
                now - side.heard >= PING_AFTER
                and not (side.held or side.blocked or self.other(side).reader.inside)
                and side.asked_at is None
            ):
                side.asks = side.asks or self._keys.draw() + self._keys.draw()
                side.asked_at = now
                side.write(frame(PING, side.asks, side.key()))

    def abort(self) -> None:
        """Whatever is left of both connections ends now."""
        for side in (self.client, self.upstream):
            self._drop(side)

    def _go_on(self, side: Side) -> None:
        if side.reader.rest:
            self.received(side, b"")

    def _regulate(self, side: Side) -> None:
        """Read from it, or leave it waiting: for the other one to take it, and for us to have come to its end."""
        held = self.other(side).blocked or bool(side.reader.rest)
        if held is not side.held and side.end is not None:
            side.held = held
            side.heard_at(self._clock())
            if held:
                side.end.pause_reading()
            else:
                side.end.resume_reading()

    def _break(self, side: Side, fault: str) -> None:
        """It does not keep to the protocol (section 7.1.7): nothing that follows can be understood."""
        self.fault = f"{side.name}: {fault}"
        side.said_close = True
        self.end(PROTOCOL_ERROR, fault)

    def _is_dead(self, side: Side, now: float) -> bool:
        if side.blocked and side.end is not None:
            waiting = side.end.unwritten
            if waiting != side.waiting:
                side.waiting, side.moved = waiting, now
            return now - side.moved >= GONE_AFTER
        if side.held:
            return False
        if side.reader.inside:  # it owes the rest, and could not answer
            return now - side.heard >= GONE_AFTER
        # Who is sent a long frame cannot be asked, and may have nothing to say.
        return side.asked_at is not None and now - side.asked_at >= GONE_AFTER - PING_AFTER

    def _drop(self, side: Side) -> None:
        if side.here and side.end is not None:
            side.end.abort()
            self.gone(side)

    def _begin_to_close(self) -> None:
        if self._until is None:
            self._until = self._clock() + CLOSE_TIME

    def _finish_if_done(self) -> None:
        """Close what may be closed. It is over when both are: what was written last goes out before."""
        if not (self.client.done and self.upstream.done):
            return
        if not self._closing:
            self._closing = True
            for side in (self.client, self.upstream):
                if side.here and side.end is not None:
                    if side.reader.fault is None:
                        side.end.close()
                    else:  # it sends on: to close now would reset the connection, and our Close be lost with it
                        side.end.linger()
        if not (self.client.here or self.upstream.here or self.over.done()):
            self.over.set_result(None)
