"""WebSocket frames on their way through (RFC 6455 section 5): read strictly, passed on in the pieces that come.

Owns what a frame must look like, and its masking. A frame is never held, but for control frames, which are small. Text
is not checked to be UTF-8: whom it is for has to do that anyway, and it may be cut anywhere. Not what a control frame
brings about (proxy/relay.py). No extension is spoken, so reserved bits are a violation.
"""

import os
from collections.abc import Callable
from typing import Final

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

_KNOWN = frozenset({CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG})
_FIN, _RESERVED, _MASKED = 0x80, 0x70, 0x80
_SHORT, _MOST_OF_CONTROL = 126, 125
_LONGEST_HEAD = 14
_AT_ONCE = 64  # frames of one turn of the event loop: empty ones cost few bytes, and time as others do
_KEYS_AT_ONCE = 256
_NO_KEY = bytes(4)
_REGISTERED = frozenset({1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014})
_FIRST_PRIVATE, _LAST_PRIVATE = 3000, 4999


class MaskKeys:
    """Draws masking keys that nobody can guess (section 10.3), many at once: each system call costs a microsecond."""

    __slots__ = ("_at", "_drawn")

    def __init__(self) -> None:
        self._drawn = b""
        self._at = 0

    def draw(self) -> bytes:
        """Four bytes that were not used before."""
        at = self._at
        if at == len(self._drawn):
            self._drawn, at = os.urandom(4 * _KEYS_AT_ONCE), 0
        self._at = at + 4
        return self._drawn[at : at + 4]


def frame(opcode: int, payload: bytes = b"", key: bytes | None = None) -> bytes:
    """A whole frame; masked where it gets a ``key``."""
    head = _head(_FIN | opcode, len(payload), key)
    return head + (payload if key is None else _masked(payload, key, 0))


def close_frame(code: int, reason: str, key: bytes | None = None) -> bytes:
    """A Close (section 5.5.1)."""
    return frame(CLOSE, code.to_bytes(2, "big") + reason.encode(), key)


