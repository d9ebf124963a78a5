"""Several targets on real sockets: one that is dead is passed over and left out, and no request is lost or sent twice
that need not be.
"""

import asyncio
import errno
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from gateway.proxy.endpoints import FAULTS, FIRST_EJECTION
from gateway.proxy.plane import AnswerBroken
from gateway.proxy.upstream import Health, Target
from tests.gateway.proxy.harness import (
    OK,
    Client,
    Peer,
    Script,
    ScriptedUpstream,
    World,
    eventually,
    polite,
    request,
    tasks_of_the_proxy,
)
from tests.gateway.proxy.test_upstream_faults import closed_port, hangs, problem_of


@asynccontextmanager
async def targets(*scripts: Script, **options: Any) -> AsyncIterator[tuple[World, list[ScriptedUpstream]]]:
    """A data plane before as many targets, each of which follows its script on every connection."""
    async with AsyncExitStack() as opened:
        upstreams = [await opened.enter_async_context(ScriptedUpstream(script).running()) for script in scripts]
        made = World(*(upstream.port for upstream in upstreams), **options)
        try:
            yield made, upstreams
            assert not tasks_of_the_proxy()
            assert made.pool.in_flight == 0
        finally:
            made.pool.close()


async def resets(peer: Peer) -> None:
    await peer.head()
    peer.reset()


async def nonsense(peer: Peer) -> None:
    await peer.request()
    await peer.send(b"nonsense\r\n\r\n")


async def test_a_dead_target_is_skipped_by_turns_too() -> None:
    async with closed_port() as dead, targets(polite) as (_, (alive,)):
        made = World(dead, alive.port, balance="round-robin")
        for _ in range(20):
            assert (await made.ask(request("POST", "/orders"))).status == 200
        assert made.pool.endpoints.ready == [made.pool.endpoints.all[1]]
        assert made.pool.endpoints.only is not None  # and costs nothing any more
        made.pool.close()


async def test_it_is_back_on_trial_after_its_time_and_then_for_good() -> None:
    async with closed_port() as dead, targets(polite) as (_, (alive,)):
        made = World(dead, alive.port)
        for _ in range(2 * FAULTS):
            await made.ask(request())
        bad = made.pool.endpoints.all[0]
        assert bad.ejected_until
        made.later(FIRST_EJECTION)
        assert bad.on_trial
        for _ in range(2):  # it is dead still
            assert (await made.ask(request())).status == 200
        assert bad.ejected_until == made.clock.now + 2 * FIRST_EJECTION
        made.pool.close()


async def test_a_target_that_answers_again_is_used_again() -> None:
    async def once_bad(peer: Peer) -> None:
        await (nonsense if len(sick.peers) <= FAULTS else polite)(peer)

    async with targets(once_bad, polite) as (made, (sick, _)):
        statuses = Counter([(await made.ask(request())).status for _ in range(2 * FAULTS)])
        assert statuses == {502: FAULTS, 200: FAULTS}
        assert len(made.pool.endpoints.ready) == 1
        made.later(FIRST_EJECTION)
        for _ in range(4):
            assert (await made.ask(request())).status == 200
        assert len(made.pool.endpoints.ready) == 2
        assert made.pool.endpoints.all[0].faults == 0
        assert len(sick.heads) == FAULTS + 2


