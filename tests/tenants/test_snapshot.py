"""The snapshot: what a process knows, and that it hears of every change."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from policies.principal import Principal
from tenants import changes, key_schedule, revocations
from tenants import snapshot as module
from tenants.database import CONNECTIONS, Database
from tenants.directory import Directory
from tenants.revocations import LONGEST_ACCESS_TOKEN, Revocation, RevocationKind
from tenants.snapshot import FEED_RETENTION, Snapshot, TenantFacts
from tenants.store import Store
from tenants.tables import changes as feed
from tenants.tables import tenants
from tenants.tenant import Tenant
from tests.conftest import Clock
from tests.tenants.conftest import Household, an_app


def a_principal(tenant_id: UUID, clock: Clock, **changes_: Any) -> Principal:
    issued_at = int(clock().timestamp())
    fields: dict[str, Any] = {
        "tenant": "acme",
        "subject": "alice",
        "client_id": "app",
        "scopes": frozenset(),
        "audiences": frozenset(),
        "token_id": "jti",
        "issued_at": issued_at,
        "expires_at": issued_at + 300,
        "session_id": "sid",
    }
    return Principal(tenant_id=tenant_id, **fields | changes_)


async def test_a_new_snapshot_knows_nothing_and_says_so(snapshot: Snapshot, acme: Tenant) -> None:
    assert snapshot.by_slug("acme") is None
    assert snapshot.silent_for() == float("inf")
    assert snapshot.version == 0


async def test_tenants_are_loaded_in_portions_that_leave_none_out_and_others_their_turn(
    directory: Directory, store: Store, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer = "https://auth.example.com/t/t{}"
    made = [
        await directory.create(slug=f"t{number}", name="T", issuer=issuer.format(number), actor="test")
        for number in range(6)
    ]
    read = 0
    in_one_go = [0]

    def facts(*fields: Any) -> TenantFacts:
        nonlocal read
        read += 1
        return TenantFacts(*fields)

    async def others() -> None:
        nonlocal read
        while True:
            in_one_go.append(read)
            read = 0
            await asyncio.sleep(0)

    monkeypatch.setattr(module, "TenantFacts", facts)
    monkeypatch.setattr(module, "AT_ONCE", 2)
    beside = asyncio.create_task(others())
    await snapshot.load()
    await asyncio.sleep(0)
    assert {tenant.id for tenant in snapshot.all()} == {tenant.id for tenant in made}
    assert (max(in_one_go), sum(in_one_go)) == (2, 6)
    for tenant in made:
        async with store.for_tenant(tenant.id) as mine:
            await mine.settings.set_active(False)
    in_one_go.clear()
    await snapshot.poll()
    await asyncio.sleep(0)
    beside.cancel()
    assert not any(tenant.active for tenant in snapshot.all())
    assert (max(in_one_go), sum(in_one_go)) == (2, 6)


async def test_the_first_poll_loads_everything(store: Store, snapshot: Snapshot, acme: Tenant, globex: Tenant) -> None:
    await snapshot.poll()
    for tenant in (acme, globex):
        facts = snapshot.by_slug(tenant.slug)
        assert facts is not None
        assert facts is snapshot.by_issuer(tenant.issuer) is snapshot.by_id(tenant.id)
        assert (facts.id, facts.slug, facts.issuer, facts.active) == (tenant.id, tenant.slug, tenant.issuer, True)
        async with store.for_tenant(tenant.id, read_only=True) as mine:
            kids = [key.kid for key in await mine.keys.list()]
        assert set(facts.keys) == set(kids)
        for kid in kids:
            key = snapshot.verifying_key(tenant.id, kid)
            assert key is not None
            assert key.kid == kid


async def test_a_key_is_found_in_its_own_tenant_only(snapshot: Snapshot, acme: Tenant, globex: Tenant) -> None:
    await snapshot.load()
    facts = snapshot.by_id(acme.id)
    assert facts is not None
    for kid in facts.keys:
        assert snapshot.verifying_key(globex.id, kid) is None
        assert snapshot.verifying_key(uuid4(), kid) is None


@pytest.mark.parametrize("name", ["Acme", "acme ", "", "globex"])
async def test_a_slug_is_never_folded(snapshot: Snapshot, acme: Tenant, name: str) -> None:
    await snapshot.load()
    assert snapshot.by_slug(name) is None
    assert snapshot.by_issuer(acme.issuer.replace("acme", name)) is None


async def test_a_poll_hears_of_a_new_tenant(snapshot: Snapshot, acme: Tenant, directory: Directory) -> None:
    await snapshot.load()
    version = snapshot.version
    made = await directory.create(slug="globex", name="Globex", issuer="https://globex.example", actor="test")
    assert snapshot.by_slug("globex") is None
    assert await snapshot.poll() == 1
    facts = snapshot.by_slug("globex")
    assert facts is not None
    assert facts.id == made.id
    assert len(facts.keys) == 2
    assert snapshot.version > version
    assert snapshot.by_slug("acme") is not None


async def test_a_poll_hears_of_a_suspension_and_of_its_end(store: Store, snapshot: Snapshot, acme: Tenant) -> None:
    await snapshot.load()
    for active in (False, True):
        async with store.for_tenant(acme.id) as mine:
            await mine.settings.set_active(active)
        await snapshot.poll()
        facts = snapshot.by_issuer(acme.issuer)
        assert facts is not None
        assert facts.active is active


@pytest.mark.parametrize(
    "provider", [{"require_all": True}, {"key_rotation": "soon"}, {"key_rotation": 1e300}, {"scope_claims": [1]}]
)
async def test_a_tenant_that_cannot_be_read_is_not_there_and_keeps_no_other_one_from_being_heard(
    superuser: AsyncEngine,
    database: Database,
    store: Store,
    snapshot: Snapshot,
    acme: Tenant,
    globex: Tenant,
    clock: Clock,
    provider: dict[str, Any],
) -> None:
    await snapshot.load()
    async with superuser.begin() as connection:
        await connection.execute(update(tenants).where(tenants.c.id == acme.id).values(provider=provider))
    for tenant in (acme, globex):
        async with store.for_tenant(tenant.id) as mine:
            await mine.clients.create(an_app(origins=("https://app.example.com",)))
    with capture_logs() as lines:
        await snapshot.poll()
        clock.advance(days=91)
        async with database.system_snapshot() as connection:
            due = await key_schedule.due_tenants(connection, clock())
    assert snapshot.by_slug("acme") is None
    heard = snapshot.by_slug("globex")
    assert heard is not None
    assert heard.origins == {"https://app.example.com"}
    assert globex.id in due
    assert acme.id not in due
    assert [(line["event"], line["tenant_id"]) for line in lines] == [("tenant_unreadable", str(acme.id))] * 2


async def test_a_poll_hears_of_every_move_of_a_key(
    store: Store, snapshot: Snapshot, acme: Tenant, clock: Clock
) -> None:
    async def known() -> dict[str, bool]:
        await snapshot.poll()
        async with store.for_tenant(acme.id, read_only=True) as mine:
            keys = await mine.keys.list()
        return {key.state: snapshot.verifying_key(acme.id, key.kid) is not None for key in keys}

    await snapshot.load()
    assert await known() == {"active": True, "next": True}
    async with store.for_tenant(acme.id) as mine:
        await mine.keys.rotate("ES256", force=True)
    assert await known() == {"active": True, "next": True, "retiring": True}
    clock.advance(days=2)
    async with store.for_tenant(acme.id) as mine:
        await mine.keys.advance("ES256")
    assert await known() == {"active": True, "next": True, "retired": False}
    async with store.for_tenant(acme.id) as mine:
        await mine.keys.revoke((await mine.keys.signing()).kid, "ES256")
    assert await known() == {"active": True, "next": True, "retired": False, "revoked": False}


async def test_a_poll_hears_of_a_clients_origins(store: Store, snapshot: Snapshot, acme: Tenant) -> None:
    async def origins() -> frozenset[str]:
        await snapshot.poll()
        facts = snapshot.by_slug("acme")
        assert facts is not None
        return facts.origins

    await snapshot.load()
    assert await origins() == frozenset()
    async with store.for_tenant(acme.id) as mine:
        await mine.clients.create(an_app("one", origins=("https://a.example", "https://b.example")))
        await mine.clients.create(an_app("two", origins=("https://b.example", "http://localhost:*")))
    assert await origins() == {"https://a.example", "https://b.example", "http://localhost:*"}
    async with store.for_tenant(acme.id) as mine:
        await mine.clients.set_active("one", False)
    assert await origins() == {"https://b.example", "http://localhost:*"}


async def test_a_poll_without_news_changes_no_version(snapshot: Snapshot, acme: Tenant) -> None:
    await snapshot.load()
    version = snapshot.version
    assert await snapshot.poll() == 0
    assert snapshot.version == version


# --- how fresh it is


async def test_silence_is_counted_from_the_last_answer(snapshot: Snapshot, acme: Tenant, clock: Clock) -> None:
    await snapshot.load()
    assert snapshot.silent_for() == 0
    clock.advance(seconds=42)
    assert snapshot.silent_for() == 42
    await snapshot.poll()
    assert snapshot.silent_for() == 0


async def test_a_poll_that_failed_is_no_answer(
    database: Database, snapshot: Snapshot, acme: Tenant, clock: Clock, superuser: AsyncEngine
) -> None:
    await snapshot.load()
    clock.advance(seconds=5)
    async with superuser.begin() as connection:
        await connection.exec_driver_sql("ALTER TABLE changes RENAME TO gone")
    with pytest.raises(Exception, match="changes"):
        await snapshot.poll()
    assert snapshot.silent_for() == 5
    assert snapshot.by_slug("acme") is not None


async def test_a_poll_that_has_not_heard_everything_is_not_fresh(
    snapshot: Snapshot, acme: Tenant, clock: Clock, superuser: AsyncEngine
) -> None:
    await snapshot.load()
    told = {"tenant_id": acme.id, "kind": "tenant", "ref": "", "at": clock()}
    async with superuser.begin() as connection:
        await connection.execute(feed.insert().inline(), [told] * (changes.BATCH + 2))
    clock.advance(seconds=10)
    assert await snapshot.poll() == changes.BATCH
    assert snapshot.silent_for() == 10
    assert await snapshot.poll() == 2
    assert snapshot.silent_for() == 0


async def test_after_a_long_silence_everything_is_loaded_anew(
    database: Database, store: Store, snapshot: Snapshot, acme: Tenant, clock: Clock
) -> None:
    await snapshot.load()
    async with store.for_tenant(acme.id) as mine:
        await mine.settings.set_active(False)
        await mine.revocations.revoke("token", "jti")
    clock.advance(hours=3)
    async with store.for_tenant(acme.id) as mine:
        await mine.clients.create(an_app(origins=("https://a.example",)))
    async with database.system_step() as connection:
        await changes.prune(connection, clock() - FEED_RETENTION)
    await snapshot.poll()
    facts = snapshot.by_slug("acme")
    assert facts is not None
    assert not facts.active
    assert facts.origins == {"https://a.example"}
    assert snapshot.revoked(a_principal(acme.id, clock, issued_at=0))
    assert snapshot.silent_for() == 0


async def test_a_database_that_was_restored_is_loaded_anew(
    store: Store, snapshot: Snapshot, acme: Tenant, superuser: AsyncEngine
) -> None:
    async with store.for_tenant(acme.id) as mine:
        await mine.settings.set_active(False)
    await snapshot.load()
    async with superuser.begin() as connection:  # as if a fail-over had lost the newest change, and its number
        await connection.execute(feed.delete().where(feed.c.seq > 1))
        await connection.exec_driver_sql("UPDATE tenants SET active = true")
    await snapshot.poll()
    facts = snapshot.by_slug("acme")
    assert facts is not None
    assert facts.active


async def test_a_tenant_that_is_gone_is_forgotten(
    store: Store, snapshot: Snapshot, acme: Tenant, globex: Tenant, superuser: AsyncEngine
) -> None:
    await snapshot.load()
    async with store.for_tenant(acme.id) as mine:
        await mine.settings.set_active(False)
    async with superuser.begin() as connection:
        await connection.exec_driver_sql("DELETE FROM tenants WHERE slug = 'acme'")
    await snapshot.poll()
    assert snapshot.by_slug("acme") is snapshot.by_issuer(acme.issuer) is snapshot.by_id(acme.id) is None
    assert snapshot.by_slug("globex") is not None


# --- revocation


REVOKED: list[tuple[RevocationKind, str]] = [
    ("session", "sid"),
    ("grant", "sid:app"),
    ("subject", "alice"),
    ("client", "app"),
    ("token", "jti"),
]


@pytest.mark.parametrize(("kind", "value"), REVOKED)
async def test_what_was_issued_until_a_revocation_is_refused(
    store: Store, snapshot: Snapshot, acme: Tenant, globex: Tenant, clock: Clock, kind: RevocationKind, value: str
) -> None:
    await snapshot.load()
    clock.advance(microseconds=600_000)
    earlier, of_this_second = a_principal(acme.id, clock, issued_at=0), a_principal(acme.id, clock)
    assert not snapshot.revoked(earlier)
    async with store.for_tenant(acme.id) as mine:
        await mine.revocations.revoke(kind, value)
    await snapshot.poll()
    assert snapshot.revoked(earlier)
    assert snapshot.revoked(of_this_second)  # ``iat`` has whole seconds: it may be older
    assert not snapshot.revoked(a_principal(globex.id, clock, issued_at=0))
    other = {"session_id": "other", "subject": "other", "client_id": "other", "token_id": "other"}
    assert not snapshot.revoked(a_principal(acme.id, clock, issued_at=0, **other))
    clock.advance(seconds=1)
    assert not snapshot.revoked(a_principal(acme.id, clock))


@pytest.mark.parametrize(("kind", "value"), REVOKED)
async def test_the_kinds_are_not_mixed_up(
    store: Store, snapshot: Snapshot, acme: Tenant, clock: Clock, kind: RevocationKind, value: str
) -> None:
    async with store.for_tenant(acme.id) as mine:
        for other, _ in REVOKED:
            if other != kind:
                await mine.revocations.revoke(other, value)
    await snapshot.load()
    assert not snapshot.revoked(a_principal(acme.id, clock))


@pytest.mark.parametrize(("kind", "value"), REVOKED)
async def test_what_is_forbidden_is_refused_whenever_it_was_issued(
    store: Store, snapshot: Snapshot, acme: Tenant, clock: Clock, kind: RevocationKind, value: str
) -> None:
    async with store.for_tenant(acme.id) as mine:
        await mine.revocations.forbid(kind, value)
    await snapshot.load()
    clock.advance(minutes=1)  # by another process's clock, or by a login that was in flight
    assert snapshot.revoked(a_principal(acme.id, clock))


async def test_a_client_without_a_session_is_asked_about_what_it_has(
    store: Store, snapshot: Snapshot, acme: Tenant, clock: Clock
) -> None:
    async with store.for_tenant(acme.id) as mine:
        await mine.revocations.revoke("session", "None")
    await snapshot.load()
    assert not snapshot.revoked(a_principal(acme.id, clock, session_id=None))


async def test_a_disabled_user_is_refused_until_enabled_and_older_tokens_for_good(
    store: Store, snapshot: Snapshot, household: Household, clock: Clock
) -> None:
    def token() -> Principal:
        return a_principal(household.tenant.id, clock, subject=str(household.user_id))

    async def set_active(active: bool) -> None:
        async with store.for_tenant(household.tenant.id) as mine:
            await mine.users.set_active(household.user_id, active)
        assert await snapshot.poll() == 1

    await snapshot.load()
    before = token()
    await set_active(False)
    clock.advance(seconds=30)
    while_disabled = token()
    assert snapshot.revoked(before)
    assert snapshot.revoked(while_disabled)
    clock.advance(seconds=1)
    await set_active(True)
    assert snapshot.revoked(before)
    assert snapshot.revoked(while_disabled)
    assert not snapshot.revoked(token())


async def test_a_disabled_client_is_refused_until_enabled_and_older_tokens_for_good(
    store: Store, snapshot: Snapshot, household: Household, clock: Clock
) -> None:
    await snapshot.load()
    before = a_principal(household.tenant.id, clock)
    for active in (False, True):
        async with store.for_tenant(household.tenant.id) as mine:
            await mine.clients.set_active("app", active)
        await snapshot.poll()
        clock.advance(seconds=1)
        assert snapshot.revoked(a_principal(household.tenant.id, clock)) is not active
        assert snapshot.revoked(before)
        clock.advance(seconds=1)


async def test_a_later_revocation_moves_the_moment_and_an_earlier_one_does_not(
    store: Store, acme: Tenant, clock: Clock
) -> None:
    moments = []
    for seconds in (10, -5, 3):
        clock.advance(seconds=seconds)
        async with store.for_tenant(acme.id) as mine:
            await mine.revocations.revoke("subject", "alice")
            (found,) = await mine.revocations.list()
        moments.append((found.before - acme.created_at).total_seconds())
    assert moments == [10, 10, 10]


async def test_a_revocation_is_kept_until_the_last_token_that_it_stops_has_expired(
    database: Database, store: Store, snapshot: Snapshot, acme: Tenant, clock: Clock
) -> None:
    async with store.for_tenant(acme.id) as mine:
        await mine.revocations.revoke("subject", "alice")
    await snapshot.load()
    token = a_principal(acme.id, clock)

    async def sweep() -> bool:
        async with database.system_step() as connection:
            await revocations.prune(connection, clock())
        await snapshot.forget_expired()
        await snapshot.load()
        return snapshot.revoked(token)

    clock.advance(seconds=LONGEST_ACCESS_TOKEN.total_seconds())
    assert await sweep()
    clock.advance(hours=1)
    assert not await sweep()
    async with store.for_tenant(acme.id, read_only=True) as mine:
        assert await mine.revocations.list() == []


async def test_two_hundred_revocations_are_heard_in_one_poll(
    store: Store, snapshot: Snapshot, acme: Tenant, clock: Clock
) -> None:
    await snapshot.load()
    async with store.for_tenant(acme.id) as mine:
        for number in range(200):
            await mine.revocations.forbid("token", f"jti-{number}")
    assert await snapshot.poll() == 200
    assert all(snapshot.revoked(a_principal(acme.id, clock, token_id=f"jti-{number}")) for number in range(200))


async def test_revocations_are_read_in_portions_that_leave_none_out_and_others_their_turn(
    store: Store, snapshot: Snapshot, acme: Tenant, globex: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = 0
    in_one_go = [0]

    def revocation(*fields: Any) -> Revocation:
        nonlocal read
        read += 1
        return Revocation(*fields)

    async def others() -> None:
        nonlocal read
        while True:
            in_one_go.append(read)
            read = 0
            await asyncio.sleep(0)

    async def revoke() -> None:
        for tenant in (acme, globex):
            async with store.for_tenant(tenant.id) as mine:
                await mine.revocations.forbid_all("token", ["a", "b", "c"])
                await mine.revocations.revoke("subject", "alice")

    monkeypatch.setattr(revocations, "Revocation", revocation)
    monkeypatch.setattr(revocations, "AT_ONCE", 2)
    await snapshot.load()
    beside = asyncio.create_task(others())
    await revoke()
    await snapshot.poll()
    await asyncio.sleep(0)
    assert (max(in_one_go), sum(in_one_go)) == (2, 8)
    in_one_go.clear()
    clock.advance(seconds=1)
    await revoke()
    await snapshot.load()
    await asyncio.sleep(0)
    beside.cancel()
    assert (max(in_one_go), sum(in_one_go)) == (2, 8)
    assert all(
        snapshot.revoked(a_principal(tenant.id, clock, token_id=jti)) for tenant in (acme, globex) for jti in "abc"
    )


@pytest.mark.parametrize("database_urls", ["postgresql"], indirect=True)
async def test_it_hears_of_changes_whatever_all_other_connections_wait_for(
    database: Database, store: Store, snapshot: Snapshot, acme: Tenant, clock: Clock
) -> None:
    await snapshot.load()
    async with AsyncExitStack() as busy:
        for _ in range(CONNECTIONS // 2):
            await busy.enter_async_context(database.system_snapshot())
        async with store.for_tenant(acme.id) as mine:
            await mine.revocations.revoke("subject", "alice")
        async with asyncio.timeout(5):
            await snapshot.poll()
        assert snapshot.revoked(a_principal(acme.id, clock))
        async with asyncio.timeout(5):
            await snapshot.load()


async def test_a_change_is_a_new_version_of_its_tenant_and_of_no_other(
    store: Store, snapshot: Snapshot, acme: Tenant, globex: Tenant
) -> None:
    await snapshot.poll()
    before = {tenant.id: snapshot.version_of(tenant.id) for tenant in (acme, globex)}
    async with store.for_tenant(acme.id) as mine:
        await mine.revocations.revoke("subject", "alice")
    await snapshot.poll()
    assert snapshot.version_of(acme.id) > before[acme.id]
    assert snapshot.version_of(globex.id) == before[globex.id]
    await snapshot.poll()
    seen = snapshot.version_of(acme.id)
    await snapshot.load()  # anything may have changed
    assert snapshot.version_of(acme.id) > seen
    assert snapshot.version_of(globex.id) > before[globex.id]
