"""What the data plane asks of whoever meets browsers (gateway/browser)."""

from typing import Protocol

from gateway.proxy.own_answer import OwnAnswer
from gateway.proxy.plane_config import PlaneConfig
from gateway.proxy.refusal import Refusal
from gateway.proxy.request import ProxiedRequest


class Browsers(Protocol):
    """What stands before and after the gate where a configuration has routes for browsers."""

    async def arrive(self, request: ProxiedRequest, config: PlaneConfig) -> OwnAnswer | Refusal | None:
        """An answer of its own; None: let the gate decide, perhaps about the token of a session."""

    async def instead(self, request: ProxiedRequest, refused: Refusal) -> OwnAnswer | Refusal:
        """What is answered in place of the gate's refusal."""
