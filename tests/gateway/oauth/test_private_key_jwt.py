"""Clients that prove themselves by an assertion (RFC 7523): once, to this issuer, with their own key (T13)."""

import asyncio
import hashlib
import hmac
import json
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.oauth.presented_client import ASSERTION_TYPE
from tests.gateway.oauth.presenting import basic
from tests.gateway.oauth.signing_client import SIGNER, ask, asserting, claims, proof, register, signing_client
from tests.gateway.world import World
from tests.signer import Signer, forged


def is_invalid_client(answer: httpx.Response) -> bool:
    return (
        (answer.status_code, answer.json())
        == (400, {"error": "invalid_client", "error_description": "Client authentication failed."})
        and "www-authenticate" not in answer.headers
        and answer.headers["cache-control"] == "no-store"
    )


def is_invalid_request(answer: httpx.Response) -> bool:
    return (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def reasons(world: World) -> list[str]:
    return [event["reason"] for event in await world.events() if event["outcome"] == "refused"]


@pytest.mark.parametrize("alg", ["ES256", "EdDSA", "PS256", "RS256"])
async def test_a_client_proves_itself_by_its_key(world: World, alg: str) -> None:
    signer = Signer(alg)
    await register(world, signing_client(signer=signer))
    answer = await ask(world, proof(world, signer=signer))

    assert world.claims(answer.json()["access_token"])["client_id"] == "signer"


async def test_the_form_may_name_the_same_client(world: World) -> None:
    await register(world)

    assert (await ask(world, {**proof(world), "client_id": "signer"})).status_code == 200
    assert is_invalid_client(await ask(world, {**proof(world), "client_id": "spa"}))


async def test_two_keys_are_both_good_while_they_are_rolled(world: World) -> None:
    old, new = Signer(kid="old", name="old"), Signer(kid="new", name="new")
    await register(world, signing_client(options={"jwks": {"keys": [old.jwk, new.jwk]}}))

    for signer in (old, new):
        assert (await ask(world, proof(world, signer=signer))).status_code == 200


ATTACKS: dict[str, dict[str, Any]] = {
    "another key": {"signer": Signer(name="stranger")},
    "a key of another name": {"signer": Signer(kid="k-2")},
    "no audience": {"aud": None},
    "a list as audience": {"aud": ["http://localhost:8080/t/acme"]},
    "two audiences": {"aud": ["http://localhost:8080/t/acme", "https://evil.example"]},
    "another tenant": {"aud": "http://localhost:8080/t/globex"},
    "the token endpoint": {"aud": "http://localhost:8080/t/acme/token"},
    "no id": {"jti": None},
    "no end": {"exp": None},
    "a subject that is another client": {"sub": "web"},
    "an issuer that is another client": {"iss": "web"},
    "no issuer": {"iss": None},
    "a subject that is nobody": {"sub": "nobody", "iss": "nobody"},
    "a subject that is public": {"sub": "spa", "iss": "spa"},
    "a subject that has a secret": {"sub": "web", "iss": "web"},
    "a subject that is no text": {"sub": {"a": 1}},
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=list(ATTACKS))
async def test_an_assertion_for_another_or_by_another_is_refused_t13(world: World, attack: dict[str, Any]) -> None:
    await register(world)

    try:
        form = proof(world, **attack)
    except TypeError:  # PyJWT signs no subject that is not text
        form = asserting(forged({"alg": "ES256"}, claims(world, **attack)))
    assert is_invalid_client(await ask(world, form))
    assert len(await reasons(world)) == 1


@pytest.mark.parametrize(("seconds", "good"), [(0, False), (-1, False), (1, True), (300, True), (301, False)])
async def test_an_assertion_ends_within_five_minutes_t13(world: World, seconds: int, good: bool) -> None:
    await register(world)
    answer = await ask(world, proof(world, exp=int(world.clock().timestamp()) + seconds, iat=None))

    assert answer.status_code == 200 if good else is_invalid_client(answer)


@pytest.mark.parametrize("name", ["iat", "nbf"])
@pytest.mark.parametrize(("seconds", "good"), [(60, True), (61, False)])
async def test_an_assertion_of_the_future_is_refused_but_for_the_skew_of_clocks(
    world: World, name: str, seconds: int, good: bool
) -> None:
    await register(world)
    now = int(world.clock().timestamp())
    answer = await ask(world, proof(world, exp=now + 200, **{name: now + seconds}))

    assert answer.status_code == 200 if good else is_invalid_client(answer)


async def test_the_public_key_is_no_shared_secret_t13(world: World) -> None:
    await register(world)
    public = SIGNER.key.public_key()
    for secret in (
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        json.dumps(SIGNER.jwk).encode(),
        world.acme.secret.encode(),
    ):
        header, said = {"alg": "HS256", "kid": "k-1", "typ": "JWT"}, claims(world)
        signing_input = forged(header, said).rpartition(".")[0]
        mac = hmac.new(secret, signing_input.encode(), hashlib.sha256).digest()
        assert is_invalid_client(await ask(world, asserting(forged(header, said, mac))))


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "", "HS256", "RS256", "ES384", "ES256K"])
@pytest.mark.parametrize("signature", [b"x", b"x" * 64])
async def test_another_algorithm_than_the_keys_proves_nothing_t13(world: World, alg: str, signature: bytes) -> None:
    await register(world)
    assertion = forged({"alg": alg, "kid": "k-1", "typ": "JWT"}, claims(world), signature)

    assert is_invalid_client(await ask(world, asserting(assertion)))
    assert is_invalid_client(await ask(world, asserting(assertion.rpartition(".")[0] + ".")))


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "at+jwt"},
        {"typ": "oauth-authz-req+jwt"},
        {"typ": "dpop+jwt"},
        {"crit": ["exp"]},
        {"jku": "https://evil.example/jwks"},
        {"jwk": Signer(name="stranger").jwk},
        {"x5c": ["AA"]},
    ],
)
async def test_a_header_that_says_what_it_should_not_proves_nothing(world: World, header: dict[str, Any]) -> None:
    await register(world)
    assertion = SIGNER.sign(claims(world), **header)

    assert is_invalid_client(await ask(world, asserting(assertion)))


