"""Who gets in: tokens for administration only, operators with a second factor only, a tenant's own in their place."""

import httpx
import pytest

from policies.administration import OPERATOR_ROLES
from tests.gateway.admin.house import MANAGEMENT, House
from tests.gateway.own_host import OWN, move
from tests.gateway.prover import Prover
from tests.gateway.world import ORDERS

PASSWORD = frozenset({"pwd"})


async def challenge(house: House, token: str | None, path: str = "/v1/tenants/acme") -> tuple[int, str, str]:
    async with house.client(token) as caller:
        answer = await caller.get(path)
    return answer.status_code, answer.json().get("code", ""), answer.headers.get("www-authenticate", "")


async def test_without_a_token_the_challenge_names_the_scheme_and_no_error(house: House) -> None:
    assert await challenge(house, None) == (401, "token_missing", 'Bearer realm="yett admin"')


@pytest.mark.parametrize("path", ["/v1/tenants", "/v1/tenants/nobody", "/v1/tenants/acme/users", "/openapi.json"])
async def test_every_address_wants_a_token(house: House, path: str) -> None:
    assert (await challenge(house, None, path))[:2] == (401, "token_missing")


@pytest.mark.parametrize("sent", ["Basic YTpi", "Bearer", "Bearer ", "yak_x", "bearer x y", "Bearer yak_" + "A" * 64])
async def test_what_is_no_token_is_refused(house: House, sent: str) -> None:
    async with house.client() as caller:
        answer = await caller.get("/v1/tenants/acme", headers={"Authorization": sent})
    assert answer.status_code == 401
    assert answer.json()["code"] in ("token_missing", "invalid_token")


