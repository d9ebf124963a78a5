"""What is rehearsed is what the proxy does: a log of the proxy's own, decided again, comes to the same decisions."""

import json
from dataclasses import replace
from ipaddress import ip_address, ip_network
from types import MappingProxyType
from typing import Any

import pytest

from gateway.proxy.access_line import gap
from gateway.proxy.access_log import Share
from gateway.proxy.plane_config import PlaneConfig
from gateway.proxy.recorded import Missing, Recorded, Unreadable, recorded
from gateway.proxy.rehearsal import Facts, KnownClaims, Rehearsal, Unknown
from gateway.proxy.replay import Replay
from gateway.settings import HostPort, HostSet
from policies.cross_origin import PageRules
from policies.route import Route
from policies.route_table import RouteTable
from policies.rule import Anonymous, Claims, ClientIs, Not, Scopes, SourceIp
from tests.gateway.proxy.harness import ALICE, HOST, NOW, READ, ROUTES, Client, World, polite, request, world
from tests.gateway.proxy.test_access_log import STAFF, Logged
from tests.gateway.proxy.test_api_keys import KEY

HOSTS = HostSet.of((HostPort(HOST),))
SHADOW = Route("shadow", (HOST,), "/shadow", Scopes(frozenset({"never"})), "orders", shadow=True)
HOME = Route("home", (HOST,), "/home", SourceIp((ip_network("192.0.2.0/24"),)), "orders")
MACHINES = Route("machines", (HOST,), "/machines", READ, "orders", api_keys=True)
SOCKET = Route("socket", (HOST,), "/socket", READ, "orders", methods=frozenset({"GET"}), websocket=True)
APP = Route("app", (HOST,), "/app", ClientIs(frozenset({"other"})), "orders")


def rehearsed(made: World, *routes: Route, config: PlaneConfig | None = None) -> Rehearsal:
    of = config or PlaneConfig(RouteTable.compile(routes), made.plane.config.upstreams)
    return Rehearsal(of, HOSTS, made.plane.gate._identify.__self__._possession)


