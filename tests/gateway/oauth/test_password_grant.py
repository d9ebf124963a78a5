"""``grant_type=password``: FastAPI's form word for word, and what is in the token."""

import jwt
import pytest
from argon2 import PasswordHasher

from tenants.hashing import HashingPool
from tests.gateway.world import INVOICES, ORDERS, World

CLAIMS = {"iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope", "sid", "auth_time", "acr", "amr"}
EMPTY = {"scope": "", "client_id": "", "client_secret": ""}


def fastapi_form(world: World, **changes: str) -> dict[str, str]:
    """What FastAPI's documentation and Swagger UI send, in their order."""
    return {"grant_type": "password", "username": "alice", "password": world.acme.password, **EMPTY, **changes}


async def test_fastapis_form_gets_a_token_of_the_default_client(world: World) -> None:
    answer = await world.post(fastapi_form(world))

    assert answer.status_code == 200
    assert world.claims(answer.json()["access_token"])["client_id"] == "spa"


async def test_a_parameter_without_a_value_counts_as_omitted_rfc6749_3_1(world: World) -> None:
    answer = await world.post(fastapi_form(world, resource=""))

    assert answer.json()["scope"] == "orders:read"


async def test_swagger_uis_empty_basic_is_no_client(world: World) -> None:
    headers = {"Authorization": "Basic Og==", "X-Requested-With": "XMLHttpRequest"}
    answer = await world.post(fastapi_form(world), headers=headers)

    assert answer.status_code == 200


async def test_without_a_default_client_a_form_must_name_one(world: World) -> None:
    async with world.store() as store:
        await store.settings.set_default_client(None)

    answer = await world.post(fastapi_form(world))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert (await world.post(fastapi_form(world, client_id="spa"))).status_code == 200


@pytest.mark.parametrize("grant_type", ["client_credentials", "refresh_token"])
async def test_the_default_client_stands_in_for_the_password_form_only(world: World, grant_type: str) -> None:
    answer = await world.post({"grant_type": grant_type, "refresh_token": "yrt_x"})

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_the_answer_has_the_members_of_rfc6749_5_1(world: World) -> None:
    body = await world.login()

    assert set(body) == {"access_token", "token_type", "expires_in", "scope", "refresh_token"}
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("Bearer", 300, "orders:read")
    assert body["refresh_token"].startswith("yrt_")


async def test_a_client_without_the_refresh_grant_gets_no_refresh_token(world: World) -> None:
    assert "refresh_token" not in await world.login(client_id="login-only")


async def test_an_answer_is_never_stored_rfc6749_5_1(world: World) -> None:
    headers = (await world.post(world.acme.form())).headers

    assert headers["cache-control"] == "no-store"
    assert headers["pragma"] == "no-cache"
    assert headers["content-type"] == "application/json"
    assert headers["x-content-type-options"] == "nosniff"
    assert "set-cookie" not in headers


async def test_the_token_is_an_rfc9068_jwt_with_exactly_the_designs_claims(world: World) -> None:
    token = (await world.login())["access_token"]
    claims = world.claims(token)
    now = int(world.clock().timestamp())

    assert set(claims) == CLAIMS
    assert claims["iss"] == world.acme.issuer == "http://localhost:8080/t/acme"
    assert claims["sub"] == str(world.acme.users["alice"])
    assert claims["aud"] == ORDERS
    assert (claims["iat"], claims["exp"], claims["auth_time"]) == (now, now + 300, now)
    assert (claims["client_id"], claims["scope"]) == ("spa", "orders:read")
    assert (claims["acr"], claims["amr"]) == ("urn:yett:acr:pwd", ["pwd"])
    header = jwt.get_unverified_header(token)
    assert set(header) == {"alg", "typ", "kid"}
    assert (header["typ"], header["alg"]) == ("at+jwt", "ES256")


async def test_two_logins_have_two_sessions_and_two_token_ids(world: World) -> None:
    first, second = [world.claims((await world.login())["access_token"]) for _ in range(2)]

    assert first["sid"] != second["sid"]
    assert first["jti"] != second["jti"]


