"""What is done now and then for all tenants, on both databases; a second process finds nothing left to do."""

import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select
from structlog.testing import capture_logs

from gateway.housekeeping import Housekeeping
from policies.decision import Allow
from policies.key_rotation import KeyState
from policies.throttle import REMEMBERED
from tenants import deletion, pruning, throttles
from tenants import logins as logins_store
from tenants import refresh_tokens as refresh_tokens_store
from tenants import sessions as sessions_store
from tenants.audit_event import Event
from tenants.audit_keys import AuditKeys
from tenants.audit_log import AuditLog
from tenants.audit_retention import keep_events
from tenants.audit_tree import AuditTree
from tenants.clients import Client
from tenants.database import Database
from tenants.directory import Directory
from tenants.jose import Algorithm, SigningKey
from tenants.people_tables import devices, known_networks, logins, mail_links
from tenants.people_tables import throttles as throttle_rows
from tenants.provider_tables import authorization_requests, device_codes, seen_ids
from tenants.pruning import Prune, delete_oldest
from tenants.sealing import MasterKeys
from tenants.snapshot import FEED_RETENTION
from tenants.store import Store, TenantStore
from tenants.tables import changes, refresh_families, refresh_tokens, revocations, sessions
from tenants.tenant import Tenant
from tenants.visitor import Visitor
from tests.conftest import Clock

ORDERS = "https://api.example.com/orders"


async def run(housekeeping: Housekeeping) -> None:
    await housekeeping.advance_keys()
    await housekeeping.prune()


@pytest.fixture
async def tenant(directory: Directory) -> Tenant:
    return await directory.create(slug="acme", name="Acme", issuer="http://localhost/t/acme", actor="test")


@pytest.fixture
async def housekeeping(database: Database, store: Store, clock: Clock) -> Housekeeping:
    return Housekeeping(database, store, clock)


async def states(store: Store, tenant: Tenant) -> dict[str, KeyState]:
    async with store.for_tenant(tenant.id, read_only=True) as tenant_store:
        return {key.kid: key.state for key in await tenant_store.keys.list()}


async def rows(database: Database, table: object) -> int:
    async with database.system_snapshot() as connection:
        return int((await connection.execute(select(func.count()).select_from(table))).scalar_one())  # type: ignore[arg-type]


async def login(store: Store, tenant: Tenant) -> str:
    """A session with a refresh token, as a login makes it."""
    async with store.for_tenant(tenant.id) as tenant_store:
        if await tenant_store.clients.get("spa") is None:
            grants = frozenset({"password", "refresh_token"})
            await tenant_store.clients.create(Client("spa", "Spa", False, grants, frozenset({"a"}), (ORDERS,)))
        user = await tenant_store.users.by_name("alice") or await tenant_store.users.create("alice")
        lifetimes = tenant.lifetimes
        session = await tenant_store.sessions.start(
            user.id, acr="urn:yett:acr:pwd", amr=["pwd"], expires_at=user.created_at + lifetimes.session
        )
        return await tenant_store.refresh_tokens.begin_family(
            session.id,
            "spa",
            scopes={"a"},
            audiences=(ORDERS,),
            idle=lifetimes.refresh_idle,
            absolute=lifetimes.refresh_absolute,
        )


async def test_a_scheduled_key_is_promoted_once_it_was_published_long_enough_and_the_old_one_retires(
    housekeeping: Housekeeping, store: Store, tenant: Tenant, clock: Clock
) -> None:
    before = await states(store, tenant)
    (active,) = [kid for kid, state in before.items() if state is KeyState.ACTIVE]
    (following,) = [kid for kid, state in before.items() if state is KeyState.NEXT]
    async with store.for_tenant(tenant.id) as tenant_store:
        await tenant_store.keys.rotate("ES256")
    await run(housekeeping)
    assert (await states(store, tenant))[following] is KeyState.NEXT

    clock.advance(hours=25)
    await run(housekeeping)
    after = await states(store, tenant)
    assert (after[active], after[following]) == (KeyState.RETIRING, KeyState.ACTIVE)

    clock.advance(hours=25)
    await run(housekeeping)
    assert (await states(store, tenant))[active] is KeyState.RETIRED


