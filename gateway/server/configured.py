"""The protocol of a listener's connections, as it is configured."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from gateway.server.limits import ServerLimits
from gateway.server.protocol import HttpProtocol
from gateway.server.room import Networks, Room
from gateway.server.shared import Shared
from gateway.server.sweeper import Sweeper
from gateway.write_batch import WriteBatch


class HttpProtocols:
    """Makes one ``HttpProtocol`` after the other, as uvicorn makes them of a class; they have ``shared`` in common."""

    def __init__(self, shared: Shared) -> None:
        self.shared = shared

    @property
    def limits(self) -> ServerLimits:
        """Of each connection, and of all together."""
        return self.shared.limits

    @property
    def room(self) -> Room:
        """For all of them."""
        return self.shared.room

    @property
    def sweeper(self) -> Sweeper:
        """Looks at all of them."""
        return self.shared.sweeper

    def __call__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> HttpProtocol:
        """Called by uvicorn for each connection."""
        return HttpProtocol(self.shared, config, server_state, app_state, _loop)


def http_protocol(
    limits: ServerLimits | None = None,
    clock: Callable[[], float] = time.monotonic,
    *,
    sweep_every: float = 0.5,
    exempt: Networks = (),
) -> HttpProtocols:
    """For ``uvicorn.Config(http=…)``. ``clock`` counts seconds and never goes back.

    Connections from ``exempt``, the trusted proxies, are not counted per address.
    """
    limits = limits or ServerLimits()
    room = Room(limits, exempt)
    return HttpProtocols(Shared(limits, room, Sweeper(clock, room, sweep_every), WriteBatch()))
