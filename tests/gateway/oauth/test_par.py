"""``/par``: a client hands in a request, which is used once, by this client, in time (RFC 9126)."""

from datetime import timedelta
from typing import Any

import pytest

from tenants.authorization_requests import REQUEST_URI, PushedRequest
from tests.gateway.oauth.presenting import basic
from tests.gateway.oauth.signing_client import (
    CALLBACK,
    ask,
    proof,
    push,
    pushed,
    register,
    request,
    request_object,
    signing_client,
)
from tests.gateway.prover import Prover
from tests.gateway.world import INVOICES, ORDERS, World
from tests.signer import Signer


async def kept(world: World, request_uri: str) -> PushedRequest:
    async with world.store() as store:
        found = await store.authorization_requests.find(request_uri)
    assert found is not None
    return found


async def test_a_request_is_kept_and_named_rfc9126_2_2(each_world: World) -> None:
    world = each_world
    await register(world)
    answer = await push(world)

    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json().keys() == {"request_uri", "expires_in"}
    assert answer.json()["request_uri"].startswith(REQUEST_URI + "yar_")
    assert answer.json()["expires_in"] == 90
    found = await kept(world, answer.json()["request_uri"])
    assert found.client_id == "signer"
    assert found.parameters == {name: [value] for name, value in request().items()}


async def test_what_proves_the_client_and_what_nobody_reads_is_not_kept(world: World) -> None:
    form = request(client_id="web", redirect_uri="https://web.acme.test/callback")
    found = await kept(
        world, await pushed(world, {**form, "client_secret": world.acme.secret, "unknown": "x" * 50_000})
    )

    assert found.parameters == {name: [value] for name, value in form.items()}


async def test_a_client_that_names_itself_by_basic_need_not_repeat_its_name(world: World) -> None:
    form = request(client_id=None, redirect_uri="https://web.acme.test/callback")
    found = await kept(world, await pushed(world, form, headers=basic("web", world.acme.secret)))

    assert found.parameters["client_id"] == ["web"]


async def test_a_public_client_may_push_too(world: World) -> None:
    form = request(client_id="spa", redirect_uri="http://127.0.0.1:53123/callback")

    assert (await kept(world, await pushed(world, form))).client_id == "spa"


async def test_resources_are_kept_one_by_one_and_each_once(world: World) -> None:
    form: dict[str, Any] = {**request(client_id="web", redirect_uri="https://web.acme.test/callback")}
    resources = {"resource": [ORDERS, INVOICES, ORDERS], "client_secret": world.acme.secret}

    assert (await kept(world, await pushed(world, form | resources))).parameters["resource"] == [ORDERS, INVOICES]


async def test_the_tenant_says_how_long_it_waits(world: World) -> None:
    await register(world)
    async with world.store() as store:
        await store.settings.set_lifetimes({"pushed_request": 300})
    answer = await push(world)

    assert answer.json()["expires_in"] == 300
    assert (await kept(world, answer.json()["request_uri"])).expires_at == world.clock() + timedelta(minutes=5)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"redirect_uri": "https://evil.test/callback"}, "invalid_request"),
        ({"redirect_uri": CALLBACK + "/"}, "invalid_request"),
        ({"redirect_uri": None}, "invalid_request"),
        ({"request_uri": REQUEST_URI + "yar_x"}, "invalid_request"),
        ({"request_uri": "https://signer.acme.test/request.jwt"}, "invalid_request"),
        ({"request_uri": ""}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"scope": "unheard-of"}, "invalid_scope"),
        ({"resource": "https://elsewhere.example"}, "invalid_target"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"dpop_jkt": "x"}, "invalid_request"),
    ],
)
async def test_a_request_that_would_be_refused_is_refused_at_once(
    world: World, changes: dict[str, str | None], error: str
) -> None:
    await register(world)
    answer = await push(world, {**request(**changes), **proof(world)})

    assert (answer.status_code, answer.json()["error"]) == (400, error)


async def test_a_client_that_may_not_ask_for_codes_pushes_nothing(world: World) -> None:
    await register(world, signing_client(grant_types=frozenset({"client_credentials"})))

    assert (await push(world)).json()["error"] == "unauthorized_client"


