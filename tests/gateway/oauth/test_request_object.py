"""Signed authorization requests (RFC 9101): the object is the whole request, of this client, to this issuer, once."""

import asyncio
import json
from typing import Any

import pytest

from gateway.errors import InvalidRequest, OAuthError
from gateway.form import Form
from gateway.oauth.client_jwks import ClientJwks
from gateway.oauth.errors import InvalidRequestObject
from gateway.oauth.request_object import RequestObjects
from tenants.clients import Client
from tests.gateway.oauth.signing_client import (
    CALLBACK,
    SIGNER,
    claims,
    proof,
    push,
    register,
    request,
    request_claims,
    request_object,
    signing_client,
)
from tests.gateway.world import World
from tests.signer import Signer, forged

CLIENT = signing_client()
STRICT = signing_client(options={"require_signed_request_object": True})


async def unpack(world: World, form: dict[str, str], client: Client = CLIENT) -> dict[str, list[str]]:
    objects = RequestObjects(
        world.installation.store, ClientJwks.of(world.installation.settings, world.clock), world.clock
    )
    async with world.store() as store:
        tenant = await store.settings.get()
    assert tenant is not None
    sent = Form.from_stored({name: [value] for name, value in form.items()})
    return (await objects.unpack(sent, client=client, tenant=tenant)).stored()


async def refused(world: World, form: dict[str, str], client: Client = CLIENT) -> tuple[type[OAuthError], str]:
    with pytest.raises(OAuthError) as caught:
        await unpack(world, form, client)
    return type(caught.value), caught.value.reason


def sent(assertion: str, **more: str) -> dict[str, str]:
    return {"client_id": "signer", "request": assertion, **more}


async def test_what_the_object_says_is_the_request(world: World) -> None:
    assert await unpack(world, sent(request_object(world))) == {n: [v] for n, v in request().items()}


async def test_what_stands_beside_the_object_counts_for_nothing_rfc9101_6_3(world: World) -> None:
    beside = {"redirect_uri": "https://evil.test", "scope": "admin", "state": "other", "nonce": "other", "x": "y"}
    unpacked = await unpack(world, sent(request_object(world, state=None), **beside))

    assert unpacked == {name: [value] for name, value in request(state=None).items()}


async def test_numbers_objects_and_lists_are_the_texts_that_a_form_would_have(world: World) -> None:
    asked = {"userinfo": {"email": None}}
    resources = ["https://a.example", "https://b.example"]
    unpacked = await unpack(world, sent(request_object(world, max_age=0, claims=asked, resource=resources)))

    assert unpacked["max_age"] == ["0"]
    assert json.loads(unpacked["claims"][0]) == asked
    assert unpacked["resource"] == resources


async def test_without_an_object_the_form_is_the_request(world: World) -> None:
    assert await unpack(world, request()) == {name: [value] for name, value in request().items()}
    assert await unpack(world, {**request(), "request": ""}) == {
        **{name: [value] for name, value in request().items()},
        "request": [""],
    }


async def test_a_client_may_have_to_sign(world: World) -> None:
    assert await refused(world, request(), STRICT) == (InvalidRequest, "request_object_missing")
    assert (await unpack(world, sent(request_object(world)), STRICT))["state"] == ["s-1"]


@pytest.mark.parametrize("alg", ["ES256", "EdDSA", "PS256", "RS256"])
async def test_each_algorithm_of_a_clients_keys_will_do(world: World, alg: str) -> None:
    signer = Signer(alg)
    unpacked = await unpack(world, sent(request_object(world, signer=signer)), signing_client(signer=signer))

    assert unpacked["redirect_uri"] == [CALLBACK]


