"""A stream ends with what allowed it: its token's time, the token itself, the route. Each as its kind ends."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import UUID

import pytest

from gateway.proxy.identity import RequestIds
from gateway.proxy.plane_config import PlaneConfig
from gateway.proxy.registered_origins import nobody
from gateway.proxy.request import ProxiedRequest
from gateway.proxy.streams import JUDGED_AT_ONCE, SWEEP_EVERY, Ended, Streams
from policies.principal import Principal
from policies.route import Matched, Route
from policies.route_table import RouteTable
from policies.rule import Anonymous
from tests.frames_by_hand import CLOSE, closing, handshake
from tests.gateway.proxy.harness import (
    ALICE,
    HOST,
    NOW,
    READ,
    FakeStandings,
    Peer,
    World,
    eventually,
    polite,
    request,
    world,
)
from tests.gateway.proxy.sockets import GET, ORIGIN, SOCKETS, Answering, Socket, answer, config, sockets, speaks
from tests.gateway.server.wire import responses

EXPIRED = ALICE.expires_at - NOW


async def listens(side: Answering) -> None:
    await side.until_gone()


@asynccontextmanager
async def opened(path: str = "/ws", *fields: tuple[str, str]) -> AsyncIterator[tuple[World, Socket]]:
    """A WebSocket that is watched and was judged once."""
    async with sockets(speaks(listens)) as made:
        client = await Socket(made).open(path, *fields)
        made.plane.streams.sweep()
        assert len(made.plane.streams) == 1
        yield made, client
        client.leave()


async def closed(made: World, client: Socket) -> tuple[int, str]:
    """The next sweep ends it: with which code, and what is written to the audit log."""
    assert client.frames == []
    made.plane.streams.sweep()
    [close] = await client.receives(1)
    assert close.opcode == CLOSE
    await client.send(closing(close.code))
    await client.ended()
    await eventually(lambda: len(made.plane.streams) == 0)
    return close.code, " ".join(seen.reason for seen in made.seen)


async def goes_on(made: World, client: Socket) -> None:
    made.plane.streams.sweep()
    await client.wire.settle()
    assert client.frames == []
    assert not client.wire.ended


# -- WebSockets ------------------------------------------------------------------------------------------------------


async def test_it_ends_when_its_token_expires() -> None:
    async with opened() as (made, client):
        made.day += EXPIRED - 1
        await goes_on(made, client)
        made.day += 1
        assert await closed(made, client) == (4401, "")


async def test_it_ends_when_its_token_counts_no_longer_and_the_audit_log_knows() -> None:
    async with opened() as (made, client):
        made.standings.revoke(ALICE, "tenant_suspended")
        assert await closed(made, client) == (4401, "tenant_suspended")
        [seen] = made.seen
        assert (seen.outcome, seen.status, seen.subject, seen.route) == ("refused", 401, "alice", "ws")


async def test_a_route_may_let_it_outlive_its_tokens_time_but_not_the_token() -> None:
    async with opened("/ws-on") as (made, client):
        made.day += 10 * EXPIRED
        await goes_on(made, client)
        made.standings.revoke(ALICE)
        assert await closed(made, client) == (4401, "token_revoked")


async def test_it_ends_when_its_issuers_time_is_over() -> None:
    async with opened("/ws-on") as (made, client):
        made.standings.until["alice"] = NOW + 100
        made.standings.versions[ALICE.tenant_id] = 7  # the feed brings that there is an end
        await goes_on(made, client)
        made.day += 100
        assert await closed(made, client) == (4401, "")


async def test_it_ends_when_revocations_are_not_heard_for_long() -> None:
    async with opened() as (made, client):
        made.fresh = False
        assert await closed(made, client) == (1013, "revocations_stale")


async def test_what_a_stranger_was_given_beside_an_api_key_that_will_not_do_goes_on() -> None:
    """The key's tenant has a route of its own, which takes no keys: the one for strangers answers."""
    routes = (
        Route("any", (HOST,), "/any-ws", Anonymous(), "orders", methods=GET, websocket=True, audit_allow=True),
        Route("own", (HOST,), "/any-ws", READ, "orders", methods=GET, websocket=True, tenants=frozenset({"acme"})),
    )
    async with sockets(speaks(listens)) as made:
        made.principals[b"key"] = replace(ALICE, subject="key/k1", client_id=None, api_key_id="k1")
        made.plane.config = config(made, *routes)
        client = await Socket(made).open("/any-ws", token="key")
        made.plane.streams.sweep()
        made.plane.config = config(made, *routes)
        await goes_on(made, client)
        client.leave()
        await eventually(lambda: made.seen)
        [seen] = made.seen
        assert (seen.route, seen.tenant_id, seen.subject, seen.api_key_id) == ("any", ALICE.tenant_id, None, "k1")


