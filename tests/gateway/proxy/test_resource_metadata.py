"""Protected resource metadata (RFC 9728): at the audience's own address, and nothing about who the tenants are."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from gateway.proxy.resource_metadata import Resources
from gateway.settings import HostPort, HostSet
from policies.dpop import ALGORITHMS
from policies.route import Route
from policies.route_table import RouteTable
from policies.rule import All, Anonymous, Not, Rule, Scopes
from policies.rule import Any as AnyOf
from tests.gateway.proxy.harness import HOST, READ, ROUTES, STEP_UP, Client, World, polite, request, world

ISSUERS = {"acme": "https://auth.example.com/t/acme", "globex": "https://auth.example.com/t/globex"}
HOSTS = HostSet.of((HostPort(HOST),))
WHERE = "/.well-known/oauth-protected-resource"


def resources(*routes: Route, audience: str = "https://api.example.com/orders", hosts: HostSet = HOSTS) -> Resources:
    return Resources.of(routes, {"orders": audience}, hosts, ISSUERS.get)


def route(rule: Rule = READ, *, tenants: frozenset[str] | None = None, name: str = "r") -> Route:
    return Route(name, (HOST,), "/orders/**", rule, "orders", tenants=tenants)


def document(found: Resources, path: str = f"{WHERE}/orders", *, host: str = HOST, query: str = "") -> Any:
    answer = found.answer("GET", host, path, query)
    body = getattr(answer, "body", None)
    return None if body is None else json.loads(body)


@asynccontextmanager
async def serving(*routes: Route, **options: Any) -> AsyncIterator[World]:
    async with world(polite) as (made, _):
        made.plane.config = replace(made.plane.config, resources=resources(*(routes or ROUTES), **options))
        yield made


def www(client: Client) -> str:
    return client.headers["www-authenticate"]


async def test_the_metadata_says_what_a_client_needs_rfc9728_2() -> None:
    async with serving(route(tenants=frozenset({"globex", "acme"}))) as made:
        answer = await made.ask(request("GET", f"{WHERE}/orders", token=None))

    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert json.loads(answer.body) == {
        "resource": "https://api.example.com/orders",
        "resource_name": "orders",
        "authorization_servers": [ISSUERS["acme"], ISSUERS["globex"]],
        "scopes_supported": ["orders:read"],
        "bearer_methods_supported": ["header"],
        "dpop_signing_alg_values_supported": list(ALGORITHMS),
    }
    assert made.seen == []


async def test_a_head_request_gets_the_fields_alone_and_other_methods_are_405() -> None:
    async with serving() as made:
        whole = await made.ask(request("GET", f"{WHERE}/orders", token=None))
        head = await made.ask(request("HEAD", f"{WHERE}/orders", token=None))
        post = await made.ask(request("POST", f"{WHERE}/orders", ("content-length", "0"), token=None).say())

    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == whole.headers["content-length"]
    assert (post.status, post.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", [WHERE, f"{WHERE}/", f"{WHERE}/invoices", f"{WHERE}/orders/7", "/.well-known/other"])
async def test_elsewhere_there_is_nothing(path: str) -> None:
    async with serving() as made:
        answer = await made.ask(request("GET", path, token=None))

    assert answer.status == 404


async def test_a_token_there_is_nobodys_concern() -> None:
    async with serving() as made:
        answer = await made.ask(request("GET", f"{WHERE}/orders", token="mallory"))

    assert answer.status == 200
    assert made.verified == []


@pytest.mark.parametrize(
    ("audience", "path", "query"),
    [
        ("https://api.example.com", WHERE, ""),
        ("https://api.example.com/", WHERE, ""),
        ("https://api.example.com/a/b", f"{WHERE}/a/b", ""),
        ("https://api.example.com/a?k=v", f"{WHERE}/a", "k=v"),
        ("https://API.example.com/orders", f"{WHERE}/orders", ""),
        ("https://api.example.com:443/orders", f"{WHERE}/orders", ""),
    ],
)
def test_the_well_known_path_stands_between_host_and_path_rfc9728_3_1(audience: str, path: str, query: str) -> None:
    found = resources(route(), audience=audience)

    assert document(found, path, query=query)["resource"] == audience
    assert document(found, path, query=query, host=f"{HOST}:443")["resource"] == audience
    assert document(found, path, query=query, host=f"{HOST}:8443") is None
    assert document(found, path, query="x=y") is None
    assert str(found.url(audience)).endswith(f"{path}?{query}" if query else path)


@pytest.mark.parametrize(
    "audience",
    [
        *("urn:example:orders", "https://elsewhere.example/orders", "https://api.example.com:8443x/orders"),
        *("https://user@api.example.com/orders", 'https://api.example.com/"', "ftp://api.example.com/orders"),
    ],
)
async def test_an_audience_that_is_no_address_of_ours_has_no_metadata(audience: str) -> None:
    found = resources(route(), audience=audience)

    assert found.url(audience) is None
    assert document(found) is None


def test_a_port_of_an_api_host_is_a_part_of_it() -> None:
    hosts = HostSet.of((HostPort("127.0.0.1", 8080),))
    found = resources(route(), audience="http://127.0.0.1:8080", hosts=hosts)

    assert document(found, WHERE, host="127.0.0.1:8080")["resource"] == "http://127.0.0.1:8080"
    assert found.url("http://127.0.0.1:8080") == "http://127.0.0.1:8080/.well-known/oauth-protected-resource"


@pytest.mark.parametrize(
    ("tenants", "servers"),
    [
        ([frozenset({"acme"})], [ISSUERS["acme"]]),
        ([frozenset({"acme"}), frozenset({"globex", "gone"})], [ISSUERS["acme"], ISSUERS["globex"]]),
        ([frozenset({"acme"}), None], None),
        ([None], None),
        ([frozenset({"gone"})], None),
    ],
)
def test_only_tenants_that_the_routes_name_are_told_of(
    tenants: list[frozenset[str] | None], servers: list[str] | None
) -> None:
    routes = [route(tenants=bound, name=str(number)) for number, bound in enumerate(tenants)]

    assert document(resources(*routes)).get("authorization_servers") == servers


def test_the_scopes_are_those_that_help_somebody_in() -> None:
    def scope(name: str) -> Scopes:
        return Scopes(frozenset({name}))

    rule = All((AnyOf((scope("a"), All((scope("b"), STEP_UP)))), Not(scope("never"))))
    found = document(resources(route(rule), route(scope("c"), name="other")))

    assert found["scopes_supported"] == ["a", "admin", "b", "c"]


def test_anonymous_routes_are_no_resource() -> None:
    assert document(resources(route(Anonymous()))) is None


@pytest.mark.parametrize(
    ("token", "path", "status"),
    [(None, "/orders/7", 401), ("mallory", "/orders/7", 401), ("alice", "/admin/x", 403)],
)
async def test_a_challenge_points_at_it_rfc9728_5_1(token: str | None, path: str, status: int) -> None:
    async with serving() as made:
        answer = await made.ask(request("GET", path, token=token))

    assert answer.status == status
    assert www(answer).endswith(f', resource_metadata="https://{HOST}{WHERE}/orders"')
    assert www(answer).startswith('Bearer realm="yett"')


async def test_a_challenge_without_metadata_points_nowhere() -> None:
    async with serving(route(), audience="urn:example:orders") as made:
        answer = await made.ask(request("GET", "/orders/7", token=None))

    assert www(answer) == 'Bearer realm="yett"'


def test_the_table_of_the_harness_is_one_resource() -> None:
    table = RouteTable.compile(ROUTES)

    assert document(resources(*table.routes))["scopes_supported"] == ["admin", "never", "orders:read", "orders:write"]
