"""API keys in the snapshot: heard of within a poll, found in their own tenant only, cheap, and forgotten in time."""

import asyncio
import tracemalloc
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, insert, update
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from tenants import known_keys
from tenants.api_key import KnownKey, digest, named_tenant, new_text
from tenants.api_keys import KEPT, ApiKey
from tenants.known_keys import KnownKeys
from tenants.provider_tables import api_keys as table
from tenants.snapshot import FEED_RETENTION, Snapshot
from tenants.store import Store
from tenants.tables import changes as feed
from tenants.tables import metadata
from tenants.tenant import Tenant
from tests.conftest import Clock
from tests.tenants.conftest import API


async def make(store: Store, tenant: Tenant, **changes: Any) -> tuple[ApiKey, str]:
    asked: dict[str, Any] = {"scopes": ["orders:read"], "audiences": [API], "lifetime": timedelta(days=1)}
    async with store.for_tenant(tenant.id) as mine:
        return await mine.api_keys.create("n", **asked | changes)


def known(snapshot: Snapshot, text: str, tenant_id: UUID | None = None) -> KnownKey | None:
    named = named_tenant(text.encode())
    assert named is not None
    return snapshot.api_key(tenant_id or named, digest(text.encode()))


async def test_a_new_key_and_its_revocation_are_heard_within_a_poll(
    store: Store, snapshot: Snapshot, acme: Tenant, clock: Clock
) -> None:
    await snapshot.load()
    made, text = await make(store, acme)
    assert known(snapshot, text) is None
    assert await snapshot.poll() == 1
    at = clock().timestamp()
    assert known(snapshot, text) == KnownKey(
        made.id, frozenset({"orders:read"}), frozenset({API}), at, at + 24 * 3600, None
    )
    version = snapshot.version
    async with store.for_tenant(acme.id) as mine:
        await mine.api_keys.revoke(made.id)
    await snapshot.poll()
    found = known(snapshot, text)
    assert found is not None
    assert found.revoked_at == at
    assert snapshot.version > version


async def test_what_is_loaded_is_what_was_heard(store: Store, snapshot: Snapshot, acme: Tenant, globex: Tenant) -> None:
    await snapshot.load()
    texts = [(await make(store, tenant, lifetime=None))[1] for tenant in (acme, globex, acme)]
    await snapshot.poll()
    heard = [known(snapshot, text) for text in texts]
    await snapshot.load()
    assert None not in heard
    assert [known(snapshot, text) for text in texts] == heard


async def test_a_key_is_found_in_its_own_tenant_only(
    store: Store, snapshot: Snapshot, acme: Tenant, globex: Tenant
) -> None:
    _, text = await make(store, acme)
    await make(store, globex)
    await snapshot.load()
    assert known(snapshot, text) is not None
    assert known(snapshot, text, globex.id) is None
    assert known(snapshot, text, uuid4()) is None


async def test_a_row_of_the_same_hash_in_another_tenant_takes_nothing_over(
    store: Store, snapshot: Snapshot, acme: Tenant, globex: Tenant, superuser: AsyncEngine, clock: Clock
) -> None:
    made, text = await make(store, acme)
    forged = {
        "tenant_id": globex.id,
        "id": made.id,
        "digest": digest(text.encode()),
        "name": "forged",
        "scopes": ["admin"],
        "audiences": [API],
        "created_at": clock(),
    }
    await snapshot.load()
    async with superuser.begin() as connection:
        await connection.execute(insert(metadata.tables["api_keys"]), forged)
        change = {"tenant_id": globex.id, "kind": "api_key", "ref": str(made.id), "at": clock()}
        await connection.execute(insert(feed).inline(), change)
    for ask in (snapshot.poll, snapshot.load):
        await ask()
        found = known(snapshot, text)
        assert found is not None
        assert found.scopes == {"orders:read"}


async def test_a_change_of_one_tenants_key_reads_no_row_of_another_tenant(
    store: Store, snapshot: Snapshot, acme: Tenant, globex: Tenant, superuser: AsyncEngine, clock: Clock
) -> None:
    made, text = await make(store, acme)
    await snapshot.load()
    before = known(snapshot, text)
    async with superuser.begin() as connection:
        change = {"tenant_id": globex.id, "kind": "api_key", "ref": str(made.id), "at": clock()}
        await connection.execute(insert(feed).inline(), change)
    assert await snapshot.poll() == 1
    assert before is not None
    assert known(snapshot, text) is before