async def test_what_nobodys_token_opened_needs_none_to_go_on() -> None:
    async with opened("/public-ws") as (made, client):
        made.fresh = False
        made.day += 10 * EXPIRED
        made.standings.revoke(ALICE)
        await goes_on(made, client)


@pytest.mark.parametrize(
    "routes",
    [
        (),
        (replace(SOCKETS[0], rule=SOCKETS[-2].rule),),
        (replace(SOCKETS[0], tenants=frozenset({"globex"})),),
        (SOCKETS[0], replace(SOCKETS[0], name="closer", tenants=frozenset({"acme"}))),
        (replace(SOCKETS[0], hosts=("other.example.com",)),),
        (replace(SOCKETS[0], outlives_token=True),),
    ],
)
async def test_it_ends_when_its_route_goes_or_changes(routes: tuple[Route, ...]) -> None:
    async with opened() as (made, client):
        made.plane.config = config(made, *routes)
        assert await closed(made, client) == (1012, "")


async def test_it_goes_on_in_a_configuration_that_is_the_same_for_it() -> None:
    async with opened() as (made, client):
        made.plane.config = config(made, *SOCKETS[:1])
        await goes_on(made, client)


async def test_it_ends_when_pages_of_its_origin_may_connect_no_longer() -> None:
    async with opened("/ws", ("Origin", ORIGIN)) as (made, client):
        made.plane.config = config(made, replace(SOCKETS[0], pages=None))
        assert await closed(made, client) == (1012, "")


async def test_it_ends_when_no_client_has_its_origin_any_longer() -> None:
    async with sockets(speaks(listens)) as made:
        made.registered = {ALICE.tenant_id: {ORIGIN}}
        client = await Socket(made).open("/clients-ws", ("Origin", ORIGIN))
        made.plane.streams.sweep()
        made.registered = {}
        await goes_on(made, client)  # nobody has heard yet
        made.standings.versions[ALICE.tenant_id] = 5
        assert await closed(made, client) == (1012, "")


async def test_what_changed_between_the_decision_and_the_stream_counts() -> None:
    async def script(peer: Peer) -> None:
        head = await peer.head()
        made.standings.revoke(ALICE)
        await peer.send(answer(head))
        await Answering(peer).until_gone()

    async with sockets(script) as made:
        client = await Socket(made).open()
        assert await closed(made, client) == (4401, "token_revoked")
        client.leave()


async def test_the_sweep_comes_by_itself() -> None:
    async with sockets(speaks(listens)) as made:
        client = await Socket(made).open()
        made.standings.revoke(ALICE)
        began = asyncio.get_running_loop().time()
        [close] = await client.receives(1)
        assert close.code == 4401
        assert asyncio.get_running_loop().time() - began < 1
        client.leave()


# -- long answers ----------------------------------------------------------------------------------------------------

EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
SIZED = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
SIZED_EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 1000\r\n\r\n"
NOTHING_YET = b""


@asynccontextmanager
async def answering(head: bytes, path: str = "/orders/7", method: str = "GET") -> AsyncIterator[tuple[World, Socket]]:
    """An answer that has begun and does not end, and is watched."""

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(head + (b"5\r\nhello\r\n" if b"chunked" in head else b"hello" if head else b""))
        await peer.until_gone()

    async with sockets(script) as made:
        client = Socket(made)
        body = "Transfer-Encoding: chunked\r\n" if method == "POST" else ""
        await client.send(
            f"{method} {path} HTTP/1.1\r\nHost: {HOST}\r\n{body}Authorization: Bearer alice\r\n\r\n".encode()
        )
        await eventually(lambda: len(made.pool) == 1)
        await eventually(lambda: b"hello" in client.wire.output or not head)
        assert len(made.plane.streams) == 0
        made.later(0.2)
        assert len(made.plane.streams) == 1
        made.plane.streams.sweep()
        yield made, client
        client.leave()


