"""``/userinfo`` (OpenID Connect Core section 5.3, RFC 6750): which tokens it takes, how, and how it says no."""

from dataclasses import replace

import pytest

from tests.gateway.oauth.openid import offer, userinfo
from tests.gateway.world import INVOICES, World


async def token(world: World, scope: str = "openid", **login: str) -> str:
    return str((await world.login(scope=scope, **login))["access_token"])


async def test_it_answers_the_subject_of_any_access_token_with_openid(world: World) -> None:
    await offer(world)
    for resource in (None, INVOICES):
        more = {} if resource is None else {"resource": resource}
        answer = await userinfo(world, await token(world, **more))
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.json() == {"sub": str(world.acme.users["alice"])}


async def test_a_token_after_a_refresh_is_as_good(world: World) -> None:
    await offer(world)
    login = await world.login(scope="openid")
    refreshed = (await world.refresh(login["refresh_token"])).json()
    assert (await userinfo(world, refreshed["access_token"])).json() == {"sub": str(world.acme.users["alice"])}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_token_comes_in_the_header_whatever_the_method(world: World, method: str, scheme: str) -> None:
    await offer(world)
    assert (await userinfo(world, await token(world), method=method, scheme=scheme)).status_code == 200


async def test_head_answers_as_get_does_without_a_body_rfc9110_9_3_2(world: World) -> None:
    await offer(world)
    good = await token(world)
    got, head = await userinfo(world, good), await userinfo(world, good, method="HEAD")
    assert (head.status_code, head.headers["content-type"]) == (200, got.headers["content-type"])


async def test_the_token_may_come_in_the_body_of_a_post_rfc6750_2_2(world: World) -> None:
    await offer(world)
    answer = await userinfo(world, None, method="POST", data={"access_token": await token(world)})
    assert answer.json() == {"sub": str(world.acme.users["alice"])}


async def test_the_token_never_comes_in_a_query_rfc6750_2_3(world: World) -> None:
    await offer(world)
    good = await token(world)
    for header in (None, good):
        answer = await userinfo(world, header, params={"access_token": good})
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    in_query = await userinfo(world, None, method="POST", params={"access_token": good})
    assert in_query.status_code == 401
    assert {event["reason"] for event in await refusals(world)} == {"token_in_query", "token_missing"}


