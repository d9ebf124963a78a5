"""Refusals rendered in one place: RFC 9457 problems, RFC 6749 errors, and nothing of a bug."""

import pytest
from fastapi import APIRouter
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from gateway.errors import InvalidScope, NotFound, TooManyRequests
from gateway.middleware import WithContext
from gateway.web import CanonicalPath, application, nowhere
from tests.gateway.asgi import calling, named

router = APIRouter()


@router.get("/refused")
async def refused() -> None:
    raise NotFound(reason="secret_reason", detail="hunter2")


@router.get("/limited")
async def limited() -> None:
    raise TooManyRequests(reason="address_limit", retry_after=7)


@router.get("/oauth")
async def oauth() -> None:
    raise InvalidScope(reason="secret_reason", detail="hunter2")


@router.get("/bug")
async def bug() -> None:
    raise RuntimeError("hunter2 in a stack trace")


@router.get("/teapot")
async def teapot() -> None:
    raise HTTPException(418, "hunter2")


@router.get("/ok")
async def ok() -> JSONResponse:
    return JSONResponse({})


APP = WithContext(application(router), ())


async def test_a_problem_has_rfc9457s_members_a_stable_code_and_the_request_id() -> None:
    async with calling(APP) as client:
        answer = await client.get("/refused")

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {
        "type": "urn:yett:problem:not_found",
        "title": "Not Found",
        "status": 404,
        "code": "not_found",
        "request_id": answer.headers["x-request-id"],
        "detail": "There is nothing at this address.",
    }


async def test_a_refusal_brings_its_own_header_fields() -> None:
    async with calling(APP) as client:
        answer = await client.get("/limited")

    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")


async def test_an_oauth_error_keeps_its_form_wherever_it_is_raised() -> None:
    async with calling(APP) as client:
        answer = await client.get("/oauth")

    assert answer.json() == {"error": "invalid_scope", "error_description": InvalidScope.public}
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/bug", "/teapot"])
async def test_a_bug_is_500_without_details(path: str) -> None:
    async with calling(APP) as client:
        answer = await client.get(path)

    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["code"], answer.json()["request_id"]) == ("internal_error", answer.headers["x-request-id"])
    for telling in ("hunter2", "Traceback", "RuntimeError", "teapot"):
        assert telling not in answer.text


@pytest.mark.parametrize("path", ["/refused", "/oauth", "/limited"])
async def test_reason_and_detail_stay_inside(path: str) -> None:
    async with calling(APP) as client:
        answer = await client.get(path)

    assert "secret_reason" not in answer.text
    assert "hunter2" not in answer.text


async def test_an_unknown_address_and_an_unknown_method_are_problems() -> None:
    async with calling(APP) as client:
        missing, wrong = await client.get("/nothing"), await client.post("/ok")

    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    assert (wrong.status_code, wrong.json()["code"], wrong.headers["allow"]) == (405, "method_not_allowed", "GET")


async def test_a_405_names_the_methods_of_all_routes_of_its_address() -> None:
    other = APIRouter()
    other.add_api_route("/ok", ok, methods=["POST", "OPTIONS"], response_model=None)
    async with calling(WithContext(application(router, other), ())) as client:
        assert (await client.post("/ok")).status_code == 200
        assert (await client.delete("/ok")).headers["allow"] == "GET, OPTIONS, POST"


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/ok/", "/docs/oauth2-redirect"])
async def test_nothing_is_published_that_was_not_asked_for(path: str) -> None:
    async with calling(APP) as client:
        assert (await client.get(path)).status_code == 404


async def test_a_host_that_is_nobodys_is_421_rfc9110_15_5_20() -> None:
    async with calling(WithContext(nowhere, ())) as client:
        answer = await client.get("/")

    assert (answer.status_code, answer.json()["code"]) == (421, "misdirected_request")


@pytest.mark.parametrize("path", ["/a%2fb", "/%61", "/a//b", "/a;b", "/a%00"])
async def test_a_path_that_is_not_canonical_reaches_nobody(path: str) -> None:
    async with calling(WithContext(CanonicalPath(named("reached")), ())) as client:
        request = client.build_request("GET", client.base_url.copy_with(raw_path=path.encode()))
        answer = await client.send(request)

    assert (answer.status_code, answer.json()["code"]) == (400, "path_not_canonical")


@pytest.mark.parametrize("path", ["/", "/a", "/a/", "/.well-known/x", "/a%20b", "/a?b=%2f"])
async def test_a_canonical_path_passes(path: str) -> None:
    async with calling(WithContext(CanonicalPath(named("reached")), ())) as client:
        assert (await client.get(path)).text == "reached"
