"""Bad input gets the answer of its protocol and never a 5xx (RFC 6749 sections 3.2 and 5.2)."""

import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from gateway.form import MAX_BODY, Form
from tests.gateway.world import ADDRESS, World

FORM = "application/x-www-form-urlencoded"


def refused(answer: httpx.Response, error: str = "invalid_request", status: int = 400) -> bool:
    body = answer.json()
    return (
        answer.status_code == status
        and set(body) == {"error", "error_description"}
        and body["error"] == error
        and answer.headers["content-type"] == "application/json"
        and answer.headers["cache-control"] == "no-store"
        and answer.headers["pragma"] == "no-cache"
    )


async def reasons(world: World) -> list[str]:
    return [event["reason"] for event in await world.events()]


async def test_a_json_body_is_invalid_request(world: World) -> None:
    assert refused(await world.post(json.dumps(world.acme.form()), headers={"Content-Type": "application/json"}))
    assert await reasons(world) == ["form_expected"]


async def test_a_multipart_form_is_invalid_request(world: World) -> None:
    async with world.client() as client:
        answer = await client.post("/t/acme/token", data=world.acme.form(), files={"x": b"y"})

    assert refused(answer)


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded-x", "\xff", ";"])
async def test_another_media_type_is_invalid_request(world: World, content_type: str) -> None:
    headers = [(b"Content-Type", content_type.encode("latin-1"))]
    async with world.client() as client:
        answer = await client.post("/t/acme/token", content=b"grant_type=password", headers=headers)

    assert refused(answer)


async def test_a_missing_media_type_is_invalid_request(world: World) -> None:
    async with world.client() as client:
        assert refused(await client.post("/t/acme/token", content=b"grant_type=password"))


@pytest.mark.parametrize("content_type", [FORM + "; charset=UTF-8", FORM.upper(), f" {FORM} ;boundary=x"])
async def test_parameters_of_the_media_type_and_its_case_mean_nothing(world: World, content_type: str) -> None:
    body = httpx.QueryParams(world.acme.form())

    assert (await world.post(str(body), headers={"Content-Type": content_type})).status_code == 200


@pytest.mark.parametrize(
    "name", ["grant_type", "username", "password", "client_id", "client_secret", "scope", "refresh_token", "x"]
)
async def test_a_repeated_parameter_is_invalid_request_rfc6749_3_2(world: World, name: str) -> None:
    form = {**world.acme.form(), name: ["a", "a"]}

    assert refused(await world.post(form))
    assert await reasons(world) == ["parameter_repeated"]


async def test_an_unknown_parameter_is_ignored_rfc6749_3_2(world: World) -> None:
    assert (await world.post({**world.acme.form(), "tenant_id": "globex", "is_admin": "1"})).status_code == 200


async def test_parameters_in_the_query_are_not_read_rfc6749_2_3_1(world: World) -> None:
    assert refused(await world.post({}, params=world.acme.form()))


@pytest.mark.parametrize("body", [b"", b"&", b"&&&", b"grant_type", b"=", b"grant_type=", b"grant_type=password"])
async def test_a_form_without_what_it_needs_is_invalid_request(world: World, body: bytes) -> None:
    assert refused(await world.post(body))


@pytest.mark.parametrize("missing", ["grant_type", "username", "password"])
async def test_a_missing_parameter_is_invalid_request(world: World, missing: str) -> None:
    assert refused(await world.post(world.acme.form(**{missing: None})))


async def test_too_many_parameters_are_invalid_request(world: World) -> None:
    assert refused(await world.post("&".join(f"p{number}=1" for number in range(51))))


