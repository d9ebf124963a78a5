"""ID tokens (OpenID Connect Core sections 2, 3.1.3.6, 12.2): whom they are for, what they say, what they are not."""

import base64
import hashlib
from dataclasses import replace
from datetime import timedelta

import jwt
import pytest

from gateway.authn.bearer import Bearer, InvalidToken
from gateway.authn.token_table import TokenTable
from gateway.oauth.id_token import sign_id_token
from policies.acr import PASSWORD
from policies.pkce import challenge_of
from tenants.issuers import Issuer
from tenants.jose import Algorithm, SigningKey
from tenants.keys import NoActiveKey
from tenants.sessions import Session
from tests.gateway.login.people import code, enrol
from tests.gateway.oauth.openid import PROTOCOL, offer, userinfo, verified
from tests.gateway.world import ORDERS, World

CALLBACK = "https://app.acme.test/callback"
GRANT = "urn:yett:params:oauth:grant-type:mfa-otp"


def half(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()


async def test_a_login_with_openid_gets_an_id_token_that_a_client_verifies_by_discovery(world: World) -> None:
    await offer(world)
    body = await world.login(scope="openid orders:read")
    claims = await verified(world, body["id_token"])

    access = world.claims(body["access_token"])
    now = int(world.clock().timestamp())
    assert set(claims) == PROTOCOL
    assert claims["iss"] == world.acme.issuer
    assert claims["sub"] == access["sub"] == str(world.acme.users["alice"])
    assert claims["aud"] == "spa"
    assert (claims["iat"], claims["exp"], claims["auth_time"]) == (now, now + 300, now)
    assert (claims["acr"], claims["amr"], claims["sid"]) == ("urn:yett:acr:pwd", ["pwd"], access["sid"])
    assert claims["at_hash"] == half(hashlib.sha256(body["access_token"].encode()).digest())
    assert body["scope"] == "openid orders:read"


async def test_its_header_says_that_it_is_a_jwt_signed_by_the_tenants_key(world: World) -> None:
    await offer(world)
    body = await world.login(scope="openid")

    header, of_access = (jwt.get_unverified_header(body[name]) for name in ("id_token", "access_token"))
    assert (header["typ"], of_access["typ"]) == ("JWT", "at+jwt")
    assert header["kid"] == of_access["kid"]
    assert set(header) == {"alg", "kid", "typ"}


@pytest.mark.parametrize("scope", [None, "orders:read", "profile email"])
async def test_without_openid_there_is_none(world: World, scope: str | None) -> None:
    await offer(world)
    assert "id_token" not in await world.login(scope=scope)


async def test_a_client_that_may_not_ask_for_openid_gets_none(world: World) -> None:
    body = await world.login(scope="openid orders:read")
    assert body["scope"] == "orders:read"
    assert "id_token" not in body


async def test_no_role_has_to_hold_openid_and_its_kin(world: World) -> None:
    await offer(world)
    body = await world.login(username="mallory", scope="openid profile email offline_access groups roles orders:read")
    assert body["scope"] == "email groups offline_access openid profile roles"
    assert (await verified(world, body["id_token"]))["sub"] == str(world.acme.users["mallory"])


async def test_openid_is_no_default_that_nobody_asked_for(world: World) -> None:
    await offer(world)
    assert (await world.login())["scope"] == "orders:read"


async def test_its_lifetime_is_the_tenants(world: World) -> None:
    await offer(world)
    async with world.store() as store:
        await store.settings.set_lifetimes({"id_token": 60, "access_token": 120})
    claims = await verified(world, (await world.login(scope="openid"))["id_token"])
    assert claims["exp"] - claims["iat"] == 60


async def test_it_is_verified_by_nobody_elses_key_and_for_nobody_else(world: World) -> None:
    await offer(world)
    id_token = (await world.login(scope="openid"))["id_token"]
    with pytest.raises(jwt.InvalidAudienceError):
        await verified(world, id_token, audience="web")
    with pytest.raises(KeyError):
        await verified(world, id_token, fixture=world.globex)


async def test_a_second_factor_stands_in_it(world: World) -> None:
    await offer(world)
    secret = await enrol(world)
    world.clock.advance(minutes=1)
    first = await world.post(world.acme.form(scope="openid"))
    assert first.json()["error"] == "mfa_required"
    form = {"grant_type": GRANT, "client_id": "spa", "mfa_token": first.json()["mfa_token"], "otp": code(world, secret)}
    body = (await world.post(form)).json()
    claims = await verified(world, body["id_token"])

    assert claims["acr"] == "urn:yett:acr:mfa"
    assert claims["amr"] == ["mfa", "otp", "pwd"]


async def test_a_refresh_answers_one_of_the_same_login_without_nonce_core_12_2(world: World) -> None:
    await offer(world)
    login = await world.login(scope="openid orders:read")
    world.clock.advance(minutes=4)
    body = (await world.refresh(login["refresh_token"])).json()
    before, after = await verified(world, login["id_token"]), await verified(world, body["id_token"])

    assert set(after) == PROTOCOL
    assert after["iat"] == before["iat"] + 240
    assert after["exp"] == before["exp"] + 240
    assert after["at_hash"] == half(hashlib.sha256(body["access_token"].encode()).digest())
    for name in ("iss", "sub", "aud", "auth_time", "acr", "amr", "sid"):
        assert after[name] == before[name], name


async def test_a_refresh_that_leaves_openid_out_answers_none(world: World) -> None:
    await offer(world)
    login = await world.login(scope="openid orders:read")
    narrowed = (await world.refresh(login["refresh_token"], scope="orders:read")).json()
    assert "id_token" not in narrowed
    whole = (await world.refresh(narrowed["refresh_token"])).json()
    assert "id_token" in whole


async def test_a_refresh_cannot_add_openid(world: World) -> None:
    await offer(world)
    login = await world.login(scope="orders:read")
    answer = await world.refresh(login["refresh_token"], scope="openid orders:read")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")


async def test_openid_that_is_taken_from_the_client_is_gone_at_the_next_refresh(world: World) -> None:
    await offer(world)
    login = await world.login(scope="openid orders:read")
    async with world.store() as store:
        client = await store.clients.get("spa")
        assert client is not None
        await store.clients.replace(replace(client, scopes=frozenset({"orders:read"})))
    body = (await world.refresh(login["refresh_token"])).json()
    assert body["scope"] == "orders:read"
    assert "id_token" not in body


async def test_a_client_that_acts_for_itself_gets_neither_openid_nor_an_id_token(world: World) -> None:
    await offer(world, "web")
    form = {"grant_type": "client_credentials", "client_id": "web", "client_secret": world.acme.secret}
    body = (await world.post({**form, "scope": "openid profile orders:read"})).json()
    assert body["scope"] == "orders:read"
    assert "id_token" not in body
    refused = await world.post({**form, "scope": "openid"})
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_scope")


async def test_a_code_gives_the_nonce_back_and_what_was_asked_for_by_name(world: World) -> None:
    await offer(world)
    async with world.store() as store:
        now, alice = world.clock(), world.acme.users["alice"]
        await store.users.set_email(alice, "alice@acme.test", verified=True)
        session = await store.sessions.start(alice, acr=PASSWORD, amr={"pwd"}, expires_at=now + timedelta(days=1))
        code = await store.authorization_codes.issue(
            "spa",
            session.id,
            redirect_uri=CALLBACK,
            scopes={"openid", "email"},
            audiences=(ORDERS,),
            code_challenge=challenge_of("v" * 43),
            lifetime=timedelta(minutes=1),
            nonce="n-0S6_WzA2Mj",
            id_token_claims={"email", "name"},
        )
    form = {"grant_type": "authorization_code", "client_id": "spa", "code": code, "redirect_uri": CALLBACK}
    body = (await world.post({**form, "code_verifier": "v" * 43})).json()
    claims = await verified(world, body["id_token"])
    refreshed = await verified(world, (await world.refresh(body["refresh_token"])).json()["id_token"])

    assert set(claims) == PROTOCOL | {"nonce", "email"}
    assert (claims["nonce"], claims["email"], claims["sid"]) == ("n-0S6_WzA2Mj", "alice@acme.test", str(session.id))
    assert set(refreshed) == PROTOCOL | {"email"}


@pytest.mark.parametrize("kind", ["id_token", "refresh_token"])
async def test_what_is_no_access_token_is_refused_as_one_k03(world: World, kind: str) -> None:
    await offer(world)
    token = (await world.login(scope="openid"))[kind]

    answer = await userinfo(world, token)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
    bearer = Bearer(world.snapshot, TokenTable(), lambda: world.clock().timestamp())  # what the proxy asks
    refusal = bearer.authenticate(token.encode())
    assert isinstance(refusal, InvalidToken)
    assert refusal.reason == {"id_token": "token_type", "refresh_token": "token_malformed"}[kind]
    (event,) = [event for event in await world.events() if event["outcome"] == "refused"]
    assert event["reason"] == refusal.reason


@pytest.mark.parametrize(("alg", "size"), [("ES256", 16), ("RS256", 16), ("EdDSA", 32)])
async def test_at_hash_is_by_the_hash_of_the_signing_algorithm(world: World, alg: Algorithm, size: int) -> None:
    token = await signed(world, replace(await issuer(world), key=SigningKey.generate(alg)))
    at_hash = jwt.decode(token, options={"verify_signature": False})["at_hash"]
    digest = {16: hashlib.sha256, 32: hashlib.sha512}[size](b"an.access.token").digest()
    assert at_hash == half(digest)
    assert len(base64.urlsafe_b64decode(at_hash + "==")) == size


async def test_each_algorithm_is_verified_by_discovery(world: World) -> None:
    await offer(world)
    async with world.store() as store:
        await store.keys.rotate("EdDSA", force=True)
    async with world.store() as store:
        await store.keys.rotate("EdDSA", force=True)
    id_token = (await world.login(scope="openid"))["id_token"]
    assert jwt.get_unverified_header(id_token)["alg"] == "EdDSA"
    assert (await verified(world, id_token))["aud"] == "spa"


async def test_claims_of_the_user_never_stand_in_for_the_protocols_own(world: World) -> None:
    token = await signed(world, await issuer(world), claims=dict.fromkeys(PROTOCOL, "forged") | {"tier": "gold"})
    claims = await verified(world, token)
    assert claims["tier"] == "gold"
    assert "forged" not in claims.values()


async def test_the_nonce_is_the_requests_whole(world: World) -> None:
    nonce = "n-0S6_WzA2Mj \u00e9\u4e2d"
    assert (await verified(world, await signed(world, await issuer(world), nonce=nonce)))["nonce"] == nonce


async def test_without_a_key_nothing_is_signed(world: World) -> None:
    with pytest.raises(NoActiveKey):
        await signed(world, replace(await issuer(world), key=None))


async def issuer(world: World) -> Issuer:
    async with world.store() as store:
        tenant = await store.settings.get()
        assert tenant is not None
        clients, key = await store.clients.registered(), await store.keys.signing()
        return Issuer(tenant, clients, key, frozenset({tenant.issuer}))


async def signed(world: World, issuer: Issuer, **more: object) -> str:
    user_id, now = world.acme.users["alice"], world.clock()
    session = Session(user_id, user_id, now, "urn:yett:acr:pwd", frozenset({"pwd"}), now + timedelta(days=1))
    facts = {"nonce": None, "access_token": "an.access.token", "claims": {}} | more
    client = issuer.clients["spa"].client
    return sign_id_token(issuer=issuer, client=client, user_id=user_id, session=session, now=now, **facts)  # type: ignore[arg-type]
