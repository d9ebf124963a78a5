"""The protocol class of a listener, as it is configured."""

import time
from collections.abc import Callable
from typing import cast

from gateway.server.limits import ServerLimits
from gateway.server.protocol import HttpProtocol
from gateway.server.room import Networks, Room
from gateway.server.sweeper import Sweeper
from gateway.write_batch import WriteBatch


def http_protocol(
    limits: ServerLimits,
    clock: Callable[[], float] = time.monotonic,
    *,
    sweep_every: float = 0.5,
    exempt: Networks = (),
) -> type[HttpProtocol]:
    """A protocol class with ``limits``, for ``uvicorn.Config(http=…)``. ``clock`` counts seconds and never goes back.

    Connections from ``exempt``, the trusted proxies, are not counted per address. Those of one class share a sweeper.
    """
    room = Room(limits, exempt)
    own = {"limits": limits, "room": room, "sweeper": Sweeper(clock, room, sweep_every), "batch": WriteBatch()}
    return cast(type[HttpProtocol], type("HttpProtocol", (HttpProtocol,), own))