@pytest.mark.parametrize("name", [b"username", b"password", b"scope", b"client_id", b"grant_type", b"x"])
@pytest.mark.parametrize(
    "value",
    [b"%00", b"a%00b", b"\x00", b"%ED%A0%80", b"\xed\xa0\x80", b"%ff", b"\xff\xfe", b"%C0%80", b"%F5%80%80%80"],
)
async def test_a_nul_a_lone_surrogate_and_what_is_no_utf8_are_invalid_request(
    world: World, name: bytes, value: bytes
) -> None:
    others = httpx.QueryParams(world.acme.form(**{name.decode(): None}))

    assert refused(await world.post(str(others).encode() + b"&" + name + b"=" + value))


@pytest.mark.parametrize("value", ["%", "%4", "%zz", "%u0041"])
async def test_a_malformed_escape_is_data_as_in_the_url_standard(world: World, value: str) -> None:
    others = httpx.QueryParams(world.acme.form(username=None))

    assert refused(await world.post(f"{others}&username={value}"), "invalid_grant")


@pytest.mark.parametrize("username", ["a\nb", "\u202ealice", "\ufeffalice", "alice ", "a" * 255, "\U0010ffff"])
async def test_what_cannot_be_a_name_is_nobodys(world: World, username: str) -> None:
    assert refused(await world.post(world.acme.form(username=username)), "invalid_grant")


async def test_a_password_of_over_1024_bytes_is_invalid_request_before_it_is_hashed_d03(world: World) -> None:
    assert refused(await world.post(world.acme.form(password="x" * 1025)))
    assert refused(await world.post(world.acme.form(password="\u00e9" * 513)))
    assert refused(await world.post(world.acme.form(password="x" * 1024)), "invalid_grant")
    assert sorted(await reasons(world)) == ["password_too_long", "wrong_password"]


async def test_a_password_of_1_mb_is_413(world: World) -> None:
    assert refused(await world.post(world.acme.form(password="x" * 1_000_000)), status=413)
    assert await reasons(world) == ["body_too_large"]


async def test_a_long_body_without_a_length_is_413_as_soon_as_it_is_too_long(world: World) -> None:
    piece = {"type": "http.request", "body": b"x" * 1024, "more_body": True}
    messages = [piece] * 100
    sent = await called(world, messages)

    assert sent["status"] == 413
    assert len(messages) == 100 - 65


@pytest.mark.parametrize("length", [str(MAX_BODY + 1), "9" * 5000])
async def test_a_body_that_is_announced_too_long_is_413_before_it_is_read(world: World, length: str) -> None:
    sent = await called(world, [], (b"content-length", length.encode()))

    assert sent["status"] == 413


async def test_a_body_of_the_limit_is_read(world: World) -> None:
    filler = MAX_BODY - len(str(httpx.QueryParams(world.acme.form()))) - len("&x=")
    answer = await world.post(f"{httpx.QueryParams(world.acme.form())}&x={'y' * filler}")

    assert answer.status_code == 200


async def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_fault_of_ours(world: World) -> None:
    messages = [{"type": "http.request", "body": b"grant_type=", "more_body": True}, {"type": "http.disconnect"}]
    sent = await called(world, messages)

    assert sent["status"] == 400
    assert await reasons(world) == ["body_incomplete"]


async def called(
    world: World, messages: list[Any], *headers: tuple[bytes, bytes], raw_path: bytes = b"/t/acme/token"
) -> Mapping[str, Any]:
    """The start of the answer to these ASGI messages; asking for more of them fails."""
    sent: list[Any] = []
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": raw_path.decode(),
        "raw_path": raw_path,
        "query_string": b"",
        "headers": [(b"host", b"localhost:8080"), (b"content-type", FORM.encode()), *headers],
        "client": (ADDRESS, 1),
        "server": ("127.0.0.1", 8080),
    }

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    await world.service.public(scope, receive, send)
    return dict(sent[0])


async def test_a_dot_segment_is_400_rule_8(world: World) -> None:
    assert (await called(world, [], raw_path=b"/t/x/../acme/token"))["status"] == 400


