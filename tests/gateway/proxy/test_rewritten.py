"""The path that an upstream is asked for: another than came in where the route says so, and all else as it was."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from policies.pattern import Pattern
from policies.rewrite import Rewrite
from policies.route import Route
from policies.route_table import RouteTable
from tests.gateway.proxy.harness import HOST, READ, ScriptedUpstream, World, polite, request, world

SHOP = Rewrite.strip(Pattern.parse("/shop/v1/**"), "/shop/v1")
OLD = Rewrite.to(Pattern.parse("/old/{id}/**"), "/new/{id}/**", keeps=False)
FILES = Rewrite.strip(Pattern.parse("/files/{key}"), "/files")


@asynccontextmanager
async def rewriting() -> AsyncIterator[tuple[World, ScriptedUpstream]]:
    routes = (
        Route("shop", (HOST,), "/shop/v1/**", READ, "orders", rewrite=SHOP),
        Route("old", (HOST,), "/old/{id}/**", READ, "orders", rewrite=OLD),
        Route("files", (HOST,), "/files/{key}", READ, "orders", rewrite=FILES, encoded_slash=True),
        Route("plain", (HOST,), "/plain/**", READ, "orders"),
    )
    async with world(polite) as (made, upstream):
        made.plane.config = replace(made.plane.config, table=RouteTable.compile(routes))
        yield made, upstream


@pytest.mark.parametrize(
    ("path", "query", "asked"),
    [
        ("/shop/v1/orders/7", "", "/orders/7"),
        ("/shop/v1", "a=/shop/v1", "/?a=/shop/v1"),
        ("/shop/v1/", "", "/"),
        ("/shop/v1/a%20b/%C3%A9", "x=%2f&y=%", "/a%20b/%C3%A9?x=%2f&y=%"),
        ("/old/%40me/x/", "", "/new/%40me/x/"),
        ("/files/a%2Fb%3f", "", "/a%2Fb%3f"),
        ("/plain/x", "", "/plain/x"),
    ],
)
async def test_the_upstream_is_asked_for_what_the_route_says(path: str, query: str, asked: str) -> None:
    async with rewriting() as (made, upstream):
        assert (await made.ask(request("GET", path, query=query))).status == 200

    assert upstream.heads[0].split(b"\r\n")[0] == f"GET {asked} HTTP/1.1".encode()


def prefixes(upstream: ScriptedUpstream) -> list[bytes]:
    lines = upstream.heads[0].split(b"\r\n")
    return [line for line in lines if line.lower().startswith(b"x-forwarded-prefix")]


async def test_what_was_stripped_is_told() -> None:
    async with rewriting() as (made, upstream):
        await made.ask(request("GET", "/shop/v1/x", ("x-forwarded-prefix", "/evil"), ("x_forwarded_prefix", "/evil")))

    assert prefixes(upstream) == [b"x-forwarded-prefix: /shop/v1"]


async def test_what_a_trusted_proxy_stripped_stands_before_it() -> None:
    async with rewriting() as (made, upstream):
        await made.ask(request("GET", "/shop/v1/x", ("x-forwarded-prefix", "/edge"), peer="10.0.0.1"))

    assert prefixes(upstream) == [b"x-forwarded-prefix: /edge", b"x-forwarded-prefix: /shop/v1"]


@pytest.mark.parametrize("path", ["/old/7/x", "/plain/x"])
async def test_where_nothing_was_stripped_nothing_is_told(path: str) -> None:
    async with rewriting() as (made, upstream):
        await made.ask(request("GET", path, ("x-forwarded-prefix", "/evil")))

    assert prefixes(upstream) == []


async def test_the_log_has_the_path_that_came() -> None:
    async with rewriting() as (made, _):
        await made.ask(request("GET", "/shop/v1/x", token="mallory"))

    assert [note.path for note in made.seen] == ["/shop/v1/x"]
