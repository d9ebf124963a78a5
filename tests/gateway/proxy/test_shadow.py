"""A route in shadow serves everybody, notes whom it would have refused, and vouches for nobody who was not verified."""

from dataclasses import replace
from typing import Any

import pytest

from gateway.proxy.access_log import Share
from gateway.proxy.plane_config import PlaneConfig
from policies.quota import Quota
from policies.route import Route
from policies.route_table import RouteTable
from policies.rule import Acr, All, Scopes
from tests.gateway.proxy.harness import ALICE, HOST, READ, Refused, World, polite, request, world
from tests.gateway.proxy.test_access_log import Logged
from tests.gateway.proxy.test_api_keys import KEY, TEXT

IDENTITY = b"\r\nx-yett-subject: alice\r\n"


def shadowed(made: World, *rules: Any) -> World:
    routes = tuple(
        Route(f"r{number}", (HOST,), f"/r{number}", rule, "orders", shadow=True, signed_identity=False)
        for number, rule in enumerate(rules)
    )
    made.plane.config = PlaneConfig(RouteTable.compile(routes), made.plane.config.upstreams, digest="d")
    return made


ADMIN = Scopes(frozenset({"admin"}))
STEP_UP = All((READ, Acr("urn:yett:acr:mfa")))


@pytest.mark.parametrize(
    ("rule", "token", "outcome", "reason", "status"),
    [
        (ADMIN, "alice", "would_deny", "insufficient_scope", 403),
        (STEP_UP, "alice", "would_challenge", "insufficient_user_authentication", 401),
        (READ, None, "would_challenge", "token_missing", 401),
        (READ, "forged", "would_challenge", "signature_invalid", 401),
    ],
)
async def test_it_serves_and_notes_what_it_would_have_done(
    rule: Any, token: str | None, outcome: str, reason: str, status: int
) -> None:
    async with world(polite) as (made, upstream):
        answer = await shadowed(made, rule).ask(request("GET", "/r0", token=token))
    assert (answer.status, answer.body) == (200, b"ok")
    assert "www-authenticate" not in answer.headers
    (seen,) = made.seen
    assert (seen.outcome, seen.reason, seen.status, seen.route, seen.config) == (outcome, reason, status, "r0", "d")
    assert (IDENTITY in upstream.heads[0]) == (token == "alice")


async def test_whoever_may_pass_is_not_noted() -> None:
    async with world(polite) as (made, upstream):
        assert (await shadowed(made, READ).ask(request("GET", "/r0"))).status == 200
    assert made.seen == []
    assert IDENTITY in upstream.heads[0]


async def test_a_token_for_another_api_gives_nobody_a_name() -> None:
    async with world(polite) as (made, upstream):
        made.principals[b"alice"] = replace(ALICE, audiences=frozenset({"https://other.example.com"}))
        assert (await shadowed(made, READ).ask(request("GET", "/r0"))).status == 200
    assert [seen.reason for seen in made.seen] == ["audience_mismatch"]
    assert b"x-yett-" not in upstream.heads[0]


async def test_nobody_is_named_while_revocations_are_not_heard() -> None:
    async with world(polite) as (made, upstream):
        made.fresh = False
        assert (await shadowed(made, READ).ask(request("GET", "/r0"))).status == 200
    assert [(seen.outcome, seen.reason) for seen in made.seen] == [("would_refuse", "revocations_stale")]
    assert b"x-yett-" not in upstream.heads[0]


async def test_names_that_a_client_sends_are_taken_away_as_ever() -> None:
    async with world(polite) as (made, upstream):
        await shadowed(made, READ).ask(request("GET", "/r0", ("x-yett-subject", "root"), token=None))
    assert b"root" not in upstream.heads[0]


async def test_nobody_is_vouched_for_who_was_not_verified() -> None:
    """``identity: jwt`` beside ``shadow``: no key is asked for, and no line is sent."""
    async with world(polite) as (made, upstream):
        made.principals[b"alice"] = replace(ALICE, audiences=frozenset({"https://other.example.com"}))
        route = Route("r0", (HOST,), "/r0", READ, "orders", shadow=True, signed_identity=True)
        made.plane.config = PlaneConfig(RouteTable.compile((route,)), made.plane.config.upstreams)
        assert (await made.ask(request("GET", "/r0"))).status == 200
    assert b"x-yett-identity" not in upstream.heads[0]


async def test_what_is_wrong_with_a_request_itself_is_refused_all_the_same() -> None:
    async with world(polite) as (made, _):
        shadowed(made, READ)
        assert (await made.ask(request("GET", "/r0//x"))).status == 400
        assert (await made.ask(request("GET", "/nothing"))).status == 404


async def test_the_access_log_says_what_would_have_been_whatever_its_share() -> None:
    async with world(polite) as (made, _):
        log = Logged(made, share=Share.of(0.0, refusals=True))
        access_log = made.plane.config.access_log
        made.plane.config = replace(shadowed(made, ADMIN).plane.config, access_log=access_log)
        line = await log.one("GET", "/r0")
    assert (line["decision"], line["status"]) == ("allow", 200)
    assert line["would"] == {"decision": "deny", "reason": "insufficient_scope"}
    assert "sample" not in line


