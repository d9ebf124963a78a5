"""An erasure that was broken off is finished by whoever keeps house, and has no way back."""

from datetime import datetime

import pytest

from gateway.erasing import BROKEN_OFF, Erasing
from tenants.errors import InvalidValue
from tests.gateway.world import World


def erasing(world: World) -> Erasing:
    installation = world.installation
    return Erasing(installation.database, installation.store, installation.audit_log, world.clock)


async def begin(world: World, name: str = "alice") -> None:
    """What the command does first."""
    async with world.store() as store:
        await store.users.set_active(world.acme.users[name], False)
        await store.users.begin_erasure(world.acme.users[name])


async def there(world: World, name: str = "alice") -> bool:
    async with world.store() as store:
        return await store.users.get(world.acme.users[name]) is not None


async def test_an_erasure_that_was_broken_off_is_finished_later(each_world: World) -> None:
    world, alice = each_world, each_world.acme.users["alice"]
    await world.login()
    await begin(world)
    await erasing(world).go_on()
    assert await there(world), "the command may be at it still"
    world.clock.advance(seconds=BROKEN_OFF.total_seconds() + 1)
    await erasing(world).go_on()
    await erasing(world).go_on()
    assert not await there(world)
    assert await there(world, "bob")
    events = await world.events()
    assert {each["type"] for each in events if each.get("subject") == str(alice)} == {"audit.erased", "user.erased"}
    assert [each["actor"] for each in events if each["type"] == "user.erased"] == ["schedule"]


async def test_one_that_fails_keeps_no_other_from_its_turn(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await begin(world, "alice")
    world.clock.advance(seconds=1)
    await begin(world, "bob")
    world.clock.advance(seconds=BROKEN_OFF.total_seconds() + 1)
    job, finish = erasing(world), Erasing.finish

    async def fails_first(self: Erasing, tenant: object, user: object, keys: object, *, actor: str) -> object:
        if user == world.acme.users["alice"]:
            raise RuntimeError("away")
        return await finish(self, tenant, user, keys, actor=actor)  # type: ignore[arg-type]  # as they came

    monkeypatch.setattr(Erasing, "finish", fails_first)
    with pytest.raises(ExceptionGroup):
        await job.go_on()
    assert await there(world, "alice")
    assert not await there(world, "bob")


async def test_who_is_being_erased_is_not_enabled_again(each_world: World) -> None:
    world, alice = each_world, each_world.acme.users["alice"]
    await begin(world)
    began: datetime | None = None
    async with world.store() as store:
        user = await store.users.get(alice)
        assert user is not None
        began = user.erasing_since
    world.clock.advance(seconds=5)
    with pytest.raises(InvalidValue, match="erased"):
        async with world.store() as store:
            await store.users.set_active(alice, True)
    async with world.store() as store:
        await store.users.set_active(alice, False)
        await store.users.begin_erasure(alice)
        user = await store.users.get(alice)
    assert user is not None
    assert (user.active, user.erasing_since) == (False, began)
