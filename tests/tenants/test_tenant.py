"""A tenant's settings and lifetimes, and the directory that finds it."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from tenants.audit_log import AuditLog
from tenants.database import Database
from tenants.directory import Directory
from tenants.errors import AlreadyExists, InvalidValue, NotFound
from tenants.jose import ALGORITHMS, Algorithm
from tenants.lifetimes import Lifetimes
from tenants.store import Store
from tenants.tenant import Tenant, algorithm
from tests.conftest import Clock
from tests.tenants.conftest import Household

# --- lifetimes


def test_what_is_not_set_is_the_default() -> None:
    assert Lifetimes.from_seconds({}) == Lifetimes()
    assert Lifetimes.from_seconds({"access_token": 60}) == Lifetimes(access_token=timedelta(minutes=1))


@pytest.mark.parametrize(
    "seconds",
    [
        {"access_tokens": 60},
        {"access_token": 0},
        {"access_token": -1},
        {"access_token": 24 * 3600 + 1},
        {"session": 10**20},
        {"refresh_idle": 0},
        {"refresh_grace": 61},
    ],
)
def test_a_lifetime_has_its_limits(seconds: dict[str, int]) -> None:
    with pytest.raises(InvalidValue):
        Lifetimes.from_seconds(seconds)


@pytest.mark.parametrize(
    ("name", "longest"),
    [
        ("login", timedelta(hours=1)),
        ("mfa_token", timedelta(hours=1)),
        ("reset_link", timedelta(days=1)),
        ("verification_link", timedelta(days=7)),
        ("invitation", timedelta(days=90)),
        ("trusted_device", timedelta(days=366)),
        ("known_device", timedelta(days=366)),
        ("known_network", timedelta(days=366)),
    ],
)
def test_what_lets_somebody_in_is_good_for_no_longer_than_makes_sense(name: str, longest: timedelta) -> None:
    seconds = int(longest.total_seconds())
    assert getattr(Lifetimes.from_seconds({name: seconds}), name) == longest
    with pytest.raises(InvalidValue, match="at most"):
        Lifetimes.from_seconds({name: seconds + 1})


async def test_lifetimes_are_replaced_as_a_whole(store: Store, acme: Tenant) -> None:
    for seconds in ({"access_token": 60, "session": 3600}, {"refresh_idle": 7200}, {}):
        async with store.for_tenant(acme.id) as mine:
            await mine.settings.set_lifetimes(seconds)
            found = await mine.settings.get()
        assert found is not None
        assert found.lifetimes == Lifetimes.from_seconds(seconds)


async def test_bad_lifetimes_change_nothing(store: Store, acme: Tenant) -> None:
    async with store.for_tenant(acme.id) as mine:
        with pytest.raises(InvalidValue):
            await mine.settings.set_lifetimes({"access_token": 10**9})
        assert await mine.settings.get() == acme


# --- settings


async def test_a_tenant_is_stored_as_it_was_made(store: Store, acme: Tenant, globex: Tenant) -> None:
    async with store.for_tenant(acme.id, read_only=True) as mine:
        assert await mine.settings.get() == acme


async def test_a_store_of_no_tenant_is_empty(store: Store, acme: Tenant) -> None:
    async with store.for_tenant(uuid4()) as mine:
        assert await mine.settings.get() is None
        assert await mine.users.list() == []
        assert await mine.keys.list() == []


async def test_a_tenant_can_be_suspended_and_resumed(store: Store, acme: Tenant) -> None:
    for active in (False, True):
        async with store.for_tenant(acme.id) as mine:
            await mine.settings.set_active(active)
            found = await mine.settings.get()
        assert found is not None
        assert found.active is active


async def test_the_default_client_is_one_of_the_tenants(store: Store, household: Household) -> None:
    async with store.for_tenant(household.tenant.id) as mine:
        await mine.settings.set_default_client("app")
        for unknown in ("nobody", "", "app\0", "x" * 1000):
            with pytest.raises(NotFound):
                await mine.settings.set_default_client(unknown)
        found = await mine.settings.get()
        assert found is not None
        assert found.default_client_id == "app"
        await mine.settings.set_default_client(None)
        found = await mine.settings.get()
    assert found is not None
    assert found.default_client_id is None


@pytest.mark.parametrize("name", ["", "x" * 201, "a\0", "a\nb", "a\ud800", "a\u202eb"])
async def test_a_display_name_is_printable(directory: Directory, name: str) -> None:
    with pytest.raises(InvalidValue):
        await directory.create(slug="acme", name=name, issuer="https://a.example", actor="test")
    assert await directory.find("acme") is None


def test_an_algorithm_is_one_of_the_known() -> None:
    assert [algorithm(name) for name in ALGORITHMS] == list(ALGORITHMS)
    for name in ("none", "HS256", "es256", ""):
        with pytest.raises(InvalidValue):
            algorithm(name)


# --- directory


@pytest.mark.parametrize("signing_alg", ALGORITHMS)
async def test_a_new_tenant_has_a_signing_key_a_next_one_and_an_event(
    database: Database, directory: Directory, store: Store, signing_alg: Algorithm
) -> None:
    made = await directory.create(
        slug="acme", name="Acme", issuer="https://a.example/t/acme", signing_alg=signing_alg, actor="operator"
    )
    assert made.signing_alg == signing_alg
    async with store.for_tenant(made.id, read_only=True) as mine:
        assert [(key.alg, key.state) for key in await mine.keys.list()] in (
            [(signing_alg, "active"), (signing_alg, "next")],
            [(signing_alg, "next"), (signing_alg, "active")],
        )
    log = AuditLog(database)
    await log.sequence()
    (entry,) = await log.newest(made.id, limit=10)
    assert entry.event is not None
    assert b'"actor":"operator"' in entry.event
    assert b'"type":"tenant.created"' in entry.event


async def test_a_tenant_is_found_by_its_slug_as_it_is(directory: Directory, store: Store, acme: Tenant) -> None:
    assert await directory.find("acme") == acme
    for other in ("Acme", "acme ", "", "globex"):
        assert await directory.find(other) is None
    async with store.for_tenant(acme.id) as mine:
        await mine.settings.set_active(False)
    found = await directory.find("acme")
    assert found is not None
    assert not found.active


async def test_slug_and_issuer_are_taken_once_in_the_cluster(directory: Directory, acme: Tenant) -> None:
    for taken in ({"slug": "acme", "issuer": "https://other.example"}, {"slug": "other", "issuer": acme.issuer}):
        with pytest.raises(AlreadyExists):
            await directory.create(name="Other", actor="test", **taken)
    assert await directory.list() == [acme]


async def test_of_ten_creations_at_once_one_wins_and_the_others_leave_nothing(
    database: Database, directory: Directory, store: Store
) -> None:
    async def create() -> Tenant | None:
        try:
            return await directory.create(slug="acme", name="Acme", issuer="https://a.example", actor="test")
        except AlreadyExists:
            return None

    (winner,) = [made for made in await asyncio.gather(*(create() for _ in range(10))) if made is not None]
    assert await directory.list() == [winner]
    assert await AuditLog(database).sequence() == 1


async def test_the_directory_goes_on_where_it_stopped(directory: Directory, clock: Clock) -> None:
    for number in range(5):
        await directory.create(slug=f"t{number}", name="T", issuer=f"https://t{number}.example", actor="test")
    seen: list[Any] = []
    while page := await directory.list(after=seen[-1] if seen else "", limit=2):
        seen += [tenant.slug for tenant in page]
    assert seen == [f"t{number}" for number in range(5)]