async def test_two_tokens_are_one_too_many(house: House) -> None:
    token = await house.operator()
    async with house.client(token) as caller:
        fields = [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")]
        answer = await caller.client.get("/v1/tenants/acme", headers=fields)
    assert (answer.status_code, answer.json()["code"]) == (400, "authorization_repeated")


async def test_a_token_for_an_api_is_none_for_administration(house: House) -> None:
    token = await house.operator(audience=ORDERS)
    assert (await challenge(house, token))[:2] == (401, "invalid_token")


async def test_an_api_key_is_no_token_here(house: House) -> None:
    async with house.world.store() as store:
        _, text = await store.api_keys.create(
            "machine", scopes=["yett:users:read"], audiences=["urn:yett:admin"], lifetime=None
        )
    assert (await challenge(house, text, "/v1/tenants/acme/users"))[:2] == (401, "invalid_token")


async def test_operators_need_a_second_factor(house: House) -> None:
    status, code, told = await challenge(house, await house.operator(amr=PASSWORD))
    assert (status, code) == (401, "insufficient_user_authentication")
    assert 'acr_values="urn:yett:acr:mfa"' in told


@pytest.mark.parametrize("method", ["otp", "recovery", "mfa"])
async def test_any_second_factor_will_do(house: House, method: str) -> None:
    token = await house.operator(amr=frozenset({"pwd", method}))
    assert (await challenge(house, token))[0] == 200


async def test_the_demos_operators_need_none(demo_house: House) -> None:
    assert (await challenge(demo_house, await demo_house.operator(amr=PASSWORD)))[0] == 200


async def test_a_tenants_administrators_are_asked_what_the_tenant_asks(house: House) -> None:
    assert (await challenge(house, await house.administrator(amr=PASSWORD)))[0] == 200


async def test_a_missing_scope_is_named(house: House) -> None:
    token = await house.operator(scopes=frozenset({"yett:users:read"}))
    status, code, told = await challenge(house, token)
    assert (status, code) == (403, "insufficient_scope")
    assert 'error="insufficient_scope", scope="yett:tenants:read"' in told


@pytest.mark.parametrize("slug", ["globex", "platform", "nobody", "ACME", "acme%20", "a" * 300])
async def test_what_is_not_mine_is_not_there(house: House, slug: str) -> None:
    """In the same words, whether there is such a tenant, and whatever is asked of it."""
    token = await house.administrator()
    for path in ("", "/users", "/suspend"):
        async with house.client(token) as caller:
            method = "POST" if path == "/suspend" else "GET"
            answer = await caller.call(method, f"/v1/tenants/{slug}{path}")
        found = answer.json()
        assert (answer.status_code, found["code"]) == (404, "tenant_not_found")
        assert found["detail"] == "There is no such tenant."


async def test_a_tenants_administrator_is_no_operator_whatever_their_scopes_say(house: House) -> None:
    everything = OPERATOR_ROLES["owner"]
    token = await house.administrator(scopes=everything)
    async with house.client(token) as caller:
        for method, path in (("GET", "/v1/tenants"), ("POST", "/v1/tenants"), ("POST", "/v1/tenants/acme/suspend")):
            answer = await caller.call(method, path)
            assert (answer.status_code, answer.json()["code"]) == (403, "access_denied")


# -- at the tenant's own issuer --------------------------------------------------------------------------------------


async def test_a_tenants_administrators_have_the_api_at_their_own_issuer(house: House) -> None:
    async with house.client(await house.administrator(), public=True) as caller:
        answer = await caller.get("/t/acme/admin/v1/users")
        assert answer.status_code == 200
        assert (await caller.get("/t/acme/admin/v1/tenant")).json()["slug"] == "acme"


async def test_an_operators_token_never_counts_on_the_public_listener(house: House) -> None:
    async with house.client(await house.operator(), public=True) as caller:
        answer = await caller.get("/t/acme/admin/v1/users")
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")
        platform = await caller.get("/t/platform/admin/v1/users")
        assert (platform.status_code, platform.json()["code"]) == (404, "tenant_not_found")


async def test_another_tenants_token_is_none_there(house: House) -> None:
    async with house.client(await house.administrator(house.globex), public=True) as caller:
        answer = await caller.get("/t/acme/admin/v1/users")
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")


@pytest.mark.parametrize("path", ["/v1/tenants/acme", "/openapi.json", "/t/acme/admin/v1/suspend", "/t/acme/admin/v1"])
async def test_what_operators_do_has_no_address_on_the_public_listener(house: House, path: str) -> None:
    async with house.client(await house.operator(), public=True) as caller:
        assert (await caller.client.get(path)).status_code == 404


async def test_a_browser_of_another_origin_learns_nothing(house: House) -> None:
    async with house.client(await house.administrator(), public=True) as caller:
        headers = {"Origin": "https://app.acme.test"}
        answer = await caller.get("/t/acme/admin/v1/users", headers=headers)
        preflight = await caller.client.options("/t/acme/admin/v1/users", headers=headers)
    assert "access-control-allow-origin" not in answer.headers
    assert preflight.status_code == 405


async def test_a_tenant_with_a_host_of_its_own_has_the_api_there(house: House) -> None:
    await move(house.world, OWN)
    moved = await house.world.installation.directory.find("acme")
    assert moved is not None
    headers = {"Authorization": f"Bearer {await house.administrator(moved)}"}
    async with house.world.client(base_url=OWN, headers=headers) as client:
        made = await client.post("/admin/v1/roles", json={"name": "clerk", "scopes": []})
        assert (made.status_code, made.headers["location"]) == (201, "/admin/v1/roles/clerk")
        assert (await client.get(made.headers["location"])).json()["name"] == "clerk"
        assert (await client.get("/t/acme/admin/v1/roles")).status_code == 404


# -- what is taken back ----------------------------------------------------------------------------------------------


async def test_a_session_that_ended_administers_no_more(house: House) -> None:
    token = await house.operator()
    async with house.world.installation.store.for_tenant(house.platform.id) as store:
        await store.sessions.end_all(house.operators["owner"])
    await house.world.snapshot.poll()
    assert (await challenge(house, token))[:2] == (401, "invalid_token")


async def test_a_suspended_tenants_administrators_are_out_and_operators_are_not(house: House) -> None:
    own, operator = await house.administrator(), await house.operator()
    async with house.world.store() as store:
        await store.settings.set_active(False)
    assert (await challenge(house, own))[:2] == (401, "invalid_token")
    assert (await challenge(house, operator))[0] == 200


async def test_while_revocations_are_not_heard_nobody_administers(house: House) -> None:
    token = await house.operator()
    house.world.clock.advance(seconds=61)
    assert (await challenge(house, token))[:2] == (503, "revocations_stale")


async def test_a_bound_token_needs_its_proof(house: House) -> None:
    prover = Prover()
    token = await house.operator(confirmation=prover.thumbprint)
    assert (await challenge(house, token))[:2] == (401, "invalid_token")
    async with house.client() as caller:
        bare = await caller.get("/v1/tenants/acme", headers={"Authorization": f"DPoP {token}"})
        assert (bare.status_code, bare.json()["code"]) == (401, "invalid_dpop_proof")
        assert bare.headers["www-authenticate"].startswith("DPoP ")

        async def proved(url: str) -> httpx.Response:
            proof = prover.prove("GET", url, house.world.clock().timestamp(), token)
            headers = {"Authorization": f"DPoP {token}", "DPoP": proof}
            return await caller.get("/v1/tenants/acme", headers=headers)

        asked = await proved(f"{MANAGEMENT}/v1/tenants/acme")
        assert (asked.status_code, asked.json()["code"]) == (401, "use_dpop_nonce")
        prover.nonce = asked.headers["dpop-nonce"]
        done = await proved(f"{MANAGEMENT}/v1/tenants/acme")
        assert done.status_code == 200
        assert done.headers["dpop-nonce"]
        assert (await proved(f"{MANAGEMENT}/v1/tenants/globex")).json()["code"] == "invalid_dpop_proof"


async def test_the_management_listener_is_limited_and_so_is_the_issuer(house: House) -> None:
    house.world.service.live.limits.management.change("2/minute")
    async with house.client(await house.administrator(), public=True) as caller:
        found = [(await caller.get("/t/acme/admin/v1/users")).status_code for _ in range(3)]
    assert found == [200, 200, 429]


async def test_what_was_refused_is_told_to_the_tenant_of_the_token(house: House) -> None:
    token = await house.administrator(scopes=frozenset())
    async with house.client(token) as caller:
        await caller.get("/v1/tenants/acme/users")
    (event,) = [each for each in await house.world.events() if each["type"] == "admin.refused"]
    assert (event["reason"], event["status"], event["path"]) == ("insufficient_scope", 403, "/v1/tenants/acme/users")
    assert event["subject"] == str(house.administrators["acme"])


async def test_the_host_of_the_management_listener_is_checked_first(house: House) -> None:
    async with house.client(await house.operator()) as caller:
        answer = await caller.get("/v1/tenants", headers={"Host": "evil.test"})
    assert answer.status_code == 421
