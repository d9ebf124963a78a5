"""Known devices and networks: one secret for a browser, a new one with each login, worth nothing to whom it is not."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from tenants import devices
from tenants.database import Database
from tenants.devices import MOST_DEVICES, Device
from tenants.store import Store
from tenants.tenant import Tenant
from tenants.visitor import Visitor
from tests.conftest import Clock
from tests.tenants.conftest import Household, dump

KNOWN_FOR, TRUSTED_FOR = timedelta(days=180), timedelta(days=30)
HOME = Visitor.of(ip_address("192.0.2.7"), "Firefox on a laptop")
TRAIN = Visitor.of(ip_address("2001:db8::7"), "Firefox, updated")
NOBODY = UUID(int=0)


async def remember(
    store: Store,
    household: Household,
    secret: str | None,
    *,
    user_id: UUID | None = None,
    visitor: Visitor = HOME,
    trusted_for: timedelta | None = None,
) -> tuple[Device, str, bool]:
    async with store.for_tenant(household.tenant.id) as mine:
        return await mine.devices.remember(
            user_id or household.user_id, secret, visitor=visitor, lifetime=KNOWN_FOR, trusted_for=trusted_for
        )


async def find(store: Store, household: Household, secret: str | None, user_id: UUID | None = None) -> Device | None:
    async with store.for_tenant(household.tenant.id, read_only=True) as mine:
        return await mine.devices.find(user_id or household.user_id, secret)


async def of_user(store: Store, household: Household) -> list[UUID]:
    async with store.for_tenant(household.tenant.id, read_only=True) as mine:
        return [device.id for device in await mine.devices.of_user(household.user_id)]


@pytest.fixture
async def bob(store: Store, household: Household) -> UUID:
    async with store.for_tenant(household.tenant.id) as mine:
        return (await mine.users.create("bob")).id


async def test_a_device_is_found_by_its_secret_as_it_was_remembered(
    store: Store, household: Household, clock: Clock
) -> None:
    device, secret, new = await remember(store, household, None, trusted_for=TRUSTED_FOR)
    assert new
    assert secret.startswith("ydv_")
    assert (device.user_id, device.visitor) == (household.user_id, HOME._replace(network=""))
    assert (device.created_at, device.seen_at, device.expires_at) == (clock(), clock(), clock() + KNOWN_FOR)
    assert device.trusted_until == clock() + TRUSTED_FOR
    assert await find(store, household, secret) == device


@pytest.mark.parametrize("alter", [str.upper, lambda s: s[:-1], lambda s: s + "=", lambda s: "yss_" + s[4:]])
async def test_only_the_whole_string_is_the_secret(store: Store, household: Household, alter: Any) -> None:
    _, secret, _ = await remember(store, household, None)
    for unverified in (alter(secret), None, "", "\0", "\ud800", "x" * 100_000):
        assert await find(store, household, unverified) is None


async def test_a_secret_is_stored_as_a_hash_only(store: Store, household: Household, superuser: AsyncEngine) -> None:
    _, secret, _ = await remember(store, household, None)
    rows = str(await dump(superuser))
    assert secret not in rows
    assert secret.removeprefix("ydv_") not in rows


async def test_a_login_keeps_the_device_and_its_secret(store: Store, household: Household, clock: Clock) -> None:
    first, old, _ = await remember(store, household, None)
    clock.advance(days=1)
    second, secret, new = await remember(store, household, old, visitor=TRAIN)
    assert not new
    assert secret == old, "an answer that is lost costs nobody a device"
    assert second == replace(first, visitor=TRAIN._replace(network=""), seen_at=clock(), expires_at=clock() + KNOWN_FOR)
    assert await find(store, household, secret) == second


async def test_who_was_known_too_long_ago_is_new(store: Store, household: Household, clock: Clock) -> None:
    first, old, _ = await remember(store, household, None, trusted_for=TRUSTED_FOR)
    clock.now = first.expires_at
    second, secret, new = await remember(store, household, old)
    assert new
    assert (secret != old, second.id != first.id, second.trusted_until) == (True, True, None)
    assert await find(store, household, old) is None


async def test_a_planted_cookie_is_worth_nothing_after_the_login(store: Store, household: Household, bob: UUID) -> None:
    """Bob puts his own cookie into alice's browser, that it may become her trusted device in his hands."""
    _, planted, _ = await remember(store, household, None, user_id=bob, trusted_for=TRUSTED_FOR)
    device, secret, new = await remember(store, household, planted)
    assert new
    assert device.trusted_until is None
    assert await find(store, household, planted) is None
    assert await find(store, household, planted, bob) is None
    assert await find(store, household, secret) == device


