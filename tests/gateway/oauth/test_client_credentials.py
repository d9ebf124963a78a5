"""``grant_type=client_credentials`` (RFC 6749 section 4.4)."""

import pytest

from tests.gateway.world import INVOICES, World


def form(world: World, **more: str) -> dict[str, str]:
    return {"grant_type": "client_credentials", "client_id": "web", "client_secret": world.acme.secret, **more}


async def test_a_client_gets_a_token_for_itself(world: World) -> None:
    body = (await world.post(form(world))).json()
    claims = world.claims(body["access_token"])

    assert set(claims) == {"iss", "sub", "aud", "exp", "iat", "jti", "client_id"}  # none asked, no default: no scope
    assert claims["sub"] == claims["client_id"] == "web"


async def test_it_gets_no_refresh_token_rfc6749_4_4_3(world: World) -> None:
    assert "refresh_token" not in (await world.post(form(world))).json()


async def test_without_a_scope_it_gets_its_default_ones_and_never_all_of_its_own(world: World) -> None:
    assert "scope" not in (await world.post(form(world))).json()


@pytest.mark.parametrize(("asked", "scope"), [("orders:read", "orders:read"), ("orders:read x", "orders:read")])
async def test_it_gets_what_it_asks_of_its_own(world: World, asked: str, scope: str) -> None:
    assert (await world.post(form(world, scope=asked))).json()["scope"] == scope


async def test_nothing_of_its_own_is_invalid_scope(world: World) -> None:
    answer = await world.post(form(world, scope="x"))

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")
    (event,) = await world.events()
    assert (event["type"], event["reason"], event["client_id"]) == ("token.refused", "invalid_scope", "web")


async def test_a_resource_chooses_the_audience_and_a_foreign_one_is_invalid_target(world: World) -> None:
    token = (await world.post(form(world, resource=INVOICES))).json()["access_token"]
    answer = await world.post(form(world, resource="https://elsewhere.example"))

    assert world.claims(token)["aud"] == INVOICES
    assert answer.json()["error"] == "invalid_target"
    assert [event["reason"] for event in await world.events() if event["outcome"] == "refused"] == [
        "resource_not_allowed"
    ]


async def test_it_is_one_event(world: World) -> None:
    await world.post(form(world))

    (event,) = await world.events()
    assert (event["type"], event["subject"], event["client_id"]) == ("token.issued", "web", "web")
    assert "session_id" not in event
