"""The ASGI 3 call as types, and its one exception. The values of messages are the application's to state, so they are
``Any`` here.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class ClientDisconnect(OSError):
    """Raised by ``send`` after the client went away (ASGI HTTP spec 2.4)."""