@pytest.mark.parametrize("typ", ["oauth-authz-req+jwt", "JWT", None])
async def test_its_type_is_its_own_or_the_general_one(world: World, typ: str | None) -> None:
    assert await unpack(world, sent(SIGNER.sign(request_claims(world), typ=typ)))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": None}, "request_object_issuer_mismatch"),
        ({"iss": "web"}, "request_object_issuer_mismatch"),
        ({"aud": None}, "request_object_audience_mismatch"),
        ({"aud": "http://localhost:8080/t/globex"}, "request_object_audience_mismatch"),
        ({"aud": ["http://localhost:8080/t/acme"]}, "request_object_audience_mismatch"),
        ({"exp": None}, "request_object_expiry_missing"),
        ({"exp": 1}, "request_object_token_expired"),
        ({"exp": 9_999_999_999}, "request_object_expiry_too_far"),
        ({"nbf": "now"}, "request_object_claims_invalid"),
        ({"jti": ""}, "request_object_token_id_malformed"),
        ({"sub": "signer"}, "request_object_subject_is_client"),
        ({"client_id": "web"}, "request_object_client_mismatch"),
        ({"client_id": None}, "request_object_client_mismatch"),
        ({"request": "x"}, "request_object_parameters"),
        ({"request_uri": "https://signer.acme.test/r"}, "request_object_parameters"),
        ({"client_secret": "ycs_x"}, "request_object_parameters"),
        ({"state": ["a", "b"]}, "request_object_parameters"),
        ({"state": {"a": 1}}, "request_object_parameters"),
        ({"state": True}, "request_object_parameters"),
        ({"state": 1.5}, "request_object_parameters"),
        ({"state": "a\0b"}, "request_object_parameters"),
        ({"a\0b": "x"}, "request_object_parameters"),
        ({"resource": ["https://a.example", 1]}, "request_object_parameters"),
        ({"claims": [1]}, "request_object_parameters"),
        ({f"p{number}": "x" for number in range(50)}, "request_object_parameters"),
    ],
)
async def test_what_is_for_another_or_says_what_it_may_not_is_refused(
    world: World, changes: dict[str, Any], reason: str
) -> None:
    assert await refused(world, sent(request_object(world, **changes))) == (InvalidRequestObject, reason)


async def test_what_another_signed_is_refused(world: World) -> None:
    not_signed = InvalidRequestObject, "request_object_not_signed"
    stranger = request_object(world, signer=Signer(name="stranger"))
    assert await refused(world, sent(stranger)) == not_signed
    for alg in ("none", "HS256"):
        header = {"alg": alg, "typ": "oauth-authz-req+jwt"}
        assert await refused(world, sent(forged(header, request_claims(world)))) == not_signed


@pytest.mark.parametrize("assertion", ["x", "a.b.c", "a.b.c.d.e", "e30.e30.", "x" * 9000, "🔑"])
async def test_what_is_no_signed_jwt_is_refused(world: World, assertion: str) -> None:
    assert await refused(world, sent(assertion)) == (InvalidRequestObject, "request_object_malformed")


async def test_an_assertion_is_no_request_object_and_the_reverse_rfc9101_10_8(world: World) -> None:
    await register(world)
    assertion = SIGNER.sign(claims(world) | request())
    assert await refused(world, sent(assertion)) == (InvalidRequestObject, "request_object_subject_is_client")

    as_proof = {**proof(world), "client_assertion": request_object(world, exp=None)}
    assert (await push(world, {**request(), **as_proof})).json()["error"] == "invalid_client"


async def test_the_name_beside_the_object_is_the_one_in_it_rfc9101_5(world: World) -> None:
    form = sent(request_object(world))
    mismatch = InvalidRequestObject, "request_object_client_mismatch"
    assert await refused(world, {**form, "client_id": "web"}) == mismatch
    assert await refused(world, {"request": form["request"]}) == mismatch


async def test_an_object_and_an_address_are_two_requests_rfc9101_5(world: World) -> None:
    form = sent(request_object(world), request_uri="urn:x")
    assert await refused(world, form) == (InvalidRequest, "request_object_twice")


async def test_an_object_counts_once(each_world: World) -> None:
    form = sent(request_object(each_world))
    outcomes = await asyncio.gather(*(unpack(each_world, form) for _ in range(20)), return_exceptions=True)
    lost = [outcome for outcome in outcomes if isinstance(outcome, InvalidRequestObject)]

    assert len(lost) == 19
    assert {error.reason for error in lost} == {"request_object_replayed"}


async def test_an_object_without_an_id_counts_while_it_lasts(world: World) -> None:
    form = sent(request_object(world, jti=None))
    assert await unpack(world, form) == await unpack(world, form)
    world.clock.advance(minutes=5)
    assert (await refused(world, form))[1] == "request_object_token_expired"


async def test_what_is_refused_uses_no_id_up(world: World) -> None:
    assert await refused(world, sent(request_object(world, jti="mine", client_id="web")))
    assert await unpack(world, sent(request_object(world, jti="mine")))


async def test_a_pushed_object_is_judged_by_the_same_rules(world: World) -> None:
    await register(world, STRICT)
    pushed = {"client_id": "signer", "request": request_object(world)}
    answers = [
        await push(world, {**request(), **proof(world)}),
        await push(world, {**pushed, **proof(world)}),
        await push(world, {**pushed, **proof(world)}),
        await push(
            world, {**pushed, "request": request_object(world, redirect_uri="https://evil.test"), **proof(world)}
        ),
    ]
    assert [(answer.status_code, answer.json().get("error")) for answer in answers] == [
        (400, "invalid_request"),
        (201, None),
        (400, "invalid_request_object"),
        (400, "invalid_request"),
    ]
