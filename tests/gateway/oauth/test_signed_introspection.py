"""The signed answer of ``/introspect`` (RFC 9701): what it is signed as, and that it is a token nowhere."""

from dataclasses import replace
from typing import Any

import jwt
import pytest

from gateway.authn.bearer import InvalidToken
from gateway.oauth.introspection import SIGNED_TYPE
from tests.gateway.oauth.presenting import at_the_proxy, call, exchange, introspect, revoke
from tests.gateway.world import World

MEDIA_TYPE = f"application/{SIGNED_TYPE}"
SIGNED = {"Accept": MEDIA_TYPE}


async def signed(world: World, token: str) -> str:
    answer = await introspect(world, token, headers=SIGNED)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert answer.headers["cache-control"] == "no-store"
    return answer.text


async def test_the_answer_is_signed_for_the_client_that_asked_rfc9701_5(world: World) -> None:
    token = (await world.login())["access_token"]
    answer = await signed(world, token)

    assert jwt.get_unverified_header(answer)["typ"] == "token-introspection+jwt"
    claims = world.claims(answer)
    assert claims == {
        "iss": world.acme.issuer,
        "aud": "web",
        "iat": int(world.clock().timestamp()),
        "token_introspection": (await introspect(world, token)).json(),
    }


async def test_what_does_not_count_is_signed_as_inactive_and_nothing_more_rfc9701_5(world: World) -> None:
    assert world.claims(await signed(world, "x"))["token_introspection"] == {"active": False}


@pytest.mark.parametrize(
    ("accept", "is_signed"),
    [
        ("application/json", False),
        ("*/*", False),
        ("application/*", False),
        (f"{MEDIA_TYPE};q=0", False),
        (f"{MEDIA_TYPE}; q=0.000", False),
        ("application/jwt", False),
        ("", False),
        (",;=,", False),
        (MEDIA_TYPE.upper(), True),
        (f"application/json, {MEDIA_TYPE};q=0.5", True),
        (f"{MEDIA_TYPE}; Q=1.0, */*", True),
    ],
)
async def test_it_is_signed_for_whom_asks_for_it_rfc9701_4(world: World, accept: str, is_signed: bool) -> None:
    answer = await introspect(world, "x", headers={"Accept": accept})

    assert (answer.headers["content-type"] == MEDIA_TYPE) is is_signed


async def test_a_client_may_have_registered_for_signed_answers_only(world: World) -> None:
    async with world.store() as store:
        client = await store.clients.get("web")
        assert client is not None
        await store.clients.replace(replace(client, options=replace(client.options, introspection_signed=True)))

    assert (await introspect(world, "x")).headers["content-type"] == MEDIA_TYPE


async def test_it_is_no_token_anywhere_rfc9701_8_1_k03(world: World) -> None:
    answer = await signed(world, (await world.login())["access_token"])

    refused = at_the_proxy(world, answer)
    assert isinstance(refused, InvalidToken)
    assert refused.reason == "token_type"
    assert (await introspect(world, answer)).json() == {"active": False}
    assert (await revoke(world, answer)).status_code == 200
    assert (await exchange(world, answer)).json()["error"] == "invalid_request"
    bearer = {"Authorization": f"Bearer {answer}"}
    assert (await call(world, "userinfo", {}, headers=bearer)).status_code == 401


async def test_its_claims_would_make_no_token_under_another_type_either(world: World) -> None:
    """Neither subject nor expiry are its own, so a check that forgets the type finds nothing."""
    claims: dict[str, Any] = world.claims(await signed(world, (await world.login())["access_token"]))
    facts = await _signing(world)
    refused = at_the_proxy(world, facts.sign("at+jwt", claims))

    assert isinstance(refused, InvalidToken)
    assert refused.reason == "claims_invalid"


async def _signing(world: World) -> Any:
    async with world.store() as store:
        return await store.keys.signing()