@pytest.mark.parametrize("assertion", ["x", "a.b.c", "..", "e30.e30.e30", "x" * 9000, "🔑.🔑.🔑", "e30.e30.AA=="])
async def test_what_is_no_jwt_proves_nothing(world: World, assertion: str) -> None:
    await register(world)

    assert is_invalid_client(await ask(world, asserting(assertion)))


async def test_an_assertion_counts_once_t13(each_world: World) -> None:
    world = each_world
    await register(world)
    form = proof(world)
    assert (await ask(world, form)).status_code == 200
    for seconds in (0, 30, 29):
        world.clock.advance(seconds=seconds)
        assert is_invalid_client(await ask(world, form))
    assert set(await reasons(world)) == {"assertion_replayed"}


async def test_of_twenty_at_once_one_counts_t13(each_world: World) -> None:
    await register(each_world)
    form = proof(each_world)
    answers = await asyncio.gather(*(ask(each_world, form) for _ in range(20)))

    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 19
    assert all(is_invalid_client(answer) for answer in answers if answer.status_code != 200)


async def test_an_id_that_another_client_used_is_good(world: World) -> None:
    other = Signer(name="other")
    await register(world)
    await register(world, signing_client("signer-2", signer=other))

    assert (await ask(world, proof(world, jti="same"))).status_code == 200
    form = proof(world, signer=other, iss="signer-2", sub="signer-2", jti="same")
    assert (await ask(world, form)).status_code == 200


