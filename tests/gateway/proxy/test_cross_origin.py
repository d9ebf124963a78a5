"""Pages of other origins that call an API (Fetch, CORS): the gateway answers preflights, and it alone is believed."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from policies.cross_origin import PageRules
from policies.route_table import RouteTable
from tests.gateway.proxy.harness import ROUTES, Client, Peer, Script, ScriptedUpstream, World, polite, request, world

APP = "https://app.example.com"
ORIGINS = (APP, "http://localhost:*")
EXPOSED = "WWW-Authenticate, DPoP-Nonce, Retry-After, RateLimit, RateLimit-Policy, X-Request-Id"


async def outspoken(peer: Peer) -> None:
    """An upstream with a mind of its own."""
    await peer.answer(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nAccess-Control-Allow-Origin: *\r\nVary: Accept\r\n"
        b"Access-Control-Allow-Credentials: true\r\nAccess-Control-Expose-Headers: ETag\r\nETag: x\r\n\r\nok"
    )


@asynccontextmanager
async def permitting(
    *scripts: Script, origins: Iterable[str] = ORIGINS
) -> AsyncIterator[tuple[World, ScriptedUpstream]]:
    async with world(*(scripts or (polite,))) as (made, upstream):
        rules = PageRules(frozenset(origins))
        table = RouteTable.compile(replace(route, pages=rules) for route in ROUTES)
        made.plane.config = replace(made.plane.config, table=table, pages=rules)
        yield made, upstream


def preflight(
    path: str = "/orders/7", method: str = "GET", *, origin: str = APP, names: str = "authorization,dpop"
) -> Client:
    fields = (
        ("origin", origin),
        ("access-control-request-method", method),
        ("access-control-request-headers", names),
    )
    return request("OPTIONS", path, *fields, token=None)


def fields_of(client: Client, name: str) -> list[str]:
    headers = client.messages[0]["headers"]
    return [value.decode() for known, value in headers if known == name.encode()]


def cors_fields(client: Client) -> dict[str, str]:
    headers = client.messages[0]["headers"]
    return {name.decode(): value.decode() for name, value in headers if name.startswith(b"access-control-")}


@pytest.mark.parametrize("origin", [APP, "http://localhost:5173", "http://localhost"])
async def test_a_preflight_of_a_known_path_is_answered_without_a_token(origin: str) -> None:
    async with permitting() as (made, upstream):
        answer = await made.ask(preflight(origin=origin))

    assert (answer.status, answer.body, answer.complete) == (204, b"", True)
    assert cors_fields(answer) == {
        "access-control-allow-origin": origin,
        "access-control-allow-methods": "GET",
        "access-control-allow-headers": "authorization,dpop",
        "access-control-max-age": "600",
    }
    assert fields_of(answer, "vary") == ["Origin, Access-Control-Request-Method, Access-Control-Request-Headers"]
    assert answer.headers["x-request-id"]
    assert (upstream.heads, made.seen, made.verified) == ([], [], [])


@pytest.mark.parametrize("origin", ["https://evil.test", "null", "*", "http://localhost:*", "https://app.example.com."])
async def test_a_preflight_of_another_origin_gets_no_permission_and_reaches_no_upstream(origin: str) -> None:
    async with permitting() as (made, upstream):
        answer = await made.ask(preflight(origin=origin))

    assert (answer.status, cors_fields(answer), upstream.heads) == (204, {}, [])


@pytest.mark.parametrize("names", ["x\r\nset-cookie: a=b", "a b", "é", "," * 9, "x" * 101, ""])
async def test_strange_names_of_header_fields_are_not_repeated(names: str) -> None:
    async with permitting() as (made, _):
        answer = await made.ask(preflight(names=names))

    assert "access-control-allow-headers" not in cors_fields(answer)


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/nothing", "GET", 404),
        ("/orders/7", "PATCH", 405),
        ("/orders/7", "CONNECT", 405),
        ("/orders//7", "GET", 400),
        ("/.yett/x", "GET", 404),
        ("/bound/x", "GET", 204),  # some tenant's token opens it
        ("/public/x", "DELETE", 204),
    ],
)
async def test_a_preflight_is_for_what_there_is_a_route_for(path: str, method: str, status: int) -> None:
    async with permitting() as (made, _):
        answer = await made.ask(preflight(path, method))

    assert answer.status == status


@pytest.mark.parametrize(
    ("token", "path", "status"),
    [(None, "/orders/7", 401), ("mallory", "/orders/7", 401), ("alice", "/admin/x", 403), ("alice", "/nothing", 404)],
)
async def test_a_page_can_read_a_refusal(token: str | None, path: str, status: int) -> None:
    async with permitting() as (made, _):
        answer = await made.ask(request("GET", path, ("origin", APP), token=token))

    assert answer.status == status
    assert cors_fields(answer) == {"access-control-allow-origin": APP, "access-control-expose-headers": EXPOSED}
    assert fields_of(answer, "vary") == ["Origin"]


async def test_a_page_can_read_that_an_upstream_failed() -> None:
    async def gone(peer: Peer) -> None:
        await peer.head()
        peer.close()

    async with permitting(gone) as (made, _):
        answer = await made.ask(request("POST", "/orders/7", ("origin", APP), ("content-length", "0")).say())

    assert answer.status == 502
    assert cors_fields(answer)["access-control-allow-origin"] == APP


async def test_the_gateways_word_replaces_the_upstreams_and_adds_to_what_it_exposes() -> None:
    async with permitting(outspoken) as (made, _):
        answer = await made.ask(request("GET", "/orders/7", ("origin", APP)))

    assert answer.status == 200
    assert fields_of(answer, "access-control-allow-origin") == [APP]
    assert fields_of(answer, "access-control-allow-credentials") == []
    assert fields_of(answer, "access-control-expose-headers") == ["ETag", EXPOSED]
    assert fields_of(answer, "vary") == ["Accept", "Origin"]


@pytest.mark.parametrize("fields", [(), (("origin", "https://evil.test"),), (("origin", APP), ("origin", APP))])
async def test_to_everybody_else_the_answer_only_says_that_it_varies(fields: tuple[tuple[str, str], ...]) -> None:
    async with permitting(outspoken) as (made, _):
        answer = await made.ask(request("GET", "/orders/7", *fields))

    assert answer.status == 200  # CORS is the browser's rule; the token counts
    assert fields_of(answer, "access-control-allow-origin") == []
    assert fields_of(answer, "access-control-allow-credentials") == []
    assert fields_of(answer, "vary") == ["Accept", "Origin"]


async def test_without_origins_in_the_configuration_the_upstream_says_what_it_likes() -> None:
    async with world(outspoken) as (made, _):
        answer = await made.ask(request("GET", "/orders/7", ("origin", APP)))
        asked = await made.ask(preflight())

    assert fields_of(answer, "access-control-allow-origin") == ["*"]
    assert fields_of(answer, "vary") == ["Accept"]
    assert asked.status == 405


async def test_an_options_request_that_is_no_preflight_is_a_request_like_others() -> None:
    async with permitting() as (made, upstream):
        answer = await made.ask(request("OPTIONS", "/public/x", ("origin", APP), token=None))

    assert answer.status == 200
    assert upstream.heads[0].startswith(b"OPTIONS /public/x ")