async def test_server_sent_events_end_in_order_when_the_token_expires() -> None:
    async with answering(EVENTS) as (made, client):
        made.day += EXPIRED
        made.plane.streams.sweep()
        await eventually(lambda: client.wire.output.endswith(b"0\r\n\r\n"))
        [answer] = responses(client.wire.output)
        assert (answer.whole, answer.body) == (True, b"hello")
        assert not client.wire.ended
        assert made.seen == []


@pytest.mark.parametrize("head", [CHUNKED, SIZED, SIZED_EVENTS], ids=["chunked", "sized", "sized events"])
async def test_another_long_answer_is_broken_off(head: bytes) -> None:
    async with answering(head) as (made, client):
        made.standings.revoke(ALICE)
        made.plane.streams.sweep()
        await client.ended()
        assert client.wire.transport.aborted
        [answer] = responses(client.wire.output)
        assert not answer.whole
        await eventually(lambda: made.seen)
        assert [(seen.reason, seen.status) for seen in made.seen] == [("token_revoked", 401)]


async def test_a_route_may_let_an_answer_outlive_its_tokens_time() -> None:
    async with answering(CHUNKED, "/events-on") as (made, client):
        made.day += 10 * EXPIRED
        await goes_on_answering(made, client)


async def goes_on_answering(made: World, client: Socket) -> None:
    before = client.wire.output
    made.plane.streams.sweep()
    await client.wire.settle()
    assert client.wire.output == before
    assert not client.wire.ended


async def test_who_waits_for_an_answer_gets_it_though_the_token_expires_meanwhile() -> None:
    async with answering(NOTHING_YET) as (made, client):
        made.day += EXPIRED
        await goes_on_answering(made, client)


async def test_an_upload_ends_when_the_token_expires() -> None:
    async with answering(NOTHING_YET, method="POST") as (made, client):
        made.day += EXPIRED - 1
        await goes_on_answering(made, client)
        await client.send(b"5\r\nhello\r\n")
        made.day += 1
        made.plane.streams.sweep()
        await eventually(lambda: b"\r\n\r\n" in client.wire.output)
        assert client.status == 401


async def test_an_upload_that_is_complete_has_its_answer_though_the_token_expires() -> None:
    async with answering(NOTHING_YET, method="POST") as (made, client):
        await client.send(b"5\r\nhello\r\n0\r\n\r\n")
        made.day += EXPIRED
        await goes_on_answering(made, client)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_who_waits_for_an_answer_is_refused_when_the_token_is_revoked(method: str) -> None:
    async with answering(NOTHING_YET, method=method) as (made, client):
        made.standings.revoke(ALICE)
        made.plane.streams.sweep()
        await eventually(lambda: b"\r\n\r\n" in client.wire.output)
        assert client.status == 401
        assert json.loads(client.body.partition(b"\r\n\r\n")[0])["code"] == "invalid_token"


async def test_who_waits_for_an_answer_gets_it_though_the_route_goes_meanwhile() -> None:
    async with answering(NOTHING_YET) as (made, client):
        made.plane.config = PlaneConfig(RouteTable.compile(()), {})
        await goes_on_answering(made, client)


async def test_a_quick_answer_is_no_stream() -> None:
    async with world(polite) as (made, _):
        assert (await made.ask(request())).status == 200
        made.later(5)
        assert len(made.plane.streams) == 0
        assert made.standings.asked == 0


async def test_an_answer_that_ends_by_itself_is_forgotten() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED + b"5\r\nhello\r\n")
        await gate.wait()
        await peer.send(b"0\r\n\r\n")
        await peer.until_gone()

    gate = asyncio.Event()
    async with sockets(script) as made:
        client = Socket(made)
        await client.send(f"GET /orders/7 HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer alice\r\n\r\n".encode())
        await eventually(lambda: b"hello" in client.wire.output)
        made.later(0.2)
        assert len(made.plane.streams) == 1
        gate.set()
        await eventually(lambda: len(made.plane.streams) == 0)
        made.pool.close()
        client.leave()


# -- many ------------------------------------------------------------------------------------------------------------


class Told:
    """A stream that only notes."""

    def __init__(self, asked: ProxiedRequest) -> None:
        self.request = asked
        self.ended: list[str] = []

    def end(self, ended: Ended) -> None:
        self.ended.append(ended.reason)

    def sweep(self, now: float) -> None:
        pass


class CountedTable(RouteTable):
    """A table that counts how often it is asked."""

    matches = 0

    def match(self, host, method, path, tenant):  # type: ignore[no-untyped-def]
        CountedTable.matches += 1
        return super().match(host, method, path, tenant)


