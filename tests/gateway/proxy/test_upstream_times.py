"""Each timeout in its phase, and a client's slow body, which must not hold a connection to an upstream for ever."""

import asyncio
from datetime import timedelta
from functools import partial

import pytest

from gateway.proxy.plane import AnswerBroken
from tests.gateway.proxy.harness import Client, Peer, eventually, request, world
from tests.gateway.proxy.test_upstream_faults import LENGTH_5, has, problem_of, says

SECONDS = {seconds: timedelta(seconds=seconds) for seconds in (5, 10, 30, 60)}


async def test_the_first_byte_has_a_time_of_its_own() -> None:
    async with world(says(b""), first_byte_timeout=SECONDS[5]) as (made, upstream):
        asked = made.begin(request())
        await eventually(lambda: upstream.heads)
        made.later(4)
        assert not asked.done()
        made.later(2)
        assert problem_of(await asked) == (504, "upstream_timeout")


async def test_a_head_that_trickles_does_not_begin_it_anew() -> None:
    more = asyncio.Event()

    async def trickles(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n")
        await more.wait()
        await peer.send(b"X-A: b\r\n")
        await peer.until_gone()

    async with world(trickles, first_byte_timeout=SECONDS[10]) as (made, _):
        asked = made.begin(request())
        await eventually(lambda: any(connection._received for connection in made.pool._connections))
        before = {connection._received for connection in made.pool._connections}
        made.later(6)
        more.set()
        await eventually(lambda: {connection._received for connection in made.pool._connections} != before)
        made.later(6)
        assert problem_of(await asked) == (504, "upstream_timeout")


async def test_an_interim_answer_begins_it_anew() -> None:
    more = asyncio.Event()

    async def hints(peer: Peer) -> None:
        await peer.request()
        await more.wait()
        await peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")
        await peer.until_gone()

    async with world(hints, first_byte_timeout=SECONDS[10]) as (made, upstream):
        asked = made.begin(request())
        await eventually(lambda: upstream.heads)
        made.later(6)
        more.set()
        await eventually(lambda: any(connection._received for connection in made.pool._connections))
        made.later(6)
        assert not asked.done()
        made.later(5)
        assert problem_of(await asked) == (504, "upstream_timeout")


async def test_silence_between_bytes_has_a_time_of_its_own() -> None:
    async with world(says(LENGTH_5 + b"he"), idle_timeout=SECONDS[5], first_byte_timeout=SECONDS[60]) as (made, _):
        client = request()
        asked = made.begin(client)
        await eventually(lambda: client.body)
        made.later(4)
        assert not asked.done()
        made.later(2)
        with pytest.raises(AnswerBroken):
            await asked


async def test_read_timeout_is_both_where_they_are_not_set() -> None:
    async with world(says(b""), read_timeout=SECONDS[5], idle_timeout=SECONDS[60]) as (made, upstream):
        asked = made.begin(request())
        await eventually(lambda: upstream.heads)
        made.later(6)
        assert (await asked).status == 504
    async with world(says(LENGTH_5), read_timeout=SECONDS[5], first_byte_timeout=SECONDS[60]) as (made, _):
        client = request()
        asked = made.begin(client)
        await eventually(lambda: client.messages)
        made.later(6)
        with pytest.raises(AnswerBroken):
            await asked


def taken(peer: list[Peer], size: int) -> bool:
    return bool(peer) and len(b"".join(peer[0].bodies)) == size


async def reads(peer: Peer) -> None:
    """Counts a body as it comes."""
    await peer.head()
    while piece := await peer.reader.read(65536):
        peer.bodies.append(piece)


async def test_a_body_that_trickles_for_ever_is_408_and_gives_the_connection_up() -> None:
    async with world(reads, upload_timeout=SECONDS[30]) as (made, upstream):
        client = request("POST", "/orders", ("content-length", "100000"))
        asked = made.begin(client)
        for number in range(4):
            client.say(b"x", more=True)
            await eventually(partial(taken, upstream.peers, number + 1))
            await eventually(lambda: all(one.upload.waits for one in made.pool._connections))
            assert not asked.done()
            made.later(9)
        assert problem_of(await asked) == (408, "upload_too_slow")
        assert client.headers["connection"] == "close"
        await eventually(upstream.peers[0].gone.is_set)
        assert len(made.pool) == 0
        assert made.pool.endpoints.all[0].faults == 0


async def test_a_client_that_keeps_up_with_the_least_rate_may_take_hours() -> None:
    async with world(reads, upload_timeout=SECONDS[30]) as (made, upstream):
        client = request("POST", "/orders", ("transfer-encoding", "chunked"))
        asked = made.begin(client)
        sent = 0
        for number in range(60):
            client.say(bytes(100 * 1024), more=True)
            sent = (number + 1) * (100 * 1024 + len(b"19000\r\n\r\n"))
            await eventually(partial(taken, upstream.peers, sent))
            await eventually(lambda: all(one.upload.waits for one in made.pool._connections))
            made.later(99)
        assert not asked.done()
        made.later(200)
        assert (await asked).status == 408


async def test_a_client_that_was_fast_has_earned_minutes_and_not_days() -> None:
    async with world(reads, upload_timeout=SECONDS[30]) as (made, upstream):
        client = request("POST", "/orders", ("content-length", str(2**30)))
        for _ in range(64):
            client.say(bytes(65536), more=True)  # which is worth more than an hour
        asked = made.begin(client)
        await eventually(partial(taken, upstream.peers, 64 * 65536))
        await eventually(lambda: all(one.upload.waits for one in made.pool._connections))
        made.later(329)
        assert not asked.done()
        made.later(2)
        assert problem_of(await asked) == (408, "upload_too_slow")


async def test_an_answer_that_is_all_here_holds_no_connection_for_a_client_that_reads_slowly() -> None:
    rest = asyncio.Event()

    async def in_two(peer: Peer) -> None:
        await peer.request()
        await peer.send(LENGTH_5)
        await rest.wait()
        await peer.send(b"hello")
        await peer.until_gone()

    async with world(in_two) as (made, _):
        client = request()
        asked = made.begin(client)
        await eventually(lambda: len(client.messages) == 2)
        client.gate.clear()
        rest.set()
        await eventually(lambda: made.pool.in_flight == 0)
        assert len(made.pool) == 1
        client.gate.set()
        assert (await asked).body == b"hello"


async def test_the_total_timeout_holds_for_a_client_that_does_not_read() -> None:
    rest = asyncio.Event()

    async def in_two(peer: Peer) -> None:
        await peer.request()
        await peer.send(LENGTH_5)
        await rest.wait()
        await peer.send(b"hello")
        await peer.until_gone()

    async with world(in_two, total_timeout=SECONDS[10]) as (made, _):
        client = request()
        client.gate.clear()
        asked = made.begin(client)
        await eventually(lambda: any(connection.answering for connection in made.pool._connections))
        rest.set()
        await eventually(lambda: any(connection.complete for connection in made.pool._connections))
        assert made.pool.in_flight == 1  # it has not taken the head yet
        made.later(11)
        assert made.pool.in_flight == 0
        client.gate.set()
        with pytest.raises(AnswerBroken):
            await asked
        assert made.pool.endpoints.all[0].faults == 0


async def test_the_upstream_s_slowness_with_a_body_is_not_the_client_s() -> None:
    never = asyncio.Event()

    async def deaf(peer: Peer) -> None:
        await peer.head()
        await never.wait()

    async with world(deaf, read_timeout=SECONDS[60], upload_timeout=SECONDS[5]) as (made, _):
        client = request("POST", "/orders", ("content-length", str(2**30)))
        for _ in range(200):
            client.say(bytes(65536), more=True)
        asked = made.begin(client)
        await eventually(lambda: any(connection.writer.paused for connection in made.pool._connections))
        made.later(50)
        assert not asked.done()
        made.later(11)
        assert problem_of(await asked) == (504, "upstream_timeout")
        never.set()


async def test_an_answer_that_has_begun_is_broken_off_by_a_body_that_trickles() -> None:
    async def answers_early(peer: Peer) -> None:
        await peer.head()
        await peer.send(LENGTH_5 + b"he")
        await peer.until_gone()

    async with world(answers_early, upload_timeout=SECONDS[30]) as (made, _):
        client = Client(request("POST", "/orders", ("transfer-encoding", "chunked")).scope)
        asked = made.begin(client)
        await eventually(partial(has, client, 2))
        made.later(31)
        with pytest.raises(AnswerBroken):
            await asked
