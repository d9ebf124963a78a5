"""What every identity and management answer has: a context, an id, headers that tell a browser to do less."""

from ipaddress import ip_address, ip_network

import pytest
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message, Receive, Scope, Send

from gateway import telemetry
from gateway.context import RequestContext
from gateway.middleware import WithContext, context_of
from tests.gateway.asgi import calling, request_with_context


async def test_every_answer_has_the_requests_own_id_and_the_headers() -> None:
    seen: list[RequestContext] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(context_of(scope))
        await PlainTextResponse("x", headers={"X-Own": "1"})(scope, receive, send)

    async with calling(WithContext(app, ())) as client:
        answers = [await client.get("/") for _ in range(2)]

    assert [answer.headers["x-request-id"] for answer in answers] == [context.request_id for context in seen]
    assert seen[0].request_id != seen[1].request_id
    assert answers[0].headers["x-own"] == "1"
    assert answers[0].headers["x-content-type-options"] == "nosniff"
    assert answers[0].headers["referrer-policy"] == "same-origin"
    assert answers[0].headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"


async def test_an_answers_own_policy_is_the_only_one() -> None:
    own = Response("x", headers={"Content-Security-Policy": "default-src 'self'"})
    async with calling(WithContext(own, ())) as client:
        answer = await client.get("/")

    assert answer.headers.get_list("content-security-policy") == ["default-src 'self'"]
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]


async def test_a_clients_own_request_id_is_not_taken_over() -> None:
    async with calling(WithContext(PlainTextResponse("x"), ())) as client:
        answer = await client.get("/", headers={"X-Request-Id": "mine"})

    assert answer.headers.get_list("x-request-id") != ["mine"]


async def test_the_id_is_bound_for_the_log_and_gone_afterwards() -> None:
    bound: list[str | None] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        bound.append(telemetry.request_id())
        await PlainTextResponse("x")(scope, receive, send)

    async with calling(WithContext(app, ())) as client:
        answer = await client.get("/")

    assert bound == [answer.headers["x-request-id"]]
    assert telemetry.request_id() is None


async def test_the_context_says_where_the_request_came_from() -> None:
    request = await request_with_context("10.0.0.1", forwarded="203.0.113.7", trusted=(ip_network("10.0.0.0/8"),))
    context = context_of(request.scope)

    assert context.address == ip_address("203.0.113.7")
    assert context.hops == (ip_address("203.0.113.7"), ip_address("10.0.0.1"))
    assert (context.scheme, context.host) == ("http", "gateway.test")


@pytest.mark.parametrize("client", [None, ("", 0), ("/run/yett.sock", None)])
async def test_a_peer_without_an_address_has_a_context_too(client: tuple[str, int | None] | None) -> None:
    seen: list[RequestContext] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(context_of(scope))

    scope = {"type": "http", "client": client, "headers": [(b"x-forwarded-for", b"203.0.113.7")]}

    async def receive() -> Message:
        raise AssertionError("nobody asks for a body")

    async def send(_message: Message) -> None:
        raise AssertionError("nobody answers")

    await WithContext(app, ())(scope, receive, send)

    assert str(seen[0].address) == "0.0.0.0"