async def test_a_key_whose_row_is_gone_is_forgotten_and_no_other_one(
    store: Store, snapshot: Snapshot, acme: Tenant, globex: Tenant, superuser: AsyncEngine, clock: Clock
) -> None:
    (gone, text), (_, other), (_, theirs) = [await make(store, tenant) for tenant in (acme, acme, globex)]
    await snapshot.load()
    async with superuser.begin() as connection:
        await connection.execute(delete(table).where(table.c.id == gone.id))
        for tenant_id in (acme.id, globex.id):
            change = {"tenant_id": tenant_id, "kind": "api_key", "ref": str(gone.id), "at": clock()}
            await connection.execute(insert(feed).inline(), change)
    await snapshot.poll()
    assert [known(snapshot, one) is not None for one in (text, other, theirs)] == [False, True, True]


async def test_what_another_version_says_of_keys_stops_nothing(
    store: Store, snapshot: Snapshot, acme: Tenant, superuser: AsyncEngine, clock: Clock
) -> None:
    await snapshot.load()
    told = {"tenant_id": acme.id, "kind": "api_key", "ref": "all of them", "at": clock()}
    async with superuser.begin() as connection:
        await connection.execute(insert(feed).inline(), told)
    _, text = await make(store, acme)
    assert await snapshot.poll() == 2
    assert known(snapshot, text) is not None


@pytest.mark.parametrize("damaged", [{"scopes": {"admin": True}}, {"scopes": "admin"}, {"audiences": [1]}])
async def test_a_key_that_cannot_be_read_is_not_there_and_keeps_no_other_one_from_being_heard(
    store: Store, snapshot: Snapshot, acme: Tenant, superuser: AsyncEngine, damaged: dict[str, Any]
) -> None:
    await snapshot.load()
    made, text = await make(store, acme)
    async with superuser.begin() as connection:
        await connection.execute(update(table).where(table.c.id == made.id).values(**damaged))
    _, other = await make(store, acme)
    for ask in (snapshot.poll, snapshot.load):
        with capture_logs() as lines:
            await ask()
        assert known(snapshot, text) is None
        assert known(snapshot, other) is not None
        assert [(line["event"], line["id"]) for line in lines] == [("api_key_unreadable", str(made.id))]


async def test_a_change_of_a_key_reads_no_tenant_anew(store: Store, snapshot: Snapshot, acme: Tenant) -> None:
    await snapshot.load()
    facts = snapshot.by_id(acme.id)
    await make(store, acme)
    await snapshot.poll()
    assert snapshot.by_id(acme.id) is facts


async def test_a_change_of_the_tenant_leaves_its_keys(store: Store, snapshot: Snapshot, acme: Tenant) -> None:
    _, text = await make(store, acme)
    await snapshot.load()
    found = known(snapshot, text)
    async with store.for_tenant(acme.id) as mine:
        await mine.settings.set_active(False)
    await snapshot.poll()
    assert found is not None
    assert known(snapshot, text) is found


async def test_after_a_long_silence_keys_are_loaded_anew(
    store: Store, snapshot: Snapshot, acme: Tenant, clock: Clock
) -> None:
    made, text = await make(store, acme)
    await snapshot.load()
    async with store.for_tenant(acme.id) as mine:
        await mine.api_keys.revoke(made.id)
    clock.advance(seconds=FEED_RETENTION.total_seconds())
    assert await snapshot.poll() == 0
    found = known(snapshot, text)
    assert found is not None
    assert found.revoked_at is not None


async def test_keys_that_ended_long_ago_do_not_add_up(
    store: Store, snapshot: Snapshot, acme: Tenant, clock: Clock
) -> None:
    expired, revoked, lasting = [await make(store, acme, lifetime=life) for life in (timedelta(1), None, None)]
    await snapshot.load()
    async with store.for_tenant(acme.id) as mine:
        await mine.api_keys.revoke(revoked[0].id)
    await snapshot.poll()
    clock.advance(seconds=(KEPT + timedelta(days=1, seconds=1)).total_seconds())
    snapshot._heard(clock.monotonic())  # else so long a silence has everything loaded anew
    await make(store, acme)
    assert await snapshot.poll() == 1
    assert [known(snapshot, text) is not None for _, text in (expired, revoked, lasting)] == [False, False, True]


