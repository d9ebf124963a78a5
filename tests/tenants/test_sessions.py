"""Sessions begin with a login and end once."""

import asyncio
from datetime import timedelta
from uuid import uuid4

from tenants import sessions
from tenants.database import Database
from tenants.directory import Directory
from tenants.sessions import Session
from tenants.store import Store
from tests.conftest import Clock
from tests.tenants.conftest import API, Household

HOUR = timedelta(hours=1)


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
