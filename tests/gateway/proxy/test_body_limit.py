"""A body that is larger than its route takes: refused before it is read where it says so, cut off where it does not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from gateway.server.cycle import ABORT
from policies.route import Route
from policies.route_table import RouteTable
from tests.gateway.proxy.harness import (
    HOST,
    READ,
    Client,
    Peer,
    Script,
    ScriptedUpstream,
    World,
    eventually,
    polite,
    request,
    world,
)

MOST = 10


@asynccontextmanager
async def bounded(script: Script = polite, most: int | None = MOST) -> AsyncIterator[tuple[World, ScriptedUpstream]]:
    route = Route("orders", (HOST,), "/orders/**", READ, "orders", body=most, audit_allow=True)
    async with world(script) as (made, upstream):
        made.plane.config = replace(made.plane.config, table=RouteTable.compile((route,)))
        yield made, upstream


def sized(length: int) -> Client:
    return request("POST", "/orders/7", ("content-length", str(length)))


def chunked() -> Client:
    return request("POST", "/orders/7", ("transfer-encoding", "chunked"))


async def test_a_length_over_the_limit_is_refused_unread() -> None:
    async with bounded() as (made, upstream):
        client = await made.ask(sized(MOST + 1))

    assert (client.status, client.problem["code"], client.asked) == (413, "body_too_large", 0)
    assert client.headers["connection"] == "close"
    assert upstream.peers == []
    assert [(note.outcome, note.reason) for note in made.seen] == [("refused", "body_too_large")]


async def test_who_may_not_ask_is_not_told_how_much_it_takes() -> None:
    async with bounded() as (made, _):
        client = request("POST", "/orders/7", ("content-length", "11"), token=None)
        assert (await made.ask(client)).status == 401


async def test_a_body_as_large_as_may_be_passes() -> None:
    async with bounded() as (made, upstream):
        assert (await made.ask(sized(MOST).say(bytes(MOST)))).status == 200
        assert (await made.ask(chunked().say(bytes(4), more=True).say(bytes(6)))).status == 200

    assert upstream.peers[0].bodies == [bytes(MOST)] * 2


async def test_an_unlimited_route_takes_any() -> None:
    async with bounded(most=None) as (made, _):
        assert (await made.ask(sized(100_000).say(bytes(100_000)))).status == 200
        assert (await made.ask(chunked().say(bytes(100_000)))).status == 200


async def test_chunks_over_the_limit_are_cut_off_and_their_connection_is_dropped() -> None:
    async with bounded() as (made, upstream):
        client = chunked().say(bytes(MOST), more=True).say(b"x", more=True)
        await made.ask(client)
        await eventually(lambda: upstream.peers[0].gone.is_set())
        assert len(made.pool) == 0

    assert (client.status, client.problem["code"]) == (413, "body_too_large")
    assert client.headers["connection"] == "close"
    assert client.complete
    assert upstream.peers[0].bodies == []
    assert [(note.outcome, note.status) for note in made.seen] == [("refused", 413)]


async def test_chunks_in_one_piece_over_the_limit_reach_no_upstream_whole() -> None:
    async with bounded() as (made, upstream):
        assert (await made.ask(chunked().say(bytes(MOST + 1)))).status == 413

    assert upstream.peers[0].bodies == []


async def test_an_answer_that_has_begun_is_broken_off() -> None:
    began = asyncio.Event()

    async def early(peer: Peer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
        began.set()
        await peer.until_gone()

    async with bounded(early) as (made, _):
        client = chunked().say(bytes(MOST), more=True)
        task = made.begin(client)
        await began.wait()
        await eventually(lambda: client.body)
        client.say(b"x", more=True)
        await task

    assert client.status == 200
    assert client.messages[-1] == {"type": ABORT}
    assert [(note.outcome, note.reason, note.status) for note in made.seen] == [("refused", "body_too_large", 413)]