@pytest.mark.parametrize(
    "path",
    [
        "/t/ACME/token",
        "/t/Acme/token",
        "/t/acme./token",
        "/t/acme.globex/token",
        "/t/nobody/token",
        "/t/-acme/token",
        "/t/acme%20/token",
        "/t/%C3%A4cme/token",
        "/t/" + "a" * 300 + "/token",
    ],
)
async def test_what_is_no_tenants_slug_is_404_and_never_folded_or_trimmed(world: World, path: str) -> None:
    async with world.client() as client:
        answer = await client.post(path, data=world.acme.form())

    assert (answer.status_code, answer.json()["code"]) == (404, "tenant_not_found")
    assert answer.headers["content-type"] == "application/problem+json"
    (event,) = await world.platform_events()
    assert (event["type"], event["reason"], event["path"]) == ("token.refused", "tenant_not_found", event["path"])
    assert await world.events() == []


@pytest.mark.parametrize(
    "path",
    [
        "/t/%61cme/token",
        "/t/acme%2ftoken",
        "/t/acme%0A/token",
        "/t/acme/token%0A",
        "/t/acme/%74oken",
        "/%74/acme/token",
        "/t//acme/token",
        "/t/acme//token",
        "/t/acme;x/token",
        "/t/acme/token%00",
        "/t/acme%ff/token",
    ],
)
async def test_a_path_that_can_be_read_in_two_ways_is_400_rule_8(world: World, path: str) -> None:
    scope_path = httpx.URL("http://localhost:8080").copy_with(raw_path=path.encode())
    async with world.client() as client:
        answer = await client.send(client.build_request("POST", scope_path, data=world.acme.form()))

    assert (answer.status_code, answer.json()["code"]) == (400, "path_not_canonical")


@pytest.mark.parametrize(
    "path", ["/t/acme/token/", "/t/acme", "/t/", "/", "/t/acme/authorize/", "/docs", "/openapi.json"]
)
async def test_another_path_is_404_in_problem_json(world: World, path: str) -> None:
    async with world.client() as client:
        answer = await client.get(path)

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "TRACE", "QUERY"])
async def test_another_method_is_405_and_names_those_that_are_answered_rfc9110_15_5_6(
    world: World, method: str
) -> None:
    async with world.client() as client:
        answer = await client.request(method, "/t/acme/token")

    assert answer.status_code == 405
    assert sorted(answer.headers["allow"].split(", ")) == ["OPTIONS", "POST"]
    assert method == "HEAD" or answer.json()["code"] == "method_not_allowed"


@pytest.mark.parametrize("path", ["/t/acme/jwks", "/t/acme/.well-known/openid-configuration"])
async def test_what_is_read_is_not_posted_to(world: World, path: str) -> None:
    async with world.client() as client:
        answer = await client.post(path)

    assert answer.status_code == 405
    assert sorted(answer.headers["allow"].split(", ")) == ["GET", "HEAD"]


async def test_an_error_never_says_back_what_was_sent(world: World) -> None:
    for changes in ({"grant_type": "<b>x</b>"}, {"scope": "<b>x</b>"}, {"username": "<b>x</b>"}):
        assert "<b>" not in (await world.post(world.acme.form(**changes))).text


async def test_forwarded_headers_change_neither_tenant_nor_issuer_r01(world: World) -> None:
    headers = {
        "X-Forwarded-Host": "evil.test",
        "Forwarded": "host=evil.test;proto=http",
        "X-Forwarded-Proto": "https",
        "X-Yett-Tenant": "globex",
        "X-Original-URL": "/t/globex/token",
        "X-HTTP-Method-Override": "GET",
    }
    answer = await world.post(world.acme.form(), headers=headers)

    assert world.claims(answer.json()["access_token"])["iss"] == world.acme.issuer


def test_a_form_shows_no_value() -> None:
    assert repr(Form({"password": ("hunter2",), "username": ("alice",)})) == "Form(password, username)"