class FrameReader:
    """What one side sends. ``masked`` says whether its frames must be (a client's), or must not be (a server's).

    ``draw`` gives the key of each frame that is passed on; None passes them on without. ``on_control`` gets each Close,
    Ping and Pong, and says whether it is passed on.
    """

    __slots__ = (
        "_control",
        "_draw",
        "_fragmented",
        "_head",
        "_key",
        "_left",
        "_masked",
        "_on_control",
        "_opcode",
        "_phase",
        "ended",
        "fault",
        "rest",
    )

    def __init__(
        self, *, masked: bool, draw: Callable[[], bytes] | None, on_control: Callable[[int, bytes], bool]
    ) -> None:
        self.fault: str | None = None  # what it did that may not be
        self.ended = False  # by a Close or a fault: nothing of it counts any more
        self.rest = b""  # what ``feed`` did not come to; an empty ``feed`` goes on with it
        self._masked = masked
        self._draw = draw
        self._on_control = on_control
        self._head = bytearray()
        self._opcode = CONTINUATION
        self._left = 0  # of the payload
        self._key = _NO_KEY  # between what comes and what is passed on
        self._phase = 0
        self._fragmented = False  # a message has begun whose last frame has not
        self._control = bytearray()

    @property
    def inside(self) -> bool:
        """Whether a part of a frame was passed on: nothing may be sent before the rest of it."""
        return self._left > 0 and self._opcode < CLOSE

    def feed(self, data: bytes) -> bytes:
        """What is to be passed on of it. Look at ``fault``, ``ended`` and ``rest`` afterwards."""
        if self.rest:
            data, self.rest = self.rest + data, b""
        out: list[bytes] = []
        at = frames = 0
        while at < len(data) and not self.ended:
            if self._left:
                piece = data[at : at + self._left]
                at += len(piece)
                self._take(piece, out)
            elif frames == _AT_ONCE:
                self.rest = data[at:]
                break
            else:
                at = self._read_head(data, at, out)
                frames += 1
        return b"".join(out)

    def _read_head(self, data: bytes, at: int, out: list[bytes]) -> int:
        """Goes on with a frame's head. Where it has read up to."""
        head = self._head
        if not head and len(data) - at >= _LONGEST_HEAD:
            end = at + _length_of_head(data[at : at + 2])
            self._begin(data[at:end], out)
            return end
        while at < len(data) and len(head) < (length := _length_of_head(head)):
            taken = data[at : at + length - len(head)]
            head += taken
            at += len(taken)
        if len(head) == _length_of_head(head):
            self._head = bytearray()
            self._begin(bytes(head), out)
        return at

    def _begin(self, head: bytes, out: list[bytes]) -> None:
        first, second = head[0], head[1]
        opcode, size = first & 0x0F, second & 0x7F
        masked = bool(second & _MASKED)
        extended = head[2 : len(head) - 4 * masked]
        if extended:
            size = int.from_bytes(extended, "big")
        self.fault = self._wrong(first, opcode, size, len(extended)) or (
            None if masked is self._masked else "a frame is not masked" if self._masked else "a frame is masked"
        )
        if self.fault is not None:
            self.ended = True
            return
        self._opcode, self._left, self._phase = opcode, size, 0
        self._key = head[-4:] if masked else _NO_KEY
        if opcode < CLOSE:
            self._fragmented = not first & _FIN
            key = self._draw() if self._draw is not None else None
            out.append(_head(first, size, key))
            if key is not None:
                self._key = _masked(key, self._key, 0)
        elif not size:
            self._finish_control(out)

    def _wrong(self, first: int, opcode: int, size: int, extended: int) -> str | None:
        if first & _RESERVED:
            return "a reserved bit is set"
        if opcode not in _KNOWN:
            return "the opcode is unknown"
        if opcode >= CLOSE:
            if not first & _FIN:
                return "a control frame is fragmented"
            return "a control frame is too long" if size > _MOST_OF_CONTROL or extended else None
        if (extended == 2 and size < _SHORT) or (extended == 8 and not 0xFFFF < size < 1 << 63):
            return "the length is not written in its shortest form"
        if opcode == CONTINUATION and not self._fragmented:
            return "there is nothing to continue"
        if opcode != CONTINUATION and self._fragmented:
            return "a message begins inside another"
        return None

    def _take(self, piece: bytes, out: list[bytes]) -> None:
        self._left -= len(piece)
        if self._opcode < CLOSE:
            out.append(piece if self._key == _NO_KEY else _masked(piece, self._key, self._phase))
            self._phase = (self._phase + len(piece)) % 4
            return
        self._control += piece
        if not self._left:
            self._finish_control(out)

    def _finish_control(self, out: list[bytes]) -> None:
        payload, self._control = _masked(bytes(self._control), self._key, 0), bytearray()
        if self._opcode == CLOSE:
            self.ended = True
            self.fault = _wrong_close(payload)
            if self.fault is not None:
                return
        if self._on_control(self._opcode, payload):
            out.append(frame(self._opcode, payload, None if self._draw is None else self._draw()))


def _length_of_head(head: bytes | bytearray) -> int:
    """As far as it can be told."""
    if len(head) < 2:
        return 2
    short = head[1] & 0x7F
    return 2 + (0 if short < _SHORT else 2 if short == _SHORT else 8) + (4 if head[1] & _MASKED else 0)


def _head(first: int, size: int, key: bytes | None) -> bytes:
    flag, behind = (0, b"") if key is None else (_MASKED, key)
    if size < _SHORT:
        return bytes((first, flag | size)) + behind
    if size <= 0xFFFF:
        return bytes((first, flag | _SHORT)) + size.to_bytes(2, "big") + behind
    return bytes((first, flag | _SHORT + 1)) + size.to_bytes(8, "big") + behind


def _masked(data: bytes, key: bytes, phase: int) -> bytes:
    """Section 5.3, on whole numbers as long as the data: byte by byte it takes fifty times as long."""
    size = len(data)
    pad = ((key[phase:] + key[:phase]) * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "little") ^ int.from_bytes(pad, "little")).to_bytes(size, "little")


def _wrong_close(payload: bytes) -> str | None:
    """Sections 5.5.1 and 7.4; the codes are those that IANA has registered, and the private ones."""
    if not payload:
        return None
    code = int.from_bytes(payload[:2], "big")
    if len(payload) == 1 or not (code in _REGISTERED or _FIRST_PRIVATE <= code <= _LAST_PRIVATE):
        return "the close code is none"
    try:
        payload[2:].decode()
    except UnicodeDecodeError:
        return "the close reason is not UTF-8"
    return None
