"""API keys at the proxy: taken where a route says so; anywhere else answered as a token that nobody knows."""

from dataclasses import replace
from uuid import UUID

import pytest

from gateway.proxy.plane_config import PlaneConfig
from policies import acr
from policies.route import Route
from policies.route_table import RouteTable
from policies.rule import Acr, All, Anonymous, ClientIs, MaxAge, Scopes
from policies.rule import Any as AnyOf
from tests.gateway.proxy.harness import ALICE, AUDIENCE, HOST, READ, Client, Refused, World, polite, request, world

KEY_ID = "0f8fad5b-d9cb-469f-a165-70867728950e"
TEXT = "yak_" + "k" * 64
KEY = replace(
    ALICE,
    subject=f"key/{KEY_ID}",
    client_id=None,
    scopes=frozenset({"orders:read"}),
    session_id=None,
    auth_time=None,
    acr=None,
    amr=frozenset(),
    api_key_id=KEY_ID,
)
ACME, GLOBEX = frozenset({"acme"}), frozenset({"globex"})
ROUTES = (
    Route("machines", (HOST,), "/machines/**", READ, "orders", methods=frozenset({"GET"}), api_keys=True),
    Route("audited", (HOST,), "/audited/**", READ, "orders", api_keys=True, audit_allow=True),
    Route("people", (HOST,), "/people/**", READ, "orders"),
    Route("writers", (HOST,), "/writers/**", Scopes(frozenset({"orders:write"})), "orders", api_keys=True),
    Route("recent", (HOST,), "/recent/**", AnyOf((MaxAge(60), Acr(acr.MFA))), "orders", api_keys=True),
    Route(
        "either",
        (HOST,),
        "/either/**",
        AnyOf((All((READ, MaxAge(60))), Scopes(frozenset({"orders:read"})))),
        "orders",
        api_keys=True,
    ),
    Route("one-client", (HOST,), "/client/**", ClientIs(frozenset({"demo-app"})), "orders", api_keys=True),
    Route("public", (HOST,), "/public/**", Anonymous(), "orders"),
    Route("passes", (HOST,), "/passes/**", Anonymous(), "orders", pass_authorization=True),
    Route("bound", (HOST,), "/bound/**", READ, "orders", tenants=GLOBEX),
    Route("bound-keys", (HOST,), "/boundkeys/**", READ, "orders", tenants=GLOBEX, api_keys=True),
    Route("two-any", (HOST,), "/two/**", Anonymous(), "orders"),
    Route("two-acme", (HOST,), "/two/**", Scopes(frozenset({"never"})), "orders", tenants=ACME),
    Route("own-any", (HOST,), "/own/**", READ, "orders"),
    Route("own-acme", (HOST,), "/own/**", READ, "orders", tenants=ACME, api_keys=True),
)


def equipped(made: World) -> World:
    made.plane.config = PlaneConfig(RouteTable.compile(ROUTES), {"orders": made.pool})
    made.principals[TEXT.encode()] = KEY
    return made


def silent() -> World:
    """Nothing in these tests may reach the upstream."""
    return equipped(World(1))


def by_key(path: str = "/machines/7", method: str = "GET", *, scheme: str = "Bearer", text: str = TEXT) -> Client:
    return request(method, path, ("authorization", f"{scheme} {text}"), token=None)


async def answers(made: World, client: Client) -> tuple[object, ...]:
    """All that a client can see, but for the request's id."""
    await made.ask(client)
    body = {name: value for name, value in client.problem.items() if name != "request_id"}
    headers = {name: value for name, value in client.headers.items() if name != "x-request-id"}
    return client.status, body, headers


async def test_a_key_is_let_through_where_the_route_takes_keys_and_the_upstream_is_told_whose_it_is() -> None:
    async with world(polite) as (made, upstream):
        client = await equipped(made).ask(by_key())
        assert client.status == 200
        head = upstream.heads[0]
        assert b"x-yett-tenant: acme\r\n" in head
        assert b"x-yett-subject: key/%b\r\n" % KEY_ID.encode() in head
        assert b"x-yett-scopes: orders:read\r\n" in head
        assert b"x-yett-client" not in head
        assert b"authorization" not in head.lower()
        assert TEXT.encode() not in head
        assert made.seen == []