HANDSHAKE = (
    ("upgrade", "websocket"),
    ("connection", "upgrade"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
)
REQUESTS: tuple[Any, ...] = (
    request(),
    request(token=None),
    request(token="forged"),
    request("HEAD", "/orders/7"),
    request("POST", "/orders/7"),
    request("PATCH", "/orders/7"),
    request("GET", "/admin/x"),
    request("GET", "/public/x"),
    request("GET", "/public/x", token=None),
    request("GET", "/files/a%2Fb"),
    request("GET", "/orders/a%2Fb"),
    request("GET", "/orders//7"),
    request("GET", "/orders/\u00ff"),
    request("GET", "/.yett/x"),
    request("GET", "/.well-known/oauth-protected-resource/orders", token=None),
    request("GET", "/ws", ("upgrade", "websocket"), ("connection", "upgrade")),
    request("GET", "/socket", *HANDSHAKE),
    request("GET", "/socket", *HANDSHAKE, token=None),
    request("GET", "/socket", *HANDSHAKE, ("sec-websocket-protocol", "yett, bearer.alice"), token=None),
    request("GET", "/socket", *HANDSHAKE, ("origin", "https://elsewhere.test")),
    request("GET", "/socket", ("upgrade", "websocket")),
    request("GET", "/socket", *HANDSHAKE[:2], ("sec-websocket-version", "8")),
    request("GET", "/socket"),
    request("GET", "/public/x", *HANDSHAKE),
    request("GET", "/nothing"),
    request("GET", "/bound/x"),
    request("GET", "/mixed/x"),
    request("GET", "/mixed/x", token=None),
    request("GET", "/mixed/x", token="forged"),
    request("GET", "/staff"),
    request("GET", "/staff", token="free"),
    request("GET", "/staff", token="other-api"),
    request("GET", "/shadow"),
    request("GET", "/shadow", token=None),
    request("GET", "/home"),
    request("GET", "/home", peer="198.51.100.1"),
    request("GET", "/app"),
    request("GET", "/orders/7", ("authorization", "Basic eDp5"), token=None),
    request("GET", "/orders/7", ("authorization", "Bearer second")),
    request("OPTIONS", "/orders/7", ("origin", "https://app.test"), ("access-control-request-method", "POST")),
    request("OPTIONS", "/nothing", ("origin", "https://app.test"), ("access-control-request-method", "POST")),
    request("OPTIONS", "/orders/7"),
    request("GET", "/orders/7", token="key"),
    request("GET", "/machines", token="key"),
    request("GET", "/mixed/x", token="key"),
    request("GET", "/shadow", token="key"),
)


async def record(made: World, *requests: Client, cors: bool = True, fresh: bool = True) -> list[bytes]:
    """The proxy's own log of these requests."""
    log = Logged(made, claims=("plan",))
    made.principals[b"free"] = replace(ALICE, claims=MappingProxyType({"plan": "free"}))
    made.principals[b"other-api"] = replace(ALICE, audiences=frozenset({"https://other.test"}))
    made.principals[b"key"] = KEY
    made.fresh = fresh
    rules = PageRules(frozenset({"https://app.test"})) if cors else None
    routes = [replace(route, pages=rules) for route in (*ROUTES, STAFF, SHADOW, HOME, APP, MACHINES, SOCKET)]
    made.plane.config = replace(made.plane.config, table=RouteTable.compile(routes), pages=rules)
    for client in requests:
        await made.ask(client)
    return log.raw


def again(client: Client) -> Client:
    fresh = Client(client.scope)
    fresh.say()
    return fresh


@pytest.mark.parametrize("cors", [True, False])
@pytest.mark.parametrize("fresh", [True, False])
async def test_each_recorded_request_is_decided_as_it_was(cors: bool, fresh: bool) -> None:
    async with world(polite) as (made, _):
        raws = await record(made, *map(again, REQUESTS), cors=cors, fresh=fresh)
        rehearsal = rehearsed(made, config=made.plane.config)
        decided = [recorded(raw) for raw in raws]
        assert len(decided) == len(REQUESTS)
        kinds = set()
        for found in decided:
            assert isinstance(found, Recorded)
            if found.fixed:
                continue
            verdict = rehearsal.decide(found.facts)
            assert (verdict.decision, verdict.reason, verdict.route) == found.decided, found.facts
            kinds.add(verdict.decision)
        assert kinds >= {"allow", "challenge", "deny", "refuse"} - (set() if fresh else {"deny"})
        replay = Replay(rehearsal, rehearsal, "d" * 64)
        for raw in raws:
            replay.take(raw)
    outcome = replay.outcome
    assert (outcome.decided, outcome.unchanged, outcome.changed, outcome.otherwise) == (len(raws), len(raws), 0, 0)
    assert not outcome.partial
    assert (outcome.unreadable, outcome.unknown) == ({}, {})


async def test_what_another_configuration_changes_is_counted_by_route_and_reason() -> None:
    async with world(polite) as (made, _):
        raws = await record(made, *map(again, [*REQUESTS[:3], *REQUESTS[:2], request("GET", "/home")]))
        changed = (
            Route("orders-read", (HOST,), "/orders/**", Scopes(frozenset({"more"})), "orders"),
            Route("home", (HOST,), "/home", Anonymous(), "orders"),
        )
        replay = Replay(rehearsed(made, config=made.plane.config), rehearsed(made, *changed), "d" * 64)
        for raw in raws:
            replay.take(raw)
    (change,) = replay.outcome.in_order()
    assert (change.count, change.before.decision, change.after.decision) == (2, "allow", "deny")
    assert (change.after.reason, change.after.route) == ("insufficient_scope", "orders-read")
    assert change.example["request_id"] == json.loads(raws[0])["request_id"]
    assert change.example["request"] == f"GET {HOST}/orders/7"
    assert replay.outcome.unchanged == 4


async def test_a_shadow_that_becomes_earnest_is_a_change() -> None:
    async with world(polite) as (made, _):
        raws = await record(made, request("GET", "/shadow"))
        earnest = rehearsed(made, replace(SHADOW, shadow=False))
        replay = Replay(rehearsed(made, config=made.plane.config), earnest, "d" * 64)
        replay.take(raws[0])
    (change,) = replay.outcome.in_order()
    assert change.before.would is not None
    assert (change.before.decision, change.before.would.decision, change.after.decision) == ("allow", "deny", "deny")


async def test_what_the_log_does_not_say_is_unknown_and_no_change() -> None:
    """A claim that no rule of that time read; whose token it was that an anonymous route was sent."""
    async with world(polite) as (made, _):
        raws = await record(made, request(), request("GET", "/public/x"), request("GET", "/public/x", token=None))
        wants = (
            Route("orders-read", (HOST,), "/orders/**", Not(Claims((("level", 1),))), "orders"),
            Route("public", (HOST,), "/public/**", READ, "orders"),
        )
        replay = Replay(rehearsed(made, config=made.plane.config), rehearsed(made, *wants), "d" * 64)
        for raw in raws:
            replay.take(raw)
    outcome = replay.outcome
    assert outcome.unknown == {"the claim level": 1, "whose token it was": 1}
    assert [(change.count, change.after.reason) for change in outcome.in_order()] == [(1, "token_missing")]
    assert outcome.decided == 1


async def test_samples_and_gaps_make_an_answer_partial() -> None:
    async with world(polite) as (made, _):
        log = Logged(made, share=Share.of(0.5, refusals=True))
        while len(log.raw) < 4:
            await made.ask(request())
        closed = rehearsed(made, Route("other", (HOST,), "/other", READ, "orders"))
        replay = Replay(rehearsed(made, config=made.plane.config), closed, "d" * 64)
        for raw in (*log.raw, gap(17)):
            replay.take(raw)
    outcome = replay.outcome
    assert (outcome.partial, outcome.sampled, outcome.dropped, outcome.lines) == (True, 4, 17, 5)
    (change,) = outcome.in_order()
    assert (change.count, change.estimate) == (4, 8.0)


@pytest.mark.parametrize(
    ("share", "of_route", "partial"),
    [
        (Share.of(1.0, refusals=True), Share.of(1.0, refusals=False), False),
        (Share.of(0.0, refusals=False), Share.of(1.0, refusals=False), True),
        (Share.of(1.0, refusals=False), Share.of(0.0, refusals=False), True),
    ],
)
async def test_a_log_that_leaves_requests_out_says_so_where_none_of_them_is_in_it(
    share: Share, of_route: Share, partial: bool
) -> None:
    async with world(polite) as (made, _):
        log = Logged(made, share=share, orders_read=of_route)
        await made.ask(request(token=None))
        rehearsal = rehearsed(made, config=made.plane.config)
        replay = Replay(rehearsal, rehearsal, "d" * 64)
        replay.take(log.raw[0])
    assert "sample" not in log.lines[0]
    assert (replay.outcome.decided, replay.outcome.sampled, replay.outcome.partial) == (1, 0, partial)


async def test_an_example_is_short_whatever_the_line_has(made_line: dict[str, Any]) -> None:
    """There may be ten thousand of them, and whoever writes the log chooses."""
    async with world(polite) as (made, _):
        closed = rehearsed(made, Route("other", (HOST,), "/other", READ, "orders"))
        replay = Replay(rehearsed(made, *ROUTES), closed, "d" * 64)
    long = "x" * 100_000
    replay.take(json.dumps(made_line | {"path": f"/orders/{long}", "subject": long, "request_id": long}).encode())
    (change,) = replay.outcome.in_order()
    assert [len(text or "") for text in change.example.values()] == [500, 500, 500]


@pytest.fixture
async def made_line() -> dict[str, Any]:
    async with world(polite) as (made, _):
        (raw,) = await record(made, request())
    line: dict[str, Any] = json.loads(raw)
    return line


async def test_a_token_is_by_default_for_every_api_that_there_is_another_proxys_too() -> None:
    async with world(polite) as (made, _):
        alone = Route("alone", (HOST,), "/alone", READ, "", audience="urn:alone")
        found = rehearsed(made, *ROUTES, alone).audiences
    assert found == {"urn:alone", *(pool.upstream.audience for pool in made.plane.config.upstreams.values())}


async def test_a_decision_that_went_by_something_else_is_told() -> None:
    async with world(polite) as (made, _):
        raws = await record(made, request())
        said = json.loads(raws[0]) | {"decision": "deny", "reason": "insufficient_scope"}
        rehearsal = rehearsed(made, config=made.plane.config)
        for digest, otherwise in (("d" * 64, 1), ("e" * 64, 0)):
            replay = Replay(rehearsal, rehearsal, "d" * 64)
            replay.take(json.dumps(said | {"config": digest}).encode())
            assert replay.outcome.otherwise == otherwise


async def test_a_host_that_is_no_api_host_any_more_is_refused() -> None:
    async with world(polite) as (made, _):
        facts = Facts("GET", "other.example.com", "/orders/7", ip_address("192.0.2.1"), NOW, ALICE)
        found = rehearsed(made, *ROUTES).decide(facts)
    assert (found.decision, found.reason, found.status) == ("refuse", "no_api_host", 421)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"method": None}, "lacks method"),
        ({"path": 7}, "has a path that is no text"),
        ({"path": "/\u0100"}, "has a path that no client can send"),
        ({"address": "nowhere"}, "has an address or a time that is none"),
        ({"time": "yesterday"}, "has an address or a time that is none"),
        ({"token": "perhaps"}, "has a token that is not known"),
        ({"token": "refused", "token_reason": "<script>"}, "has a token_reason that is none"),
        ({"scopes": "all"}, "has a scopes that is no list of text"),
        ({"claims": []}, "has a claims that is no object"),
        ({"auth_time": "now"}, "has a auth_time that is no whole number"),
        ({"auth_time": True}, "has a auth_time that is no whole number"),
        ({"tenant_id": "acme"}, "has a tenant_id that is none"),
        ({"sample": 0}, "has a sample that is no share"),
        ({"sample": "half"}, "has a sample that is no share"),
        ({"sample": 1e-320}, "has a sample that is no share"),
        ({"host": "h" * 301}, "has a host that is too long"),
        ({"tenant": "a" * 64}, "has a tenant that is none"),
        ({"event": "access_log.gap", "dropped": 0}, "has a dropped that is no count"),
        ({"event": "access_log.gap", "dropped": -17}, "has a dropped that is no count"),
        ({"event": "access_log.gap", "dropped": 10**4000}, "has a dropped that is no count"),
        ({"event": "access_log.gap", "dropped": None}, "has a dropped that is no whole number"),
    ],
)
async def test_a_line_that_is_none_is_counted_with_its_reason(change: dict[str, Any], why: str) -> None:
    async with world(polite) as (made, _):
        (raw,) = await record(made, request())
        rehearsal = rehearsed(made, config=made.plane.config)
    broken = json.dumps(json.loads(raw) | change).encode()
    with pytest.raises(Unreadable, match=f"^{why}$"):
        recorded(broken)
    replay = Replay(rehearsal, rehearsal, "d" * 64)
    for file in ("one.jsonl", "two.jsonl"):
        replay.begin(file)
        for line in (raw,) if file == "one.jsonl" else (raw, broken, broken, raw):
            replay.take(line)
    assert (replay.outcome.decided, replay.outcome.unreadable) == (3, {why: 2})
    assert replay.outcome.first_unreadable == "line 2 of two.jsonl"


