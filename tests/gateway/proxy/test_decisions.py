"""What the data plane lets through, what it refuses, how it says so, and what it observes."""

import asyncio
from dataclasses import replace
from uuid import UUID

import pytest

from gateway.proxy.plane_config import PlaneConfig
from gateway.proxy.pool import UpstreamPool
from gateway.proxy.upstream import Upstream
from policies import acr
from policies.route import Route
from policies.route_table import RouteTable
from policies.rule import Anonymous
from tests.gateway.proxy.harness import ALICE, HOST, NOW, READ, Refused, World, polite, request, world


def silent() -> World:
    """A world whose upstream is not there: nothing in these tests may reach it."""
    return World(1)


async def refused(client_world: World, *args: str, **options: str | None) -> tuple[int, str, str]:
    client = await client_world.ask(request(*args, **options))  # type: ignore[arg-type]
    assert len(client_world.seen) == 1
    seen = client_world.seen[0]
    assert seen.outcome == "refused"
    assert seen.status == client.status == client.problem["status"]
    assert seen.request_id == client.problem["request_id"] == client.headers["x-request-id"]
    assert client.problem["type"] == f"urn:yett:problem:{client.problem['code']}"
    assert client.headers["content-length"] == str(len(client.body))
    assert len(client_world.pool) == 0
    return seen.status, client.problem["code"], seen.reason


async def test_no_token_is_challenged_without_an_error() -> None:
    plane = silent()
    client = await plane.ask(request(token=None))
    assert (client.status, client.problem["code"]) == (401, "token_missing")
    assert client.headers["www-authenticate"] == 'Bearer realm="yett"'


async def test_a_token_that_will_not_do_is_told_only_that() -> None:
    plane = silent()
    client = await plane.ask(request(token="forged"))
    assert (client.status, client.problem["code"]) == (401, "invalid_token")
    assert client.headers["www-authenticate"] == 'Bearer realm="yett", error="invalid_token"'
    assert plane.seen[0].reason == "signature_invalid"
    assert b"signature" not in client.body
    assert plane.seen[0].route == "orders-read"


async def test_a_refused_token_is_noted_for_the_tenant_whose_key_signed_it_and_for_nobody_else() -> None:
    plane = silent()
    revoked = Refused("token_revoked")
    revoked.proved_tenant = UUID(int=9)
    plane.authenticate = lambda _: revoked
    await plane.ask(request(token="revoked"))
    [seen] = plane.seen
    assert (seen.tenant_id, seen.subject, seen.client_id) == (UUID(int=9), None, None)


async def test_a_missing_scope_is_named() -> None:
    plane = silent()
    plane.principals[b"bob"] = replace(ALICE, subject="bob", scopes=frozenset({"orders:read"}))
    client = await plane.ask(request("POST", "/orders", token="bob"))
    assert (client.status, client.problem["code"]) == (403, "insufficient_scope")
    assert client.problem["scope"] == "orders:write"
    assert client.headers["www-authenticate"] == 'Bearer realm="yett", error="insufficient_scope", scope="orders:write"'
    seen = plane.seen[0]
    assert (seen.tenant_id, seen.subject, seen.client_id, seen.route) == (
        UUID(int=1),
        "bob",
        "demo-app",
        "orders-write",
    )
    assert (seen.method, seen.path, seen.address) == ("POST", "/orders", "192.0.2.7")


async def test_a_scope_comes_before_a_step_up_and_a_step_up_names_what_would_do() -> None:
    plane = silent()
    assert (await plane.ask(request("GET", "/admin/x"))).status == 403
    plane.principals[b"admin"] = replace(ALICE, scopes=frozenset({"admin"}), auth_time=NOW - 1000)
    client = await plane.ask(request("GET", "/admin/x", token="admin"))
    assert (client.status, client.problem["code"]) == (401, "insufficient_user_authentication")
    assert client.headers["www-authenticate"] == (
        f'Bearer realm="yett", error="insufficient_user_authentication", acr_values="{acr.MFA}", max_age="900"'
    )


async def test_a_token_for_another_api_is_invalid_here() -> None:
    plane = silent()
    plane.principals[b"other"] = replace(ALICE, audiences=frozenset({"https://api.example.com/billing"}))
    assert await refused(plane, token="other") == (401, "invalid_token", "audience_mismatch")