async def test_a_route_that_takes_keys_takes_tokens_as_ever() -> None:
    async with world(polite) as (made, upstream):
        assert (await equipped(made).ask(request("GET", "/machines/7"))).status == 200
        assert b"x-yett-client: demo-app\r\n" in upstream.heads[0]


async def test_what_is_allowed_is_observed_by_the_keys_id() -> None:
    async with world(polite) as (made, _):
        await equipped(made).ask(by_key("/audited/x"))
        [seen] = made.seen
        assert (seen.outcome, seen.subject, seen.client_id) == ("allowed", f"key/{KEY_ID}", None)
        assert TEXT not in repr(seen)


@pytest.mark.parametrize("path", ["/people/7", "/bound/x", "/own/../people", "/nothing", "/own"])
async def test_where_keys_are_not_taken_a_key_is_answered_as_a_token_that_nobody_knows(path: str) -> None:
    made = silent()
    made.principals[TEXT.encode()] = replace(KEY, tenant="globex" if path == "/own" else "acme")
    for method in ("GET", "POST"):
        known = await answers(made, by_key(path, method))
        unknown = await answers(made, by_key(path, method, text="yak_" + "u" * 64))
        assert known == unknown
    if path == "/people/7":
        assert known[0] == 401
        assert [seen.reason for seen in made.seen[:2]] == ["api_key_not_allowed", "signature_invalid"]
        assert made.seen[0].subject == f"key/{KEY_ID}"


async def test_another_method_tells_nothing_of_a_key_either() -> None:
    made = silent()
    known = await answers(made, by_key(method="DELETE"))
    assert known == await answers(made, by_key(method="DELETE", text="yak_" + "u" * 64))
    assert known[0] == 405


async def test_beside_a_public_route_a_tenants_own_that_takes_no_keys_is_no_way_to_tell_one() -> None:
    async with world(polite) as (made, upstream):
        equipped(made)
        assert (await made.ask(by_key("/two/x"))).status == 200
        assert (await made.ask(by_key("/two/x", text="yak_" + "u" * 64))).status == 200
        assert all(b"x-yett-" not in head for head in upstream.heads)


async def test_a_tenants_own_route_may_take_keys_where_the_shared_one_does_not() -> None:
    async with world(polite) as (made, _):
        assert (await equipped(made).ask(by_key("/own/x"))).status == 200


async def test_a_key_of_another_tenant_opens_no_tenants_own_route() -> None:
    made = silent()
    known = await answers(made, by_key("/boundkeys/x"))
    assert known[0] == 401
    assert known == await answers(made, by_key("/boundkeys/x", text="yak_" + "u" * 64))


async def test_a_key_for_one_api_does_not_open_another() -> None:
    made = silent()
    made.principals[TEXT.encode()] = replace(KEY, audiences=frozenset({AUDIENCE + "/invoices"}))
    client = await made.ask(by_key())
    assert (client.status, client.problem["code"], made.seen[0].reason) == (401, "invalid_token", "audience_mismatch")


async def test_a_scope_that_a_key_lacks_is_named() -> None:
    made = silent()
    client = await made.ask(by_key("/writers/x"))
    assert (client.status, client.problem["code"], client.problem["scope"]) == (
        403,
        "insufficient_scope",
        "orders:write",
    )
    [seen] = made.seen
    assert (seen.tenant_id, seen.subject, seen.client_id) == (KEY.tenant_id, f"key/{KEY_ID}", None)


@pytest.mark.parametrize(("path", "reason"), [("/recent/x", "login_missing"), ("/client/x", "client_not_allowed")])
async def test_a_key_is_denied_what_takes_a_login_or_a_client_and_not_challenged(path: str, reason: str) -> None:
    made = silent()
    client = await made.ask(by_key(path))
    assert (client.status, client.problem["code"]) == (403, "access_denied")
    assert "www-authenticate" not in client.headers
    assert made.seen[0].reason == reason


async def test_a_way_in_that_takes_no_login_is_open_to_a_key() -> None:
    async with world(polite) as (made, _):
        assert (await equipped(made).ask(by_key("/either/x"))).status == 200


async def test_revocations_that_are_not_heard_close_keys_out_too() -> None:
    made = silent()
    made.fresh = False
    client = await made.ask(by_key())
    assert (client.status, client.problem["code"]) == (503, "revocations_stale")


