"""``X-Yett-Identity``: an API can verify who asks without trusting its network."""

import base64
import json
from dataclasses import replace
from typing import Any
from uuid import UUID

import jwt
import pytest

from gateway.proxy import identity_token
from gateway.proxy.plane_config import PlaneConfig
from policies.route import Route
from policies.route_table import RouteTable
from tenants.jose import SigningKey
from tests.gateway.proxy.harness import ALICE, AUDIENCE, HOST, NOW, READ, World, polite, request, world

KEY = SigningKey.generate()
ISSUER = "https://auth.example.com/t/acme"


def identity(head: bytes) -> str | None:
    found = [line for line in head.split(b"\r\n") if line.lower().startswith(b"x-yett-identity:")]
    assert len(found) <= 1
    return found[0].partition(b": ")[2].decode() if found else None


def verified(token: str | None, key: SigningKey = KEY) -> dict[str, Any]:
    """As an API does it."""
    assert token is not None
    assert jwt.get_unverified_header(token)["typ"] == "yett-id+jwt"
    jwk = jwt.PyJWK(key.verifying_key().public_jwk())
    unchecked = {"verify_exp": False, "verify_iat": False}  # the clock is the test's
    return dict(jwt.decode(token, jwk, algorithms=["ES256"], audience=AUDIENCE, issuer=ISSUER, options=unchecked))


def at_hand(made: World) -> World:
    made.keys[ALICE.tenant_id] = KEY
    return made


async def asked(made: World, path: str = "/vouched/1", **options: Any) -> int:
    status = (await made.ask(request("GET", path, **options))).status
    assert status is not None
    return status


async def test_it_says_who_asks_for_which_api_and_for_how_long() -> None:
    async with world(polite) as (made, upstream):
        made.principals[b"alice"] = replace(ALICE, session_id="s1")
        assert await asked(at_hand(made)) == 200
        claims = verified(identity(upstream.heads[0]))
    assert claims == {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "alice",
        "iat": NOW - 5,
        "exp": NOW + 55,
        "tenant": "acme",
        "client_id": "demo-app",
        "scope": "orders:read orders:write",
        "sid": "s1",
        "auth_time": NOW,
        "acr": "urn:yett:acr:pwd",
        "amr": ["pwd"],
    }
    assert b"x-yett-subject: alice\r\n" in upstream.heads[0]


async def test_what_a_token_does_not_say_is_left_out() -> None:
    service = replace(ALICE, subject="demo-service", session_id=None, auth_time=None, acr=None, amr=frozenset())
    async with world(polite) as (made, upstream):
        made.principals[b"alice"] = service
        assert await asked(at_hand(made)) == 200
        claims = verified(identity(upstream.heads[0]))
    assert claims.keys() == {"iss", "aud", "sub", "iat", "exp", "tenant", "client_id", "scope"}


async def test_an_api_key_is_vouched_for_without_a_client() -> None:
    machine = replace(
        ALICE, subject="key/k1", client_id=None, auth_time=None, acr=None, amr=frozenset(), api_key_id="k1"
    )
    vouched = Route("vouched", (HOST,), "/vouched/**", READ, "orders", signed_identity=True, api_keys=True)
    async with world(polite) as (made, upstream):
        made.principals[b"alice"] = machine
        made.plane.config = PlaneConfig(RouteTable.compile((vouched,)), {"orders": made.pool})
        assert await asked(at_hand(made)) == 200
        claims = verified(identity(upstream.heads[0]))
    assert claims.keys() == {"iss", "aud", "sub", "iat", "exp", "tenant", "scope"}
    assert claims["sub"] == "key/k1"


async def test_other_routes_have_none_and_a_clients_own_never_arrives() -> None:
    async with world(polite) as (made, upstream):
        at_hand(made)
        for path, token in (("/orders/7", "alice"), ("/public/x", None)):
            client = request("GET", path, ("x-yett-identity", "forged"), ("x_yett_identity", "forged"), token=token)
            assert (await made.ask(client)).status == 200
        assert [identity(head) for head in upstream.heads] == [None, None]
        assert not any(b"forged" in head for head in upstream.heads)
        client = request("GET", "/vouched/1", ("x-yett-identity", "forged"))
        assert (await made.ask(client)).status == 200
        verified(identity(upstream.heads[-1]))


