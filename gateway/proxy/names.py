"""From the names of targets to addresses, again and again, and which addresses may be had at all.

Each look-up is done in a thread, and none by a request but the first of a process that has no answer yet. One that
fails changes nothing. Owns no interval: a job asks.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address

import structlog

from gateway.name_lookup import LookUpsBusy, NameLookUp
from gateway.proxy.endpoints import Endpoints
from gateway.proxy.upstream import Target, Upstream
from gateway.settings.upstream_address import may_connect

log = structlog.get_logger("yett.proxy")

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

_AT_ONCE = 8
_LONGEST = 30.0  # seconds
_MOST_ADDRESSES = 64  # of one name
_AFTER_A_FAILURE = 1.0


class LookUpsInTurn:
    """A look-up for many pools: who finds all threads busy waits."""

    def __init__(self) -> None:
        self._look_up = NameLookUp(at_once=_AT_ONCE)
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """As ``NameLookUp.resolve``; busy are only threads whose look-ups nobody waits for any longer."""
        async with self._turns, asyncio.timeout(_LONGEST):
            return await self._look_up.resolve(host, port)


class Names:
    """Keeps an upstream's endpoints at what its targets' names say."""

    def __init__(
        self, upstream: Upstream, endpoints: Endpoints, resolve: Resolve, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._upstream = upstream
        self._endpoints = endpoints
        self._resolve = resolve
        self._clock = clock
        self._named: list[Target] = []
        self._failing: set[Target] = set()
        self._looked_up: float | None = None
        self._asking: asyncio.Task[None] | None = None
        self._news = asyncio.Event()  # an address is known, or nothing is being asked any longer
        for target in upstream.parsed:
            try:
                address = ip_address(target.host)
            except ValueError:
                self._named.append(target)
            else:
                if may_connect(address, upstream.networks):
                    endpoints.update(target, (target.host,))
                else:
                    raise ValueError(f"upstream {upstream.name}: {target.host} is in no network that it may be in")

    @property
    def any(self) -> bool:
        """Whether there is a name at all."""
        return bool(self._named)

    async def look_up(self) -> None:
        """Ask for all of them anew, at the same time."""
        await self._ask_all()

    async def first_look_up(self) -> None:
        """For a request that came before any answer: until the first address is there, or there is none. It goes on for
        the others when that request's client leaves. What has just failed is not asked for again.
        """
        if self._endpoints.all:
            return
        lately = self._looked_up is not None and self._clock() - self._looked_up < _AFTER_A_FAILURE
        if not lately or (self._asking is not None and not self._asking.done()):
            self._ask_all()
            await self._news.wait()

    def close(self) -> None:
        """Wait for no answer any more."""
        if self._asking is not None:
            self._asking.cancel()

    def _ask_all(self) -> asyncio.Task[None]:
        if self._asking is None or self._asking.done():
            self._news.clear()
            self._asking = asyncio.get_running_loop().create_task(self._look_up())
        return self._asking

    async def _look_up(self) -> None:
        try:
            async with asyncio.TaskGroup() as asked:
                for target in self._named:
                    asked.create_task(self._ask(target))
        finally:
            self._looked_up = self._clock()
            self._news.set()

    async def _ask(self, target: Target) -> None:
        try:
            found = await self._resolve(target.host, target.port)
        except (OSError, LookUpsBusy) as error:  # TimeoutError is an OSError
            self._say(target, f"{type(error).__name__} {error}".rstrip())
        else:
            self._endpoints.update(target, self._allowed(target, found))
            if self._endpoints.all:
                self._news.set()

    def _allowed(self, target: Target, found: Sequence[str]) -> list[str]:
        addresses = sorted(set(found))
        allowed = [one for one in addresses if may_connect(ip_address(one), self._upstream.networks)]
        refused = [one for one in addresses if one not in allowed]
        self._say(target, f"leads to {', '.join(refused[:4])}, where no target may be" if refused else None)
        return allowed[:_MOST_ADDRESSES]

    def _say(self, target: Target, problem: str | None) -> None:
        """Once when it begins, once when it is over."""
        if problem is not None and target not in self._failing:
            self._failing.add(target)
            log.warning("upstream_name_failed", upstream=self._upstream.name, name=target.host, detail=problem)
        elif problem is None and target in self._failing:
            self._failing.discard(target)
            log.info("upstream_name_recovered", upstream=self._upstream.name, name=target.host)