@pytest.mark.parametrize("raw", [b"", b"\n", b"nonsense", b"[]", b"\xff", b"[" * 100_000, b'{"a":' * 5_000])
def test_what_is_no_json_object_is_no_line(raw: bytes) -> None:
    with pytest.raises(Unreadable):
        recorded(raw)


def test_a_gap_is_read_again() -> None:
    assert recorded(gap(3)) == Missing(3)


def test_a_claim_that_was_not_kept_is_not_taken_for_absent() -> None:
    claims = KnownClaims({"plan": "gold"}, frozenset({"plan", "level"}))
    assert (claims["plan"], "level" in claims, len(claims), list(claims)) == ("gold", False, 1, ["plan"])
    with pytest.raises(Unknown, match="the claim email"):
        assert "email" in claims
    with pytest.raises(Unknown, match="the claim email"):
        assert claims["email"]


async def test_kinds_of_changes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.proxy.replay.MOST_KINDS", 1)
    async with world(polite) as (made, _):
        raws = await record(made, request(), request(token=None), request())
        replay = Replay(rehearsed(made, config=made.plane.config), rehearsed(made, STAFF), "d" * 64)
        for raw in raws:
            replay.take(raw)
    assert (len(replay.outcome.changes), replay.outcome.beyond, replay.outcome.changed) == (1, 1, 3)
