"""Thousands of clients that vanish, in every phase, and upstreams that fail beside them: nothing is left of any."""

import asyncio
import gc
import os
from datetime import timedelta
from itertools import cycle, islice
from typing import Any

import psutil
import pytest

from gateway.proxy.plane import AnswerBroken
from tests.gateway.proxy.harness import Client, Peer, World, eventually, polite, request, tasks_of_the_proxy, world

COUNT = 10_000 if os.environ.get("YETT_TEST_SOAK") else 600
AT_ONCE = 100
AGES = timedelta(days=100_000)
PHASES = ("connect", "head", "answer", "body", "reading", "upload", "sent", "never")


async def by_path(peer: Peer) -> None:
    """Does what the path says, on each connection once."""
    head = await peer.head()
    phase = head.split(b" ")[1].rpartition(b"/")[2].partition(b"-")[0].decode()
    if phase == "never":
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await polite(peer)
    elif phase == "body":
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
    elif phase == "reading":
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + bytes(200_000))
    elif phase == "answer":
        await peer.send(b"HTTP/1.1 200 OK\r\n")
    await peer.until_gone()


class Leaver(Client):
    """Takes nothing until it has left, where it is told to read late."""

    async def receive(self) -> dict[str, Any]:
        message = await super().receive()
        if message["type"] == "http.disconnect":
            self.gate.set()
        return message


async def vanish(made: World, phase: str, number: int) -> None:
    path = f"/orders/{phase}-{number}"
    if phase in ("upload", "sent"):
        client = Leaver(request("POST", path, ("transfer-encoding", "chunked")).scope)
        client.say(b"he", more=phase == "upload")
    else:
        client = Leaver(request("GET", path).scope)
    if phase == "reading":
        client.gate.clear()
    asked = made.begin(client)
    if phase == "connect":
        await asyncio.sleep(0)
    elif phase == "body":
        await eventually(lambda: client.body)
    elif phase in ("upload", "sent"):
        await eventually(lambda: client.asked > 1)
    elif phase != "never":
        await eventually(lambda: under_way(made, asked))
    if phase != "never":
        client.leave()
    while not asked.done():
        made.later(0.2)
        await asyncio.sleep(0)
    await asked
    assert client.complete is (phase == "never")


def under_way(made: World, asked: "asyncio.Task[Client]") -> bool:
    return asked.done() or made.pool.in_flight > 0


def descriptors() -> int:
    return psutil.Process().num_fds()


@pytest.mark.soak
@pytest.mark.timeout(900)
async def test_nothing_is_left_of_clients_that_vanish_in_every_phase() -> None:
    async with world(by_path, read_timeout=AGES, upload_timeout=AGES, max_connections=AT_ONCE) as (made, upstream):
        await made.ask(request(path="/orders/never-0"))
        made.later(10)
        await eventually(lambda: len(made.pool) == 0)
        tasks, sockets = len(asyncio.all_tasks()), descriptors()
        phases = islice(cycle(PHASES), COUNT)
        numbered = list(enumerate(phases))
        for start in range(0, COUNT, AT_ONCE):
            await asyncio.gather(*(vanish(made, phase, number) for number, phase in numbered[start : start + AT_ONCE]))
        made.later(10)  # what was kept for the next request is not kept for ever
        assert len(made.pool) == 0
        assert made.pool.in_flight == 0
        assert [endpoint.open for endpoint in made.pool.endpoints.all] == [0]
        assert not tasks_of_the_proxy()
        await eventually(lambda: all(peer.gone.is_set() for peer in upstream.peers))
        upstream.peers.clear()
        await eventually(lambda: len(asyncio.all_tasks()) <= tasks)
        await eventually(lambda: gc.collect() >= 0 and descriptors() <= sockets)


@pytest.mark.soak
@pytest.mark.timeout(900)
async def test_nothing_is_left_of_upstreams_that_fail_in_every_phase() -> None:
    async def fails(peer: Peer) -> None:
        head = await peer.head()
        phase = int(head.split(b" ")[1].rpartition(b"/")[2]) % 5
        await peer.send(
            (b"", b"H", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\nhe", b"HTTP/1.1 200 OK\r\nX: ")[phase]
        )
        peer.reset()

    async def ask(made: World, number: int) -> None:
        try:
            assert (await made.ask(request(path=f"/orders/{number}"))).status in (200, 502)
        except AnswerBroken:
            assert number % 5 == 3

    async with world(fails, max_connections=AT_ONCE) as (made, upstream):
        tasks, sockets = len(asyncio.all_tasks()), descriptors()
        for start in range(0, COUNT, AT_ONCE):
            await asyncio.gather(*(ask(made, number) for number in range(start, start + AT_ONCE)))
        assert (len(made.pool), made.pool.in_flight) == (0, 0)
        assert not tasks_of_the_proxy()
        await eventually(lambda: all(peer.gone.is_set() for peer in upstream.peers))
        upstream.peers.clear()
        await eventually(lambda: len(asyncio.all_tasks()) <= tasks)
        await eventually(lambda: gc.collect() >= 0 and descriptors() <= sockets)