async def test_the_other_users_of_a_browser_keep_their_devices_under_its_new_secret(
    store: Store, household: Household, bob: UUID, clock: Clock
) -> None:
    alices, first, _ = await remember(store, household, None, trusted_for=TRUSTED_FOR)
    clock.advance(hours=1)
    bobs, second, new = await remember(store, household, first, user_id=bob, visitor=TRAIN)
    assert new
    assert bobs.trusted_until is None  # it was alice who trusted it
    assert bobs.id != alices.id
    assert await find(store, household, second) == alices
    clock.advance(hours=1)
    _, third, new = await remember(store, household, second)
    assert not new
    assert third == second
    assert await find(store, household, third, bob) == bobs
    assert await find(store, household, first) is None


async def test_a_login_keeps_a_trust_that_has_not_expired_and_does_not_lengthen_it(
    store: Store, household: Household, clock: Clock
) -> None:
    device, secret, _ = await remember(store, household, None, trusted_for=TRUSTED_FOR)
    until = clock() + TRUSTED_FOR
    clock.advance(days=29)
    device, secret, _ = await remember(store, household, secret)
    assert device.trusted_until == until
    assert device.trusted_at(clock())
    clock.advance(days=1)
    assert not device.trusted_at(clock())
    device, secret, _ = await remember(store, household, secret)
    assert device.trusted_until is None
    device, _, _ = await remember(store, household, secret, trusted_for=TRUSTED_FOR)
    assert device.trusted_until == clock() + TRUSTED_FOR


async def test_trust_ends_with_the_device(store: Store, household: Household, clock: Clock) -> None:
    device, secret, _ = await remember(store, household, None, trusted_for=2 * KNOWN_FOR)
    clock.now += KNOWN_FOR
    assert not device.trusted_at(clock())
    assert await find(store, household, secret) is None
    assert await of_user(store, household) == []
    again, _, new = await remember(store, household, secret)
    assert new
    assert again.id != device.id
    assert again.trusted_until is None


async def test_trust_does_not_move_to_a_browser_without_the_secret(store: Store, household: Household) -> None:
    trusted, secret, _ = await remember(store, household, None, trusted_for=TRUSTED_FOR)
    for presented in (None, "", "ydv_" + "x" * 43):
        device, _, new = await remember(store, household, presented)
        assert new
        assert device.trusted_until is None
    assert await find(store, household, secret) == trusted


async def test_twenty_parallel_logins_with_one_secret_are_of_one_trusted_device(
    store: Store, household: Household
) -> None:
    first, secret, _ = await remember(store, household, None, trusted_for=TRUSTED_FOR)
    made = await asyncio.gather(*(remember(store, household, secret) for _ in range(20)))
    assert {(device.id, device.trusted_until, kept, new) for device, kept, new in made} == {
        (first.id, first.trusted_until, secret, False)
    }
    assert await of_user(store, household) == [first.id]


async def test_a_users_devices_are_those_that_live_the_last_seen_first(
    store: Store, household: Household, bob: UUID, clock: Clock
) -> None:
    first, secret, _ = await remember(store, household, None)
    clock.advance(days=1)
    second, _, _ = await remember(store, household, None)
    await remember(store, household, None, user_id=bob)
    assert await of_user(store, household) == [second.id, first.id]
    clock.advance(days=1)
    await remember(store, household, secret)
    assert await of_user(store, household) == [first.id, second.id]
    clock.now = second.expires_at
    assert await of_user(store, household) == [first.id]


