"""Pools from one configuration to the next: kept where nothing changed, else closed, and their jobs with them."""

import asyncio

from gateway.proxy.pool import UpstreamPool
from gateway.proxy.pools import Pools
from gateway.proxy.upstream import Upstream


class Noted:
    """The jobs of a pool, and what becomes of them."""

    def __init__(self, name: str, told: list[str], gate: asyncio.Event) -> None:
        self.name, self.told, self.gate = name, told, gate

    def start(self) -> None:
        self.told.append(f"{self.name} starts")

    async def stop(self) -> None:
        await self.gate.wait()
        self.told.append(f"{self.name} stopped")


def upstream(name: str, port: int = 1) -> Upstream:
    return Upstream(name, (f"http://127.0.0.1:{port}",), "urn:x")


async def test_jobs_begin_with_their_pool_and_end_with_it() -> None:
    told: list[str] = []
    gate = asyncio.Event()

    def jobs(pool: UpstreamPool) -> Noted:
        return Noted(str(pool.upstream.targets[0]), told, gate)

    pools = Pools(UpstreamPool, jobs)
    pools.take(pools.prepared([upstream("a", 1), upstream("b", 2)]))
    assert sorted(told) == ["http://127.0.0.1:1 starts", "http://127.0.0.1:2 starts"]
    kept = pools.current["a"]
    told.clear()
    pools.take(pools.prepared([upstream("a", 1), upstream("b", 3)]))
    assert pools.current["a"] is kept
    assert told == ["http://127.0.0.1:3 starts"]
    gate.set()
    await pools.close()
    assert sorted(told[1:]) == [f"http://127.0.0.1:{port} stopped" for port in (1, 2, 3)]
    assert (pools.current, pools._running, pools._ending) == ({}, {}, set())


async def test_what_was_prepared_and_not_taken_changes_nothing() -> None:
    pools = Pools()
    pools.take(pools.prepared([upstream("a")]))
    before = pools.current["a"]
    assert pools.prepared([upstream("a", 2)])["a"] is not before
    assert pools.current["a"] is before
    await pools.close()
