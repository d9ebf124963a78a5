"""A clock that is set back or forward takes nothing away but time: what a jump makes invalid is refused, no more."""

from datetime import timedelta

from tests.gateway.oauth.openid import offer, userinfo
from tests.gateway.world import World


async def status(world: World, tokens: dict[str, str]) -> int:
    return (await userinfo(world, tokens["access_token"])).status_code


async def test_set_back_new_logins_count_and_what_lies_ahead_waits(world: World) -> None:
    await offer(world)
    ahead = await world.login(scope="openid")
    world.clock.advance(hours=-1)
    now = await world.login(scope="openid")
    assert (await status(world, now), await status(world, ahead)) == (200, 401)
    refreshed = await world.refresh(ahead["refresh_token"])
    assert refreshed.status_code == 200
    assert await status(world, refreshed.json()) == 200
    world.clock.advance(hours=1)
    assert (await status(world, now), await status(world, ahead)) == (401, 200)
    done = [event["type"] for event in await world.events() if event["outcome"] == "success"]
    assert done == ["login.succeeded", "login.succeeded", "token.refreshed"]


async def test_set_forward_what_has_expired_is_refused_and_good_again_when_it_is_set_right(world: World) -> None:
    await offer(world)
    tokens = await world.login(scope="openid")
    world.clock.advance(hours=1)
    await world.snapshot.poll()  # which goes by another clock; here both are one
    assert await status(world, tokens) == 401
    later = await world.login(scope="openid")
    assert await status(world, later) == 200
    world.clock.advance(hours=-1)
    assert await status(world, tokens) == 200


async def test_set_back_no_key_goes_back_a_state_and_no_revocation_is_taken_back(world: World) -> None:
    await offer(world)
    tokens = await world.login(scope="openid")
    async with world.store() as store:
        await store.keys.rotate("ES256", force=True)
        before = {key.kid: key.state for key in await store.keys.list()}
    revoking = {"token": tokens["access_token"], "client_id": "spa"}
    async with world.client() as client:
        assert (await client.post("/t/acme/revoke", data=revoking)).status_code == 200
    await world.snapshot.poll()
    world.clock.advance(minutes=-4)
    async with world.store() as store:
        await store.keys.advance("ES256")
        assert {key.kid: key.state for key in await store.keys.list()} == before
    assert await status(world, tokens) == 401
    assert await status(world, await world.login(scope="openid")) == 200


async def test_set_back_failed_logins_are_not_forgotten_sooner(world: World) -> None:
    while (answer := await world.post(world.acme.form(password="wrong"))).status_code == 400:
        pass
    assert answer.status_code == 429
    world.clock.advance(hours=-1)
    again = await world.post(world.acme.form(password="wrong"))
    assert again.status_code == 429
    assert timedelta(seconds=int(again.headers["retry-after"])) <= timedelta(seconds=int(answer.headers["retry-after"]))
    world.clock.advance(hours=1, seconds=int(answer.headers["retry-after"]))
    assert await world.login()
