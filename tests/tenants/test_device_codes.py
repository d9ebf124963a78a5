"""Device codes: bound to what they were asked for, decided once, redeemed once, polled no faster than they may be."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from policies.device_code import ALPHABET, INTERVAL, DeviceCodeFacts
from tenants import device_codes
from tenants.database import Database
from tenants.device_codes import DeviceCode, DeviceCodes, StartedDevice, new_user_code
from tenants.sessions import Session
from tenants.store import Store
from tenants.tenant import Tenant
from tests.conftest import Clock
from tests.tenants.conftest import API, Household, an_app, dump

LIFETIME = timedelta(minutes=10)
HOME = "192.0.2.1"


async def start(store: Store, household: Household, **facts: Any) -> StartedDevice:
    values: dict[str, Any] = {"scopes": {"orders:read"}, "audiences": (API,), "lifetime": LIFETIME, "address": HOME}
    async with store.for_tenant(household.tenant.id) as mine:
        return await mine.device_codes.start(household.client_id, **values | facts)


async def find(store: Store, household: Household, device_code: str) -> DeviceCode | None:
    async with store.for_tenant(household.tenant.id, read_only=True) as mine:
        return await mine.device_codes.find(device_code)


async def found(store: Store, household: Household, started: StartedDevice) -> DeviceCode:
    code = await find(store, household, started.device_code)
    assert code is not None
    return code


async def waiting(store: Store, household: Household, user_code: str) -> DeviceCode | None:
    async with store.for_tenant(household.tenant.id, read_only=True) as mine:
        return await mine.device_codes.waiting(user_code)


async def approve(store: Store, household: Household, code: DeviceCode, session: Session) -> bool:
    async with store.for_tenant(household.tenant.id) as mine:
        return await mine.device_codes.approve(code, session.id, scopes=code.scopes)


async def deny(store: Store, household: Household, code: DeviceCode) -> bool:
    async with store.for_tenant(household.tenant.id) as mine:
        return await mine.device_codes.deny(code)


async def redeem(store: Store, household: Household, code: DeviceCode) -> bool:
    async with store.for_tenant(household.tenant.id) as mine:
        return await mine.device_codes.redeem(code)


async def poll(store: Store, household: Household, code: DeviceCode) -> bool:
    async with store.for_tenant(household.tenant.id) as mine:
        return await mine.device_codes.poll(code)


@pytest.fixture
async def session(store: Store, household: Household, clock: Clock) -> Session:
    async with store.for_tenant(household.tenant.id) as mine:
        return await mine.sessions.start(
            household.user_id, acr="urn:yett:acr:pwd", amr=["pwd"], expires_at=clock() + timedelta(days=1)
        )


async def test_a_device_code_is_found_as_it_was_asked_for(store: Store, household: Household, clock: Clock) -> None:
    started = await start(store, household, scopes={"b", "a"}, audiences=("https://two.test", API))
    assert started.device_code.startswith("ydc_")
    assert len(started.device_code) == 47
    code = await found(store, household, started)
    assert code == DeviceCode(
        code.digest,
        "app",
        frozenset({"a", "b"}),
        ("https://two.test", API),
        HOME,
        INTERVAL,
        None,
        clock(),
        DeviceCodeFacts("app", clock() + LIFETIME),
    )
    assert await waiting(store, household, started.user_code) == code


async def test_a_user_code_is_eight_letters_in_two_groups(store: Store, household: Household) -> None:
    started = await start(store, household)
    one, hyphen, two = started.user_code[:4], started.user_code[4], started.user_code[5:]
    assert hyphen == "-"
    assert len(one) == len(two) == 4
    assert set(one + two) <= set(ALPHABET)
    assert "code" not in repr(started)


def test_every_letter_is_as_likely() -> None:
    letters = Counter("".join(new_user_code() for _ in range(5000)))
    assert set(letters) == set(ALPHABET)
    assert all(1500 < count < 2500 for count in letters.values()), "2000 each, give or take eleven standard deviations"


@pytest.mark.parametrize("typed", [str.lower, lambda code: code.replace("-", ""), lambda code: f"  {code} "])
async def test_a_user_code_is_found_however_it_is_typed(store: Store, household: Household, typed: Any) -> None:
    started = await start(store, household)
    assert await waiting(store, household, typed(started.user_code)) is not None


async def test_neither_code_is_good_for_the_other(store: Store, household: Household) -> None:
    started = await start(store, household)
    assert await find(store, household, started.user_code) is None
    assert await waiting(store, household, started.device_code) is None


async def test_only_the_whole_device_code_is_one(store: Store, household: Household) -> None:
    secret = (await start(store, household)).device_code
    for unverified in (secret[:-1], secret + "=", secret.upper(), "yac_" + secret[4:], "", "\ud800", "x" * 1_000_000):
        assert await find(store, household, unverified) is None


async def test_both_are_stored_as_hashes_only(store: Store, household: Household, superuser: AsyncEngine) -> None:
    started = await start(store, household)
    rows = str(await dump(superuser))
    assert started.device_code.removeprefix("ydc_") not in rows
    assert started.user_code.replace("-", "") not in rows


async def test_a_user_code_that_is_taken_is_drawn_again(store: Store, household: Household, clock: Clock) -> None:
    drawn = iter(["BBBBBBBB", "BBBBBBBB", "CCCCCCCC"])
    asked: dict[str, Any] = {"scopes": (), "audiences": (API,), "lifetime": LIFETIME, "address": HOME}
    async with store.for_tenant(household.tenant.id) as mine:
        connection = mine.device_codes._connection
        codes = DeviceCodes(connection, household.tenant.id, clock(), make_user_code=lambda: next(drawn))
        started = [await codes.start("app", **asked) for _ in range(2)]
    assert [each.user_code for each in started] == ["BBBB-BBBB", "CCCC-CCCC"]
    for each in started:
        assert (await found(store, household, each)).digest != b""


async def test_where_no_user_code_is_free_the_device_is_told_so(store: Store, household: Household) -> None:
    asked: dict[str, Any] = {"scopes": (), "audiences": (API,), "lifetime": LIFETIME, "address": HOME}
    async with store.for_tenant(household.tenant.id) as mine:
        codes = DeviceCodes(
            mine.device_codes._connection,
            household.tenant.id,
            household.tenant.created_at,
            make_user_code=lambda: "B" * 8,
        )
        await codes.start("app", **asked)
        with pytest.raises(RuntimeError):
            await codes.start("app", **asked)


async def test_two_tenants_may_have_the_same_user_code(
    store: Store, household: Household, globex: Tenant, clock: Clock
) -> None:
    asked: dict[str, Any] = {"scopes": (), "audiences": (API,), "lifetime": LIFETIME, "address": HOME}
    digests = []
    for tenant in (household.tenant, globex):
        async with store.for_tenant(tenant.id) as mine:
            if tenant is globex:
                await mine.clients.create(an_app())
            connection = mine.device_codes._connection
            codes = DeviceCodes(connection, tenant.id, clock(), make_user_code=lambda: "BBBBBBBB")
            await codes.start("app", **asked)
            code = await mine.device_codes.waiting("bbbb-bbbb")
            assert code is not None
            digests.append(code.digest)
    assert digests[0] != digests[1]


async def test_an_approved_code_waits_no_more_and_knows_its_session(
    store: Store, household: Household, session: Session
) -> None:
    started = await start(store, household)
    assert await approve(store, household, await found(store, household, started), session)
    code = await found(store, household, started)
    assert code.session_id == session.id
    assert (code.facts.approved, code.facts.denied, code.facts.consumed) == (True, False, False)
    assert await waiting(store, household, started.user_code) is None


async def test_a_denied_code_is_never_redeemed(store: Store, household: Household, session: Session) -> None:
    started = await start(store, household)
    code = await found(store, household, started)
    assert await deny(store, household, code)
    assert (await found(store, household, started)).facts.denied
    assert not await approve(store, household, code, session)
    assert not await redeem(store, household, code)
    assert await waiting(store, household, started.user_code) is None


async def test_a_code_that_nobody_approved_is_not_redeemed(store: Store, household: Household) -> None:
    started = await start(store, household)
    assert not await redeem(store, household, await found(store, household, started))
    assert await waiting(store, household, started.user_code) is not None


async def test_of_twenty_decisions_at_once_one_counts(store: Store, household: Household, session: Session) -> None:
    started = await start(store, household)
    code = await found(store, household, started)
    outcomes = await asyncio.gather(
        *(approve(store, household, code, session) if turn % 2 else deny(store, household, code) for turn in range(20))
    )
    assert sorted(outcomes) == [False] * 19 + [True]
    facts = (await found(store, household, started)).facts
    assert facts.approved != facts.denied


async def test_of_twenty_parallel_redemptions_one_wins(store: Store, household: Household, session: Session) -> None:
    started = await start(store, household)
    assert await approve(store, household, await found(store, household, started), session)
    code = await found(store, household, started)
    outcomes = await asyncio.gather(*(redeem(store, household, code) for _ in range(20)))
    assert sorted(outcomes) == [False] * 19 + [True]
    assert (await found(store, household, started)).facts.consumed
    assert not await redeem(store, household, code)


async def test_its_time_ends_it_whatever_was_said(
    store: Store, household: Household, session: Session, clock: Clock
) -> None:
    approved, undecided = [await start(store, household) for _ in range(2)]
    assert await approve(store, household, await found(store, household, approved), session)
    clock.advance(minutes=10, seconds=-1)
    assert await waiting(store, household, undecided.user_code) is not None
    clock.advance(seconds=1)
    assert await waiting(store, household, undecided.user_code) is None
    code = await found(store, household, undecided)
    assert not await approve(store, household, code, session)
    assert not await deny(store, household, code)
    assert (await found(store, household, approved)).facts.expires_at == clock()


async def test_only_what_was_approved_can_be_had_of_it(store: Store, household: Household, session: Session) -> None:
    started = await start(store, household, scopes=["orders:read", "orders:write"])
    code = await found(store, household, started)
    async with store.for_tenant(household.tenant.id) as mine:
        assert await mine.device_codes.approve(code, session.id, scopes={"orders:read"})
        assert not await mine.device_codes.approve(code, session.id, scopes=code.scopes)
    assert (await found(store, household, started)).scopes == {"orders:read"}


async def test_a_poll_in_time_is_one_and_each_that_is_too_early_makes_the_next_wait_longer(
    store: Store, household: Household, clock: Clock
) -> None:
    started = await start(store, household)
    assert await poll(store, household, await found(store, household, started)), "the first is always in time"
    clock.advance(seconds=5)
    assert await poll(store, household, await found(store, household, started))
    clock.advance(seconds=4)
    assert not await poll(store, household, await found(store, household, started))
    assert (await found(store, household, started)).interval == timedelta(seconds=10)
    clock.advance(seconds=9)
    assert not await poll(store, household, await found(store, household, started)), "it counts from the last poll"
    assert (await found(store, household, started)).interval == timedelta(seconds=15)
    clock.advance(seconds=15)
    assert await poll(store, household, await found(store, household, started))
    assert (await found(store, household, started)).interval == timedelta(seconds=15), "for good"


async def test_of_twenty_polls_at_once_one_is_in_time(store: Store, household: Household) -> None:
    started = await start(store, household)
    code = await found(store, household, started)
    outcomes = await asyncio.gather(*(poll(store, household, code) for _ in range(20)))
    assert sorted(outcomes) == [False] * 19 + [True]
    assert (await found(store, household, started)).interval == timedelta(seconds=5 + 19 * 5)


async def test_codes_leave_each_other_alone(store: Store, household: Household, session: Session) -> None:
    first, second = [await start(store, household) for _ in range(2)]
    before = await found(store, household, second)
    code = await found(store, household, first)
    await poll(store, household, code)
    await poll(store, household, code)
    await approve(store, household, code, session)
    await redeem(store, household, code)
    assert await found(store, household, second) == before


async def test_a_code_is_a_clients_and_a_sessions(store: Store, household: Household, session: Session) -> None:
    with pytest.raises(IntegrityError):
        await start(store, replace(household, client_id="nobody"))
    code = await found(store, household, await start(store, household))
    with pytest.raises(IntegrityError):
        await approve(store, household, code, replace(session, id=uuid4()))


async def test_what_is_over_is_forgotten(
    database: Database, store: Store, household: Household, clock: Clock, superuser: AsyncEngine
) -> None:
    await start(store, household)
    await start(store, household, lifetime=2 * LIFETIME)
    clock.advance(minutes=10, seconds=1)
    async with database.system_step() as connection:
        await device_codes.prune(connection, clock())
    assert len((await dump(superuser))["device_codes"]) == 1