async def test_what_proves_nothing_uses_no_id_up(world: World) -> None:
    await register(world)
    assert is_invalid_client(await ask(world, proof(world, signer=Signer(name="stranger"), jti="mine")))
    assert is_invalid_client(await ask(world, proof(world, aud="https://elsewhere.example", jti="mine")))

    assert (await ask(world, proof(world, jti="mine"))).status_code == 200


async def test_a_slow_grant_uses_the_assertion_once(world: World) -> None:
    """Between its two transactions the client is looked at again, and its assertion is not."""
    await register(world)
    form = {**world.acme.form(client_id=None), **proof(world)}
    first, second = await world.post(form), await world.post(form)

    assert first.status_code == 200
    assert is_invalid_client(second)


async def test_another_tenants_client_of_the_same_name_is_a_stranger_t11(world: World) -> None:
    await register(world)
    await register(world, signing_client(signer=Signer(name="globex")), fixture=world.globex)
    theirs = await ask(world, proof(world), to="globex")
    for_globex = await ask(world, proof(world, aud=world.globex.issuer), to="globex")
    unknown = await ask(world, proof(world, iss="no", sub="no"), to="globex")

    assert is_invalid_client(theirs)
    assert theirs.content == for_globex.content == unknown.content
    assert await world.events() == []


async def test_a_disabled_client_is_refused_in_the_same_words(world: World) -> None:
    await register(world)
    async with world.store() as store:
        await store.clients.set_active("signer", False)

    assert is_invalid_client(await ask(world, proof(world)))
    assert await reasons(world) == ["client_disabled"]


@pytest.mark.parametrize("more", [{"client_secret": "ycs_x"}, {"client_id": "signer", "client_secret": "ycs_x"}])
async def test_an_assertion_and_a_secret_are_two_ways_at_once_rfc6749_2_3(world: World, more: dict[str, str]) -> None:
    await register(world)

    assert is_invalid_request(await ask(world, {**proof(world), **more}))
    assert is_invalid_request(await ask(world, proof(world), headers=basic("web", world.acme.secret)))


@pytest.mark.parametrize(
    "changes",
    [
        {"client_assertion_type": ""},
        {"client_assertion": ""},
        {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"},
        {"client_assertion_type": ASSERTION_TYPE.upper()},
        {"client_assertion_type": ASSERTION_TYPE + " "},
    ],
)
async def test_an_assertion_is_whole_and_of_this_one_type(world: World, changes: dict[str, str]) -> None:
    await register(world)

    assert is_invalid_request(await ask(world, {**proof(world), **changes}))


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "client_secret"])
async def test_a_client_that_registered_a_secret_proves_itself_by_no_assertion(world: World, method: Any) -> None:
    await register(world, signing_client(auth_method=method))

    assert is_invalid_client(await ask(world, proof(world)))
    assert await reasons(world) == ["client_auth_method"]


async def test_a_client_that_registered_keys_proves_itself_by_no_secret_and_not_by_its_name(world: World) -> None:
    """Not even by a secret that it had before."""
    await register(world, signing_client(auth_method="client_secret_basic"))
    async with world.store() as store:
        secret = await store.clients.add_secret("signer")
        await store.clients.replace(signing_client())

    for form, headers in (
        ({}, basic("signer", secret)),
        ({"client_id": "signer", "client_secret": secret}, None),
        ({"client_id": "signer"}, None),
    ):
        answer = await ask(world, dict(form), headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert set(await reasons(world)) == {"client_auth_method", "client_secret_missing"}


async def test_keys_at_an_address_that_is_not_public_prove_nothing(world: World) -> None:
    """No call leaves for it; a network that the operator lists is another matter (test_client_jwks.py)."""
    await register(world, signing_client(options={"jwks": None, "jwks_uri": "http://127.0.0.1:1/jwks"}))

    assert is_invalid_client(await ask(world, proof(world)))
    assert await reasons(world) == ["assertion_not_signed"]
