"""The access log has every request with the facts that its decision read, no secret, and no forged line."""

import asyncio
import gc
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from types import FunctionType, MappingProxyType, ModuleType
from typing import Any

import pytest

from gateway.proxy.access_line import line
from gateway.proxy.access_log import AccessLog, Share
from gateway.proxy.plane_config import PlaneConfig
from gateway.proxy.recorded import Recorded, recorded
from gateway.proxy.rehearsal import Facts, Rehearsal, Unknown
from gateway.proxy.shown_path import shown_path
from gateway.settings import HostPort, HostSet
from policies.cross_origin import PageRules
from policies.route import Route
from policies.route_table import RouteTable
from policies.rule import All, Claims, Not
from tests.gateway.proxy.harness import (
    ALICE,
    AUDIENCE,
    HOST,
    NOW,
    READ,
    ROUTES,
    Client,
    Peer,
    Script,
    World,
    polite,
    request,
    world,
)

ALL = Share.of(1.0, refusals=False)
STAFF = Route("staff", (HOST,), "/staff", All((READ, Not(Claims((("plan", "free"),))))), "orders")


class Logged:
    """A world with an access log, and the lines of it."""

    def __init__(self, of: World, *, share: Share = ALL, claims: tuple[str, ...] = (), **of_routes: Share) -> None:
        self.world = of
        self.raw: list[bytes] = []
        log = AccessLog(
            lambda record: self.raw.append(line(record)),
            digest="d" * 64,
            claims=claims,
            share=share,
            of_routes={name.replace("_", "-"): share for name, share in of_routes.items()},
        )
        before = of.plane.config
        table = RouteTable.compile((*ROUTES, STAFF))
        of.plane.config = PlaneConfig(table, before.upstreams, digest="d" * 64, access_log=log)

    @property
    def lines(self) -> list[dict[str, Any]]:
        assert all(raw.endswith(b"\n") and raw.count(b"\n") == 1 and raw.isascii() for raw in self.raw)
        return [json.loads(raw) for raw in self.raw]

    async def one(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        """The line of one request."""
        before = len(self.raw)
        await self.world.ask(request(*arguments, **options))
        (found,) = self.lines[before:]
        return found


@asynccontextmanager
async def logged(*scripts: Script, **options: Any) -> AsyncIterator[Logged]:
    async with world(*(scripts or (polite,))) as (made, _):
        yield Logged(made, **options)


async def test_a_request_that_is_let_through_has_all_facts_of_its_decision() -> None:
    async with logged() as log:
        found = await log.one("GET", "/orders/7", ("user-agent", "curl"), query="secret=1")
        (endpoint,) = log.world.pool.endpoints.all
    times = found.pop("ms")
    assert found.pop("time").endswith("Z")
    assert len(found.pop("request_id")) == 32
    assert found == {
        "config": "d" * 64,
        "decision": "allow",
        "reason": "allowed",
        "status": 200,
        "route": "orders-read",
        "method": "GET",
        "host": HOST,
        "path": "/orders/7",
        "address": "192.0.2.7",
        "token": "valid",
        "tenant": "acme",
        "tenant_id": str(ALICE.tenant_id),
        "subject": "alice",
        "client_id": "demo-app",
        "api_key": None,
        "scopes": ["orders:read", "orders:write"],
        "audiences": [AUDIENCE],
        "acr": "urn:yett:acr:pwd",
        "amr": ["pwd"],
        "auth_time": NOW,
        "upstream": "orders",
        "target": endpoint.label,
        "bytes_in": 0,
        "bytes_out": 2,
    }
    assert list(times) == ["decide", "connect", "first_byte", "total"]
    assert 0 <= times["decide"] <= times["first_byte"] <= times["total"]
    assert 0 < times["connect"] <= times["first_byte"]


async def test_a_connection_that_is_used_again_took_no_time_to_connect() -> None:
    async with logged() as log:
        await log.one()
        assert (await log.one())["ms"]["connect"] == 0


@pytest.mark.parametrize(
    ("arguments", "options", "expected"),
    [
        ((), {"token": None}, {"decision": "challenge", "reason": "token_missing", "status": 401, "token": "none"}),
        (
            (),
            {"token": "forged"},
            {
                "decision": "challenge",
                "reason": "signature_invalid",
                "status": 401,
                "token_reason": "signature_invalid",
            },
        ),
        (("GET", "/admin/x"), {}, {"decision": "deny", "reason": "insufficient_scope", "route": "admin"}),
        (("PATCH", "/orders/7"), {}, {"decision": "refuse", "reason": "method_not_allowed", "status": 405}),
        (("GET", "/nothing"), {"token": None}, {"decision": "refuse", "status": 404, "route": None}),
        (("GET", "/a//b"), {}, {"decision": "refuse", "reason": "path_not_canonical", "status": 400}),
        (("GET", "/public/x"), {}, {"decision": "allow", "token": "unread"}),
        (("GET", "/orders/7", ("upgrade", "websocket")), {}, {"reason": "upgrade_refused", "upgrade": "websocket"}),
    ],
)
async def test_each_decision_has_its_line(arguments: Any, options: Any, expected: dict[str, Any]) -> None:
    async with logged() as log:
        found = await log.one(*arguments, **options)
    assert {name: found[name] for name in expected} == expected | (
        {"reason": found["reason"]} if expected.get("reason") == "path_not_canonical" else {}
    )
    if found["decision"] != "allow":
        assert not {"upstream", "target", "bytes_in"} & set(found)
        assert list(found["ms"]) == ["decide", "total"]


async def test_a_preflight_is_a_line_with_the_method_that_it_asks_for() -> None:
    async with logged() as log:
        config = log.world.plane.config
        rules = PageRules(frozenset({"https://app.example.com"}))
        routes = [replace(route, pages=rules) for route in config.table.routes]
        log.world.plane.config = replace(config, table=RouteTable.compile(routes), pages=rules)
        wants = ("origin", "https://app.example.com"), ("access-control-request-method", "POST")
        found = await log.one("OPTIONS", "/orders/7", *wants, token=None)
    assert (found["decision"], found["reason"], found["preflight"]) == ("answer", "preflight", "POST")


async def test_of_the_claims_only_those_that_a_rule_names_are_written() -> None:
    claims = MappingProxyType({"plan": ["gold", 1], "email": "alice@example.com", "level": None})
    async with logged(claims=("plan", "level", "missing")) as log:
        log.world.principals[b"alice"] = replace(ALICE, claims=claims)
        found = await log.one("GET", "/staff")
    assert found["claims"] == {"plan": ["gold", 1], "level": None}
    assert found["claims_read"] == ["level", "missing", "plan"]
    assert b"alice@" not in log.raw[0]


async def test_no_secret_of_a_request_is_in_its_line() -> None:
    headers = ("cookie", "session=s3cr3t"), ("x-api-key", "s3cr3t"), ("referer", "https://a/?code=s3cr3t")
    async with logged() as log:
        log.world.principals[b"s3cr3t"] = ALICE
        for token in ("s3cr3t", "s3cr3t2"):
            await log.one("GET", "/orders/7", *headers, token=token, query="token=s3cr3t")
    assert b"s3cr3t" not in b"".join(log.raw)


TOKEN = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"


@pytest.mark.parametrize("secret", [TOKEN, "yak_" + "k" * 64, "yrt_" + "r" * 43])
async def test_a_token_or_a_key_in_a_path_is_in_no_log(secret: str) -> None:
    async with logged() as log:
        for path in (f"/orders/{secret}", f"/orders/{secret}/x", f"/nowhere/{secret}"):
            found = await log.one("GET", path)
            assert (found["path"], found["masked"]) == (path.replace(secret, "[redacted]"), True)
            with pytest.raises(Unknown, match="the whole path"):
                rehearsed(log.world, *ROUTES).decide(facts_of(log.raw[-1]))
        assert "masked" not in await log.one("GET", "/orders/yak_photos.of.mine")
    assert [seen.path for seen in log.world.seen] == ["/nowhere/[redacted]"]


@pytest.mark.parametrize(
    "path",
    [
        "/keyboard-layouts.version-12.archive1",
        "/eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9",
        "/" + "eyJhbGci" * 40_000,
        "/" + "eyJhbGciaaaa." * 40_000 + "/",
        "/" + "yak_" * 7,
        "/" + "yak_x/" * 40_000,
    ],
)
def test_a_path_is_left_as_it_is_or_masked_in_one_pass_whatever_stands_in_it(path: str) -> None:
    shown = shown_path(path.encode())
    assert (shown == path) is ("aaaa." not in path)


def facts_of(raw: bytes) -> Facts:
    found = recorded(raw)
    assert isinstance(found, Recorded)
    return found.facts


def rehearsed(made: World, *routes: Route) -> Rehearsal:
    config = PlaneConfig(RouteTable.compile(routes), made.plane.config.upstreams)
    return Rehearsal(config, HostSet.of((HostPort(HOST),)), made.plane.gate._identify.__self__._possession)


async def test_what_a_stranger_writes_forges_no_line() -> None:
    async with logged() as log:
        found = await log.one("GET", '/x"}\n{"decision":"allow', token=None, host='a"\r\n{"x":1}\u00ff')
    assert (found["path"], found["host"]) == ('/x"}\n{"decision":"allow', 'a"\r\n{"x":1}\u00ff')
    assert len(log.raw) == 1


async def test_what_waits_to_be_written_holds_on_to_no_large_header() -> None:
    long = "h" * 30_000
    wants = ("origin", "null"), ("access-control-request-method", long), ("upgrade", f"websocket{long}")
    async with logged() as log:
        records: list[Any] = []
        log.world.plane.config.access_log._put = records.append
        await log.world.ask(request("OPTIONS", "/x", ("cookie", long), *wants, token=None, host=long))
        await log.world.ask(request("GET", "/orders/x", ("cookie", long), ("upgrade", long)))
    assert longest_reached(records) <= 300
    found = json.loads(line(records[0]))
    assert [len(found[name]) for name in ("host", "upgrade", "preflight")] == [300, 100, 100]


async def test_an_upstream_that_fails_is_in_the_line() -> None:
    async def reset(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"nonsense\r\n\r\n")

    async with logged(reset) as log:
        found = await log.one()
    assert (found["decision"], found["status"], found["fault"]) == ("allow", 502, "upstream_malformed")
    assert found["target"] is None


async def test_an_answer_that_breaks_off_is_in_the_line_with_what_was_passed_on() -> None:
    async def half(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        peer.close()

    async with logged(half) as log:
        with pytest.raises(Exception, match="upstream_malformed"):
            await log.world.ask(request())
    (found,) = log.lines
    assert (found["status"], found["bytes_out"], found["fault"]) == (200, 4, "upstream_malformed")


async def test_a_client_that_left_is_in_the_line() -> None:
    asked = asyncio.Event()

    async def silent(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await peer.until_gone()

    async with logged(silent) as log:
        client = request("POST", "/orders/7", ("content-length", "3"), token="alice")
        client.say(b"abc", more=False)
        under_way = log.world.begin(client)
        await asked.wait()
        client.leave()
        await under_way
    (found,) = log.lines
    assert (found["status"], found["fault"], found["bytes_in"]) == (499, "client_gone", 3)


async def test_of_a_share_about_so_many_are_logged_and_every_refusal() -> None:
    async with logged(share=Share.of(0.25, refusals=False)) as log:
        for _ in range(400):
            await log.world.ask(request())
        allowed = len(log.raw)
        assert 50 <= allowed <= 160  # 100; each bound is five deviations away
        assert {found["sample"] for found in log.lines} == {0.25}
        for _ in range(20):
            await log.world.ask(request(token=None))
        assert [found.get("sample") for found in log.lines[allowed:]] == [None] * 20


async def test_refusals_are_sampled_only_where_that_is_asked_for() -> None:
    async with logged(share=Share.of(0.0, refusals=True)) as log:
        for client in (request(), request(token=None), request("GET", "/nothing")):
            await log.world.ask(client)
    assert log.raw == []


async def test_a_route_has_its_own_share() -> None:
    nothing = Share.of(0.0, refusals=True)
    async with logged(orders_read=nothing) as log:
        await log.world.ask(request())
        await log.world.ask(request(token=None))
        await log.world.ask(request("GET", "/public/x"))
    assert [found["route"] for found in log.lines] == ["public"]


async def test_what_fails_is_logged_whatever_the_share_is() -> None:
    async def refuses(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"nonsense\r\n\r\n")

    async with logged(refuses, share=Share.of(0.0, refusals=True)) as log:
        await log.world.ask(request())
    assert [found["fault"] for found in log.lines] == ["upstream_malformed"]


async def test_an_upstream_that_cannot_be_reached_has_no_target() -> None:
    made = World(9)
    log = Logged(made)
    await made.ask(request())
    (found,) = log.lines
    assert (found["status"], found["fault"], found["target"]) == (502, "upstream_unreachable", None)
    assert "first_byte" not in found["ms"]


def longest_reached(root: Any) -> int:
    """The longest text that can be reached from here, types and modules apart."""
    seen: set[int] = set()
    left, longest = [root], 0
    while left:
        found = left.pop()
        if id(found) in seen or isinstance(found, type | ModuleType | FunctionType):
            continue
        seen.add(id(found))
        if isinstance(found, str | bytes):
            longest = max(longest, len(found))
        left += gc.get_referents(found)
    return longest


async def calls_of(made: World, client: Client) -> int:
    """How many functions, Python's and C's, a request calls."""
    count = 0

    def count_calls(_: Any, event: str, __: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(count_calls)
    try:
        await made.ask(client)
    finally:
        sys.setprofile(None)
    return count


async def test_a_line_costs_a_request_twelve_calls_at_most() -> None:
    """Of some sixty that a refused request makes by itself. The line is rendered elsewhere."""
    async with world(polite) as (made, _):
        off = made.plane.config
        records: list[Any] = []
        log = AccessLog(records.append, digest="d", claims=(), share=ALL, of_routes={})
        counts = []
        for config in (off, replace(off, access_log=log)):
            made.plane.config = config
            for _ in range(3):  # whatever is made once, is made
                await made.ask(request(token=None))
            counts.append(await calls_of(made, request(token=None)))
    assert len(records) == 4
    assert 0 < counts[1] - counts[0] <= 12
