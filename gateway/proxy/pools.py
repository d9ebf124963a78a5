"""The pools of all upstreams, from one configuration to the next, and the jobs of each.

An upstream whose settings are the same keeps its pool, with its connections and whatever is known of its targets. A
pool that is not named any more closes what is idle at once, and each other connection at the end of its exchange.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from gateway.proxy.pool import UpstreamPool
from gateway.proxy.upstream import Upstream


class PoolJobs(Protocol):
    """What is done for one pool beside requests."""

    def start(self) -> None: ...

    async def stop(self) -> None: ...


class Pools:
    """``current`` are those in force, by name. ``make`` a pool, and the ``jobs`` of one."""

    def __init__(
        self,
        make: Callable[[Upstream], UpstreamPool] = UpstreamPool,
        jobs: Callable[[UpstreamPool], PoolJobs] | None = None,
    ) -> None:
        self.current: Mapping[str, UpstreamPool] = {}
        self._make = make
        self._jobs = jobs
        self._running: dict[UpstreamPool, PoolJobs] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def prepared(self, upstreams: Iterable[Upstream]) -> Mapping[str, UpstreamPool]:
        """Pools for these: the same where they are the same. Nothing changes yet."""
        return {upstream.name: self._of(upstream) for upstream in upstreams}

    def take(self, prepared: Mapping[str, UpstreamPool]) -> None:
        """From here on it is these."""
        before, self.current = self.current, prepared
        kept = set(prepared.values())
        for pool in before.values():
            if pool not in kept:
                pool.close()
                self._end(pool)
        if self._jobs is not None:
            for pool in kept - set(before.values()):
                jobs = self._running[pool] = self._jobs(pool)
                jobs.start()

    async def close(self) -> None:
        """Close them all. Jobs that run come to their end."""
        self.take({})
        if self._ending:
            await asyncio.gather(*self._ending)

    def _end(self, pool: UpstreamPool) -> None:
        jobs = self._running.pop(pool, None)
        if jobs is not None:
            task = asyncio.get_running_loop().create_task(jobs.stop())
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    def _of(self, upstream: Upstream) -> UpstreamPool:
        known = self.current.get(upstream.name)
        return known if known is not None and known.upstream == upstream else self._make(upstream)