async def test_an_unknown_path_is_404_with_or_without_a_token() -> None:
    for token in ("alice", "forged", None):
        assert await refused(silent(), "GET", "/nothing", token=token) == (404, "route_not_found", "route_not_found")


async def test_an_unknown_host_has_no_routes() -> None:
    assert (await refused(silent(), host="nobody.test"))[0] == 404


async def test_another_method_is_405_and_says_which_there_are() -> None:
    plane = silent()
    client = await plane.ask(request("PATCH"))
    assert (client.status, client.problem["code"]) == (405, "method_not_allowed")
    assert client.headers["allow"] == "DELETE, GET, HEAD, POST, PUT"


@pytest.mark.parametrize(
    "path",
    [
        "/.yett/session",
        "/.yett",
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/orders",
    ],
)
async def test_the_gateway_s_own_paths_are_never_an_upstream_s(path: str) -> None:
    plane = silent()
    everything = Route("all", (HOST,), "/**", Anonymous(), "orders")
    plane.plane.config = PlaneConfig(RouteTable.compile((everything,)), {"orders": plane.pool})
    assert await refused(plane, "GET", path) == (404, "route_not_found", "reserved_path")


@pytest.mark.parametrize(
    "path",
    [
        "/public/../admin/x",
        "/public%2f..%2fadmin/x",
        "//admin/x",
        "/public/..;/x",
        "/admin/x%00.png",
        "/a%23b",
        "/public/\xe9",
        "/docs/a%2fb",
        "/orders/a%2fb",
        "*",
        "",
    ],
)
async def test_what_is_not_canonical_is_400_before_anything_is_asked(path: str) -> None:
    plane = silent()
    status, code, _ = await refused(plane, "GET", path, token=None)
    assert (status, code) == (400, "path_not_canonical")


async def test_two_authorization_fields_are_400_even_where_none_is_needed() -> None:
    plane = silent()
    client = await plane.ask(request("GET", "/public/x", ("authorization", "Bearer a")))
    assert (client.status, client.problem["code"]) == (400, "authorization_repeated")
    assert plane.verified == []


@pytest.mark.parametrize("value", ["Basic YTpi", "Digest x", "alice", "Bearer", "Bearertoken", "", "Token alice"])
async def test_other_schemes_are_no_token(value: str) -> None:
    plane = silent()
    client = await plane.ask(request("GET", "/orders/7", ("authorization", value), token=None))
    assert client.problem["code"] == "token_missing"
    assert plane.verified == []


@pytest.mark.parametrize("value", ["Bearer alice", "bearer alice", "BEARER   alice"])
async def test_the_scheme_is_read_in_any_case(value: str) -> None:
    async with world(polite) as (made, _):
        client = await made.ask(request("GET", "/orders/7", ("authorization", value), token=None))
        assert client.status == 200
        assert made.verified == [b"alice"]


@pytest.mark.parametrize("value", ["Bearer alice, Bearer bob", "Bearer alice bob", "Bearer \xff\xfe", "Bearer alice=="])
async def test_what_follows_the_scheme_is_the_token_whole(value: str) -> None:
    plane = silent()
    client = await plane.ask(request("GET", "/orders/7", ("authorization", value), token=None))
    assert client.problem["code"] == "invalid_token"
    assert plane.verified == [value[7:].encode("latin-1")]


async def test_a_token_in_the_query_is_no_token() -> None:
    plane = silent()
    client = await plane.ask(request(token=None, query="access_token=alice"))
    assert client.problem["code"] == "token_missing"
    assert plane.seen[0].path == "/orders/7"


async def test_the_query_is_no_path() -> None:
    assert (await refused(silent(), token=None, query="/public/y"))[0] == 401


async def test_revocations_that_are_not_heard_close_what_needs_a_token_and_nothing_else() -> None:
    async with world(polite) as (made, _):
        made.fresh = False
        client = await made.ask(request())
        assert (client.status, client.problem["code"], client.headers["retry-after"]) == (503, "revocations_stale", "1")
        assert made.seen[0].reason == "revocations_stale"
        assert (await made.ask(request("GET", "/public/x", token=None))).status == 200


