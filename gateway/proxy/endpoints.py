"""The endpoints of an upstream: which there are, which may be asked, and which one is next.

An endpoint that fails several times running is ejected for a while, longer each time; then it is on trial: one request
more than it still has, until one is answered. Whoever the health check finds down waits until it is up. Where nobody
healthy is left, all are asked: a gateway that asks nobody helps nobody. Owns no connection but the idle ones of who
drops out.
"""

import math
from collections.abc import Mapping, Sequence

import structlog

from gateway.proxy.balance import BALANCES
from gateway.proxy.endpoint import Endpoint
from gateway.proxy.upstream import Health, Target, Upstream

log = structlog.get_logger("yett.proxy")

FAULTS = 3
FIRST_EJECTION = 10.0  # seconds
LONGEST_EJECTION = 300.0


class Endpoints:
    """``only`` is the one endpoint that every request goes to, where there is no choice and nothing to count."""

    def __init__(self, upstream: Upstream) -> None:
        self.all: list[Endpoint] = []
        self.only: Endpoint | None = None
        self.ready: list[Endpoint] = []
        self._rest: list[Endpoint] = []
        self._anyone_well = True
        self._of: dict[Target, list[Endpoint]] = {}
        self._upstream = upstream
        self._choose = BALANCES[upstream.balance]
        self._keeps = upstream.max_connections

    def update(self, target: Target, addresses: Sequence[str]) -> None:
        """What ``target`` is now. What stays keeps its connections; what goes ends its exchanges first."""
        known = {endpoint.address: endpoint for endpoint in self._of.get(target, ())}
        if tuple(known) == tuple(addresses):
            return
        self._of[target] = [known.get(address) or Endpoint(target, address, keeps=self._keeps) for address in addresses]
        for address, endpoint in known.items():
            if address not in addresses:
                endpoint.retired = True
                endpoint.keeps = 0
                endpoint.drop_idle()
        self.all = [endpoint for target in self._upstream.parsed for endpoint in self._of.get(target, ())]
        self._regroup()

    def choose(
        self, subject: str | None, tried: Sequence[Endpoint] = (), avoid: Endpoint | None = None
    ) -> Endpoint | None:
        """Who is next, of those that have room: ``avoid`` after the others that may be asked, and who may not be only
        where all of these were ``tried``.
        """
        among = [one for one in self.ready if one.open - len(one.idle) < one.room and one not in tried]
        if avoid is not None and len(among) > 1:
            among = [one for one in among if one is not avoid]
        if not among and tried:
            among = [one for one in self._rest if one.open - len(one.idle) < one.most and one not in tried]
        if not among:
            return None
        return among[0] if len(among) == 1 else self._choose(among, subject)

    def states(self) -> Mapping[str, int]:
        """How many are ``ready``, ``ejected`` for their faults, or ``down`` by the health check."""
        found = {"ready": 0, "ejected": 0, "down": 0}
        for one in self.all:
            found["down" if one.down else "ejected" if one.ejected_until else "ready"] += 1
        return found

    def others_than(self, endpoint: Endpoint) -> bool:
        """Whether a request that failed there may be asked somewhere else."""
        return any(other is not endpoint for other in self.ready)

    def failed(self, endpoint: Endpoint, now: float) -> None:
        """It refused, broke off, was silent or answered nonsense. The only endpoint that there is, is never ejected."""
        if endpoint.retired or endpoint.ejected_until or len(self.all) < 2:
            return
        endpoint.faults += 1
        if endpoint.faults < FAULTS and not endpoint.on_trial:
            return
        if now - endpoint.back_since > LONGEST_EJECTION:
            endpoint.ejections = 0
        seconds = min(FIRST_EJECTION * 2**endpoint.ejections, LONGEST_EJECTION)
        if seconds < LONGEST_EJECTION:
            endpoint.ejections += 1
        endpoint.on_trial = False
        endpoint.ejected_at = now
        endpoint.ejected_until = now + seconds
        log.warning("upstream_target_ejected", upstream=self._upstream.name, target=endpoint.label, seconds=seconds)
        endpoint.drop_idle()
        self._regroup()

    def answered(self, endpoint: Endpoint, began: float, now: float) -> None:
        """It did its part, after faults. An answer to what ``began`` before it was ejected says nothing of how it does
        since, so while others are well it changes nothing.
        """
        if self._anyone_well and began <= endpoint.ejected_at and (endpoint.on_trial or endpoint.ejected_until):
            return
        endpoint.faults = 0
        if endpoint.on_trial or endpoint.ejected_until:
            if not self._anyone_well:
                self._begin_anew(now)
            endpoint.on_trial = False
            endpoint.ejected_until = 0.0
            endpoint.back_since = now
            log.info("upstream_target_back", upstream=self._upstream.name, target=endpoint.label)
            self._regroup()

    def review(self, now: float) -> None:
        """Let those back on trial whose time is over."""
        over = [endpoint for endpoint in self.all if 0 < endpoint.ejected_until <= now]
        for endpoint in over:
            self._try(endpoint, now)
        if over:
            self._regroup()

    def probed(self, endpoint: Endpoint, health: Health, problem: str | None, now: float) -> None:
        """What the health check found; ``problem`` None is an answer as it should be, and ends an ejection."""
        well = problem is None
        if well and endpoint.ejected_until:
            self._try(endpoint, now)
            self._regroup()
        first, endpoint.probed = not endpoint.probed, True
        if endpoint.down is not well:
            endpoint.streak = 0
            return
        endpoint.streak += 1
        if not first and endpoint.streak < (health.successes if well else health.failures):
            return
        endpoint.down, endpoint.streak = not well, 0
        if well:
            log.info("upstream_target_up", upstream=self._upstream.name, target=endpoint.label)
        else:
            log.warning("upstream_target_down", upstream=self._upstream.name, target=endpoint.label, detail=problem)
            endpoint.drop_idle()
        self._regroup()

    def close(self) -> None:
        """Keep no connection any more."""
        self._keeps = 0
        for endpoint in self.all:
            endpoint.keeps = 0
            endpoint.drop_idle()

    def _begin_anew(self, now: float) -> None:
        """What kept all of them away is over, so how often each was ejected meanwhile says nothing: else the first that
        answers would be the only one until the others' time is over.
        """
        for endpoint in self.all:
            endpoint.ejections = 0
            if endpoint.ejected_until:
                self._try(endpoint, now)

    def _try(self, endpoint: Endpoint, now: float) -> None:
        endpoint.ejected_until = 0.0
        endpoint.on_trial = True
        endpoint.back_since = now
        endpoint.room_on_trial = min(endpoint.in_flight + 1, endpoint.most)

    def _regroup(self) -> None:
        before = [endpoint for endpoint in self.ready if not endpoint.retired]
        asked = [endpoint for endpoint in self.all if not (endpoint.down or endpoint.ejected_until)]
        healthy = [endpoint for endpoint in asked if not endpoint.on_trial]
        self._anyone_well = bool(healthy)
        ready = asked if healthy else self.all
        for endpoint in self.all:
            endpoint.room = endpoint.room_on_trial if healthy and endpoint.on_trial else endpoint.most
        # Who was away does not get all the turns that it missed.
        level = min((endpoint.passed for endpoint in before), default=0.0)
        for endpoint in ready:
            if endpoint not in before:
                endpoint.passed = max(endpoint.passed, level)
        self.ready = ready
        self._rest = [endpoint for endpoint in self.all if endpoint not in ready]
        free = len(ready) == 1 and ready[0].room == math.inf and self._upstream.max_in_flight is None
        self.only = ready[0] if free else None
