"""Discovery (RFC 8414, OpenID Connect Discovery) and keys (RFC 7517): what exists, and nothing private."""

import json
from datetime import timedelta

import pytest

from gateway.errors import TenantNotFound
from policies.key_rotation import KeyState, jwks_max_age
from tests.gateway.world import World

DISCOVERY = ["/t/acme/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/t/acme"]


async def read(world: World, path: str, method: str = "GET") -> tuple[int, dict[str, str], dict[str, object]]:
    async with world.client() as client:
        answer = await client.request(method, path)
    return answer.status_code, dict(answer.headers), answer.json() if answer.content else {}


async def kids(world: World) -> set[str]:
    _, _, document = await read(world, "/t/acme/jwks")
    return {jwk["kid"] for jwk in document["keys"]}  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", DISCOVERY)
async def test_discovery_names_what_exists_and_nothing_else(world: World, path: str) -> None:
    status, headers, document = await read(world, path)

    assert status == 200
    assert headers["content-type"] == "application/json"
    assert headers["cache-control"] == "public, max-age=300"
    assert document == {
        "issuer": "http://localhost:8080/t/acme",
        "token_endpoint": "http://localhost:8080/t/acme/token",
        "jwks_uri": "http://localhost:8080/t/acme/jwks",
        "grant_types_supported": ["client_credentials", "password", "refresh_token"],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "acr_values_supported": ["urn:yett:acr:pwd"],
    }


@pytest.mark.parametrize("path", DISCOVERY)
async def test_what_discovery_names_answers(world: World, path: str) -> None:
    _, _, document = await read(world, path)
    async with world.client() as client:
        assert (await client.get(str(document["jwks_uri"]))).status_code == 200
        assert (await client.post(str(document["token_endpoint"]), data=world.acme.form())).status_code == 200
        for grant_type in document["grant_types_supported"]:  # type: ignore[attr-defined]
            answer = await client.post(str(document["token_endpoint"]), data={"grant_type": grant_type})
            assert answer.json()["error"] != "unsupported_grant_type"


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