async def test_a_key_that_ended_is_told_of_by_its_id_in_the_log_and_to_nobody_else() -> None:
    made = silent()
    ended = Refused("api_key_revoked")
    ended.proved_tenant, ended.api_key_id = UUID(int=9), KEY_ID
    made.authenticate = lambda _: ended
    client = await made.ask(by_key())
    assert (client.status, client.problem["code"]) == (401, "invalid_token")
    assert KEY_ID.encode() not in client.body
    assert b"revoked" not in client.body.replace(b"expired, revoked or", b"")
    [seen] = made.seen
    assert (seen.reason, seen.tenant_id, seen.subject, seen.api_key_id) == (
        "api_key_revoked",
        UUID(int=9),
        None,
        KEY_ID,
    )
    assert TEXT not in repr(seen)


# --- other ways to send one


async def test_a_key_is_no_dpop_token_and_gets_no_nonce() -> None:
    made = silent()
    known = await answers(made, by_key(scheme="DPoP"))
    assert known == await answers(made, by_key(scheme="DPoP", text="yak_" + "u" * 64))
    assert made.seen[0].reason == "api_key_not_bearer"
    assert (made.seen[0].api_key_id, made.seen[0].subject) == (KEY_ID, None)


@pytest.mark.parametrize(
    "header",
    [("x-api-key", TEXT), ("authorization", f"Basic {TEXT}"), ("authorization", TEXT), ("cookie", f"api_key={TEXT}")],
)
async def test_a_key_anywhere_else_is_no_key(header: tuple[str, str]) -> None:
    made = silent()
    client = await made.ask(request("GET", "/machines/7", header, token=None))
    assert client.problem["code"] == "token_missing"
    assert made.verified == []


@pytest.mark.parametrize("query", [f"api_key={TEXT}", f"access_token={TEXT}", f"key={TEXT}", TEXT])
async def test_a_key_in_the_query_is_never_read(query: str) -> None:
    made = silent()
    client = await made.ask(request("GET", "/machines/7", token=None, query=query))
    assert client.problem["code"] == "token_missing"
    assert made.verified == []
    assert TEXT not in repr(made.seen)


async def test_a_key_beside_a_token_is_400() -> None:
    made = silent()
    client = await made.ask(request("GET", "/machines/7", ("authorization", f"Bearer {TEXT}")))
    assert (client.status, client.problem["code"]) == (400, "authorization_repeated")
    assert made.verified == []


async def test_an_anonymous_route_looks_for_no_key_and_passes_none_on() -> None:
    async with world(polite) as (made, upstream):
        assert (await equipped(made).ask(by_key("/public/x"))).status == 200
        assert made.verified == []
        assert TEXT.encode() not in upstream.heads[0]


@pytest.mark.parametrize(
    "value",
    [
        f"Bearer {TEXT}",
        f"bearer   {TEXT}",
        f"DPoP {TEXT}",
        f"ApiKey {TEXT}",
        f"Token\t{TEXT}",
        f'Token token="{TEXT}"',
        f"Custom key={TEXT}",
        f"Bearer a.b.c, {TEXT}",
        TEXT,
        "Bearer yak_cut",
    ],
)
async def test_a_key_is_passed_on_to_no_upstream_whatever_the_scheme(value: str) -> None:
    async with world(polite) as (made, upstream):
        headers = ("authorization", value), ("dpop", "a.b.c"), ("x-other", "kept")
        assert (await equipped(made).ask(request("GET", "/passes/x", *headers, token=None))).status == 200
        head = upstream.heads[0]
        assert b"yak_" not in head
        assert b"authorization:" not in head
        assert b"dpop:" not in head
        assert b"x-other: kept\r\n" in head


@pytest.mark.parametrize("value", ["Bearer a.b.c", "Bearer eyJ.ayak_b.yak_c", "Basic eWFrXw==", "Bearer yrt_x", "YAK_"])
async def test_what_is_no_key_is_passed_on_as_ever(value: str) -> None:
    async with world(polite) as (made, upstream):
        headers = ("authorization", value), ("dpop", "a.b.c")
        assert (await equipped(made).ask(request("GET", "/passes/x", *headers, token=None))).status == 200
        assert b"authorization: %b\r\ndpop: a.b.c\r\n" % value.encode() in upstream.heads[0]
