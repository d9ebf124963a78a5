"""Letters that wait: sealed, taken by one process at a time, in turns over the tenants."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import get_args
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from tenants import mail_outbox
from tenants.database import Database
from tenants.mail_outbox import LetterKind, WaitingLetter
from tenants.sealing import MasterKeys, Unsealable
from tenants.store import Store
from tenants.tables import metadata
from tenants.tenant import Tenant
from tests.conftest import Clock
from tests.tenants.conftest import dump

LEASE = timedelta(minutes=1)


async def add(store: Store, tenant: Tenant, identifier: str = "alice@example.com") -> None:
    async with store.for_tenant(tenant.id) as mine:
        await mine.mail_outbox.add("reset", {"identifier": identifier})


async def due(database: Database, clock: Clock, *, limit: int = 100) -> list[tuple[UUID, UUID]]:
    async with database.system_snapshot() as connection:
        return list(await mail_outbox.due(connection, clock(), limit=limit))


async def claim(store: Store, tenant: Tenant, letter_id: UUID) -> WaitingLetter | None:
    async with store.for_tenant(tenant.id) as mine:
        return await mine.mail_outbox.claim(letter_id, lease=LEASE)


async def the_only(database: Database, clock: Clock) -> UUID:
    ((_, letter_id),) = await due(database, clock)
    return letter_id


async def claimed(store: Store, tenant: Tenant, database: Database, clock: Clock) -> WaitingLetter:
    letter = await claim(store, tenant, await the_only(database, clock))
    assert letter is not None
    return letter


async def test_a_letter_is_claimed_with_what_it_is_about(
    store: Store, acme: Tenant, database: Database, clock: Clock
) -> None:
    await add(store, acme, "Älice\ud800\x00")
    written_at = clock()
    clock.advance(seconds=3)

    letter = await claimed(store, acme, database, clock)

    assert (letter.kind, letter.created_at, letter.attempts) == ("reset", written_at, 1)
    async with store.for_tenant(acme.id, read_only=True) as mine:
        assert mine.mail_outbox.open(letter) == {"identifier": "Älice\ud800\x00"}


async def test_a_row_shows_neither_address_nor_token(
    store: Store, acme: Tenant, database: Database, clock: Clock, superuser: AsyncEngine
) -> None:
    async with store.for_tenant(acme.id) as mine:
        await mine.mail_outbox.add(
            "invite", {"email": "bob@example.com", "name": "bob", "roles": "", "invited_by": "x"}
        )
    letter = await claimed(store, acme, database, clock)

    ((*row,),) = (await dump(superuser))["mail_outbox"]
    for cell in row:
        assert b"bob" not in (bytes(cell) if isinstance(cell, bytes | memoryview) else str(cell).encode())
    assert "sealed" not in repr(letter)


@pytest.mark.parametrize("kind", get_args(LetterKind))
async def test_every_kind_fits_its_column(store: Store, acme: Tenant, kind: LetterKind) -> None:
    async with store.for_tenant(acme.id) as mine:
        await mine.mail_outbox.add(kind, {})


async def test_a_letter_of_a_change_that_was_rolled_back_does_not_exist(
    store: Store, acme: Tenant, database: Database, clock: Clock
) -> None:
    async def change() -> None:
        async with store.for_tenant(acme.id) as mine:
            await mine.mail_outbox.add("reset", {"identifier": "alice"})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await change()

    assert await due(database, clock) == []


async def test_of_twenty_who_claim_a_letter_at_once_one_has_it(
    store: Store, acme: Tenant, database: Database, clock: Clock
) -> None:
    await add(store, acme)
    letter_id = await the_only(database, clock)

    found = await asyncio.gather(*(claim(store, acme, letter_id) for _ in range(20)))

    assert [letter.attempts for letter in found if letter is not None] == [1]


async def test_a_claimed_letter_is_not_due_until_its_lease_is_over(
    store: Store, acme: Tenant, database: Database, clock: Clock
) -> None:
    await add(store, acme)
    letter = await claimed(store, acme, database, clock)
    assert await due(database, clock) == []

    clock.advance(seconds=59)
    assert await due(database, clock) == []
    assert await claim(store, acme, letter.id) is None

    clock.advance(seconds=1)
    assert (await claimed(store, acme, database, clock)).attempts == 2


async def test_a_postponed_letter_comes_back_at_its_time(
    store: Store, acme: Tenant, database: Database, clock: Clock
) -> None:
    await add(store, acme)
    letter = await claimed(store, acme, database, clock)
    async with store.for_tenant(acme.id) as mine:
        await mine.mail_outbox.postpone(letter, clock() + timedelta(hours=1))

    clock.advance(minutes=59)
    assert await due(database, clock) == []
    clock.advance(minutes=1)
    assert await due(database, clock) == [(acme.id, letter.id)]


async def test_a_letter_that_nobody_looked_at_has_its_first_attempt_before_it(
    store: Store, acme: Tenant, database: Database, clock: Clock
) -> None:
    await add(store, acme)
    letter_id = await the_only(database, clock)
    async with store.for_tenant(acme.id) as mine:
        letter = await mine.mail_outbox.claim(letter_id, lease=LEASE)
        assert letter is not None
        await mine.mail_outbox.postpone(letter, clock() + LEASE, counted=False)
    assert await due(database, clock) == []

    clock.advance(minutes=1)

    assert (await claimed(store, acme, database, clock)).attempts == 1


async def test_who_lost_the_lease_cannot_give_the_letter_back(
    store: Store, acme: Tenant, database: Database, clock: Clock
) -> None:
    await add(store, acme)
    slow = await claimed(store, acme, database, clock)
    clock.advance(minutes=2)
    await claimed(store, acme, database, clock)

    async with store.for_tenant(acme.id) as mine:
        await mine.mail_outbox.postpone(slow, clock())

    assert await due(database, clock) == [], "the other process has it still"


async def test_a_letter_is_removed_once(store: Store, acme: Tenant, database: Database, clock: Clock) -> None:
    await add(store, acme)
    letter = await claimed(store, acme, database, clock)

    async with store.for_tenant(acme.id) as mine:
        assert await mine.mail_outbox.remove(letter)
    async with store.for_tenant(acme.id) as mine:
        assert not await mine.mail_outbox.remove(letter)

    clock.advance(days=1)
    assert await due(database, clock) == []


async def test_no_tenant_waits_behind_another_ones_letters(
    store: Store, acme: Tenant, globex: Tenant, database: Database, clock: Clock
) -> None:
    for _ in range(5):
        await add(store, acme)
    clock.advance(seconds=1)
    await add(store, globex)

    assert {tenant_id for tenant_id, _ in await due(database, clock, limit=2)} == {acme.id, globex.id}
    assert [tenant_id for tenant_id, _ in await due(database, clock)][2:] == [acme.id] * 4


@pytest.mark.parametrize("database_urls", ["sqlite"], indirect=True)  # the one that counts its steps
async def test_what_is_read_does_not_grow_with_what_waits(
    store: Store, acme: Tenant, globex: Tenant, database: Database, clock: Clock, superuser: AsyncEngine
) -> None:
    async def wait(number: int) -> None:
        rows = [
            {
                "tenant_id": acme.id,
                "id": uuid4(),
                "kind": "reset",
                "sealed_fields": b"",
                "created_at": clock(),
                "next_at": clock() - timedelta(seconds=place),
                "attempts": 0,
            }
            for place in range(number)
        ]
        async with superuser.begin() as connection:
            await connection.execute(insert(metadata.tables["mail_outbox"]), rows)

    async def steps() -> int:
        taken = []
        async with database.system_snapshot() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            assert driver is not None
            driver.set_progress_handler(lambda: taken.append(1), 10)
            try:
                found = await mail_outbox.due(connection, clock(), limit=10)
            finally:
                driver.set_progress_handler(None, 0)
        assert {tenant_id for tenant_id, _ in found} == {acme.id, globex.id}
        return len(taken)

    await wait(20)
    clock.advance(seconds=1)
    await add(store, globex)
    few = await steps()
    await wait(5000)

    assert await steps() <= few + 10


async def test_of_one_tenant_the_oldest_letter_comes_first(
    store: Store, acme: Tenant, database: Database, clock: Clock
) -> None:
    found = []
    for _ in range(3):
        await add(store, acme)
        found += [letter_id for _, letter_id in await due(database, clock) if letter_id not in found]
        clock.advance(seconds=1)

    assert [letter_id for _, letter_id in await due(database, clock)] == found


async def test_a_letter_of_another_tenant_is_none(
    store: Store, acme: Tenant, globex: Tenant, database: Database, clock: Clock
) -> None:
    await add(store, acme)
    letter_id = await the_only(database, clock)

    assert await claim(store, globex, letter_id) is None
    letter = await claimed(store, acme, database, clock)
    async with store.for_tenant(globex.id) as theirs:
        with pytest.raises(Unsealable):
            theirs.mail_outbox.open(letter)
        await theirs.mail_outbox.postpone(letter, clock())
        assert not await theirs.mail_outbox.remove(letter)
    assert await due(database, clock) == []


async def test_a_seal_moved_to_another_letter_does_not_open(
    store: Store, acme: Tenant, database: Database, clock: Clock
) -> None:
    await add(store, acme)
    letter = await claimed(store, acme, database, clock)

    async with store.for_tenant(acme.id, read_only=True) as mine:
        with pytest.raises(Unsealable):
            mine.mail_outbox.open(replace(letter, id=uuid4()))


async def test_letters_that_nobody_sent_are_forgotten(
    store: Store, acme: Tenant, database: Database, clock: Clock, superuser: AsyncEngine
) -> None:
    await add(store, acme)
    clock.advance(hours=1)
    await add(store, acme)

    async with database.system_step() as connection:
        await mail_outbox.prune(connection, clock())

    assert len((await dump(superuser))["mail_outbox"]) == 1


async def test_letters_under_another_master_key_do_not_open(
    store: Store, acme: Tenant, database: Database, clock: Clock, tmp_path_factory: pytest.TempPathFactory
) -> None:
    await add(store, acme)
    letter = await claimed(store, acme, database, clock)
    others = Store(database, MasterKeys.create(tmp_path_factory.mktemp("other") / "master.key"), clock)

    async with others.for_tenant(acme.id, read_only=True) as mine:
        with pytest.raises(Unsealable):
            mine.mail_outbox.open(letter)


async def test_letters_about_somebody_who_is_erased_are_removed_whatever_they_are(
    store: Store, acme: Tenant, database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail_outbox, "_READ_AT_ONCE", 2)
    alice = str(uuid4())
    for _ in range(3):
        await add(store, acme, "bob@example.com")
        await add(store, acme, "Alice@Example.com")
    async with store.for_tenant(acme.id) as mine:
        await mine.mail_outbox.add("factor_added", {"user_id": alice})
        await mine.mail_outbox.add("invite", {"email": "", "invited_by": "", "name": "bob", "roles": ""})
        assert await mine.mail_outbox.remove_about({"alice@example.com", alice}) == 4
        assert await mine.mail_outbox.remove_about({"alice@example.com", alice}) == 0
    assert len(await due(database, clock)) == 4


async def test_a_letter_that_nobody_can_open_keeps_no_other_from_being_removed(
    store: Store, acme: Tenant, database: Database, clock: Clock, superuser: AsyncEngine
) -> None:
    await add(store, acme)
    damaged = await the_only(database, clock)
    async with superuser.begin() as connection:
        await connection.execute(metadata.tables["mail_outbox"].update().values(sealed_fields=bytes(40)))
    await add(store, acme)
    async with store.for_tenant(acme.id) as mine:
        assert await mine.mail_outbox.remove_about({"alice@example.com"}) == 1
    assert await due(database, clock) == [(acme.id, damaged)]
