"""A route's limits: who is counted together, what is said of it, and that what is refused reaches no upstream."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import UUID

import pytest

from policies.principal import Principal
from policies.quota import Quota
from policies.route import Route
from policies.route_table import RouteTable
from policies.rule import Anonymous
from tenants.jose import SigningKey
from tests.gateway.proxy.harness import (
    ALICE,
    HOST,
    READ,
    Client,
    Peer,
    Script,
    ScriptedUpstream,
    World,
    polite,
    request,
    world,
)

TWO = Quota("subject", 60, "minute", 2)
BOB = replace(ALICE, subject="bob", token_id="t2")
SERVICE = replace(BOB, client_id="demo-service", token_id="t3")
CAROL = replace(ALICE, tenant_id=UUID(int=2), tenant="globex", token_id="t4")


@asynccontextmanager
async def limited(
    *quotas: Quota, script: Script = polite, anonymous: bool = False, api_keys: bool = False, **options: object
) -> AsyncIterator[tuple[World, ScriptedUpstream]]:
    rule = Anonymous() if anonymous else READ
    route = Route("orders", (HOST,), "/orders/**", rule, "orders", quotas=quotas, body=100, api_keys=api_keys)
    async with world(script, **options) as (made, upstream):
        made.principals |= {b"bob": BOB, b"service": SERVICE, b"carol": CAROL}
        made.plane.config = replace(made.plane.config, table=RouteTable.compile((route,)))
        yield made, upstream


async def statuses(made: World, *clients: Client) -> list[int | None]:
    return [(await made.ask(client)).status for client in clients]


async def test_what_is_over_the_limit_is_refused_and_reaches_no_upstream() -> None:
    async with limited(TWO) as (made, upstream):
        assert await statuses(made, request(), request(), request()) == [200, 200, 429]
        refused = await made.ask(request())

    assert len(upstream.heads) == 2
    assert refused.problem["code"] == "rate_limited"
    assert refused.headers["retry-after"] == "1"
    assert refused.headers["ratelimit"] == '"subject-minute";r=0;t=1'
    assert refused.headers["ratelimit-policy"] == '"subject-minute";q=60;w=60'
    assert [(note.reason, note.status, note.subject) for note in made.seen] == [("rate_limited", 429, "alice")] * 2


async def test_an_allowed_answer_says_what_is_left() -> None:
    async with limited(TWO, Quota("route", 1000, "day", 1000)) as (made, _):
        answer = await made.ask(request())

    assert answer.headers["ratelimit-policy"] == '"subject-minute";q=60;w=60, "route-day";q=1000;w=86400'
    assert answer.headers["ratelimit"] == '"subject-minute";r=1;t=1, "route-day";r=999;t=87'


async def test_time_gives_back() -> None:
    async with limited(TWO) as (made, _):
        await statuses(made, request(), request())
        made.clock.now += 0.5
        assert await statuses(made, request()) == [429]
        made.clock.now += 0.5
        assert await statuses(made, request(), request()) == [200, 429]


@pytest.mark.parametrize(
    ("per", "apart"),
    [
        ("subject", ["bob", "carol"]),
        ("client", ["service", "carol"]),
        ("tenant", ["carol"]),
        ("address", ["carol"]),
        ("route", []),
    ],
)
async def test_who_is_counted_together(per: str, apart: list[str]) -> None:
    """All come from one address; the tenants' counts are never one, but where the limit is on all who ask."""
    async with limited(Quota(per, 60, "minute", 1)) as (made, _):  # type: ignore[arg-type]
        assert await statuses(made, request()) == [200]
        found = {who: (await statuses(made, request(token=who)))[0] for who in ("alice", "bob", "service", "carol")}

    others = {"subject": {"service"}, "client": {"bob"}}.get(per, set())
    assert found["alice"] == 429
    assert [who for who in apart if found[who] != 200] == []
    assert [who for who in others if found[who] != 429] == []


@pytest.mark.parametrize(
    ("peer", "status"),
    [
        ("192.0.2.7", 429),
        ("::ffff:192.0.2.7", 429),
        ("192.0.2.8", 200),
        ("2001:db8:0:1::1", 200),
    ],
)
async def test_an_address_is_a_client(peer: str, status: int) -> None:
    async with limited(Quota("address", 60, "minute", 1), anonymous=True) as (made, _):
        await statuses(made, request(token=None))
        assert await statuses(made, request(token=None, peer=peer)) == [status]


async def test_a_network_of_ipv6_is_one_client() -> None:
    async with limited(Quota("address", 60, "minute", 1), anonymous=True) as (made, _):
        peers = ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:2::1")
        assert await statuses(made, *(request(token=None, peer=peer) for peer in peers)) == [200, 429, 200]


