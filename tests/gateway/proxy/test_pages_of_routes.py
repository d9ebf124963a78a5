"""Pages of other origins, where each route has its own rules and a tenant's clients have registered theirs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import UUID

import pytest

from policies.cross_origin import PageRules
from policies.route import Route
from policies.route_table import RouteTable
from policies.rule import Anonymous
from tests.gateway.proxy.harness import ALICE, HOST, READ, Client, ScriptedUpstream, World, polite, request, world
from tests.gateway.proxy.test_cross_origin import cors_fields, fields_of, preflight

APP, SHOP, EVIL = "https://app.example.com", "https://shop.globex.test", "https://evil.test"
ACME, GLOBEX = ALICE.tenant_id, UUID(int=2)
CAROL = replace(ALICE, tenant_id=GLOBEX, tenant="globex", token_id="t4")


@asynccontextmanager
async def with_rules(
    *routes: Route, everywhere: PageRules | None = None
) -> AsyncIterator[tuple[World, ScriptedUpstream]]:
    async with world(polite) as (made, upstream):
        made.principals[b"carol"] = CAROL
        made.registered = {ACME: {APP}, GLOBEX: {SHOP}}
        made.plane.config = replace(made.plane.config, table=RouteTable.compile(routes), pages=everywhere)
        yield made, upstream


def route(name: str, path: str, rules: PageRules | None, **options: object) -> Route:
    return Route(name, (HOST,), path, options.pop("rule", READ), "orders", pages=rules, **options)  # type: ignore[arg-type]


def listed(*origins: str, **options: object) -> PageRules:
    return PageRules(frozenset(origins), **options)  # type: ignore[arg-type]


def origin_of(client: Client) -> str | None:
    return cors_fields(client).get("access-control-allow-origin")


async def test_each_route_lets_its_own_pages_in() -> None:
    async with with_rules(route("a", "/a/**", listed(APP)), route("b", "/b/**", listed(SHOP))) as (made, _):
        for path, pages in (("/a/x", {APP}), ("/b/x", {SHOP})):
            for origin in (APP, SHOP, EVIL):
                expected = origin if origin in pages else None
                assert origin_of(await made.ask(preflight(path, origin=origin))) == expected
                assert origin_of(await made.ask(request("GET", path, ("origin", origin)))) == expected
                assert origin_of(await made.ask(request("GET", path, ("origin", origin), token=None))) == expected


async def test_a_route_without_rules_is_the_upstreams_own() -> None:
    async with with_rules(route("a", "/a/**", listed(APP)), route("b", "/b/**", None)) as (made, upstream):
        asked = await made.ask(preflight("/b/x"))
        answer = await made.ask(request("GET", "/b/x", ("origin", APP)))
        nowhere = await made.ask(request("GET", "/c", ("origin", APP)))

    assert (asked.status, asked.problem["code"]) == (401, "token_missing")  # a request like others
    assert (answer.status, cors_fields(answer), fields_of(answer, "vary")) == (200, {}, [])
    assert (nowhere.status, cors_fields(nowhere)) == (404, {})
    assert len(upstream.heads) == 1


async def test_where_there_is_no_route_the_rules_for_all_hold() -> None:
    async with with_rules(route("a", "/a/**", listed(SHOP)), everywhere=listed(APP)) as (made, _):
        answer = await made.ask(request("GET", "/nothing", ("origin", APP)))
        wrong = await made.ask(preflight("/a/x", "CONNECT"))

    assert (answer.status, origin_of(answer)) == (404, APP)
    assert (wrong.status, origin_of(wrong)) == (405, APP)


async def test_every_page_may_where_the_route_says_so_and_nobody_has_to_know_which() -> None:
    async with with_rules(route("a", "/a/**", listed("*"), rule=Anonymous())) as (made, _):
        answer = await made.ask(request("GET", "/a/x", ("origin", EVIL), token=None))
        asked = await made.ask(preflight("/a/x", origin="null"))

    assert origin_of(answer) == origin_of(asked) == "*"
    assert "access-control-allow-credentials" not in {**cors_fields(answer), **cors_fields(asked)}


async def test_what_a_route_says_of_fields_cookies_and_time() -> None:
    rules = listed(APP, headers=("X-Trace",), expose=("ETag", "X-Total"), credentials=True, max_age=5)
    async with with_rules(route("a", "/a/**", rules)) as (made, _):
        asked = await made.ask(preflight("/a/x", names="x-other"))
        answer = await made.ask(request("GET", "/a/x", ("origin", APP)))

    assert cors_fields(asked) == {
        "access-control-allow-origin": APP,
        "access-control-allow-methods": "GET",
        "access-control-allow-headers": "Authorization, DPoP, X-Trace",
        "access-control-allow-credentials": "true",
        "access-control-max-age": "5",
    }
    assert cors_fields(answer)["access-control-allow-credentials"] == "true"
    assert cors_fields(answer)["access-control-expose-headers"].endswith("X-Request-Id, ETag, X-Total")


class TestRegistered:
    """``client_origins``: a preflight is of nobody, an answer is of a tenant."""

    rules = PageRules(registered=True)

    async def test_a_preflight_is_told_yes_for_a_page_of_any_tenant(self) -> None:
        async with with_rules(route("a", "/a/**", self.rules)) as (made, _):
            found = [origin_of(await made.ask(preflight("/a/x", origin=origin))) for origin in (APP, SHOP, EVIL)]
        assert found == [APP, SHOP, None]

    @pytest.mark.parametrize(
        ("token", "origin", "may"),
        [
            ("alice", APP, True),
            ("alice", SHOP, False),
            ("carol", SHOP, True),
            ("carol", APP, False),
            ("alice", EVIL, False),
        ],
    )
    async def test_an_answer_is_for_pages_of_the_tokens_tenant(self, token: str, origin: str, may: bool) -> None:
        async with with_rules(route("a", "/a/**", self.rules)) as (made, _):
            answer = await made.ask(request("GET", "/a/x", ("origin", origin), token=token))
        assert (answer.status, origin_of(answer)) == (200, origin if may else None)
        assert fields_of(answer, "vary") == ["Origin"]

    @pytest.mark.parametrize(("token", "status"), [(None, 401), ("mallory", 401)])
    async def test_a_page_of_any_tenant_can_read_that_its_token_will_not_do(
        self, token: str | None, status: int
    ) -> None:
        async with with_rules(route("a", "/a/**", self.rules)) as (made, _):
            answer = await made.ask(request("GET", "/a/x", ("origin", SHOP), token=token))
        assert (answer.status, origin_of(answer)) == (status, SHOP)

    async def test_of_an_api_key_that_is_not_taken_no_page_learns_whose_it_is(self) -> None:
        async with with_rules(route("a", "/a/**", self.rules)) as (made, _):
            made.principals[b"key"] = replace(ALICE, subject="key/1", client_id=None, api_key_id="1")
            answers = [
                await made.ask(request("GET", "/a/x", ("origin", SHOP), token=one)) for one in ("key", "made-up")
            ]
        assert [(answer.status, origin_of(answer)) for answer in answers] == [(401, SHOP)] * 2


class TestTheTenantDecides:
    """One path, two tenants, two routes: the preflight gets what either would say, the answer what its own says."""

    routes = (
        route("acme", "/a/**", listed(APP, credentials=True), tenants=frozenset({"acme"})),
        route("globex", "/a/**", listed(SHOP), tenants=frozenset({"globex"})),
        route("any", "/a/**", None, methods=frozenset({"GET"})),
    )

    async def test_a_preflight_gets_what_one_or_other_allows(self) -> None:
        async with with_rules(*self.routes) as (made, _):
            found = [cors_fields(await made.ask(preflight("/a/x", origin=origin))) for origin in (APP, SHOP, EVIL)]
        assert [one.get("access-control-allow-origin") for one in found] == [APP, SHOP, None]
        assert ["access-control-allow-credentials" in one for one in found] == [False, False, False]

    @pytest.mark.parametrize(
        ("other", "may"),
        [
            (listed(APP, credentials=True), True),
            (listed(APP), False),
            (listed(SHOP, credentials=True), False),
            (None, False),
        ],
    )
    async def test_a_page_may_send_cookies_where_each_route_lets_it(self, other: PageRules | None, may: bool) -> None:
        """Else a browser would send them to the one that does not, which asks nobody for a token."""
        routes = (self.routes[0], route("any", "/a/**", other, rule=Anonymous()))
        async with with_rules(*routes) as (made, _):
            told = cors_fields(await made.ask(preflight("/a/x", "DELETE", origin=APP)))
        assert told["access-control-allow-origin"] == APP
        assert ("access-control-allow-credentials" in told) is may

    async def test_a_route_that_a_stricter_one_keeps_from_answering_says_nothing(self) -> None:
        routes = (
            route("strict", "/a/x", listed(APP, credentials=True)),
            route("acme", "/a/**", listed(APP, credentials=True), tenants=frozenset({"acme"})),
            route("loose", "/**", listed("*")),
        )
        elsewhere = replace(route("other", "/**", listed("*")), hosts=("*",))
        async with with_rules(*routes, elsewhere) as (made, _):
            found = [cors_fields(await made.ask(preflight("/a/x", origin=origin))) for origin in (APP, EVIL)]
            refused = await made.ask(request("GET", "/a/x", ("origin", EVIL), token=None))
        assert "access-control-allow-credentials" in found[0]
        assert found[1] == {}
        assert (refused.status, cors_fields(refused)) == (401, {})

    async def test_where_each_route_of_a_host_is_a_tenants_own_those_of_any_host_answer_the_others(self) -> None:
        routes = (
            route("acme", "/a/**", listed(APP), tenants=frozenset({"acme"})),
            replace(route("any", "/**", listed(SHOP)), hosts=("*",)),
        )
        async with with_rules(*routes) as (made, _):
            found = [origin_of(await made.ask(preflight("/a/x", origin=origin))) for origin in (APP, SHOP, EVIL)]
        assert found == [APP, SHOP, None]

    @pytest.mark.parametrize(
        ("token", "origin", "may"), [("alice", APP, True), ("alice", SHOP, False), ("carol", SHOP, True)]
    )
    async def test_the_answer_is_as_strict_as_its_route(self, token: str, origin: str, may: bool) -> None:
        async with with_rules(*self.routes) as (made, _):
            answer = await made.ask(request("POST", "/a/x", ("origin", origin), token=token))
        assert (answer.status, origin_of(answer)) == (200, origin if may else None)

    async def test_a_page_of_either_can_read_that_a_token_is_missing(self) -> None:
        async with with_rules(*self.routes) as (made, _):
            answers = [await made.ask(request("POST", "/a/x", ("origin", at), token=None)) for at in (APP, SHOP, EVIL)]
        assert [(answer.status, origin_of(answer)) for answer in answers] == [(401, APP), (401, SHOP), (401, None)]


class TestAnotherRouteKeeps:
    """An encoded slash that one tenant's route takes for data, below a route of any tenant."""

    routes = (
        route("any", "/files/**", None, rule=Anonymous()),
        route("acme", "/files/{key}", listed(APP), tenants=frozenset({"acme"}), encoded_slash=True),
    )

    @pytest.mark.parametrize(("token", "status"), [("alice", 200), ("carol", 400), ("mallory", 400), (None, 400)])
    async def test_it_passes_for_that_tenant_and_for_nobody_else(self, token: str | None, status: int) -> None:
        async with with_rules(*self.routes) as (made, upstream):
            answer = await made.ask(request("GET", "/files/a%2fb", token=token))
        assert answer.status == status
        assert len(upstream.heads) == (1 if status == 200 else 0)

    async def test_others_pass_where_there_is_none(self) -> None:
        async with with_rules(*self.routes) as (made, _):
            answers = [await made.ask(request("GET", "/files/a/b", token=token)) for token in ("alice", "carol", None)]
        assert [answer.status for answer in answers] == [200, 200, 200]

    async def test_a_preflight_of_its_pages_is_answered(self) -> None:
        async with with_rules(*self.routes) as (made, _):
            assert origin_of(await made.ask(preflight("/files/a%2fb", origin=APP))) == APP