async def test_an_answer_that_streams_ends_the_trial_with_its_head() -> None:
    async def streams(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\nevent")
        await peer.until_gone()

    async with targets(streams, polite) as (made, _):
        for _ in range(FAULTS):
            made.pool.endpoints.failed(made.pool.endpoints.all[0], made.clock())
        made.pool._clock = made.clock
        made.later(FIRST_EJECTION)
        assert made.pool.endpoints.all[0].on_trial
        made.pool.endpoints.all[1].passed = 10.0
        client = request()
        asked = made.begin(client)
        await eventually(lambda: client.body)
        assert not made.pool.endpoints.all[0].on_trial
        assert made.pool.endpoints.all[0].faults == 0
        client.leave()
        made.later(1)
        await asked


async def test_where_all_are_dead_all_are_tried_and_the_first_that_lives_answers() -> None:
    async with closed_port() as one:
        async with closed_port() as other:
            made = World(one, other)
            for _ in range(2 * FAULTS):
                assert problem_of(await made.ask(request())) == (502, "upstream_unreachable")
        assert all(endpoint.ejected_until for endpoint in made.pool.endpoints.all)
        async with ScriptedUpstream(polite).running(port=other):
            assert (await made.ask(request())).status == 200
            assert [endpoint.on_trial for endpoint in made.pool.endpoints.all] == [True, False]
            assert [endpoint.ejected_until for endpoint in made.pool.endpoints.all] == [0, 0]
            made.pool.close()


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_an_answer_is_an_answer_whatever_its_status(status: int) -> None:
    async def says_so(peer: Peer) -> None:
        while True:
            await peer.answer(b"HTTP/1.1 %d Sorry\r\nContent-Length: 0\r\n\r\n" % status)

    async with targets(says_so, polite) as (made, _):
        found = Counter([(await made.ask(request())).status for _ in range(20)])
        assert found == {status: 10, 200: 10}


async def test_silence_counts_against_a_target() -> None:
    async with targets(hangs, polite) as (made, (silent, _)):
        made.pool.endpoints.all[1].passed = 10.0
        for number in range(FAULTS):
            asked = made.begin(request())
            await eventually(partial(has_heads, silent, number + 1))
            made.later(31)
            assert (await asked).status == 504
        assert made.pool.endpoints.all[0].ejected_until


def has_heads(upstream: ScriptedUpstream, count: int) -> bool:
    return len(upstream.heads) == count


async def answers_or_hangs(peer: Peer) -> None:
    while True:
        head = await peer.request()
        if b"/hang" in head:
            await peer.until_gone()
            return
        await peer.send(OK)


async def test_silence_beside_good_answers_does_not_count() -> None:
    async with targets(answers_or_hangs, polite) as (made, (odd, _)):
        bad, good = made.pool.endpoints.all
        good.passed = 1000.0
        asked = []
        for number in range(2 * FAULTS):
            asked.append(made.begin(request(path="/orders/hang")))
            good.open += 1  # as if it had as many
            await eventually(partial(has_heads, odd, number + 1))
        made.later(1)
        good.open += 1
        assert (await made.ask(request())).status == 200
        assert has_heads(odd, 2 * FAULTS + 1)
        good.open -= 2 * FAULTS + 1
        made.later(30)
        assert {client.status for client in await asyncio.gather(*asked)} == {504}
        assert bad.faults == 0
        assert made.pool.endpoints.ready == [bad, good]


async def reads_slowly(peer: Peer) -> None:
    """Takes a body for as long as it likes, and says nothing."""
    while True:
        head = await peer.head()
        if b"POST" in head:
            await peer.until_gone()
            return
        await peer.send(OK)


@pytest.mark.parametrize("ended", [False, True])
async def test_the_time_that_a_client_takes_with_its_body_counts_against_nobody(ended: bool) -> None:
    async with targets(reads_slowly, reads_slowly, total_timeout=timedelta(seconds=20)) as (made, upstreams):
        slow = [
            request("POST", "/orders", ("transfer-encoding", "chunked")).say(b"x", more=True) for _ in range(2 * FAULTS)
        ]
        asked = [made.begin(client) for client in slow]
        await eventually(lambda: sum(len(upstream.heads) for upstream in upstreams) == len(slow))
        await eventually(lambda: all(one.upload and one.upload.waits for one in made.pool._connections))
        made.later(19)
        if ended:
            for client in slow:
                client.say(b"y")
            await eventually(lambda: not any(one.upload and one.upload.waits for one in made.pool._connections))
        made.later(2)
        assert {client.status for client in await asyncio.gather(*asked)} == {504}
        assert [endpoint.faults for endpoint in made.pool.endpoints.all] == [0, 0]


async def test_silence_after_a_body_counts_as_any_other() -> None:
    async with targets(reads_slowly, polite) as (made, (silent, _)):
        made.pool.endpoints.all[1].passed = 10.0
        client = request("POST", "/orders", ("transfer-encoding", "chunked")).say(b"x")
        asked = made.begin(client)
        await eventually(lambda: silent.heads)
        await eventually(lambda: not any(one.upload and one.upload.waits for one in made.pool._connections))
        made.later(31)
        assert (await asked).status == 504
        assert made.pool.endpoints.all[0].faults == 1


async def test_a_server_that_gives_up_a_slow_body_is_not_at_fault() -> None:
    give_up = asyncio.Event()

    async def impatient(peer: Peer) -> None:
        await peer.head()
        await give_up.wait()

    async with targets(impatient, impatient) as (made, upstreams):
        slow = [
            request("POST", "/orders", ("transfer-encoding", "chunked")).say(b"x", more=True) for _ in range(2 * FAULTS)
        ]
        asked = [made.begin(client) for client in slow]
        await eventually(lambda: sum(len(upstream.heads) for upstream in upstreams) == len(slow))
        give_up.set()
        assert {client.status for client in await asyncio.gather(*asked)} == {502}
        assert [endpoint.faults for endpoint in made.pool.endpoints.all] == [0, 0]


async def test_what_began_before_the_ejection_says_nothing_of_the_trial() -> None:
    go = asyncio.Event()

    async def streams(peer: Peer) -> None:
        head = await peer.request()
        if b"/events" in head:
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nevent")
            await go.wait()
            peer.reset()
        await peer.send(OK)

    async with targets(streams, polite) as (made, _):
        made.pool.endpoints.all[1].passed = 10.0
        client = request(path="/orders/events")
        asked = made.begin(client)
        await eventually(lambda: client.body)
        bad = made.pool.endpoints.all[0]
        for _ in range(FAULTS):
            made.pool.endpoints.failed(bad, made.clock())
        made.later(FIRST_EJECTION)
        assert bad.on_trial
        go.set()
        with pytest.raises(AnswerBroken):
            await asked
        assert bad.on_trial


async def test_clients_that_leave_count_against_nobody() -> None:
    async with targets(hangs, hangs) as (made, upstreams):
        for number in range(4 * FAULTS):
            client = request()
            asked = made.begin(client)
            await eventually(lambda: sum(len(upstream.heads) for upstream in upstreams) == number + 1)  # noqa: B023
            client.leave()
            made.later(1)
            await asked
        assert [endpoint.faults for endpoint in made.pool.endpoints.all] == [0, 0]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
async def test_a_target_that_breaks_off_before_its_answer_is_replaced_by_another_once(method: str) -> None:
    async with targets(resets, polite) as (made, (bad, good)):
        made.pool.endpoints.all[1].passed = 10.0  # the bad one is next
        path = "/public/x" if method == "OPTIONS" else "/orders/7"
        assert (await made.ask(request(method, path))).status == 200
        assert (len(bad.heads), len(good.heads)) == (1, 1)


async def test_a_kept_connection_that_ended_does_not_lead_to_a_target_that_is_known_to_be_bad() -> None:
    async def closes_kept(peer: Peer) -> None:
        await peer.answer()
        await peer.head()

    async with targets(closes_kept, polite) as (made, (_, down)):
        made.pool.endpoints.probed(made.pool.endpoints.all[1], Health("/healthz"), "status 503", made.clock())
        for _ in range(6):
            assert (await made.ask(request())).status == 200
        assert not down.heads


async def test_not_twice() -> None:
    async with targets(resets, resets, polite) as (made, upstreams):
        made.pool.endpoints.all[2].passed = 10.0
        assert problem_of(await made.ask(request())) == (502, "upstream_malformed")
        assert [len(upstream.heads) for upstream in upstreams] == [1, 1, 0]


NOT_AGAIN = {
    "a post": ("POST", ("content-length", "0"), b""),
    "a put with its body": ("PUT", ("content-length", "5"), b"hello"),
    "a put in chunks": ("PUT", ("transfer-encoding", "chunked"), b"hello"),
    "a put with a long body": ("PUT", ("content-length", "100000"), bytes(100_000)),
}


@pytest.mark.parametrize(("method", "framing", "body"), NOT_AGAIN.values(), ids=NOT_AGAIN.keys())
@pytest.mark.parametrize("kept", [False, True])
async def test_what_may_have_happened_is_not_sent_again(
    method: str, framing: tuple[str, str], body: bytes, kept: bool
) -> None:
    async def bad(peer: Peer) -> None:
        if kept:
            await peer.answer()
        await peer.request()
        peer.reset()

    async with targets(bad, polite) as (made, (_, good)):
        if kept:
            made.pool.endpoints.all[1].passed = 10.0
            await made.ask(request())
            made.pool.endpoints.all[1].passed = 20.0
        else:
            made.pool.endpoints.all[1].passed = 10.0
        before = len(good.heads)
        client = await made.ask(request(method, "/orders", framing).say(body))
        assert problem_of(client) == (502, "upstream_malformed")
        assert len(good.heads) == before


async def test_what_timed_out_is_not_sent_again() -> None:
    async with targets(hangs, polite) as (made, (silent, good)):
        made.pool.endpoints.all[1].passed = 10.0
        asked = made.begin(request())
        await eventually(lambda: silent.heads)
        made.later(31)
        assert problem_of(await asked) == (504, "upstream_timeout")
        assert not good.heads


async def test_what_was_answered_in_part_is_not_sent_again() -> None:
    async def begins(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"H")

    async with targets(begins, polite) as (made, (_, good)):
        made.pool.endpoints.all[1].passed = 10.0
        assert (await made.ask(request())).status == 502
        assert not good.heads


async def test_a_body_that_had_not_begun_goes_to_the_other_target() -> None:
    async with targets(resets, polite) as (made, (bad, good)):
        made.pool.endpoints.all[1].passed = 10.0
        client = request("PUT", "/orders", ("transfer-encoding", "chunked"))
        asked = made.begin(client)
        await eventually(lambda: good.heads)
        client.say(b"hello")
        await asked
        assert client.status == 200
        assert good.peers[0].bodies == [b"hello"]
        assert bad.peers[0].bodies == []


@pytest.mark.parametrize("idle", [False, True])
async def test_a_target_that_dies_under_load_costs_no_request_that_can_be_sent_again(idle: bool) -> None:
    dying = asyncio.Event()
    seen: Counter[bytes] = Counter()

    async def numbered(peer: Peer) -> None:
        while True:
            head = await peer.head()
            seen[head.partition(b"\r\n")[0]] += 1
            await peer.send(OK)

    async def dies(peer: Peer) -> None:
        for _ in range(2):
            head = await peer.head()
            if dying.is_set():
                break
            seen[head.partition(b"\r\n")[0]] += 1
            await peer.send(OK)
        else:
            await peer.head()
        seen[peer.heads[-1].partition(b"\r\n")[0]] += 1
        peer.reset()

    async def user(number: int) -> list[Client]:
        asked = []
        for turn in range(30):
            method = ("GET", "POST", "DELETE")[(number + turn) % 3]
            framing = [("content-length", "0")] if method == "POST" else []
            asked.append(await made.ask(request(method, f"/orders/{number}-{turn}", *framing)))
            if turn == 10:
                dying.set()
        return asked

    async with targets(dies, numbered) as (made, (dead, _)):
        if idle:  # many kept connections that are all about to be stale
            await asyncio.gather(*(made.ask(request()) for _ in range(40)))
            seen.clear()
        clients = [client for asked in await asyncio.gather(*map(user, range(20))) for client in asked]
        assert dead.heads
        lost = [client.scope["method"] for client in clients if client.status != 200]
        assert set(lost) <= {"POST"}
        posts = {line: count for line, count in seen.items() if line.startswith(b"POST ")}
        assert set(posts.values()) == {1}
        assert max(seen.values()) <= 2


async def test_requests_over_the_upstream_s_bound_are_503_with_retry_after() -> None:
    async with targets(hangs, max_in_flight=2) as (made, (upstream,)):
        asked = [made.begin(request()) for _ in range(2)]
        await eventually(lambda: len(upstream.heads) == 2)
        third = await made.ask(request())
        assert problem_of(third) == (503, "upstream_busy")
        assert third.headers["retry-after"] == "1"
        made.later(31)
        await asyncio.gather(*asked)


async def test_a_burst_in_one_turn_is_held_to_the_bound() -> None:
    async with targets(hangs, max_in_flight=3) as (made, (upstream,)):
        asked = [made.begin(request()) for _ in range(10)]
        await eventually(lambda: len(upstream.heads) == 3 and sum(task.done() for task in asked) == 7)
        made.later(31)
        assert Counter(client.status for client in await asyncio.gather(*asked)) == {503: 7, 504: 3}


async def test_kept_connections_are_held_to_the_bound() -> None:
    async with targets(polite, max_in_flight=2) as (made, _):
        for _ in range(5):
            assert {client.status for client in await asyncio.gather(*(made.ask(request()) for _ in range(2)))} == {200}
        assert made.pool.in_flight == 0


async def test_a_target_s_own_bound_sends_the_others_elsewhere() -> None:
    async with targets(hangs, hangs) as (_, (small, large)):
        made = World(
            targets=(
                Target("127.0.0.1", small.port, max_in_flight=1),
                Target("127.0.0.1", large.port, max_in_flight=2),
            )
        )
        asked = [made.begin(request()) for _ in range(3)]
        await eventually(lambda: len(small.heads) == 1 and len(large.heads) == 2)
        assert problem_of(await made.ask(request())) == (503, "upstream_busy")
        made.later(31)
        await asyncio.gather(*asked)


async def test_a_subject_keeps_its_target_and_nobody_is_bound_to_none() -> None:
    async with targets(polite, polite, balance="hash-subject") as (made, (one, other)):
        for _ in range(6):
            await made.ask(request())
        assert sorted((len(one.heads), len(other.heads))) == [0, 6]
        for _ in range(6):
            await made.ask(request(path="/public/x", token=None))
        assert min(len(one.heads), len(other.heads)) >= 3


async def test_a_black_hole_does_not_have_every_target_waited_for() -> None:
    async with targets(polite) as (_, (alive,)):
        made = World(alive.port, 1, 2, 3, 4, connect_timeout=timedelta(milliseconds=20))
        waits = 0

        async def never(endpoint: object) -> None:
            nonlocal waits
            waits += 1
            await asyncio.Event().wait()

        made.pool._open = never  # type: ignore[assignment,method-assign]
        assert problem_of(await made.ask(request())) == (502, "upstream_unreachable")
        assert waits in (2, 3)  # each for connect_timeout, and none after twice that


async def test_one_request_does_not_ask_every_target_of_a_large_outage() -> None:
    made, asked = World(*range(1, 20)), 0

    async def refuses(_: object) -> None:
        nonlocal asked
        asked += 1
        raise ConnectionRefusedError(errno.ECONNREFUSED, "refused")

    made.pool._open = refuses  # type: ignore[assignment,method-assign]
    assert problem_of(await made.ask(request())) == (502, "upstream_unreachable")
    assert asked == 4


@pytest.mark.parametrize("own", ["EMFILE", "ENFILE", "EADDRNOTAVAIL", "ENOBUFS", "ENOMEM"])
async def test_what_this_machine_lacks_is_no_fault_of_a_target(own: str) -> None:
    made = World(1, 2)

    async def lacks(_: object) -> None:
        raise OSError(getattr(errno, own), "none left")

    made.pool._open = lacks  # type: ignore[assignment,method-assign]
    for _ in range(2 * FAULTS):
        assert problem_of(await made.ask(request())) == (502, "upstream_unreachable")
    assert [endpoint.faults for endpoint in made.pool.endpoints.all] == [0, 0]


async def test_a_redirect_is_passed_on() -> None:
    async def moved(peer: Peer) -> None:
        await peer.answer(b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n")

    async with targets(moved) as (made, _):
        client = await made.ask(request())
        assert (client.status, client.headers["location"]) == (302, "http://169.254.169.254/")


async def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with targets(polite) as (made, _):
        assert (await made.ask(request())).status == 200
