"""Back-channel logout where a client does not answer: again later, in the end no more, and in nobody's way."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from typing import Any

import jwt
import pytest
import pytest_asyncio
from sqlalchemy import update
from structlog.testing import capture_logs

from gateway.oauth import backchannel
from gateway.oauth.backchannel import GIVE_UP_AFTER, BackChannel, next_try
from tenants.client_options import ClientOptions
from tenants.logout_notices import DueNotice
from tenants.tables import signing_keys
from tests.gateway.oauth.relying_party import RelyingParty, relying_party
from tests.gateway.oauth.telling import add, channel, log_in, log_out, told, waiting
from tests.gateway.world import World


@pytest_asyncio.fixture(loop_scope="session")
async def party() -> AsyncIterator[RelyingParty]:
    async with relying_party() as party:
        yield party


@pytest.mark.parametrize("status", [202, 302, 307, 401, 404, 429, 500, 501, 503])
async def test_any_other_answer_is_tried_again_later_with_a_new_token(world: World, status: int) -> None:
    async with relying_party(status, 200) as party:
        await add(world, "app", party.uri)
        await log_out(world, await log_in(world, "app"))
        with capture_logs() as lines:
            await channel(world).deliver()
        assert await channel(world).deliver() == 0
        world.clock.advance(seconds=10)
        await channel(world).deliver()

    assert [line["reason"] for line in lines if line["event"] == "logout_notice_put_off"] == [f"status_{status}"]
    first, second = map(world.claims, party.tokens)
    assert second["iat"] - first["iat"] == 10
    assert second["jti"] != first["jti"]
    assert await waiting(world) == 0
    assert [event["details"] for event in await told(world) if event["type"] == "logout.notified"] == [{"attempts": 2}]


async def test_nobody_there_and_no_allowed_network_are_tried_again(world: World) -> None:
    async with relying_party() as party:
        pass
    await add(world, "app", party.uri)
    await log_out(world, await log_in(world, "app"))
    with capture_logs() as lines:
        await channel(world).deliver()
        world.clock.advance(minutes=1)
        await channel(world, allowed=()).deliver()

    reasons = [line["reason"] for line in lines if line["event"] == "logout_notice_put_off"]
    assert reasons == ["unreachable", "address_not_public"]
    assert await waiting(world) == 1


async def test_the_job_of_the_composition_calls_no_private_address(world: World) -> None:
    async with relying_party() as party:
        await add(world, "app", party.uri)
        await log_out(world, await log_in(world, "app"))
        installed = world.installation
        job = BackChannel.of(installed.settings, installed.database, installed.store, world.clock)
        with capture_logs() as lines:
            await job.deliver()

    assert party.requests == []
    assert [line["reason"] for line in lines if line["event"] == "logout_notice_put_off"] == ["address_not_public"]


async def test_it_pauses_longer_each_time_and_gives_up_in_the_end(world: World) -> None:
    job, begun = channel(world), world.clock()
    async with relying_party(500) as party:
        await add(world, "app", party.uri)
        await log_out(world, await log_in(world, "app"))
        pauses = []
        while await job.deliver() and await waiting(world):
            pause = next_try(len(party.tokens), world.clock()) - world.clock()
            pauses.append(int(pause.total_seconds()))
            world.clock.now += pause - timedelta(seconds=1)
            assert await job.deliver() == 0
            world.clock.advance(seconds=1)

    assert pauses[:9] == [10, 20, 40, 80, 160, 320, 640, 1280, 1800]
    assert set(pauses[8:]) == {1800}
    assert timedelta(hours=11) < world.clock() - begun < GIVE_UP_AFTER
    (event,) = [event for event in await told(world) if event["type"] == "logout.failed"]
    assert (event["reason"], event["details"]) == ("status_500", {"attempts": len(party.tokens)})


async def test_what_waited_too_long_is_given_up_unsent(world: World, party: RelyingParty) -> None:
    await add(world, "app", party.uri)
    await log_out(world, await log_in(world, "app"))
    world.clock.now += GIVE_UP_AFTER
    await channel(world).deliver()

    assert party.tokens == []
    assert [event["reason"] for event in await told(world) if event["type"] == "logout.failed"] == ["too_old"]


async def test_a_suspended_tenants_notices_wait_until_it_is_resumed(world: World, party: RelyingParty) -> None:
    await add(world, "app", party.uri)
    await log_out(world, await log_in(world, "app"))
    async with world.store() as store:
        await store.settings.set_active(False)
    await channel(world).deliver()
    assert party.tokens == []
    async with world.store() as store:
        await store.settings.set_active(True)
    world.clock.advance(hours=1)
    await channel(world).deliver()

    assert len(party.tokens) == 1


@pytest.mark.parametrize("change", ["address", "disabled", "deleted"])
async def test_who_does_not_want_to_know_any_more_is_not_told(world: World, party: RelyingParty, change: str) -> None:
    await add(world, "app", party.uri)
    await log_out(world, await log_in(world, "app"))
    async with world.store() as store:
        client = await store.clients.get("app")
        assert client is not None
        if change == "address":
            await store.clients.replace(dataclasses.replace(client, options=ClientOptions()))
        elif change == "disabled":
            await store.clients.set_active("app", False)
        else:
            await store.clients.delete("app")
    await channel(world).deliver()

    assert party.tokens == []
    assert await waiting(world) == 0


async def test_without_a_key_the_notice_waits(world: World, party: RelyingParty) -> None:
    await add(world, "app", party.uri)
    await log_out(world, await log_in(world, "app"))
    async with world.installation.database.app_step(read_only=False) as connection:
        await connection.execute(update(signing_keys).values(state="retired"))
    with capture_logs() as lines:
        await channel(world).deliver()

    assert [line["event"] for line in lines] == ["logout_token_unsigned"]
    assert (party.tokens, await waiting(world)) == ([], 1)


async def test_one_that_hangs_keeps_no_other_from_its_turn(world: World) -> None:
    async with relying_party(held=True) as slow, relying_party() as quick:
        for client_id, party in (("slow", slow), ("quick", quick)):
            await add(world, client_id, party.uri)
        for _ in range(5):
            await log_out(world, await log_in(world, "slow"))
        delivering = asyncio.create_task(channel(world).deliver())
        await asyncio.wait_for(slow.came.wait(), 10)
        for _ in range(3):  # they come while the slow one is being called
            await log_out(world, await log_in(world, "quick"))
        async with asyncio.timeout(10):
            while len(quick.tokens) < 3:
                quick.came.clear()
                await quick.came.wait()
        assert (len(slow.tokens), slow.most_at_once) == (1, 1), "a client is told one thing at a time"
        slow.released.set()
        await delivering

    assert (len(slow.tokens), slow.most_at_once) == (5, 1)
    assert await waiting(world) == 0


async def test_a_tenant_whose_clients_all_hang_leaves_room_for_others(world: World) -> None:
    async with relying_party(held=True) as slow, relying_party() as quick:
        for number in range(20):
            await add(world, f"slow-{number}", slow.uri)
            await log_out(world, await log_in(world, f"slow-{number}"))
        await add(world, "quick", quick.uri, world.globex)
        await log_out(world, await log_in(world, "quick", world.globex), world.globex)
        delivering = asyncio.create_task(channel(world).deliver())
        await asyncio.wait_for(quick.came.wait(), 10)
        await asyncio.wait_for(slow.came.wait(), 10)
        assert slow.most_at_once <= 4
        slow.released.set()
        await delivering

    assert slow.most_at_once <= 4
    assert (len(slow.tokens), await waiting(world)) == (20, 0)


async def test_a_client_that_is_away_is_not_asked_once_for_each_notice(world: World) -> None:
    async with relying_party(503) as party:
        await add(world, "app", party.uri)
        for _ in range(5):
            await log_out(world, await log_in(world, "app"))
        await channel(world).deliver()
        assert len(party.tokens) == 1, "the others wait with the one that failed"
        party.answers = [200]
        world.clock.advance(seconds=10)
        await channel(world).deliver()

    assert (len(party.tokens), await waiting(world)) == (6, 0)


async def test_two_processes_tell_each_thing_once(each_world: World) -> None:
    async with relying_party() as party:
        await add(each_world, "app", party.uri)
        for _ in range(6):
            await log_out(each_world, await log_in(each_world, "app"))
        await asyncio.gather(*(channel(each_world).deliver() for _ in range(2)))

    jtis = {jwt.decode(token, options={"verify_signature": False})["sid"] for token in party.tokens}
    assert len(jtis) == len(party.tokens) == 6
    assert len([event for event in await told(each_world) if event["type"] == "logout.notified"]) == 6


async def test_a_notice_that_nobody_foresaw_stops_no_other(
    world: World, party: RelyingParty, monkeypatch: pytest.MonkeyPatch
) -> None:
    for client_id in ("bad", "good"):
        await add(world, client_id, party.uri)
        await log_out(world, await log_in(world, client_id))
    sign = backchannel.sign_logout_token

    def fail(*args: Any, **values: Any) -> str:
        if values["client_id"] == "bad":
            raise RuntimeError("unforeseen")
        return sign(*args, **values)

    monkeypatch.setattr(backchannel, "sign_logout_token", fail)
    with capture_logs() as lines:
        await channel(world).deliver()
        assert await channel(world).deliver() == 0, "it is not due for ever"

    assert [line["event"] for line in lines] == ["logout_notice_failed"]
    assert len(party.tokens) == 1
    assert await waiting(world) == 1


async def test_what_is_due_is_not_asked_for_again_for_each_call_that_ends(world: World, party: RelyingParty) -> None:
    for number in range(30):
        await add(world, f"app-{number}", party.uri)
        await log_out(world, await log_in(world, f"app-{number}"))
    job = channel(world)
    looks, due = 0, job._due

    async def counted() -> Iterable[DueNotice]:
        nonlocal looks
        looks += 1
        return await due()

    job._due = counted  # type: ignore[method-assign]
    begun = asyncio.get_running_loop().time()
    assert await job.deliver() == 30
    took = asyncio.get_running_loop().time() - begun

    assert len(party.tokens) == 30
    assert looks <= 6 + took / 0.5  # the last calls of a tenant, four at a time, have nothing more to wait for


async def test_at_the_end_no_further_call_is_begun(world: World) -> None:
    async with relying_party(held=True) as party:
        await add(world, "app", party.uri)
        for _ in range(3):
            await log_out(world, await log_in(world, "app"))
        job = channel(world)
        delivering = asyncio.create_task(job.deliver())
        await asyncio.wait_for(party.came.wait(), 10)
        job.stop()
        party.released.set()
        assert await delivering == 1

    assert (len(party.tokens), await waiting(world)) == (1, 2)
