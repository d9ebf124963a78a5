"""Sessions begin with a login and end once; a browser's is found by its cookie's secret, and by the newest only."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tenants import sessions
from tenants.database import Database
from tenants.directory import Directory
from tenants.sessions import MOST_SESSIONS, Session
from tenants.store import Store
from tenants.visitor import Visitor
from tests.conftest import Clock
from tests.tenants.conftest import API, Household, dump

HOUR = timedelta(hours=1)
IDLE, ABSOLUTE = timedelta(hours=12), timedelta(days=30)
PASSWORD, MFA = "urn:yett:acr:pwd", "urn:yett:acr:mfa"


async def started(store: Store, household: Household, clock: Clock, lifetime: timedelta = HOUR) -> Session:
    async with store.for_tenant(household.tenant.id) as mine:
        return await mine.sessions.start(
            household.user_id, acr="urn:yett:acr:mfa", amr=["pwd", "otp"], expires_at=clock() + lifetime
        )


async def test_a_session_is_stored_as_it_began(store: Store, household: Household, clock: Clock) -> None:
    session = await started(store, household, clock)
    assert session.auth_time == clock()
    assert session.amr == {"otp", "pwd"}
    clock.advance(minutes=1)
    async with store.for_tenant(household.tenant.id, read_only=True) as mine:
        assert await mine.sessions.get(session.id) == session
        assert await mine.sessions.get(uuid4()) is None


async def test_a_session_that_is_derived_from_another_keeps_when_its_person_authenticated(
    store: Store, household: Household, clock: Clock
) -> None:
    first = await started(store, household, clock)
    clock.advance(minutes=5)
    async with store.for_tenant(household.tenant.id) as mine:
        derived = await mine.sessions.start(
            household.user_id,
            acr=first.acr,
            amr=first.amr,
            auth_time=first.auth_time,
            expires_at=clock() + ABSOLUTE,
        )
        assert await mine.sessions.get(derived.id) == derived
    assert (derived.auth_time, derived.created_at) == (first.auth_time, clock())


async def test_a_session_lives_until_it_ends_is_over_or_idle(store: Store, household: Household, clock: Clock) -> None:
    session = await started(store, household, clock)
    assert session.lives(clock(), idle=HOUR)
    assert session.lives(clock() + HOUR - timedelta(seconds=1), idle=2 * HOUR)
    assert not session.lives(clock() + HOUR, idle=2 * HOUR)
    assert not session.lives(clock() + HOUR / 2, idle=HOUR / 2)
    assert not replace(session, ended_at=clock()).lives(clock(), idle=HOUR)


async def test_a_users_sessions_are_those_that_live_newest_first(
    store: Store, household: Household, clock: Clock
) -> None:
    first = await started(store, household, clock)
    clock.advance(minutes=1)
    second = await started(store, household, clock)
    clock.advance(minutes=1)
    ended = await started(store, household, clock)
    async with store.for_tenant(household.tenant.id) as mine:
        assert await mine.sessions.end(ended.id)
        assert [session.id for session in await mine.sessions.of_user(household.user_id)] == [second.id, first.id]
    clock.advance(minutes=58)  # the first has lasted its hour
    async with store.for_tenant(household.tenant.id, read_only=True) as mine:
        assert [session.id for session in await mine.sessions.of_user(household.user_id)] == [second.id]


async def test_a_session_ends_once_and_its_tokens_with_it(store: Store, household: Household, clock: Clock) -> None:
    session = await started(store, household, clock)
    clock.advance(minutes=1)
    ended_at = clock()
    async with store.for_tenant(household.tenant.id) as mine:
        assert await mine.sessions.end(session.id)
    clock.advance(minutes=1)
    async with store.for_tenant(household.tenant.id) as mine:
        assert not await mine.sessions.end(session.id)
        assert not await mine.sessions.end(uuid4())
        found = await mine.sessions.get(session.id)
        assert [(entry.kind, entry.value) for entry in await mine.revocations.list()] == [("session", str(session.id))]
    assert found is not None
    assert found.ended_at == ended_at


async def test_of_twenty_logouts_at_once_one_ends_the_session(store: Store, household: Household, clock: Clock) -> None:
    session = await started(store, household, clock)

    async def end() -> bool:
        async with store.for_tenant(household.tenant.id) as mine:
            return await mine.sessions.end(session.id)

    assert sorted(await asyncio.gather(*(end() for _ in range(20)))) == [False] * 19 + [True]


async def test_a_session_is_forgotten_when_it_and_its_families_are_over(
    database: Database, store: Store, household: Household, clock: Clock
) -> None:
    sessions_ = {
        "without a family": await started(store, household, clock),
        "with a living family": await started(store, household, clock),
        "with a revoked family": await started(store, household, clock),
        "with a family that expired": await started(store, household, clock),
        "that lives": await started(store, household, clock, timedelta(days=30)),
    }
    async with store.for_tenant(household.tenant.id) as mine:
        tokens = {
            name: await mine.refresh_tokens.begin_family(
                sessions_[name].id, "app", scopes=[], audiences=[API], idle=HOUR, absolute=timedelta(days=days)
            )
            for name, days in (
                ("with a living family", 9),
                ("with a revoked family", 9),
                ("with a family that expired", 1),
            )
        }
        revoked = await mine.refresh_tokens.find(tokens["with a revoked family"])
        assert revoked is not None
        await mine.refresh_tokens.revoke_family(revoked.family_id)
    clock.advance(days=2)
    async with database.system_step() as connection:
        await sessions.prune(connection, clock())
    async with store.for_tenant(household.tenant.id, read_only=True) as mine:
        left = {name for name, session in sessions_.items() if await mine.sessions.get(session.id) is not None}
        assert left == {"with a living family", "that lives"}
        assert await mine.refresh_tokens.find(tokens["with a revoked family"]) is None
        assert await mine.refresh_tokens.find(tokens["with a living family"]) is not None


async def test_ending_all_of_a_users_sessions_ends_expired_ones_too(
    directory: Directory, store: Store, clock: Clock
) -> None:
    tenant = await directory.create(slug="acme", name="Acme", issuer="https://auth.test/t/acme", actor="test")
    async with store.for_tenant(tenant.id) as mine:
        alice, bob = await mine.users.create("alice"), await mine.users.create("bob")
        soon = clock() + timedelta(minutes=1)
        ids = [(await mine.sessions.start(alice.id, acr="a", amr=["pwd"], expires_at=soon)).id for _ in range(2)]
        other = await mine.sessions.start(bob.id, acr="a", amr=["pwd"], expires_at=soon)
    clock.advance(hours=1)  # their refresh tokens live on
    async with store.for_tenant(tenant.id) as mine:
        assert await mine.sessions.end_all(alice.id) == 2
        assert await mine.sessions.end_all(alice.id) == 0
        for session_id in ids:
            ended = await mine.sessions.get(session_id)
            assert ended is not None
            assert ended.ended_at == clock()
        kept = await mine.sessions.get(other.id)
        assert kept is not None
        assert kept.ended_at is None


async def in_browser(
    store: Store, household: Household, clock: Clock, *, device_id: UUID | None = None
) -> tuple[Session, str]:
    async with store.for_tenant(household.tenant.id) as mine:
        return await mine.sessions.start_in_browser(
            household.user_id, acr=PASSWORD, amr=["pwd"], expires_at=clock() + ABSOLUTE, device_id=device_id
        )


async def by_secret(store: Store, household: Household, secret: str) -> Session | None:
    async with store.for_tenant(household.tenant.id, read_only=True) as mine:
        return await mine.sessions.by_secret(secret, idle=IDLE)


async def touch(store: Store, household: Household, session: Session) -> None:
    async with store.for_tenant(household.tenant.id) as mine:
        await mine.sessions.touch(session)


async def renew(store: Store, household: Household, session: Session) -> tuple[Session, str] | None:
    async with store.for_tenant(household.tenant.id) as mine:
        return await mine.sessions.renew(session, acr=MFA, amr=["otp", "pwd", "mfa"])


@pytest.mark.parametrize("address", ["203.0.113.7", "2001:db8:1:2:3:4:5:6"])
async def test_a_browsers_session_is_found_by_its_secret_as_it_began(
    store: Store, household: Household, clock: Clock, address: str
) -> None:
    visitor = Visitor.of(ip_address(address), "Mozilla/5.0 (X11)")
    async with store.for_tenant(household.tenant.id) as mine:
        session, secret = await mine.sessions.start_in_browser(
            household.user_id,
            acr=PASSWORD,
            amr=["pwd"],
            expires_at=clock() + ABSOLUTE,
            visitor=visitor,
            device_id=uuid4(),
            factor_waived=True,
        )
    assert secret.startswith("yss_")
    assert session.visitor == visitor
    assert (session.created_at, session.seen_at, session.auth_time) == (clock(), clock(), clock())
    assert await by_secret(store, household, secret) == session
    async with store.for_tenant(household.tenant.id, read_only=True) as mine:
        assert await mine.sessions.get(session.id) == session


async def test_only_the_whole_string_is_the_secret(store: Store, household: Household, clock: Clock) -> None:
    _, secret = await in_browser(store, household, clock)
    for unverified in (
        secret[:-1],
        secret + "=",
        secret.upper(),
        "ylg_" + secret[4:],
        "",
        "\0",
        "\ud800",
        "x" * 100_000,
    ):
        assert await by_secret(store, household, unverified) is None


async def test_a_secret_is_stored_as_a_hash_only(
    store: Store, household: Household, clock: Clock, superuser: AsyncEngine
) -> None:
    session, first = await in_browser(store, household, clock)
    renewed = await renew(store, household, session)
    assert renewed is not None
    rows = str(await dump(superuser))
    for secret in (first, renewed[1]):
        assert secret.removeprefix("yss_") not in rows
        assert secret not in repr(renewed[0])


async def test_a_session_without_a_browser_has_no_secret(
    store: Store, household: Household, clock: Clock, superuser: AsyncEngine
) -> None:
    for _ in range(2):  # and two of them do not collide by that
        await started(store, household, clock)
    assert len((await dump(superuser))["sessions"]) == 2
    assert await by_secret(store, household, "") is None


async def test_a_session_that_nobody_uses_ends_and_one_that_is_used_goes_on(
    store: Store, household: Household, clock: Clock
) -> None:
    session, secret = await in_browser(store, household, clock)
    for _ in range(3):
        clock.advance(hours=12, seconds=-1)
        found = await by_secret(store, household, secret)
        assert found is not None
        assert found.auth_time == session.auth_time  # to be seen is not to authenticate
        await touch(store, household, found)
    clock.advance(hours=12)
    assert await by_secret(store, household, secret) is None


async def test_no_use_carries_a_session_past_its_absolute_age(store: Store, household: Household, clock: Clock) -> None:
    session, secret = await in_browser(store, household, clock)
    for _ in range(59):
        clock.advance(hours=12, seconds=-1)
        await touch(store, household, session)
    clock.advance(seconds=59 + 12 * 3600 - 1)
    renewed = await renew(store, household, session)
    assert renewed is not None
    session, secret = renewed
    assert await by_secret(store, household, secret) is not None
    clock.advance(seconds=1)
    assert clock() == session.expires_at
    assert await by_secret(store, household, secret) is None
    assert await renew(store, household, session) is None


async def test_a_page_view_within_a_minute_of_another_writes_nothing(
    store: Store, household: Household, clock: Clock
) -> None:
    session, secret = await in_browser(store, household, clock)
    began = clock()
    for seconds, seen_at in ((59, began), (1, began + timedelta(minutes=1))):
        clock.advance(seconds=seconds)
        await touch(store, household, session)
        found = await by_secret(store, household, secret)
        assert found is not None
        assert found.seen_at == seen_at


async def test_a_step_up_renews_the_secret_and_the_old_one_is_worthless(
    store: Store, household: Household, clock: Clock
) -> None:
    session, old = await in_browser(store, household, clock)
    clock.advance(hours=1)
    renewed = await renew(store, household, session)
    assert renewed is not None
    stepped_up, new = renewed
    assert new.startswith("yss_")
    assert (stepped_up.id, stepped_up.expires_at, stepped_up.created_at) == (
        session.id,
        session.expires_at,
        session.created_at,
    )
    assert (stepped_up.acr, stepped_up.amr, stepped_up.auth_time) == (MFA, frozenset({"pwd", "otp", "mfa"}), clock())
    assert await by_secret(store, household, old) is None
    assert await by_secret(store, household, new) == stepped_up


async def test_of_twenty_parallel_step_ups_one_secret_is_good(store: Store, household: Household, clock: Clock) -> None:
    session, old = await in_browser(store, household, clock)
    outcomes = await asyncio.gather(*(renew(store, household, session) for _ in range(20)))
    good = [await by_secret(store, household, outcome[1]) for outcome in outcomes if outcome is not None]
    assert sum(found is not None for found in good) == 1
    assert await by_secret(store, household, old) is None


async def test_what_has_ended_is_neither_found_nor_seen_nor_renewed(
    store: Store, household: Household, clock: Clock
) -> None:
    session, secret = await in_browser(store, household, clock)
    async with store.for_tenant(household.tenant.id) as mine:
        assert await mine.sessions.end(session.id)
    clock.advance(minutes=2)
    await touch(store, household, session)
    assert await by_secret(store, household, secret) is None
    assert await renew(store, household, session) is None
    async with store.for_tenant(household.tenant.id, read_only=True) as mine:
        found = await mine.sessions.get(session.id)
    assert found is not None
    assert (found.seen_at, found.acr) == (session.seen_at, PASSWORD)


async def test_all_others_are_ended_and_their_tokens_with_them(
    store: Store, household: Household, clock: Clock
) -> None:
    here, secret = await in_browser(store, household, clock)
    others = [(await in_browser(store, household, clock))[0], await started(store, household, clock)]
    async with store.for_tenant(household.tenant.id) as mine:
        bob = await mine.users.create("bob")
        bobs = await mine.sessions.start(bob.id, acr=PASSWORD, amr=["pwd"], expires_at=clock() + HOUR)
        assert await mine.sessions.end_others(household.user_id, here.id) == 2
        assert await mine.sessions.end_others(household.user_id, here.id) == 0
        assert [session.id for session in await mine.sessions.of_user(household.user_id)] == [here.id]
        assert [session.id for session in await mine.sessions.of_user(bob.id)] == [bobs.id]
        refused = {entry.value for entry in await mine.revocations.list() if entry.kind == "session"}
    assert refused == {str(session.id) for session in others}
    assert await by_secret(store, household, secret) == here


async def test_the_sessions_of_a_device_end_with_it(store: Store, household: Household, clock: Clock) -> None:
    lost, kept = uuid4(), uuid4()
    gone = [await in_browser(store, household, clock, device_id=lost) for _ in range(2)]
    stays = [await in_browser(store, household, clock, device_id=device_id) for device_id in (kept, None)]
    async with store.for_tenant(household.tenant.id) as mine:
        bob = await mine.users.create("bob")
        assert await mine.sessions.end_of_device(bob.id, lost) == 0
        assert await mine.sessions.end_of_device(household.user_id, lost) == 2
        refused = {entry.value for entry in await mine.revocations.list()}
    assert refused == {str(session.id) for session, _ in gone}
    assert [await by_secret(store, household, secret) for _, secret in gone] == [None, None]
    assert [await by_secret(store, household, secret) for _, secret in stays] == [session for session, _ in stays]


async def test_of_too_many_sessions_the_oldest_ends(store: Store, household: Household, clock: Clock) -> None:
    acme = household.tenant
    started = []
    for _ in range(MOST_SESSIONS + 2):
        clock.advance(seconds=1)
        async with store.for_tenant(acme.id) as mine:
            session = await mine.sessions.start(
                household.user_id, acr="urn:yett:acr:pwd", amr=["pwd"], expires_at=clock() + timedelta(days=30)
            )
        started.append(session.id)
    async with store.for_tenant(acme.id) as mine:
        living = {session.id for session in await mine.sessions.of_user(household.user_id)}
        refused = {entry.value for entry in await mine.revocations.list()}
    assert living == set(started[2:])
    assert refused == {str(session_id) for session_id in started[:2]}