async def test_who_is_not_the_client_pushes_nothing_for_it(world: World) -> None:
    await register(world)
    for form in (
        request(),
        {**request(), **proof(world, signer=Signer(name="stranger"))},
        {**request(client_id="web"), **proof(world)},
        {**request(), "client_secret": world.acme.secret},
    ):
        assert (await push(world, form)).json()["error"] == "invalid_client"


async def test_an_assertion_counts_once_here_and_at_the_token_endpoint(world: World) -> None:
    await register(world)
    form = proof(world)
    assert (await push(world, {**request(), **form})).status_code == 201

    assert (await push(world, {**request(), **form})).json()["error"] == "invalid_client"
    assert (await ask(world, form)).json()["error"] == "invalid_client"


async def test_a_signed_request_may_be_pushed_rfc9126_3(world: World) -> None:
    await register(world)
    sent = {"client_id": "signer", "request": request_object(world), "scope": "orders:write", **proof(world)}
    found = await kept(world, await pushed(world, sent))

    assert found.parameters == {name: [value] for name, value in request().items()}


async def test_a_tenants_request_is_no_other_tenants(world: World) -> None:
    await register(world)
    request_uri = await pushed(world)
    async with world.store(world.globex) as store:
        assert await store.authorization_requests.find(request_uri) is None


async def test_a_proof_binds_the_code_that_will_come_rfc9449_10_1(world: World) -> None:
    await register(world)
    prover, url = Prover(), f"{world.acme.issuer}/par"
    sent = {"client_id": "signer", "request": request_object(world)}

    def proved() -> dict[str, str]:
        return {"DPoP": prover.prove("POST", url, world.clock().timestamp())}

    asked = await push(world, {**sent, **proof(world)}, headers=proved())
    assert asked.json()["error"] == "use_dpop_nonce"
    prover.nonce = asked.headers["dpop-nonce"]
    found = await kept(world, await pushed(world, {**sent, **proof(world)}, headers=proved()))
    assert found.parameters["dpop_jkt"] == [prover.thumbprint]

    for thumbprint, status in ((prover.thumbprint, 201), ("t" * 43, 400)):
        answer = await push(world, {**request(dpop_jkt=thumbprint), **proof(world)}, headers=proved())
        assert answer.status_code == status


async def test_a_request_is_bounded_rfc9126_2_3(world: World) -> None:
    answer = await push(world, {**request(), "state": "x" * 70_000})
    assert (answer.status_code, answer.json()["error"]) == (413, "invalid_request")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_nothing_but_a_form_is_taken_rfc9126_2_3(world: World, method: str) -> None:
    async with world.client() as client:
        assert (await client.request(method, "/t/acme/par")).status_code == 405
        answer = await client.post("/t/acme/par", json=request())
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


# -- T03: a handle is a request, and nothing else is one

PLACES: dict[str, dict[str, str]] = {
    "code": {"grant_type": "authorization_code", "redirect_uri": CALLBACK, "code_verifier": "v" * 43},
    "refresh_token": {"grant_type": "refresh_token"},
    "device_code": {"grant_type": "urn:ietf:params:oauth:grant-type:device_code"},
    "mfa_token": {"grant_type": "urn:yett:params:oauth:grant-type:mfa-otp", "otp": "123456"},
    "subject_token": {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
    },
}


@pytest.mark.parametrize("place", PLACES)
async def test_a_pushed_request_is_spent_as_nothing_else_t03(world: World, place: str) -> None:
    as_web = {"headers": basic("web", world.acme.secret)}
    form = request(client_id="web", redirect_uri="https://web.acme.test/callback")
    request_uri = await pushed(world, form, **as_web)
    for secret in (request_uri, request_uri.removeprefix(REQUEST_URI)):
        answer = await world.post({**PLACES[place], place: secret}, **as_web)
        assert (answer.status_code, answer.json()["error"]) in {(400, "invalid_grant"), (400, "invalid_request")}
    async with world.store() as store:
        found = await store.authorization_requests.find(request_uri)
        assert found is not None
        assert await store.authorization_requests.consume(found)


async def test_nothing_else_is_a_pushed_request_t03(world: World) -> None:
    login = await world.login()
    async with world.store() as store:
        reset = await store.mail_links.make("reset", lifetime=timedelta(hours=1), user_id=world.acme.users["alice"])
        for secret in (login["refresh_token"], login["access_token"], reset, world.acme.secret):
            assert await store.authorization_requests.find(REQUEST_URI + secret) is None
    assert (await world.refresh(login["refresh_token"])).status_code == 200
