"""How the body of a request is framed towards the upstream (RFC 9112 section 6). Not who asks the client for it."""

from collections.abc import Mapping
from typing import Any

from gateway.proxy.headers import Inbound
from gateway.proxy.upstream import BodyTooLarge, ClientGone

_SMALL_BODY = 64 * 1024


class RequestBody:
    """By its length, in chunks, or not there at all.

    ``most`` bounds one in chunks; a length has been looked at before.
    """

    __slots__ = ("chunked", "ended", "length", "most", "sent")

    def __init__(self, *, length: int | None, chunked: bool, most: int | None = None) -> None:
        self.length = length
        self.most = most
        self.chunked = chunked
        self.sent = 0
        self.ended = not chunked and not length

    @property
    def small(self) -> bool:
        """Whether its first piece may be waited for before an upstream is troubled."""
        return not self.chunked and self.length is not None and self.length <= _SMALL_BODY

    def frame(self, message: Mapping[str, Any]) -> bytes:
        """What goes out for one ``http.request`` message. Raises ``ClientGone`` for a body that breaks its word, or
        ``BodyTooLarge``.
        """
        body: bytes = message.get("body", b"")
        self.sent += len(body)
        self.ended = not message.get("more_body", False)
        if self.chunked:
            if self.most is not None and self.sent > self.most:
                raise BodyTooLarge(f"the body has more than {self.most} bytes")
            piece = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            return piece + b"0\r\n\r\n" if self.ended else piece
        if self.sent > (self.length or 0) or (self.ended and self.sent != (self.length or 0)):
            raise ClientGone("the body is not as long as it was said to be")
        return body


NO_BODY = RequestBody(length=None, chunked=False)
"""That of most requests; it has ended before it began, so nothing in it ever changes."""


def body_of(inbound: Inbound, most: int | None) -> RequestBody:
    """That of this request, of which ``most`` bytes are let through."""
    if inbound.coded:
        return RequestBody(length=None, chunked=True, most=most)
    return RequestBody(length=int(inbound.length), chunked=False) if inbound.length else NO_BODY