async def test_a_key_that_moves_is_an_event_and_a_line_in_the_log(
    housekeeping: Housekeeping, store: Store, tenant: Tenant, clock: Clock, database: Database
) -> None:
    async with store.for_tenant(tenant.id) as tenant_store:
        await tenant_store.keys.rotate("ES256")
    clock.advance(hours=25)
    with capture_logs() as lines:
        await run(housekeeping)
        await run(housekeeping)

    assert [(line["event"], line["tenant"]) for line in lines] == [("key_advanced", "acme")]
    log = AuditLog(database)
    await log.sequence()
    events = [entry.event async for entry in log.export(tenant.id)]
    assert sum(b'"type":"key.advanced"' in event for event in events if event) == 1


async def test_the_key_that_follows_is_made_in_a_thread_and_before_the_step_that_stores_it(
    housekeeping: Housekeeping, store: Store, tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, made = [], []
    for_tenant, generate = store.for_tenant, SigningKey.generate

    @asynccontextmanager
    async def watched(tenant_id: UUID, *, read_only: bool = False) -> AsyncIterator[TenantStore]:
        async with for_tenant(tenant_id, read_only=read_only) as mine:
            steps.append(read_only)
            yield mine
        steps.pop()

    def watched_generate(alg: Algorithm) -> SigningKey:
        made.append((list(steps), threading.current_thread() is threading.main_thread()))
        return generate(alg)

    async with store.for_tenant(tenant.id) as tenant_store:
        await tenant_store.keys.rotate("ES256")
    clock.advance(hours=25)
    monkeypatch.setattr(store, "for_tenant", watched)
    monkeypatch.setattr(SigningKey, "generate", watched_generate)
    await housekeeping.advance_keys()

    assert made == [([], False)]


async def test_a_second_process_finds_nothing_to_do(
    housekeeping: Housekeeping, store: Store, tenant: Tenant, clock: Clock
) -> None:
    async with store.for_tenant(tenant.id) as tenant_store:
        await tenant_store.keys.rotate("ES256")
    clock.advance(hours=25)
    await run(housekeeping)
    once = await states(store, tenant)
    await run(housekeeping)

    assert await states(store, tenant) == once


async def test_what_the_grace_kept_is_erased_a_minute_later_and_the_token_stays_known(
    housekeeping: Housekeeping, store: Store, tenant: Tenant, clock: Clock
) -> None:
    token = await login(store, tenant)
    async with store.for_tenant(tenant.id) as tenant_store:
        found = await tenant_store.refresh_tokens.find(token)
        assert found is not None
        await tenant_store.refresh_tokens.spend(found, idle=timedelta(days=30))
    kept = []
    for seconds in (59, 2):
        clock.advance(seconds=seconds)
        await run(housekeeping)
        async with store.for_tenant(tenant.id, read_only=True) as tenant_store:
            again = await tenant_store.refresh_tokens.find(token)
        assert again is not None
        kept.append(again.sealed_successor is not None)

    assert kept == [True, False]


async def test_families_and_sessions_go_a_day_after_their_time_and_not_before(
    housekeeping: Housekeeping, store: Store, tenant: Tenant, clock: Clock, database: Database
) -> None:
    await login(store, tenant)
    clock.advance(days=90)
    await run(housekeeping)
    assert (await rows(database, sessions), await rows(database, refresh_tokens)) == (1, 1)

    clock.advance(days=1, seconds=1)
    await run(housekeeping)
    left = [await rows(database, table) for table in (sessions, refresh_families, refresh_tokens)]
    assert left == [0, 0, 0]


async def test_a_session_whose_refresh_token_still_lives_is_kept(
    housekeeping: Housekeeping, store: Store, tenant: Tenant, clock: Clock
) -> None:
    token = await login(store, tenant)
    clock.advance(days=60)  # the session's 30 days are over, the family's 90 are not
    await run(housekeeping)

    async with store.for_tenant(tenant.id, read_only=True) as tenant_store:
        assert await tenant_store.refresh_tokens.find(token) is not None


async def test_revocations_go_when_the_last_token_that_they_could_stop_is_gone(
    housekeeping: Housekeeping, store: Store, tenant: Tenant, clock: Clock, database: Database
) -> None:
    async with store.for_tenant(tenant.id) as tenant_store:
        await tenant_store.revocations.revoke("token", "j-1")
    counts = []
    for minutes in (24 * 60, 6):  # a day and a few minutes, for a token that was being issued meanwhile
        clock.advance(minutes=minutes)
        await run(housekeeping)
        counts.append(await rows(database, revocations))

    assert counts == [1, 0]


async def test_the_feed_is_kept_for_as_long_as_a_process_may_be_behind(
    housekeeping: Housekeeping, store: Store, tenant: Tenant, clock: Clock, database: Database
) -> None:
    async with store.for_tenant(tenant.id) as tenant_store:
        await tenant_store.settings.set_active(False)
    clock.now += FEED_RETENTION
    await run(housekeeping)
    kept = await rows(database, changes)
    clock.advance(seconds=1)
    await run(housekeeping)

    assert kept > 1
    assert await rows(database, changes) == 1  # the newest stays: a reader finds its own place by it


async def test_tokens_go_before_what_they_hang_on_and_in_portions_of_their_own(
    store: Store, tenant: Tenant, clock: Clock, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "AT_ONCE", 4)
    for revoked in (False, True):
        token = await login(store, tenant)
        for _ in range(9):
            clock.advance(seconds=1)
            async with store.for_tenant(tenant.id) as tenant_store:
                found = await tenant_store.refresh_tokens.find(token)
                assert found is not None
                token = await tenant_store.refresh_tokens.spend(found, idle=timedelta(days=30)) or ""
        if revoked:
            async with store.for_tenant(tenant.id) as tenant_store:
                await tenant_store.refresh_tokens.revoke_family(found.family_id)
    left: list[tuple[int, int]] = []

    async def watched(prune: Prune, before: datetime) -> None:
        more = True
        while more:
            async with database.system_step() as connection:
                more = await prune(connection, before)
            left.append((await rows(database, refresh_families), await rows(database, refresh_tokens)))

    clock.advance(days=32)  # the sessions are over, and one family
    await watched(sessions_store.prune, clock())
    assert left == [(2, 16), (2, 12), (1, 10)]
    left.clear()
    clock.advance(days=60)
    await watched(refresh_tokens_store.prune, clock())
    assert left == [(1, 6), (1, 2), (0, 0)]


async def test_a_backlog_goes_in_portions_and_whole(
    database: Database, store: Store, tenant: Tenant, clock: Clock
) -> None:
    async with store.for_tenant(tenant.id) as tenant_store:
        for number in range(25):
            lasts = timedelta(minutes=number // 10)  # ten of one time, which go together
            await tenant_store.seen_ids.first_time("assertion", f"web\n{number}", clock() + lasts)
    over = seen_ids.c.expires_at < clock() + timedelta(hours=1)
    left, more = [], True
    while more:
        async with database.system_step() as connection:
            more = await delete_oldest(connection, seen_ids.c.expires_at, over, most=4)
        left.append(await rows(database, seen_ids))

    assert left == [15, 5, 0, 0]


async def test_a_table_that_cannot_be_pruned_keeps_no_other_one_from_its_turn(
    housekeeping: Housekeeping,
    store: Store,
    tenant: Tenant,
    clock: Clock,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def broken(connection: object, before: object) -> bool:
        raise ConnectionError

    monkeypatch.setattr(logins_store, "prune", broken)
    async with store.for_tenant(tenant.id) as tenant_store:
        lasts = await see_an_id(tenant_store)
    clock.now += lasts + timedelta(seconds=1)
    with pytest.raises(ExceptionGroup):
        await housekeeping.prune()

    assert await rows(database, seen_ids) == 0


async def test_an_empty_database_is_nothing_to_do(housekeeping: Housekeeping) -> None:
    await run(housekeeping)


async def alice(tenant_store: TenantStore) -> UUID:
    return (await tenant_store.users.create("alice")).id


async def begin_login(tenant_store: TenantStore) -> timedelta:
    lasts = timedelta(minutes=10)
    await tenant_store.logins.begin("page", await alice(tenant_store), amr=["pwd"], lifetime=lasts, request={})
    return lasts


async def make_link(tenant_store: TenantStore) -> timedelta:
    lasts = timedelta(days=7)
    await tenant_store.mail_links.make("invite", lifetime=lasts, email="bob@example.com")
    return lasts


async def fail_to_log_in(tenant_store: TenantStore) -> timedelta:
    match await tenant_store.throttles.reserve(throttles.account("alice")):
        case Allow():
            return REMEMBERED
        case other:
            raise AssertionError(other)


async def remember_device(tenant_store: TenantStore) -> timedelta:
    lasts = timedelta(days=180)
    visitor = Visitor("192.0.2.1", "192.0.2.1/32", "Firefox")
    user_id = await alice(tenant_store)
    await tenant_store.devices.remember(user_id, None, visitor=visitor, lifetime=lasts, trusted_for=lasts)
    return lasts


async def remember_network(tenant_store: TenantStore) -> timedelta:
    await tenant_store.devices.remember_network(await alice(tenant_store), "192.0.2.1/32")
    return timedelta(days=366)


async def start_device(tenant_store: TenantStore) -> timedelta:
    lasts = timedelta(minutes=10)
    await tenant_store.clients.create(Client("tv", "TV", False, frozenset(), frozenset({"a"}), (ORDERS,)))
    await tenant_store.device_codes.start("tv", scopes=(), audiences=(ORDERS,), lifetime=lasts, address="192.0.2.1")
    return lasts


async def push_a_request(tenant_store: TenantStore) -> timedelta:
    grants = frozenset({"authorization_code"})
    await tenant_store.clients.create(Client("spa", "Spa", False, grants, frozenset({"a"}), (ORDERS,)))
    lasts = timedelta(seconds=90)
    await tenant_store.authorization_requests.push("spa", {}, lasts)
    return lasts


async def see_an_id(tenant_store: TenantStore) -> timedelta:
    user = await tenant_store.users.create("alice")  # made now, by the store's own clock
    lasts = timedelta(minutes=5)
    await tenant_store.seen_ids.first_time("assertion", "web\nj-1", user.created_at + lasts)
    return lasts


DAY, NOTHING = timedelta(days=1), timedelta()


@pytest.mark.parametrize(
    ("begin", "table", "kept"),
    [
        (begin_login, logins, DAY),
        (make_link, mail_links, DAY),
        (fail_to_log_in, throttle_rows, NOTHING),
        (remember_device, devices, NOTHING),
        (remember_network, known_networks, NOTHING),
        (push_a_request, authorization_requests, NOTHING),
        (see_an_id, seen_ids, NOTHING),
        (start_device, device_codes, timedelta(minutes=10)),
    ],
    ids=["pending login", "link by mail", "throttle", "device", "network", "pushed request", "seen id", "device code"],
)
async def test_what_a_login_leaves_goes_when_it_says_nothing_any_more_and_not_before(
    begin: Callable[[TenantStore], Awaitable[timedelta]],
    table: object,
    kept: timedelta,
    housekeeping: Housekeeping,
    store: Store,
    tenant: Tenant,
    clock: Clock,
    database: Database,
) -> None:
    async with store.for_tenant(tenant.id) as tenant_store:
        lasts = await begin(tenant_store)
    clock.now += lasts + kept - timedelta(seconds=1)
    await run(housekeeping)
    before = await rows(database, table)
    clock.advance(seconds=2)
    await run(housekeeping)

    assert (before, await rows(database, table)) == (1, 0)


async def test_events_that_are_older_than_a_tenant_keeps_are_erased_and_the_log_says_so(
    database: Database, tenant: Tenant, housekeeping: Housekeeping, master_keys: MasterKeys, clock: Clock
) -> None:
    log, tree = AuditLog(database), AuditTree(database, AuditKeys(master_keys, "localhost"), clock)
    await log.sequence()
    await tree.grow()
    kept = Event(type="tenant.configured", outcome="success")
    await keep_events(database, tenant.id, timedelta(days=1), told=kept, now=clock())
    clock.advance(days=3)
    await housekeeping.erase_events()
    await housekeeping.erase_events()  # a second process, or ten minutes later
    await log.sequence()
    erased, _, told = [entry async for entry in log.export(tenant.id)]
    assert erased.event is None
    event = json.loads(told.event or b"")
    assert (event["type"], event["actor"], event["count"]) == ("audit.erased", "schedule", 1)
    assert event["details"] == {"before": "2026-11-27T00:00:00+00:00"}


async def test_a_tenant_whose_time_has_come_is_deleted_and_one_that_fails_keeps_no_other(
    housekeeping: Housekeeping, directory: Directory, database: Database, tenant: Tenant, clock: Clock
) -> None:
    platform = await directory.create(slug="platform", name="Platform", issuer="http://localhost/t/platform", actor="")
    other = await directory.create(slug="globex", name="Globex", issuer="http://localhost/t/globex", actor="test")
    for each, after in ((tenant, 1), (other, 2)):
        doomed, at = deletion.Doomed(each.id, each.slug, each.issuer), clock() + timedelta(hours=after)
        await deletion.order(database, doomed, at, platform=platform.id, now=clock(), actor="test")
    asked = 0

    async def its_log() -> Tenant:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise ConnectionError("the database was away")
        return platform

    clock.advance(hours=3)
    with pytest.raises(ExceptionGroup, match="could not be deleted"):
        await housekeeping.delete_tenants(its_log)
    assert [found.slug for found in await directory.list()] == ["acme", "platform"]
    await housekeeping.delete_tenants(its_log)
    assert [found.slug for found in await directory.list()] == ["platform"]