@pytest.mark.parametrize("number", [0, 1, 2, 3, 4])
async def test_keys_are_loaded_in_portions_that_leave_none_out(
    store: Store, snapshot: Snapshot, acme: Tenant, globex: Tenant, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(known_keys, "AT_ONCE", 2)
    texts = [(await make(store, tenant))[1] for tenant in (acme, globex) for _ in range(number)]
    await snapshot.load()
    assert all(known(snapshot, text) is not None for text in texts)


async def test_others_have_their_turn_while_many_keys_are_loaded(
    store: Store, snapshot: Snapshot, acme: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(11):
        await make(store, acme)
    made = 0
    in_one_go = [0]

    def making(*fields: Any) -> KnownKey:
        nonlocal made
        made += 1
        return KnownKey(*fields)

    async def others() -> None:
        nonlocal made
        while True:
            in_one_go.append(made)
            made = 0
            await asyncio.sleep(0)

    monkeypatch.setattr(known_keys, "KnownKey", making)
    monkeypatch.setattr(known_keys, "AT_ONCE", 3)
    beside = asyncio.create_task(others())
    await snapshot.load()
    await asyncio.sleep(0)
    beside.cancel()
    assert (max(in_one_go), sum(in_one_go)) == (3, 11)


async def test_keys_that_are_alike_share_what_is_alike_also_when_they_are_heard_one_by_one(
    store: Store, snapshot: Snapshot, acme: Tenant, globex: Tenant
) -> None:
    _, first = await make(store, acme)
    await snapshot.load()
    _, second = await make(store, acme)
    await snapshot.poll()
    _, third = await make(store, globex)
    await snapshot.poll()
    found = [key for key in (known(snapshot, text) for text in (first, second, third)) if key is not None]
    assert len(found) == 3
    assert len({id(key.scopes) for key in found}) == len({id(key.audiences) for key in found}) == 1


async def test_what_keys_share_is_bounded(
    store: Store, snapshot: Snapshot, acme: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_keys, "_MOST_SHARED", 4)
    await snapshot.load()
    texts = [(await make(store, acme, scopes=[f"s{number}"]))[1] for number in range(10)]
    for ask in (snapshot.poll, snapshot.load):
        await ask()
        assert len(snapshot._api_keys._shared) <= 4
        found = [known(snapshot, text) for text in texts]
        assert [key and key.scopes for key in found] == [{f"s{number}"} for number in range(10)]


async def test_a_key_takes_little_memory(snapshot: Snapshot, superuser: AsyncEngine, clock: Clock) -> None:
    """Ten thousand tenants with five keys each take 18 MB [measured]: 364 bytes a key, the tenants' own facts aside."""
    tenant_ids = [uuid4() for _ in range(300)]
    homes = [
        {
            "id": tenant_id,
            "slug": f"t{number}",
            "name": "T",
            "issuer": f"https://auth.example.com/t/t{number}",
            "active": True,
            "signing_alg": "ES256",
            "lifetimes": {},
            "people": {},
            "branding": {},
            "provider": {},
            "created_at": clock(),
        }
        for number, tenant_id in enumerate(tenant_ids)
    ]
    rows = [
        {
            "tenant_id": tenant_id,
            "id": uuid4(),
            "digest": digest(new_text(tenant_id).encode()),
            "name": "n",
            "scopes": ["orders:read", "orders:write"],
            "audiences": [API],
            "created_at": clock(),
            "expires_at": clock() + timedelta(days=365),
        }
        for tenant_id in tenant_ids
        for _ in range(5)
    ]
    async with superuser.begin() as connection:
        await connection.execute(insert(metadata.tables["tenants"]), homes)
        await connection.execute(insert(metadata.tables["api_keys"]), rows)
    del homes, rows
    tracemalloc.start()
    try:
        await snapshot.load()
        with_keys, _ = tracemalloc.get_traced_memory()
        snapshot._api_keys = KnownKeys()
        without, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (with_keys - without) / 1500 < 500