async def test_a_token_that_comes_twice_is_refused_rfc6750_2(world: World) -> None:
    await offer(world)
    good = await token(world)
    both = await userinfo(world, good, method="POST", data={"access_token": good})
    async with world.client() as client:
        fields = [("Authorization", f"Bearer {good}"), ("Authorization", f"Bearer {good}")]
        twice = await client.get("/t/acme/userinfo", headers=fields)
    for answer in (both, twice):
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("authorization", [None, "Basic YTpi", "Bearer", "Bearer ", "Negotiate x", ""])
async def test_who_sends_no_token_is_told_the_scheme_and_no_error_rfc6750_3_1(
    world: World, authorization: str | None
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = await userinfo(world, None, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="yett"'


@pytest.mark.parametrize(
    "bad",
    ["x", "a.b.c", "%", "\u00e9", "yrt_" + "x" * 43],
)
async def test_what_is_no_token_is_invalid_rfc6750_3_1(world: World, bad: str) -> None:
    answer = await userinfo(world, None, headers=[(b"authorization", b"Bearer " + bad.encode())])
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    (event,) = await refusals(world)
    assert event["reason"] == "token_malformed"


async def test_an_expired_token_is_refused(world: World) -> None:
    await offer(world)
    old = await token(world)
    world.clock.advance(minutes=5)
    await world.snapshot.poll()
    await refused(world, old, "token_expired")


async def test_without_openid_the_scope_is_insufficient(world: World) -> None:
    await offer(world)
    answer = await userinfo(world, await token(world, "profile email orders:read"))
    assert (answer.status_code, answer.json()["error"]) == (403, "insufficient_scope")
    assert answer.headers["www-authenticate"] == 'Bearer error="insufficient_scope", scope="openid"'


async def test_a_client_that_acts_for_itself_is_no_user(world: World) -> None:
    await offer(world, "web")
    form = {"grant_type": "client_credentials", "client_id": "web", "client_secret": world.acme.secret}
    own = (await world.post({**form, "scope": "orders:read openid"})).json()["access_token"]
    assert (await userinfo(world, own)).status_code == 403


async def test_a_token_of_another_tenant_is_refused_x01(world: World) -> None:
    await offer(world)
    answer = await userinfo(world, await token(world), to="globex")
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
    (event,) = await refusals(world, of_globex=True)
    assert event["reason"] == "tenant_mismatch"


async def test_a_disabled_users_token_is_refused_at_once(world: World) -> None:
    await offer(world)
    good = await token(world)
    async with world.installation.store.for_tenant(world.acme.id) as store:  # and the feed is not heard yet
        await store.users.set_active(world.acme.users["alice"], False)
    await refused(world, good, "user_disabled")
    await world.snapshot.poll()
    await refused(world, good, "token_revoked")


async def test_a_token_of_an_ended_session_is_refused(world: World) -> None:
    await offer(world)
    good = await token(world)
    async with world.store() as store:
        await store.sessions.end_all(world.acme.users["alice"])
    await refused(world, good, "token_revoked")


async def test_a_token_of_a_disabled_client_is_refused(world: World) -> None:
    await offer(world)
    good = await token(world)
    async with world.store() as store:
        await store.clients.set_active("spa", False)
    await refused(world, good, "token_revoked")


async def test_a_token_of_a_revoked_key_is_refused(world: World) -> None:
    await offer(world)
    good = await token(world)
    async with world.store() as store:
        await store.keys.rotate("ES256", force=True)
    assert (await userinfo(world, good)).status_code == 200
    async with world.store() as store:
        for key in await store.keys.list():
            await store.keys.revoke(key.kid, "ES256")
    await refused(world, good, "key_unknown")


async def test_a_suspended_tenant_answers_nobody_x03(world: World) -> None:
    await offer(world)
    good = await token(world)
    async with world.store() as store:
        await store.settings.set_active(False)
    assert (await userinfo(world, good)).status_code == 404


async def test_where_revocations_are_not_heard_no_token_is_judged(world: World) -> None:
    await offer(world)
    good = await token(world)
    world.clock.advance(seconds=61)
    answer = await userinfo(world, good)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


async def test_a_page_of_a_clients_origin_may_call_it_and_read_why_not(world: World) -> None:
    await offer(world)
    origin = {"Origin": "https://app.acme.test"}
    preflight = await userinfo(
        world,
        None,
        method="OPTIONS",
        headers=origin | {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"},
    )
    assert preflight.status_code == 204
    assert "GET" in preflight.headers["access-control-allow-methods"]
    assert "Authorization" in preflight.headers["access-control-allow-headers"]
    for sent in (await token(world), None):
        answer = await userinfo(world, sent, headers=origin)
        assert answer.headers["access-control-allow-origin"] == "https://app.acme.test"
        assert "access-control-allow-credentials" not in answer.headers
    stranger = await userinfo(world, await token(world), headers={"Origin": "https://evil.test"})
    assert "access-control-allow-origin" not in stranger.headers


async def test_a_body_that_is_no_form_is_refused(world: World) -> None:
    answer = await userinfo(world, None, method="POST", json={"access_token": "x"})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_both_databases_answer(each_world: World) -> None:
    await offer(each_world)
    good = await token(each_world, "openid groups")
    answer = await userinfo(each_world, good)
    assert answer.json() == {"sub": str(each_world.acme.users["alice"]), "groups": ["writer"]}
    async with each_world.store() as store:
        client = await store.clients.get("spa")
        assert client is not None
        await store.clients.replace(replace(client, name="Another name"))
    assert (await userinfo(each_world, good)).status_code == 200


async def refused(world: World, sent: str, reason: str) -> None:
    answer = await userinfo(world, sent)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert (await refusals(world))[-1]["reason"] == reason


async def refusals(world: World, *, of_globex: bool = False) -> list[dict[str, object]]:
    events = await world.events(world.globex if of_globex else world.acme)
    return [event for event in events if event["outcome"] == "refused"]
