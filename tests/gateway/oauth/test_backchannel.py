"""Back-channel logout: each client that a session was used for is told of its end, by a token for it alone."""

import json
from collections.abc import AsyncIterator
from uuid import UUID

import jwt
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from gateway.authn.bearer import Bearer, InvalidToken
from gateway.authn.token_table import TokenTable
from gateway.housekeeping import Housekeeping
from tests.gateway.oauth.relying_party import RelyingParty, relying_party
from tests.gateway.oauth.telling import add, channel, log_in, log_out, told, waiting
from tests.gateway.world import World


@pytest_asyncio.fixture(loop_scope="session")
async def party() -> AsyncIterator[RelyingParty]:
    async with relying_party() as party:
        yield party


async def test_a_client_is_told_by_a_token_that_its_library_takes(world: World) -> None:
    async with relying_party() as party:
        await add(world, "app", party.uri)
        claims = await log_in(world, "app")
        await log_out(world, claims)
        world.clock.advance(seconds=3)
        assert await channel(world).deliver() == 1

    (head,), (token,) = party.requests, party.tokens
    assert head.startswith("POST /logout HTTP/1.1\r\n")
    assert "Content-Type: application/x-www-form-urlencoded\r\n" in head
    header = jwt.get_unverified_header(token)
    assert (header["typ"], header["alg"]) == ("logout+jwt", "ES256")
    logout = world.claims(token)
    now = int(world.clock().timestamp())
    assert UUID(logout.pop("jti"))
    assert logout == {
        "iss": world.acme.issuer,
        "sub": str(world.acme.users["alice"]),
        "aud": "app",
        "iat": now,
        "exp": now + 120,
        "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
        "sid": claims["sid"],
    }
    assert await waiting(world) == 0
    (event,) = [event for event in await told(world) if event["type"] == "logout.notified"]
    assert (event["outcome"], event["client_id"], event["session_id"]) == ("success", "app", claims["sid"])
    assert (event["subject"], event["details"]) == (logout["sub"], {"attempts": 1})
    assert token not in json.dumps(await world.events())


async def test_discovery_says_that_logouts_are_told_and_where_people_log_out(world: World) -> None:
    async with world.client() as client:
        document = (await client.get("/t/acme/.well-known/openid-configuration")).json()
    assert document["backchannel_logout_supported"] is True
    assert document["backchannel_logout_session_supported"] is True
    assert document["end_session_endpoint"] == f"{world.acme.issuer}/logout"


async def test_each_tenant_signs_with_its_own_key_as_its_own_issuer(world: World) -> None:
    async with relying_party() as party:
        for fixture in (world.acme, world.globex):
            await add(world, "app", party.uri, fixture)
            await log_out(world, await log_in(world, "app", fixture), fixture)
        assert await channel(world).deliver() == 2

    kids = {jwt.get_unverified_header(token)["kid"] for token in party.tokens}
    assert len(kids) == 2
    issuers = {jwt.decode(token, options={"verify_signature": False})["iss"] for token in party.tokens}
    assert issuers == {world.acme.issuer, world.globex.issuer}


async def test_every_client_of_a_session_is_told_and_nobody_else(world: World) -> None:
    async with relying_party() as one, relying_party() as two, relying_party() as stranger:
        for client_id, party in (("one", one), ("two", two), ("stranger", stranger)):
            await add(world, client_id, party.uri)
        claims = await log_in(world, "one")
        async with world.store() as store:
            await store.logout_notices.used_by(UUID(claims["sid"]), "two")
            await store.logout_notices.used_by(UUID(claims["sid"]), "spa")  # has no address to be told at
        await log_in(world, "stranger")
        await log_out(world, claims)
        await channel(world).deliver()

    assert [len(party.tokens) for party in (one, two, stranger)] == [1, 1, 0]
    assert world.claims(one.tokens[0])["aud"] == "one"
    assert world.claims(two.tokens[0])["aud"] == "two"


@pytest.mark.parametrize("status", [200, 204])
async def test_what_a_client_takes_is_done(world: World, status: int) -> None:
    async with relying_party(status) as party:
        await add(world, "app", party.uri)
        await log_out(world, await log_in(world, "app"))
        await channel(world).deliver()
        await channel(world).deliver()

    assert len(party.tokens) == 1
    assert await waiting(world) == 0


async def test_what_a_client_calls_wrong_is_given_up_at_once(world: World) -> None:
    async with relying_party(400) as party:
        await add(world, "app", party.uri)
        await log_out(world, await log_in(world, "app"))
        await channel(world).deliver()

    assert await waiting(world) == 0
    (event,) = [event for event in await told(world) if event["type"] == "logout.failed"]
    assert (event["outcome"], event["reason"], event["client_id"]) == ("refused", "status_400", "app")


async def test_a_client_that_registered_itself_is_told_in_no_private_network(world: World, party: RelyingParty) -> None:
    await add(world, "app", party.uri, registration_digest=b"d" * 32)
    await log_out(world, await log_in(world, "app"))
    with capture_logs() as lines:
        await channel(world).deliver()

    assert party.tokens == []
    assert [line["reason"] for line in lines if line["event"] == "logout_notice_put_off"] == ["address_not_public"]


async def test_a_logout_token_opens_nothing(world: World, party: RelyingParty) -> None:
    """K03: the type is checked before the signature is."""
    await add(world, "app", party.uri)
    await log_out(world, await log_in(world, "app"))
    await channel(world).deliver()
    bearer = Bearer(world.snapshot, TokenTable(), lambda: world.clock().timestamp())
    answer = bearer.authenticate(party.tokens[0].encode())

    assert isinstance(answer, InvalidToken)
    assert answer.reason == "token_type"


async def test_the_end_of_a_family_that_was_replayed_is_told(world: World, party: RelyingParty) -> None:
    await add(world, "app", party.uri)
    tokens = await world.login(client_id="app")
    await world.refresh(tokens["refresh_token"], client_id="app")
    world.clock.advance(minutes=1)
    assert (await world.refresh(tokens["refresh_token"], client_id="app")).status_code == 400
    await channel(world).deliver()

    assert [world.claims(token)["sid"] for token in party.tokens] == [world.claims(tokens["access_token"])["sid"]]


async def test_housekeeping_forgets_what_nobody_delivers(world: World) -> None:
    await add(world, "app", "https://rp.example.com/logout")
    await log_out(world, await log_in(world, "app"))
    installed = world.installation
    housekeeping = Housekeeping(installed.database, installed.store, world.clock)
    counts = []
    for hours in (47, 2):
        world.clock.advance(hours=hours)
        await housekeeping.prune()
        counts.append(await waiting(world))

    assert counts == [1, 0]