async def test_it_is_the_same_for_half_its_time_and_then_made_anew() -> None:
    async with world(polite) as (made, upstream):
        at_hand(made)
        for later in (0, 29, 1, 60):
            made.clock.now += later
            assert await asked(made) == 200
    first, second, third, fourth = (identity(head) for head in upstream.heads)
    assert first == second
    assert [verified(token)["iat"] for token in (first, third, fourth)] == [NOW - 5, NOW + 25, NOW + 85]


async def test_another_token_of_the_same_session_has_its_own() -> None:
    async with world(polite) as (made, upstream):
        made.principals[b"after step-up"] = replace(ALICE, acr="urn:yett:acr:mfa", amr=frozenset({"pwd", "otp", "mfa"}))
        at_hand(made)
        assert await asked(made) == 200
        assert await asked(made, token="after step-up") == 200
    assert [verified(identity(head))["amr"] for head in upstream.heads] == [["pwd"], ["mfa", "otp", "pwd"]]


async def test_a_new_key_signs_at_once() -> None:
    other = SigningKey.generate()
    async with world(polite) as (made, upstream):
        assert await asked(at_hand(made)) == 200
        made.keys[ALICE.tenant_id] = other
        assert await asked(made) == 200
    verified(identity(upstream.heads[0]))
    verified(identity(upstream.heads[1]), other)


async def test_a_key_that_is_not_at_hand_is_waited_for() -> None:
    async with world(polite) as (made, upstream):
        made.keys_to_read[ALICE.tenant_id] = KEY
        assert await asked(made) == 200
    verified(identity(upstream.heads[0]))


@pytest.mark.parametrize("missing", ["key", "tenant"])
async def test_without_a_key_or_a_tenant_nothing_is_passed_on(missing: str) -> None:
    async with world(polite) as (made, upstream):
        if missing == "tenant":
            at_hand(made).issuers.clear()
        client = await made.ask(request("GET", "/vouched/1"))
    assert (client.status, client.problem["code"], client.headers["retry-after"]) == (503, "identity_unsigned", "30")
    assert upstream.heads == []
    assert [(seen.reason, seen.status, seen.subject) for seen in made.seen] == [("identity_unsigned", 503, "alice")]


async def test_as_many_are_remembered_as_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity_token, "_REMEMBERED", 2)
    async with world(polite) as (made, upstream):
        at_hand(made)
        people = [replace(ALICE, subject=f"user{number}") for number in range(3)]
        for person in people:
            made.principals[person.subject.encode()] = person
            assert await asked(made, token=person.subject) == 200
        assert len(made.plane._identities._lines) == 2
        subjects = [verified(identity(head))["sub"] for head in upstream.heads]
    assert subjects == [person.subject for person in people]


async def test_what_is_not_sent_any_more_is_not_held() -> None:
    async with world(polite) as (made, _):
        at_hand(made)
        for number in range(3):
            made.principals[b"%d" % number] = replace(ALICE, subject=f"user{number}")
            assert await asked(made, token=str(number)) == 200
        made.clock.now += 30
        assert await asked(made) == 200
        assert [line.principal.subject for line in made.plane._identities._lines.values()] == ["alice"]


def test_it_is_a_jwt_and_no_more() -> None:
    tokens = identity_token.IdentityTokens(World(1), {UUID(int=1): ISSUER}.get, lambda: float(NOW))
    line = tokens._signed(ALICE, AUDIENCE, KEY, NOW)
    name, _, value = line.partition(b": ")
    assert name == b"x-yett-identity"
    assert value.endswith(b"\r\n")
    header = value.split(b".")[0]
    assert json.loads(base64.urlsafe_b64decode(header + b"=" * (-len(header) % 4))).keys() == {"alg", "kid", "typ"}