async def test_an_anonymous_route_neither_verifies_nor_forwards_a_token() -> None:
    async with world(polite) as (made, upstream):
        client = await made.ask(request("GET", "/public/x", token="whatever"))
        assert client.status == 200
        assert made.verified == []
        assert b"whatever" not in upstream.heads[0]
        assert b"x-yett-" not in upstream.heads[0]
        assert made.seen == []


async def test_a_token_is_verified_where_a_tenant_has_a_route_of_its_own() -> None:
    async with world(polite) as (made, upstream):
        assert (await made.ask(request("GET", "/mixed/x"))).status == 403
        assert (await made.ask(request("GET", "/mixed/x", token="forged"))).status == 200
        assert (await made.ask(request("GET", "/mixed/x", token=None))).status == 200
        assert all(b"x-yett-" not in head for head in upstream.heads)


async def test_a_route_of_another_tenant_is_401_to_strangers_and_404_to_others() -> None:
    assert (await refused(silent(), "GET", "/bound/x", token=None))[0] == 401
    assert (await refused(silent(), "GET", "/bound/x"))[0] == 404


async def test_allowed_requests_are_observed_only_where_the_route_says_so() -> None:
    async with world(polite) as (made, _):
        await made.ask(request())
        assert made.seen == []
        await made.ask(request("GET", "/passes/x"))
        [seen] = made.seen
        assert (seen.outcome, seen.reason, seen.status, seen.route, seen.subject) == (
            "allowed",
            "allowed",
            200,
            "passes",
            "alice",
        )


async def test_a_websocket_handshake_is_refused_where_none_is_spoken() -> None:
    plane = silent()
    client = await plane.ask(request("GET", "/public/x", ("connection", "Upgrade"), ("upgrade", "websocket")))
    assert (client.status, client.problem["code"]) == (400, "upgrade_refused")


async def test_an_upgrade_to_something_else_is_ignored() -> None:
    async with world(polite) as (made, upstream):
        fields = (("connection", "Upgrade, HTTP2-Settings"), ("upgrade", "h2c"), ("http2-settings", "AAMAAABk"))
        assert (await made.ask(request("GET", "/public/x", *fields))).status == 200
        assert b"h2c" not in upstream.heads[0]
        assert b"AAMAAABk" not in upstream.heads[0]


async def test_source_rules_see_the_client_and_not_the_proxy_before_it() -> None:
    plane = silent()
    await plane.ask(request("GET", "/nothing", ("x-forwarded-for", "198.51.100.9"), peer="10.1.1.1"))
    await plane.ask(request("GET", "/nothing", ("x-forwarded-for", "198.51.100.9"), peer="192.0.2.7"))
    await plane.ask(request("GET", "/nothing", peer=None))
    assert [seen.address for seen in plane.seen] == ["198.51.100.9", "192.0.2.7", "0.0.0.0"]


async def test_a_new_configuration_holds_from_the_next_request_on() -> None:
    async with world(polite) as (made, _):
        assert (await made.ask(request())).status == 200
        made.plane.config = PlaneConfig(RouteTable.compile(()), {})
        assert (await made.ask(request())).status == 404


def test_a_configuration_that_cannot_work_is_refused() -> None:
    route = Route("r", (HOST,), "/a", READ, "orders")
    with pytest.raises(ValueError, match="which there is not"):
        PlaneConfig(RouteTable.compile((route,)), {})
    without_audience = UpstreamPool(Upstream("orders", ("http://127.0.0.1:1",)))
    with pytest.raises(ValueError, match="no audience"):
        PlaneConfig(RouteTable.compile((route,)), {"orders": without_audience})


async def test_only_http_is_answered() -> None:
    plane = silent()
    client = request()
    with pytest.raises(TypeError):
        await plane.plane({**client.scope, "type": "websocket"}, client.receive, client.send)


async def test_a_bug_in_authentication_lets_nobody_in() -> None:
    plane = silent()

    def broken(_: bytes) -> None:
        raise RuntimeError("bug")

    plane.authenticate = broken
    client = request()
    with pytest.raises(RuntimeError):
        await plane.ask(client)
    assert client.messages == []
    assert not asyncio.all_tasks() - {asyncio.current_task()}