@pytest.mark.parametrize(
    ("user", "asked", "scope"),
    [
        ("alice", "", "orders:read"),
        ("alice", "orders:write orders:read", "orders:read orders:write"),
        ("alice", "orders:write", "orders:write"),
        ("alice", "orders:read orders:read", "orders:read"),
        ("alice", "orders:read admin unknown", "orders:read"),
        ("bob", "orders:read orders:write", "orders:read"),
        ("mallory", "", None),  # RFC 6749 section 3.3: a scope has one token at least
    ],
)
async def test_granted_is_asked_and_the_clients_and_the_users_scopes(
    world: World, user: str, asked: str, scope: str | None
) -> None:
    body = await world.login(username=user, scope=asked)

    assert body.get("scope") == scope
    assert world.claims(body["access_token"]).get("scope") == scope


@pytest.mark.parametrize(
    ("user", "asked"),
    [
        ("alice", "admin"),
        ("alice", "unknown"),
        ("mallory", "orders:read"),
        ("alice", "orders:read\u00e9"),
        ("alice", 'orders:read "'),
        ("alice", " orders:read"),
        ("alice", "x" * 5000),
    ],
)
async def test_invalid_scope_where_nothing_of_what_was_asked_remains(world: World, user: str, asked: str) -> None:
    answer = await world.post(world.acme.form(username=user, scope=asked))

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")


async def test_a_resource_chooses_the_audience_rfc8707(world: World) -> None:
    body = await world.login(resource=INVOICES)

    assert world.claims(body["access_token"])["aud"] == INVOICES


async def test_several_resources_are_several_audiences_rfc8707(world: World) -> None:
    form = {**world.acme.form(), "resource": [INVOICES, ORDERS, INVOICES]}
    answer = await world.post(form)

    assert world.claims(answer.json()["access_token"])["aud"] == [INVOICES, ORDERS]


@pytest.mark.parametrize("resource", ["https://api.example.com/other", "orders", ORDERS + "#f", ORDERS + "/"])
async def test_a_resource_of_nobody_is_invalid_target_rfc8707(world: World, resource: str) -> None:
    answer = await world.post(world.acme.form(resource=resource))

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_target")
    (event,) = await world.events()
    assert (event["type"], event["reason"]) == ("login.refused", "resource_not_allowed")
    assert event["subject"] == str(world.acme.users["alice"])


@pytest.mark.parametrize("username", ["alice", "ALICE", "Ａlice"])
async def test_a_user_is_found_by_any_spelling_of_the_name(world: World, username: str) -> None:
    claims = world.claims((await world.login(username=username))["access_token"])

    assert claims["sub"] == str(world.acme.users["alice"])


@pytest.mark.parametrize("password", ["héllo wörld ☃", "he\u0301llo wo\u0308rld ☃"])
async def test_a_password_is_compared_in_nfc(world: World, hashing: HashingPool, password: str) -> None:
    hashed = await hashing.hash("héllo wörld ☃")
    async with world.store() as store:
        await store.credentials.set_password(world.acme.users["alice"], hashed)

    assert await world.login(password=password)


async def test_a_tenants_password_opens_no_other_tenant(world: World) -> None:
    answer = await world.post(world.globex.form(), to="acme")

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


async def test_globex_signs_with_its_own_key_and_names_its_own_issuer(world: World) -> None:
    token = (await world.post(world.globex.form(), to="globex")).json()["access_token"]

    assert world.claims(token, world.globex)["iss"] == world.globex.issuer
    acme = world.snapshot.by_id(world.acme.id)
    assert acme is not None
    assert jwt.get_unverified_header(token)["kid"] not in acme.keys


async def test_a_login_is_one_event_with_who_and_what(world: World) -> None:
    claims = world.claims((await world.login(scope="orders:write"))["access_token"])

    (event,) = await world.events()
    assert (event["type"], event["outcome"]) == ("login.succeeded", "success")
    assert event["subject"] == str(world.acme.users["alice"])
    assert (event["user_name"], event["client_id"], event["address"]) == ("alice", "spa", "203.0.113.7")
    assert event["session_id"] == claims["sid"]
    assert event["details"] == {"grant_type": "password", "scopes": ["orders:write"]}


async def test_the_request_id_of_the_answer_stands_on_its_event(world: World) -> None:
    answer = await world.post(world.acme.form())

    (event,) = await world.events()
    assert event["request_id"] == answer.headers["x-request-id"]


async def test_a_weaker_hash_is_renewed_at_login(world: World) -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=32, parallelism=1).hash(world.acme.password)
    bob = world.acme.users["bob"]
    async with world.store() as store:
        await store.credentials.set_password(bob, weak)
    await world.login(username="bob")

    async with world.store() as store:
        stored = await store.credentials.password(bob)
    assert stored is not None
    assert "$m=64,t=1,p=1$" in stored.hash
    await world.login(username="bob")