@pytest.mark.parametrize("known", [True, False])
async def test_an_api_key_of_ours_is_passed_on_to_nobody(known: bool) -> None:
    """Where ``authorization: forward`` passes other tokens on: it lives for long, and no key is taken there."""
    async with world(polite) as (made, upstream):
        if known:
            made.principals[TEXT.encode()] = KEY
        else:
            revoked = Refused("api_key_revoked")
            revoked.api_key_id = KEY.api_key_id
            made.authenticate = lambda token: revoked if token == TEXT.encode() else ALICE
        route = Route("r0", (HOST,), "/r0", ADMIN, "orders", shadow=True, pass_authorization=True)
        made.plane.config = PlaneConfig(RouteTable.compile((route,)), made.plane.config.upstreams)
        for token in (TEXT, "alice"):
            assert (await made.ask(request("GET", "/r0", token=token))).status == 200
    assert [b"authorization: " in head for head in upstream.heads] == [False, True]
    assert b"x-yett-" not in upstream.heads[0]


def limited(made: World, rule: Any, per: Any) -> World:
    quota = Quota(per, 2, "minute", 2)
    route = Route("r0", (HOST,), "/r0", rule, "orders", shadow=True, quotas=(quota,))
    made.plane.config = PlaneConfig(RouteTable.compile((route,)), made.plane.config.upstreams)
    return made


@pytest.mark.parametrize("per", ["subject", "client", "tenant"])
async def test_strangers_who_are_let_in_are_counted_by_their_address(per: Any) -> None:
    async with world(polite) as (made, _):
        limited(made, READ, per)
        statuses = [
            (await made.ask(request("GET", "/r0", token=token, peer=peer))).status
            for token, peer in [(None, "192.0.2.1")] * 3 + [(None, "192.0.2.2"), ("alice", "192.0.2.1")]
        ]
    assert statuses == [200, 200, 429, 200, 200]


async def test_a_limit_counts_no_caller_whose_token_does_not_count_there() -> None:
    async with world(polite) as (made, _):
        limited(made, READ, "subject")
        made.principals[b"other"] = replace(ALICE, audiences=frozenset({"https://other.example.com"}))
        for _ in range(3):
            last = await made.ask(request("GET", "/r0", token="other"))
        assert last.status == 429
        assert (await made.ask(request("GET", "/r0"))).status == 200


async def test_who_has_no_upstream_without_a_tenant_is_refused_all_the_same() -> None:
    async with world(polite) as (made, _):
        route = Route("r0", (HOST,), "/r0", READ, "live-{tenant}", shadow=True)
        made.plane.config = PlaneConfig(RouteTable.compile((route,)), {"live-acme": made.pool})
        assert (await made.ask(request("GET", "/r0", token=None))).status == 401
        assert (await made.ask(request("GET", "/r0"))).status == 200


def of_tenant(name: str, *tenants: str, shadow: bool = True, host: str = HOST, **options: Any) -> Route:
    return Route(name, (host,), "/r0", READ, "orders", tenants=frozenset(tenants) or None, shadow=shadow, **options)


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        ([of_tenant("acme-s", "acme")], 200),
        ([of_tenant("both", "acme", "globex")], 200),
        ([of_tenant("acme-s", "acme"), of_tenant("globex-s", "globex")], 401),
        ([of_tenant("acme-s", "acme"), of_tenant("globex-s", "globex", shadow=False)], 401),
        ([of_tenant("acme-s", "acme"), of_tenant("globex-s", "globex", methods=frozenset({"PUT"}))], 401),
        ([of_tenant("acme-s", "acme"), of_tenant("anybody-s", shadow=False)], 401),
        ([of_tenant("acme-s", "acme"), of_tenant("anybody-s", shadow=False, host="*")], 401),
        ([of_tenant("acme-s", "acme"), of_tenant("globex-s", "globex", host="*")], 401),
        ([of_tenant("anybody-s"), of_tenant("globex-s", "globex", shadow=False)], 200),
    ],
)
@pytest.mark.parametrize("token", [None, "expired", "key"])
async def test_whose_tenant_is_not_known_is_led_to_no_tenant_s_api_where_there_are_several(
    routes: list[Route], expected: int, token: str | None
) -> None:
    """Else an expired token of globex, and what is sent with it, would be acme's to read."""
    async with world(polite) as (made, upstream):
        made.principals[b"key"] = replace(KEY, tenant="initech")
        made.plane.config = PlaneConfig(RouteTable.compile(routes), made.plane.config.upstreams)
        assert (await made.ask(request("GET", "/r0", token=token))).status == expected
        assert (await made.ask(request("GET", "/r0"))).status == 200
    assert len(upstream.heads) == (2 if expected == 200 else 1)
