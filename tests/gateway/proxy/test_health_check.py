"""Targets that are asked for their health: what is sent, what counts as well, and that a bad one gets no request."""

import asyncio
from datetime import timedelta

import pytest

from gateway.proxy.configured import pool_jobs
from gateway.proxy.endpoints import FAULTS
from gateway.proxy.upstream import Health
from tests.gateway.proxy.harness import OK, Peer, Script, World, polite, request
from tests.gateway.proxy.test_targets import targets
from tests.gateway.proxy.test_upstream_faults import closed_port

HEALTH = Health("/healthz?full=1", timeout=timedelta(seconds=5))


def answers(data: bytes) -> Script:
    async def script(peer: Peer) -> None:
        await peer.answer(data)

    return script


def status(code: int) -> bytes:
    return b"HTTP/1.1 %d Said\r\nContent-Length: 0\r\n\r\n" % code


async def test_what_is_asked() -> None:
    async with targets(polite, health=HEALTH) as (made, (upstream,)):
        await made.pool.check_health()
        (head,) = upstream.heads
        lines = head.decode().split("\r\n")
        assert lines[0] == "GET /healthz?full=1 HTTP/1.1"
        assert lines[1:-2] == [f"host: 127.0.0.1:{upstream.port}", "user-agent: Yett", "connection: close"]
        assert len(made.pool) == 0
    async with targets(polite, health=Health("/", host="api.internal")) as (made, (upstream,)):
        await made.pool.check_health()
        assert b"\r\nhost: api.internal\r\n" in upstream.heads[0]


@pytest.mark.parametrize("code", [301, 404, 500, 503])
async def test_another_status_than_2xx_is_not_well(code: int) -> None:
    async with targets(answers(status(code)), polite, health=HEALTH) as (made, (bad, _)):
        await made.pool.check_health()
        assert [endpoint.down for endpoint in made.pool.endpoints.all] == [True, False]
        for _ in range(4):
            assert (await made.ask(request())).status == 200
        assert len(bad.peers) == 1


@pytest.mark.parametrize("code", [200, 204])
async def test_2xx_is_well(code: int) -> None:
    async with targets(answers(status(code)), health=HEALTH) as (made, _):
        await made.pool.check_health()
        assert not made.pool.endpoints.all[0].down


async def breaks_off(peer: Peer) -> None:
    await peer.request()
    peer.reset()


@pytest.mark.parametrize("script", [answers(b"nonsense\r\n\r\n"), breaks_off], ids=["nonsense", "reset"])
async def test_no_answer_is_not_well(script: Script) -> None:
    async with targets(script, polite, health=HEALTH) as (made, _):
        await made.pool.check_health()
        assert [endpoint.down for endpoint in made.pool.endpoints.all] == [True, False]


async def test_refusal_and_silence_are_not_well() -> None:
    async def silent(peer: Peer) -> None:
        await peer.until_gone()

    async with closed_port() as dead, targets(silent, polite) as (_, (quiet, good)):
        made = World(dead, quiet.port, good.port, health=Health("/", timeout=timedelta(milliseconds=50)))
        await made.pool.check_health()
        assert [endpoint.down for endpoint in made.pool.endpoints.all] == [True, True, False]
        made.pool.close()


async def test_a_target_that_is_down_loses_its_idle_connections_and_comes_back() -> None:
    well = asyncio.Event()

    async def script(peer: Peer) -> None:
        while True:
            head = await peer.head()
            await peer.send(status(503) if head.startswith(b"GET /healthz") and not well.is_set() else OK)

    async with targets(script, polite, health=HEALTH) as (made, _):
        for _ in range(2):
            await made.ask(request())
        assert len(made.pool) == 2
        await made.pool.check_health()
        assert len(made.pool) == 1
        well.set()
        await made.pool.check_health()
        assert made.pool.endpoints.all[0].down
        await made.pool.check_health()
        assert not made.pool.endpoints.all[0].down
        assert len(made.pool.endpoints.ready) == 2


async def test_a_good_answer_ends_an_ejection() -> None:
    async with targets(polite, polite, health=HEALTH) as (made, _):
        bad = made.pool.endpoints.all[0]
        for _ in range(FAULTS):
            made.pool.endpoints.failed(bad, made.clock())
        made.clock.now += 2.0
        await made.pool.check_health()
        assert (bad.ejected_until, bad.on_trial, bad.back_since) == (0.0, True, made.clock.now)


async def test_where_all_are_down_all_are_asked() -> None:
    async with targets(polite, polite) as (_, upstreams):
        made = World(*(upstream.port for upstream in upstreams), health=HEALTH)
        for endpoint in made.pool.endpoints.all:
            made.pool.endpoints.probed(endpoint, HEALTH, "status 503", made.clock())
        assert (await made.ask(request())).status == 200
        made.pool.close()


async def test_a_check_does_not_count_as_in_flight() -> None:
    async with targets(polite, health=HEALTH, max_in_flight=1) as (made, _):
        checks = [made.pool.check_health() for _ in range(5)]
        assert (await asyncio.gather(made.ask(request()), *checks))[0].status == 200


async def test_jobs_are_for_those_who_need_them() -> None:
    plain = World(1).pool
    checked = World(1, health=HEALTH).pool
    named = World(targets=("http://orders.internal",), resolve_every=timedelta(seconds=7)).pool
    assert [(job.name, job.interval, job.cut_off) for job in pool_jobs([plain, checked, named])] == [
        ("health of orders", 5.0, True),
        ("names of orders", 7.0, True),
    ]