ROUTE = Route("ws", (HOST,), "/ws", READ, "orders", methods=GET)


def of(principal: Principal, made: World) -> Told:
    asked = request("GET", "/ws")
    inbound = made.plane._headers.read(asked.scope["headers"])
    origin = made.plane._origins.of("192.0.2.7", "http", inbound)
    return Told(
        ProxiedRequest(
            asked.scope, inbound, origin, RequestIds(b"1", b"2"), principal=principal, matched=Matched(ROUTE)
        )
    )


async def test_with_two_thousand_streams_a_change_asks_about_those_of_its_tenant_only() -> None:
    async with world(polite) as (made, _):
        standings, table = FakeStandings(), CountedTable.compile((ROUTE,))
        current = PlaneConfig(table, {"orders": made.pool})
        streams = Streams(
            standings, config=lambda: current, registered=nobody, feed_fresh=lambda: True, now=lambda: NOW
        )
        callers = [
            replace(ALICE, tenant_id=UUID(int=number % 20 + 1), subject=f"user-{number}") for number in range(2000)
        ]
        all_of_them = [of(caller, made) for caller in callers]
        for stream in all_of_them:
            streams.add(stream)
        assert standings.begun == 0  # a long answer may be over before the first sweep
        await swept(streams)
        assert standings.asked == standings.begun == 2000

        standings.asked = CountedTable.matches = 0
        for _ in range(10):
            await swept(streams)
        assert standings.asked == CountedTable.matches == 0

        standings.revoke(callers[42])
        await swept(streams)
        assert standings.asked == 100
        assert CountedTable.matches == 0  # their route is the same
        assert [stream.ended for stream in all_of_them if stream.ended] == [["token_revoked"]]

        await swept(streams)  # it is there still, and asked again; the others are not
        assert standings.asked == 101
        streams.discard(all_of_them[42])
        await swept(streams)
        assert standings.asked == 101

        current = PlaneConfig(CountedTable.compile((ROUTE,)), {"orders": made.pool})
        await swept(streams)
        assert standings.asked == 101 + 1999
        assert CountedTable.matches > 0
        assert standings.begun == 2000
        for stream in all_of_them:
            streams.discard(stream)
        assert len(streams) == 0


async def swept(streams: Streams) -> None:
    """And all judged that had to be."""
    streams.sweep()
    await eventually(lambda: streams._next is None)


async def test_no_turn_judges_more_than_some_and_each_has_its_turn() -> None:
    async with world(polite) as (made, _):
        standings = FakeStandings()
        current = PlaneConfig(RouteTable.compile((ROUTE,)), {"orders": made.pool})
        streams = Streams(
            standings, config=lambda: current, registered=nobody, feed_fresh=lambda: True, now=lambda: NOW
        )
        all_of_them = [of(replace(ALICE, subject=f"user-{number}"), made) for number in range(4 * JUDGED_AT_ONCE)]
        for stream in all_of_them:
            streams.add(stream)
        await swept(streams)
        standings.asked = 0
        standings.reasons = {f"user-{number}": "token_revoked" for number in range(len(all_of_them))}
        standings.versions[ALICE.tenant_id] = 5
        streams.sweep()
        assert standings.asked == JUDGED_AT_ONCE
        gone = next(stream for stream in all_of_them if not stream.ended)
        streams.discard(gone)
        before = standings.asked
        while standings.asked < len(all_of_them) - 1:
            await asyncio.sleep(0)
            assert before < standings.asked <= before + JUDGED_AT_ONCE
            before = standings.asked
        assert [stream for stream in all_of_them if stream.ended != ["token_revoked"]] == [gone]
        for stream in all_of_them:
            streams.discard(stream)


def test_a_stream_ends_within_a_second() -> None:
    assert SWEEP_EVERY <= 0.5


async def test_a_handshake_that_waits_is_refused_when_the_token_is_revoked() -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.until_gone()

    async with sockets(script) as made:
        client = Socket(made)
        await client.send(handshake("/ws", HOST, ("Authorization", "Bearer alice")))
        await eventually(lambda: len(made.pool) == 1)
        made.later(0.2)
        made.standings.revoke(ALICE)
        made.plane.streams.sweep()
        await eventually(lambda: b"\r\n\r\n" in client.wire.output)
        assert client.status == 401
        client.leave()
