"""What the connections of one listener have in common."""

from dataclasses import dataclass

from gateway.server.limits import ServerLimits
from gateway.server.room import Room
from gateway.server.sweeper import Sweeper
from gateway.write_batch import WriteBatch


@dataclass(frozen=True, slots=True)
class Shared:
    """``sweeper`` has their clock."""

    limits: ServerLimits
    room: Room
    sweeper: Sweeper
    batch: WriteBatch
