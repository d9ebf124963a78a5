"""Authorization codes: redeemed once, over after their time, known for longer (RFC 6749 section 4.1.2)."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from tenants import authorization_codes, opaque
from tenants.authorization_codes import AuthorizationCode
from tenants.database import Database
from tenants.sessions import Session
from tenants.store import Store
from tests.conftest import Clock
from tests.tenants.conftest import API, Household, dump

LIFETIME = timedelta(seconds=60)
CALLBACK = "https://app.example.com/callback"


@pytest.fixture
async def session(store: Store, household: Household, clock: Clock) -> Session:
    async with store.for_tenant(household.tenant.id) as mine:
        return await mine.sessions.start(
            household.user_id, acr="urn:yett:acr:pwd", amr=["pwd"], expires_at=clock() + timedelta(days=1)
        )


async def issue(store: Store, household: Household, session: Session) -> str:
    async with store.for_tenant(household.tenant.id) as mine:
        return await mine.authorization_codes.issue(
            household.client_id,
            session.id,
            redirect_uri=CALLBACK,
            scopes=["orders:write", "openid"],
            audiences=[API],
            code_challenge="c" * 43,
            lifetime=LIFETIME,
            nonce="🔑",
            id_token_claims=["email"],
            dpop_jkt="j" * 43,
        )


async def found(store: Store, household: Household, code: str) -> AuthorizationCode:
    async with store.for_tenant(household.tenant.id, read_only=True) as mine:
        stored = await mine.authorization_codes.find(code)
    assert stored is not None
    return stored


async def redeem(store: Store, household: Household, code: AuthorizationCode, token_id: str = "jti") -> bool:
    async with store.for_tenant(household.tenant.id) as mine:
        return await mine.authorization_codes.redeem(code, family_id=uuid4(), token_id=token_id)


async def test_a_code_is_found_as_it_was_issued(
    store: Store, household: Household, session: Session, clock: Clock
) -> None:
    code = await issue(store, household, session)
    assert code.startswith("yac_")
    assert await found(store, household, code) == AuthorizationCode(
        digest=opaque.digest(code),
        client_id=household.client_id,
        session_id=session.id,
        redirect_uri=CALLBACK,
        scopes=frozenset({"openid", "orders:write"}),
        audiences=(API,),
        code_challenge="c" * 43,
        dpop_jkt="j" * 43,
        nonce="🔑",
        id_token_claims=frozenset({"email"}),
        family_id=None,
        token_id=None,
        expires_at=clock() + LIFETIME,
        consumed_at=None,
    )


async def test_of_twenty_parallel_redemptions_one_wins(store: Store, household: Household, session: Session) -> None:
    code = await issue(store, household, session)
    stored = await found(store, household, code)
    outcomes = await asyncio.gather(*(redeem(store, household, stored, f"jti-{turn}") for turn in range(20)))
    assert sorted(outcomes) == [False] * 19 + [True]
    used = await found(store, household, code)
    assert (used.token_id, used.family_id is None) == (f"jti-{outcomes.index(True)}", False)


async def test_its_time_is_known_and_only_its_use_ends_it(
    store: Store, household: Household, session: Session, clock: Clock
) -> None:
    """Whether it is over is decided once, before; a second look at another clock would decide otherwise."""
    code = await found(store, household, await issue(store, household, session))
    clock.advance(seconds=60)
    assert code.expires_at == clock()
    assert await redeem(store, household, code)
    assert not await redeem(store, household, code)


async def test_what_it_earned_is_taken_back_once(store: Store, household: Household, session: Session) -> None:
    code = await found(store, household, await issue(store, household, session))

    async def take_back() -> bool:
        async with store.for_tenant(household.tenant.id) as mine:
            return await mine.authorization_codes.take_back(code)

    assert not await take_back()
    assert await redeem(store, household, code)
    outcomes = await asyncio.gather(*(take_back() for _ in range(20)))
    assert sorted(outcomes) == [False] * 19 + [True]
    assert not await redeem(store, household, code)


async def test_what_was_used_is_known_until_it_is_pruned(
    store: Store, database: Database, household: Household, session: Session, clock: Clock
) -> None:
    code = await issue(store, household, session)
    assert await redeem(store, household, await found(store, household, code))
    assert (await found(store, household, code)).consumed_at == clock()
    clock.advance(days=1)
    async with database.system_step() as connection:
        await authorization_codes.prune(connection, clock() - timedelta(days=1))
    assert (await found(store, household, code)).token_id == "jti"
    clock.advance(minutes=2)
    async with database.system_step() as connection:
        await authorization_codes.prune(connection, clock() - timedelta(days=1))
    async with store.for_tenant(household.tenant.id, read_only=True) as mine:
        assert await mine.authorization_codes.find(code) is None


async def test_only_its_hash_is_stored(
    store: Store, household: Household, session: Session, superuser: AsyncEngine
) -> None:
    code = await issue(store, household, session)
    assert code not in str(await dump(superuser))
    assert code.removeprefix("yac_") not in str(await dump(superuser))


@pytest.mark.parametrize("what", ["client", "session"])
async def test_a_code_belongs_to_a_client_and_a_session(
    store: Store, household: Household, session: Session, what: str
) -> None:
    client_id = "nobody" if what == "client" else household.client_id
    session_id = uuid4() if what == "session" else session.id
    with pytest.raises(IntegrityError):
        async with store.for_tenant(household.tenant.id) as mine:
            await mine.authorization_codes.issue(
                client_id,
                session_id,
                redirect_uri=CALLBACK,
                scopes=[],
                audiences=[API],
                code_challenge="c" * 43,
                lifetime=LIFETIME,
            )
