"""``/register`` (RFC 7591): who may, what is answered, and what no application can register of itself."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from tenants.client import Client
from tests.gateway.oauth.registering import METADATA, allow, post
from tests.gateway.world import World

KEY = {"kty": "EC", "crv": "P-256", "kid": "1", "x": "a" * 43, "y": "b" * 43}
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
EVERYTHING: dict[str, Any] = {
    "client_name": "Everything",
    "redirect_uris": ["https://partner.example/callback", "com.partner.app:/callback"],
    "token_endpoint_auth_method": "private_key_jwt",
    "grant_types": ["authorization_code", "refresh_token", DEVICE],
    "response_types": ["code"],
    "scope": "openid email",
    "client_uri": "https://partner.example",
    "logo_uri": "https://partner.example/logo.png",
    "policy_uri": "https://partner.example/privacy",
    "tos_uri": "https://partner.example/terms",
    "jwks": {"keys": [KEY]},
    "post_logout_redirect_uris": ["https://partner.example/bye"],
    "backchannel_logout_uri": "https://partner.example/logout",
    "dpop_bound_access_tokens": True,
    "require_pushed_authorization_requests": True,
    "require_signed_request_object": True,
}


async def stored(world: World, client_id: str) -> Client:
    async with world.store() as store:
        found = await store.clients.get(client_id)
    assert found is not None
    return found


async def test_a_client_is_registered_with_the_defaults_of_rfc7591_2(each_world: World) -> None:
    answer = await post(each_world, await allow(each_world))

    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body["client_id"].startswith("dcr-")
    assert body["client_secret"].startswith("ycs_")
    assert body["registration_access_token"].startswith("yrg_")
    assert body["registration_client_uri"] == f"{each_world.acme.issuer}/register/{body['client_id']}"
    given = ("client_id", "client_secret", "registration_access_token", "registration_client_uri")
    assert {name: value for name, value in body.items() if name not in given} == {
        "client_id_issued_at": int(each_world.clock().timestamp()),
        "client_secret_expires_at": 0,
        "client_name": "A partner's app",
        "redirect_uris": ["https://partner.example/callback"],
        "token_endpoint_auth_method": "client_secret_basic",
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
        "scope": "email offline_access openid profile",
        "post_logout_redirect_uris": [],
        "dpop_bound_access_tokens": False,
        "require_pushed_authorization_requests": False,
        "require_signed_request_object": False,
    }
    (event,) = await each_world.events()
    assert (event["type"], event["client_id"], event["actor"]) == (
        "client.registered",
        body["client_id"],
        "registration:Partner",
    )


async def test_all_that_is_registered_is_answered(each_world: World) -> None:
    body = (await post(each_world, await allow(each_world), EVERYTHING)).json()

    assert {name: body[name] for name in EVERYTHING} == EVERYTHING | {"scope": "email openid"}
    assert "client_secret" not in body
    assert "client_secret_expires_at" not in body


async def test_what_is_registered_works_at_the_token_endpoint(world: World) -> None:
    body = (await post(world, await allow(world), METADATA | {"grant_types": ["authorization_code", DEVICE]})).json()
    form = {"grant_type": "password", "username": "alice", "password": world.acme.password}
    right = await world.post(form, auth=(body["client_id"], body["client_secret"]))
    wrong = await world.post(form, auth=(body["client_id"], "ycs_" + "A" * 43))

    assert (right.status_code, right.json()["error"]) == (400, "unauthorized_client")  # known, and not for this grant
    assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client")


DANGEROUS: dict[str, Any] = {
    "first_party": True,
    "claim_mapping": {"roles": "user.roles"},
    "active": False,
    "tenant_id": "00000000-0000-0000-0000-000000000000",
    "client_id": "web",
    "client_secret": "chosen",
    "audiences": ["https://api.example.com/orders"],
    "default_scopes": ["admin"],
    "scopes": ["admin"],
    "origins": ["https://evil.test"],
    "registration_digest": "0" * 64,
    "registration_access_token": "yrg_chosen",
    "confidential": False,
    "introspection_signed": True,
    "options": {"first_party": True},
    "software_id": "x",
    "software_version": "1",
    "contacts": ["ops@partner.example"],
    "unheard_of": {"of": []},
}


async def test_what_is_not_the_applications_to_say_is_ignored_m01(world: World) -> None:
    token = await allow(world, uses=2)
    plain = (await post(world, token)).json()
    body = (await post(world, token, METADATA | DANGEROUS)).json()
    ours = {"client_id", "client_secret", "registration_access_token", "registration_client_uri"}

    assert body.keys() == plain.keys()
    assert {name: body[name] for name in body.keys() - ours} == {name: plain[name] for name in plain.keys() - ours}
    assert not {body[name] for name in ours} & {"web", "chosen", "yrg_chosen"}
    client = await stored(world, body["client_id"])
    assert (client.active, client.options.first_party, client.options.claim_mapping) == (True, False, ())
    assert client.audiences == (world.acme.issuer,)
    assert (client.scopes, client.default_scopes, client.origins) == (
        {"openid", "profile", "email", "offline_access"},
        frozenset(),
        (),
    )


async def test_it_is_off_by_default(world: World) -> None:
    async with world.store() as store:
        token = await store.registration_tokens.issue("Early", uses=1, lifetime=timedelta(hours=1))
    answer = await post(world, token)

    assert (answer.status_code, answer.json()["error"]) == (403, "access_denied")
    (event,) = await world.events()
    assert (event["type"], event["reason"]) == ("registration.refused", "registration_closed")


@pytest.mark.parametrize("token", [None, "yia_" + "A" * 43, "yrt_nothing"])
async def test_nobody_registers_without_an_initial_access_token(world: World, token: str | None) -> None:
    await allow(world)
    answer = await post(world, token)

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_another_tenants_token_a_spent_one_and_one_that_is_over_are_none(world: World) -> None:
    theirs = await allow(world, world.globex)
    spent, over = await allow(world), await allow(world)
    assert (await post(world, spent)).status_code == 201
    world.clock.advance(hours=1)

    assert [(await post(world, token)).status_code for token in (theirs, spent, over)] == [401, 401, 401]


async def test_a_refused_registration_spends_no_use(world: World) -> None:
    token = await allow(world)

    assert (await post(world, token, {"redirect_uris": []})).status_code == 400
    assert (await post(world, token)).status_code == 201


async def test_of_20_registrations_at_once_with_a_one_use_token_one_succeeds(each_world: World) -> None:
    token = await allow(each_world)
    answers = await asyncio.gather(*(post(each_world, token) for _ in range(20)))

    assert sorted(answer.status_code for answer in answers) == [201] + [401] * 19
    async with each_world.store() as store:
        assert await store.clients.registered_themselves() == 1


async def test_no_more_clients_than_the_tenant_allows(each_world: World) -> None:
    token = await allow(each_world, uses=20, registered_clients=2)
    answers = await asyncio.gather(*(post(each_world, token) for _ in range(5)))

    assert sorted(answer.status_code for answer in answers) == [201, 201, 400, 400, 400]
    assert {answer.json().get("error") for answer in answers} == {None, "invalid_client_metadata"}


async def test_a_browser_application_gets_the_origins_of_its_redirect_uris_and_no_secret(world: World) -> None:
    uris = ["https://spa.partner.example/cb", "http://localhost:5173/cb", "com.partner.app:/cb"]
    changes = {"token_endpoint_auth_method": "none", "redirect_uris": uris}
    body = (await post(world, await allow(world), METADATA | changes)).json()

    assert "client_secret" not in body
    assert (await stored(world, body["client_id"])).origins == (
        "https://spa.partner.example",
        "http://localhost:5173",
    )


async def test_discovery_names_it_where_it_is_open(world: World) -> None:
    async def named() -> Any:
        async with world.client() as client:
            document = (await client.get("/t/acme/.well-known/openid-configuration")).json()
        return document.get("registration_endpoint")

    assert await named() is None
    await allow(world)
    assert await named() == f"{world.acme.issuer}/register"


async def test_secrets_are_stored_as_hashes_and_logged_nowhere(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    token = await allow(world)
    body = (await post(world, token)).json()
    kept = repr(await stored(world, body["client_id"])) + repr(await world.events())
    printed = capfd.readouterr()

    for secret in (token, body["client_secret"], body["registration_access_token"]):
        assert secret not in kept + printed.out + printed.err
