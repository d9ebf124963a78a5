"""Discovery (RFC 8414, OpenID Connect Discovery) and keys (RFC 7517): what exists, and nothing private."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import TenantNotFound
from policies.key_rotation import KeyState, jwks_max_age
from tenants.provider import ProviderPolicy
from tests.gateway.world import World

DISCOVERY = ["/t/acme/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/t/acme"]
EXPECTED = Path(__file__).parents[2] / "vectors" / "discovery.json"
METHODS = {
    "authorization_endpoint": ["GET", "POST"],
    "token_endpoint": ["POST"],
    "jwks_uri": ["GET", "HEAD"],
    "userinfo_endpoint": ["GET", "POST"],
    "pushed_authorization_request_endpoint": ["POST"],
    "device_authorization_endpoint": ["POST"],
    "introspection_endpoint": ["POST"],
    "revocation_endpoint": ["POST"],
    "end_session_endpoint": ["GET", "POST"],
}


async def read(world: World, path: str, method: str = "GET") -> tuple[int, dict[str, str], dict[str, object]]:
    async with world.client() as client:
        answer = await client.request(method, path)
    return answer.status_code, dict(answer.headers), answer.json() if answer.content else {}


async def change_provider(world: World, **values: Any) -> None:
    async with world.store() as store:
        await store.settings.set_provider(ProviderPolicy().changed(**values))


async def kids(world: World) -> set[str]:
    _, _, document = await read(world, "/t/acme/jwks")
    return {jwk["kid"] for jwk in document["keys"]}  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", DISCOVERY)
async def test_discovery_says_what_this_issuer_can(world: World, path: str) -> None:
    status, headers, document = await read(world, path)

    assert status == 200
    assert headers["content-type"] == "application/json"
    assert headers["cache-control"] == "public, max-age=300"
    assert headers["access-control-allow-origin"] == "*"
    assert document == json.loads(EXPECTED.read_text())


@pytest.mark.parametrize("path", DISCOVERY)
async def test_every_endpoint_that_discovery_names_is_there(world: World, path: str) -> None:
    await change_provider(world, registration=True)
    _, _, document = await read(world, path)
    named = {name: str(uri) for name, uri in document.items() if name.endswith(("_endpoint", "_uri"))}

    assert set(named) == {*METHODS, "registration_endpoint"}
    async with world.client() as client:
        for name, uri in named.items():
            assert uri.startswith(world.acme.issuer + "/"), name
            for method in METHODS.get(name, ["POST"]):
                assert (await client.request(method, uri)).status_code not in (404, 405, 500), (name, method)


async def test_every_grant_type_that_discovery_names_is_served_and_no_other(world: World) -> None:
    _, _, document = await read(world, DISCOVERY[0])
    for grant_type in document["grant_types_supported"]:  # type: ignore[attr-defined]
        answer = await world.post({"grant_type": grant_type, "client_id": "web", "client_secret": world.acme.secret})
        assert answer.json().get("error") not in ("unsupported_grant_type", "unauthorized_client"), grant_type
    for grant_type in ("implicit", "urn:ietf:params:oauth:grant-type:jwt-bearer"):
        assert (await world.post({"grant_type": grant_type})).json()["error"] == "unsupported_grant_type"


async def test_registration_is_named_where_it_is_open(world: World) -> None:
    for open_ in (True, False):
        await change_provider(world, registration=open_)
        _, _, document = await read(world, DISCOVERY[0])
        named = document.get("registration_endpoint")
        assert named == (f"{world.acme.issuer}/register" if open_ else None)


async def test_whether_requests_have_to_be_pushed_is_the_tenants_to_say(world: World) -> None:
    await change_provider(world, require_pushed=True)
    for slug, required in (("acme", True), ("globex", False)):
        _, _, document = await read(world, f"/t/{slug}/.well-known/openid-configuration")
        assert document["require_pushed_authorization_requests"] is required


async def test_scopes_and_claims_of_the_tenants_own_are_named(world: World) -> None:
    pairs = (("company", (("company", "tenant.name"), ("tier", "const:gold"))),)
    await change_provider(world, scope_claims=pairs)
    _, _, acme = await read(world, DISCOVERY[0])
    _, _, globex = await read(world, "/t/globex/.well-known/openid-configuration")

    assert set(acme["scopes_supported"]) - set(globex["scopes_supported"]) == {"company"}  # type: ignore[call-overload]
    assert set(acme["claims_supported"]) - set(globex["claims_supported"]) == {"company", "tier"}  # type: ignore[call-overload]


async def test_id_tokens_are_said_to_be_signed_as_they_are_and_as_they_will_be(world: World) -> None:
    expected = [["ES256"], ["ES256", "EdDSA"]]
    for names in expected:
        _, _, document = await read(world, DISCOVERY[0])
        assert document["id_token_signing_alg_values_supported"] == names
        async with world.store() as store:
            await store.keys.create_next("EdDSA")


async def test_the_issuer_comes_from_the_configuration_whatever_the_host_r01(world: World) -> None:
    async with world.client(headers={"X-Forwarded-Host": "evil.test", "X-Forwarded-Proto": "https"}) as client:
        document = (await client.get(DISCOVERY[0])).json()

    assert document["issuer"] == world.acme.issuer


async def test_keys_are_published_with_their_public_members_only(world: World) -> None:
    status, headers, document = await read(world, "/t/acme/jwks")

    assert status == 200
    assert headers["content-type"] == "application/jwk-set+json"
    assert headers["cache-control"] == f"public, max-age={jwks_max_age()}"
    assert set(document) == {"keys"}
    for jwk in document["keys"]:  # type: ignore[attr-defined]
        assert set(jwk) == {"kty", "crv", "x", "y", "kid", "alg", "use"}
        assert (jwk["use"], jwk["alg"]) == ("sig", "ES256")


@pytest.mark.parametrize(("alg", "members"), [("EdDSA", {"kty", "crv", "x"}), ("RS256", {"kty", "n", "e"})])
async def test_no_kind_of_key_shows_a_private_member(world: World, alg: str, members: set[str]) -> None:
    async with world.store() as store:
        await store.keys.create_next(alg)  # type: ignore[arg-type]
    _, _, document = await read(world, "/t/acme/jwks")

    (jwk,) = [jwk for jwk in document["keys"] if jwk["alg"] == alg]  # type: ignore[attr-defined]
    assert set(jwk) == members | {"kid", "alg", "use"}


async def test_the_next_key_is_published_before_it_signs_and_the_last_one_until_its_tokens_are_gone(
    world: World,
) -> None:
    async with world.store() as store:
        first = {key.state: key.kid for key in await store.keys.list()}
        await store.keys.rotate("ES256", force=True)
    async with world.store() as store:
        second = {key.state: key.kid for key in await store.keys.list()}

    assert second[KeyState.RETIRING] == first[KeyState.ACTIVE]
    assert await kids(world) == {*first.values(), *second.values()}
    world.clock.now += timedelta(days=2)
    async with world.store() as store:
        await store.keys.advance("ES256")
    assert await kids(world) == {second[KeyState.ACTIVE], second[KeyState.NEXT]}


async def test_a_token_of_before_a_rotation_is_still_verified_by_what_is_published(world: World) -> None:
    token = (await world.login())["access_token"]
    async with world.store() as store:
        await store.keys.rotate("ES256", force=True)

    assert world.claims(token)["client_id"] == "spa"


async def test_a_revoked_key_is_published_no_more(world: World) -> None:
    async with world.store() as store:
        (active,) = [key.kid for key in await store.keys.list() if key.state is KeyState.ACTIVE]
        await store.keys.revoke(active, "ES256")

    assert active not in await kids(world)


async def test_no_tenant_publishes_anothers_keys(world: World) -> None:
    _, _, acme = await read(world, "/t/acme/jwks")
    _, _, globex = await read(world, "/t/globex/jwks")

    assert not {json.dumps(key) for key in acme["keys"]} & {json.dumps(key) for key in globex["keys"]}  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", [*DISCOVERY, "/t/acme/jwks"])
async def test_head_answers_as_get_does_without_a_body_rfc9110_9_3_2(world: World, path: str) -> None:
    _, got, _ = await read(world, path)
    status, headers, _ = await read(world, path, "HEAD")

    assert status == 200
    assert headers["content-type"] == got["content-type"]


@pytest.mark.parametrize("path", [*DISCOVERY, "/t/acme/jwks"])
async def test_a_suspended_tenant_is_refused_in_the_same_words_as_none(world: World, path: str) -> None:
    async with world.store() as store:
        await store.settings.set_active(False)
    status, _, suspended = await read(world, path)
    _, _, unknown = await read(world, path.replace("acme", "nobody"))

    assert (status, suspended["code"], suspended["detail"]) == (404, "tenant_not_found", TenantNotFound.public)
    assert {**suspended, "request_id": ""} == {**unknown, "request_id": ""}
    (event,) = await world.events()
    assert event["reason"] == "tenant_suspended"


async def test_a_tenant_that_resumes_is_heard(world: World) -> None:
    for active in (False, True):
        async with world.store() as store:
            await store.settings.set_active(active)

    assert (await world.post(world.acme.form())).status_code == 200


async def test_identity_pages_tell_a_browser_to_do_nothing_with_them(world: World) -> None:
    _, headers, _ = await read(world, DISCOVERY[0])

    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert len(headers["x-request-id"]) == 32