async def test_a_revoked_device_is_known_no_more(store: Store, household: Household, bob: UUID) -> None:
    device, secret, _ = await remember(store, household, None, trusted_for=TRUSTED_FOR)
    bobs, _, _ = await remember(store, household, None, user_id=bob)
    async with store.for_tenant(household.tenant.id) as mine:
        assert not await mine.devices.revoke(household.user_id, bobs.id)
        assert not await mine.devices.revoke(bob, device.id)
        assert await mine.devices.revoke(household.user_id, device.id)
        assert not await mine.devices.revoke(household.user_id, device.id)
    assert await find(store, household, secret) is None
    again, _, new = await remember(store, household, secret)
    assert new
    assert again.trusted_until is None


async def test_all_of_a_users_devices_are_revoked_and_nobody_elses(
    store: Store, household: Household, bob: UUID
) -> None:
    _, secret, _ = await remember(store, household, None)
    _, secret, _ = await remember(store, household, secret, user_id=bob)
    await remember(store, household, None)
    async with store.for_tenant(household.tenant.id) as mine:
        assert await mine.devices.revoke_all(household.user_id) == 2
        assert await mine.devices.revoke_all(household.user_id) == 0
    assert await of_user(store, household) == []
    assert await find(store, household, secret, bob) is not None


async def test_a_user_has_so_many_devices_and_the_oldest_go(
    store: Store, household: Household, bob: UUID, clock: Clock
) -> None:
    await remember(store, household, None, user_id=bob)
    made, secrets = [], []
    for _ in range(MOST_DEVICES):
        clock.advance(minutes=1)
        device, secret, _ = await remember(store, household, None)
        made.append(device.id)
        secrets.append(secret)
    clock.advance(minutes=1)
    await remember(store, household, secrets[0])  # is the last seen from now on
    newest, _, _ = await remember(store, household, None)
    left = await of_user(store, household)
    assert set(left) == {newest.id, *made} - {made[1]}
    assert len(left) == MOST_DEVICES
    async with store.for_tenant(household.tenant.id, read_only=True) as mine:
        assert len(await mine.devices.of_user(bob)) == 1


async def test_a_login_that_is_beyond_the_most_is_remembered_whatever_the_clock_says(
    store: Store, household: Household, clock: Clock
) -> None:
    for _ in range(MOST_DEVICES):
        await remember(store, household, None)
    clock.advance(hours=-1)  # another process's clock
    device, secret, _ = await remember(store, household, None)
    assert await find(store, household, secret) == device
    assert len(await of_user(store, household)) == MOST_DEVICES
    await asyncio.gather(*(remember(store, household, None) for _ in range(20)))
    await remember(store, household, None)
    assert len(await of_user(store, household)) == MOST_DEVICES


async def test_nobody_has_no_device(store: Store, household: Household) -> None:
    with pytest.raises(IntegrityError):
        await remember(store, household, None, user_id=NOBODY)


async def test_another_tenant_knows_nothing_of_a_device(store: Store, household: Household, globex: Tenant) -> None:
    device, secret, _ = await remember(store, household, None, trusted_for=TRUSTED_FOR)
    async with store.for_tenant(globex.id) as theirs:
        alice = await theirs.users.create("alice")
        for user_id in (alice.id, household.user_id):
            assert await theirs.devices.find(user_id, secret) is None
        made = await theirs.devices.remember(alice.id, secret, visitor=HOME, lifetime=KNOWN_FOR, trusted_for=None)
    assert made[2]
    assert made[0].trusted_until is None
    assert await find(store, household, secret) == device


