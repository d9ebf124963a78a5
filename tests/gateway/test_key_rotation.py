"""A rotation refuses no token: not those in flight, and not to a client that keeps the keys for as long as it may."""

import re
from datetime import timedelta
from uuid import uuid4

import jwt
import pytest

from gateway.authn.bearer import Bearer, InvalidToken
from gateway.authn.token_table import TokenTable
from gateway.housekeeping import Housekeeping
from policies.key_rotation import KeyState
from policies.principal import Principal
from tenants.key_schedule import due_tenants
from tenants.provider import ProviderPolicy
from tests.gateway.world import ORDERS, World

IN_FLIGHT = 1000


def housekeeping(world: World) -> Housekeeping:
    return Housekeeping(world.installation.database, world.installation.store, world.clock)


async def turn(world: World) -> None:
    """What a process does by itself, now."""
    await housekeeping(world).advance_keys()
    await world.snapshot.poll()


def bearer(world: World) -> Bearer:
    return Bearer(world.snapshot, TokenTable(), lambda: world.clock().timestamp())


async def token(world: World) -> str:
    form = {"grant_type": "client_credentials", "client_id": "web", "client_secret": world.acme.secret}
    answer = await world.post({**form, "scope": "orders:read"})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


async def jwks(world: World) -> tuple[dict[str, jwt.PyJWK], timedelta]:
    """The keys, and for how long they may be kept."""
    async with world.client() as client:
        answer = await client.get("/t/acme/jwks")
    age = re.search(r"max-age=(\d+)", answer.headers["cache-control"])
    assert age is not None
    return {key["kid"]: jwt.PyJWK(key) for key in answer.json()["keys"]}, timedelta(seconds=int(age[1]))


async def active(world: World) -> str:
    async with world.store() as store:
        return next(key.kid for key in await store.keys.list() if key.state is KeyState.ACTIVE)


def signed(world: World, access_token: str, keys: dict[str, jwt.PyJWK]) -> bool:
    """What a client finds out with the keys that it has."""
    kid = jwt.get_unverified_header(access_token)["kid"]
    if kid not in keys:
        return False
    unchecked = {"verify_exp": False, "verify_iat": False, "verify_aud": False}
    jwt.decode(access_token, keys[kid], algorithms=["ES256"], options=unchecked)  # type: ignore[arg-type]
    return True


async def test_a_rotation_refuses_none_of_a_thousand_tokens_in_flight(each_world: World) -> None:
    world = each_world
    async with world.store() as store:
        issuer_key = await store.keys.signing()
    now = int(world.clock().timestamp())
    claims = {
        "iss": world.acme.issuer,
        "sub": "web",
        "aud": ORDERS,
        "client_id": "web",
        "scope": "orders:read",
        "iat": now,
        "exp": now + 300,
    }
    in_flight = [issuer_key.sign("at+jwt", {**claims, "jti": str(uuid4())}) for _ in range(IN_FLIGHT)]
    kept, age = await jwks(world)
    before = await active(world)
    async with world.store() as store:
        await store.keys.rotate("ES256", force=True)
    assert await active(world) != before
    check = bearer(world)
    assert all(isinstance(check.authenticate(each.encode()), Principal) for each in in_flight)
    world.clock.advance(seconds=299)
    await turn(world)
    assert all(isinstance(check.authenticate(each.encode()), Principal) for each in in_flight)
    assert all(signed(world, each, kept) for each in in_flight)
    assert age <= timedelta(hours=12)


async def test_a_key_that_has_signed_for_its_time_hands_over_by_itself_and_no_cache_is_caught(
    each_world: World,
) -> None:
    """A client fetches the keys, and again only when its copy is as old as it may be."""
    world = each_world
    first = await active(world)
    kept, age = await jwks(world)
    fetched_at = world.clock()
    seen = set()
    world.clock.advance(days=89, hours=22)
    for _ in range(30):  # hours, over the moment at which the key has signed for 90 days
        world.clock.advance(hours=1)
        await turn(world)
        if world.clock() - fetched_at >= age:
            kept, age = await jwks(world)
            fetched_at = world.clock()
        access_token = await token(world)
        assert signed(world, access_token, kept)
        assert isinstance(bearer(world).authenticate(access_token.encode()), Principal)
        seen.add(jwt.get_unverified_header(access_token)["kid"])
    assert seen == {first, await active(world)}
    assert len(seen) == 2
    events = [event for event in await world.events() if event["type"] == "key.advanced"]
    assert events


@pytest.mark.parametrize(
    ("own", "days", "rotates"), [(None, 400, False), (7, 8, True), (7, 6, False), (400, 100, False)]
)
async def test_a_tenant_sets_how_long_its_keys_sign(
    each_world: World, own: int | None, days: int, rotates: bool
) -> None:
    world = each_world
    async with world.store() as store:
        rotation = None if own is None else timedelta(days=own)
        await store.settings.set_provider(ProviderPolicy().changed(key_rotation=rotation))
    before = await active(world)
    world.clock.advance(days=days)
    await turn(world)
    assert (await active(world) != before) is rotates


async def test_a_tenant_whose_key_is_young_costs_nothing(each_world: World) -> None:
    world = each_world
    world.clock.advance(days=3)
    async with world.installation.database.system_snapshot() as connection:
        assert await due_tenants(connection, world.clock()) == []


async def test_a_revoked_key_is_refused_at_once_and_the_next_one_signs(each_world: World) -> None:
    world = each_world
    access_token = await token(world)
    check = bearer(world)
    assert isinstance(check.authenticate(access_token.encode()), Principal)
    async with world.store() as store:
        await store.keys.revoke(jwt.get_unverified_header(access_token)["kid"], "ES256")
    refused = check.authenticate(access_token.encode())
    assert isinstance(refused, InvalidToken)
    assert refused.reason == "key_unknown"
    assert isinstance(check.authenticate((await token(world)).encode()), Principal)
