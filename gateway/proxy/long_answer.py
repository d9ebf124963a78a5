"""How an exchange ends whose request would not be allowed any more.

A long answer is broken off, so that nobody takes a part for all of it. Server-sent events are ended in order: there is
no last one, and a page that sees the end connects anew, with the token that it has by then.
"""

from gateway.proxy.answer_headers import AnswerHead
from gateway.proxy.streams import Ended
from gateway.proxy.upstream import ClientGone
from gateway.server.asgi import Send
from gateway.server.cycle import ABORT

_EVENTS = b"text/event-stream"


class StreamEnded(ClientGone):
    """The gateway gives an exchange up in its client's place."""

    def __init__(self, ended: Ended) -> None:
        super().__init__(ended.reason)
        self.ended = ended


async def cut(head: AnswerHead, send: Send) -> None:
    """End an answer with this head, of which the client has seen a part."""
    kind = next((value for name, value in head.fields if name == b"content-type"), b"")
    if kind.partition(b";")[0].strip().lower() == _EVENTS and head.length is None:
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    else:
        await send({"type": ABORT})