async def test_a_network_is_known_for_a_while_after_each_success_there(
    store: Store, household: Household, bob: UUID, globex: Tenant, clock: Clock
) -> None:
    within = timedelta(days=30)

    async def knows(network: str, user_id: UUID = household.user_id, tenant: Tenant = household.tenant) -> bool:
        async with store.for_tenant(tenant.id, read_only=True) as mine:
            return await mine.devices.knows_network(user_id, network, within=within)

    assert not await knows(HOME.network)
    for _ in range(2):
        async with store.for_tenant(household.tenant.id) as mine:
            await mine.devices.remember_network(household.user_id, HOME.network)
        clock.now += within - timedelta(seconds=1)
        assert await knows(HOME.network)
        assert not await knows(TRAIN.network)
        assert not await knows(HOME.network, bob)
        assert not await knows(HOME.network, NOBODY)
        assert not await knows(HOME.network, tenant=globex)
    clock.advance(seconds=1)
    assert not await knows(HOME.network)


async def test_a_visitor_from_nowhere_is_never_known(store: Store, household: Household) -> None:
    async with store.for_tenant(household.tenant.id) as mine:
        with pytest.raises(ValueError, match="cannot be known"):
            await mine.devices.remember_network(household.user_id, "")
        assert not await mine.devices.knows_network(household.user_id, "", within=timedelta(days=30))


async def test_twenty_parallel_successes_from_one_network_are_one_row(
    store: Store, household: Household, superuser: AsyncEngine, clock: Clock
) -> None:
    async def succeed() -> None:
        async with store.for_tenant(household.tenant.id) as mine:
            await mine.devices.remember_network(household.user_id, HOME.network)

    await asyncio.gather(*(succeed() for _ in range(20)))
    assert len((await dump(superuser))["known_networks"]) == 1


@pytest.fixture
def statements(database: Database) -> Iterator[list[str]]:
    """What is asked of the tables of this file, in order."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "devices" in statement or "known_networks" in statement:
            sent.append(statement)

    engine: Engine = database.app.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    yield sent
    event.remove(engine, "before_cursor_execute", note)


async def test_the_statements_do_not_tell_whether_somebody_is_known(
    store: Store, household: Household, statements: list[str]
) -> None:
    _, secret, _ = await remember(store, household, None)
    sent = []
    for user_id, unverified in [
        (household.user_id, secret),
        (NOBODY, secret),
        (household.user_id, "x"),
        (uuid4(), "x"),
    ]:
        statements.clear()
        async with store.for_tenant(household.tenant.id, read_only=True) as mine:
            await mine.devices.find(user_id, unverified)
            await mine.devices.knows_network(user_id, HOME.network, within=KNOWN_FOR)
        sent.append(list(statements))
    assert sent == [sent[0]] * 4
    assert len(sent[0]) == 2


async def test_without_a_cookie_nobodys_devices_are_looked_for(
    store: Store, household: Household, statements: list[str]
) -> None:
    await remember(store, household, None)
    statements.clear()
    for user_id in (household.user_id, NOBODY):
        assert await find(store, household, None, user_id) is None
    assert statements == []


async def test_what_has_expired_is_pruned(
    database: Database, store: Store, household: Household, superuser: AsyncEngine, clock: Clock
) -> None:
    old, _, _ = await remember(store, household, None)
    async with store.for_tenant(household.tenant.id) as mine:
        await mine.devices.remember_network(household.user_id, HOME.network)
    then = clock()
    clock.advance(seconds=1)
    living, _, _ = await remember(store, household, None)
    async with store.for_tenant(household.tenant.id) as mine:
        await mine.devices.remember_network(household.user_id, TRAIN.network)
    left = []
    for second in (0, 1):
        async with database.system_step() as connection:
            await devices.prune_devices(connection, then + KNOWN_FOR - timedelta(seconds=1 - second))
            await devices.prune_networks(connection, then + timedelta(seconds=second))
        rows = await dump(superuser)
        left.append(({row[1] for row in rows["devices"]}, {row[2] for row in rows["known_networks"]}))
    assert left == [
        ({old.id, living.id}, {HOME.network, TRAIN.network}),
        ({living.id}, {TRAIN.network}),
    ]
