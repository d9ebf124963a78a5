"""One address of a target: the connections to it, and what is known of how it does. Decides nothing itself."""

import math
from hashlib import blake2b
from typing import TYPE_CHECKING

from gateway.proxy.upstream import Target

if TYPE_CHECKING:  # they know each other
    from gateway.proxy.connection import UpstreamConnection


class Endpoint:
    """``idle`` are its connections that wait for work, the one used last at the end; ``open`` are all, those that are
    being made included. So what is in flight costs no counting.

    ``faults`` came one after the other. ``ejected_until`` is when it may be asked again, 0 for one that may;
    ``on_trial`` came back and has answered nothing yet; ``down`` is what the health check says.
    """

    __slots__ = (
        "address",
        "answered_at",
        "back_since",
        "down",
        "ejected_at",
        "ejected_until",
        "ejections",
        "faults",
        "hashed",
        "idle",
        "keeps",
        "label",
        "most",
        "on_trial",
        "open",
        "passed",
        "probed",
        "retired",
        "room",
        "room_on_trial",
        "streak",
        "stride",
        "target",
        "weight",
    )

    def __init__(self, target: Target, address: str, *, keeps: int) -> None:
        self.target = target
        self.address = address
        self.label = f"[{address}]:{target.port}" if ":" in address else f"{address}:{target.port}"
        self.hashed = hash64(self.label)
        self.weight = target.weight
        self.stride = 1 / target.weight
        self.passed = 0.0  # how far its turns have come: the least has the next one
        self.most: float = math.inf if target.max_in_flight is None else target.max_in_flight
        self.room = self.most  # of what may be in flight now
        self.room_on_trial: float = 1  # beside what began before it was ejected, and may go on for hours
        self.keeps = keeps
        self.idle: list[UpstreamConnection] = []
        self.open = 0
        self.retired = False
        self.answered_at = -math.inf  # when the head of an answer last came
        self.faults = 0
        self.ejections = 0
        self.ejected_at = -math.inf
        self.ejected_until = 0.0
        self.back_since = 0.0
        self.on_trial = False
        self.down = False
        self.probed = False
        self.streak = 0  # of answers to the health check that speak against ``down``

    @property
    def in_flight(self) -> int:
        """Requests that it has, or is about to get."""
        return self.open - len(self.idle)

    def drop_idle(self) -> None:
        """Close the connections that wait."""
        idle, self.idle = self.idle, []  # so that none that closes is looked for among all that still wait
        for connection in idle:
            connection.close()


def hash64(text: str) -> int:
    """The same number in every process."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest())