async def test_the_client_behind_a_trusted_proxy_is_who_counts() -> None:
    async with limited(Quota("address", 60, "minute", 1), anonymous=True) as (made, _):
        asked = [
            request("GET", "/orders/7", ("x-forwarded-for", client), token=None, peer="10.0.0.1")
            for client in ("192.0.2.1", "192.0.2.2", "192.0.2.1")
        ]
        assert await statuses(made, *asked) == [200, 200, 429]


async def test_what_is_refused_for_another_reason_does_not_count() -> None:
    async with limited(TWO) as (made, _):
        too_long = request("POST", "/orders/7", ("content-length", "101"))
        await statuses(made, request(token=None), request(token="mallory"), too_long, request("GET", "/orders//7"))
        assert await statuses(made, request(), request(), request()) == [200, 200, 429]


async def test_head_counts_and_a_preflight_does_not() -> None:
    async with limited(TWO) as (made, _):
        assert await statuses(made, request("HEAD"), request("HEAD"), request("HEAD")) == [200, 200, 429]


async def test_a_page_can_read_that_an_upstream_failed_and_what_is_left() -> None:
    async def gone(peer: object) -> None:
        peer.close()  # type: ignore[attr-defined]

    async with limited(TWO, script=gone) as (made, _):
        answer = await made.ask(request("POST", "/orders/7", ("content-length", "0")).say())

    assert (answer.status, answer.headers["ratelimit"]) == (502, '"subject-minute";r=1;t=1')


async def test_where_there_is_no_room_a_stranger_is_refused_and_nobody_is_forgotten() -> None:
    async with limited(Quota("address", 1, "day", 1), anonymous=True, counters=16) as (made, _):
        peers = [f"192.0.2.{n}" for n in range(1, 6)]
        assert await statuses(made, *(request(token=None, peer=peer) for peer in peers)) == [200, 200, 429, 429, 429]
        crowded = await made.ask(request(token=None, peer="192.0.2.9"))
        assert await statuses(made, request(token=None, peer="192.0.2.1")) == [429]

    assert crowded.headers["retry-after"] == "10"
    assert crowded.problem["code"] == "rate_limited"
    assert "ratelimit" not in crowded.headers
    assert [note.reason for note in made.seen] == ["rate_limit_full"] * 4 + ["rate_limited"]


async def test_counts_survive_a_change_of_the_configuration() -> None:
    async with limited(TWO) as (made, _):
        await statuses(made, request(), request())
        made.plane.config = replace(made.plane.config)
        assert await statuses(made, request()) == [429]


async def test_an_api_key_is_a_client_of_its_own() -> None:
    def key(number: int) -> Principal:
        return replace(ALICE, subject=f"key/{number}", client_id=None, api_key_id=str(number), session_id=None)

    async with limited(Quota("client", 60, "minute", 1), api_keys=True) as (made, _):
        made.principals |= {b"key1": key(1), b"key2": key(2)}
        asked = [request(token=token) for token in ("key1", "key2", "alice", "key1")]
        assert await statuses(made, *asked) == [200, 200, 200, 429]


async def test_what_nobody_can_vouch_for_at_present_does_not_count() -> None:
    route = Route("vouched", (HOST,), "/vouched", READ, "orders", signed_identity=True, quotas=(TWO,))
    async with world(polite) as (made, upstream):
        made.plane.config = replace(made.plane.config, table=RouteTable.compile((route,)))
        asked = [request("GET", "/vouched") for _ in range(6)]
        assert await statuses(made, *asked[:3]) == [503, 503, 503]
        assert asked[0].headers.keys().isdisjoint({"ratelimit", "ratelimit-policy"})
        made.keys[ALICE.tenant_id] = SigningKey.generate()
        assert await statuses(made, *asked[3:]) == [200, 200, 429]
    assert len(upstream.heads) == 2


async def test_what_an_upstream_says_of_limits_of_its_own_is_not_told_beside_ours() -> None:
    async def limiting(peer: Peer) -> None:
        fields = b'RateLimit: "own";r=0;t=9\r\nRateLimit-Policy: "own";q=5;w=1\r\nRateLimit-Remaining: 0\r\n'
        while True:
            await peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Kept: 1\r\n" + fields + b"\r\nok")

    def told(client: Client) -> list[tuple[bytes, bytes]]:
        return [field for field in client.messages[0]["headers"] if field[0].startswith((b"ratelimit", b"x-kept"))]

    async with limited(TWO, script=limiting) as (made, _):
        assert told(await made.ask(request())) == [
            (b"x-kept", b"1"),
            (b"ratelimit-policy", b'"subject-minute";q=60;w=60'),
            (b"ratelimit", b'"subject-minute";r=1;t=1'),
        ]
    async with limited(script=limiting) as (made, _):
        assert [name for name, _ in told(await made.ask(request()))] == [
            b"x-kept",
            b"ratelimit",
            b"ratelimit-policy",
            b"ratelimit-remaining",
        ]
