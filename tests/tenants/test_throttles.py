"""Counters of failed logins: exact in parallel, all or none, and never in each other's way."""

import asyncio
from collections import Counter as Tally
from collections.abc import Callable, Iterator
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.ext.asyncio import AsyncEngine

from policies.decision import Allow
from policies.throttle import ACCOUNT, ALARM, FACTOR, KNOWN, LETTERS, NETWORK, REMEMBERED, USER_CODE, Curve, Throttled
from tenants import throttles
from tenants.database import Database
from tenants.store import Store
from tenants.tenant import Tenant
from tenants.throttles import Counter, account, factor, known, letter, network, user_code
from tests.conftest import Clock
from tests.tenants.conftest import Household, dump

HERE, THERE = network("192.0.2.1/32"), network("2001:db8::/64")
USER = UUID("00000000-0000-4000-8000-000000000001")
DEVICE = known(USER, "device:6c9d1c4e-4a8e-4a56-a9d1-0a0ac8e2d3a7")
KINDS = [
    pytest.param(account("alice"), ACCOUNT, id="account"),
    pytest.param(HERE, NETWORK, id="network"),
    pytest.param(DEVICE, KNOWN, id="known"),
    pytest.param(factor(USER), FACTOR, id="factor"),
    pytest.param(letter("alice@example.com"), LETTERS, id="letter"),
    pytest.param(user_code(USER), USER_CODE, id="user_code"),
]


async def reserve(store: Store, tenant: Tenant, *counters: Counter) -> Allow | Throttled:
    async with store.for_tenant(tenant.id) as mine:
        return await mine.throttles.reserve(*counters)


async def fail(store: Store, tenant: Tenant, *counters: Counter, times: int) -> None:
    """Attempts that all were allowed."""
    for _ in range(times):
        assert await reserve(store, tenant, *counters) == Allow()


async def at_once(store: Store, tenant: Tenant, *attempts: tuple[Counter, ...]) -> list[Allow | Throttled]:
    return await asyncio.gather(*(reserve(store, tenant, *counters) for counters in attempts))


async def counts(engine: AsyncEngine) -> dict[tuple[str, str], int]:
    """``failures`` of each row, by kind and subject."""
    return {(kind, subject): failures for _, kind, subject, failures, _ in (await dump(engine))["throttles"]}


@pytest.mark.parametrize(("counter", "curve"), KINDS)
async def test_of_parallel_attempts_exactly_those_that_are_free_are_admitted(
    store: Store, acme: Tenant, superuser: AsyncEngine, counter: Counter, curve: Curve
) -> None:
    answers = await at_once(store, acme, *[(counter,)] * (curve.free + 50))
    assert Tally(answers) == {Allow(): curve.free, Throttled(curve.first): 50}
    assert await counts(superuser) == {(counter.kind, counter.subject): curve.free}


async def test_when_the_wait_is_over_one_of_fifty_parallel_attempts_is_admitted(
    store: Store, acme: Tenant, clock: Clock
) -> None:
    counter = account("alice")
    await fail(store, acme, counter, times=ACCOUNT.free)
    for doubled in (1, 2, 4):
        clock.now += ACCOUNT.first * doubled
        answers = await at_once(store, acme, *[(counter,)] * 50)
        assert Tally(answers) == {Allow(): 1, Throttled(ACCOUNT.first * doubled * 2): 49}


async def test_attempts_on_many_accounts_from_one_network_are_counted_exactly(
    store: Store, acme: Tenant, superuser: AsyncEngine
) -> None:
    attempts = [(account(f"user{number}"), HERE) for number in range(NETWORK.free + 20)]
    answers = await at_once(store, acme, *attempts)
    assert Tally(answers) == {Allow(): NETWORK.free, Throttled(NETWORK.first): 20}
    found = await counts(superuser)
    assert Tally(found.values()) == {NETWORK.free: 1, 1: NETWORK.free}  # the refused left no row of their account's


async def test_an_attempt_counts_on_all_or_on_none(store: Store, acme: Tenant, superuser: AsyncEngine) -> None:
    await fail(store, acme, account("alice"), HERE, times=ACCOUNT.free)
    for counters in ((account("alice"), HERE), (account("alice"), THERE), (THERE, account("alice"))):
        assert await reserve(store, acme, *counters) == Throttled(ACCOUNT.first)
    assert await counts(superuser) == {
        ("account", account("alice").subject): ACCOUNT.free,
        ("network", HERE.subject): ACCOUNT.free,
    }


async def test_two_counters_of_a_kind_are_never_locked_together(store: Store, acme: Tenant) -> None:
    async with store.for_tenant(acme.id) as mine:
        for call in (mine.throttles.reserve, mine.throttles.refund):
            with pytest.raises(ValueError, match="one counter of each kind"):
                await call(account("alice"), HERE, account("bob"))


async def test_the_longest_wait_wins(store: Store, acme: Tenant, clock: Clock) -> None:
    await fail(store, acme, account("alice"), times=ACCOUNT.free)
    await fail(store, acme, factor(USER), times=FACTOR.free)
    for counters in ((account("alice"), factor(USER)), (factor(USER), account("alice"))):
        assert await reserve(store, acme, *counters) == Throttled(FACTOR.first)
    clock.now += FACTOR.first - timedelta(seconds=1)
    assert await reserve(store, acme, account("alice"), factor(USER)) == Throttled(timedelta(seconds=1))


async def test_hammering_does_not_lengthen_the_wait(store: Store, acme: Tenant, clock: Clock) -> None:
    await fail(store, acme, account("alice"), times=ACCOUNT.free)
    for second in range(10):
        left = ACCOUNT.first - timedelta(seconds=second)
        assert Tally(await at_once(store, acme, *[(account("alice"),)] * 5)) == {Throttled(left): 5}
        clock.advance(seconds=1)
    assert await reserve(store, acme, account("alice")) == Allow()


async def test_after_quiet_all_that_is_free_is_free_again(store: Store, acme: Tenant, clock: Clock) -> None:
    await fail(store, acme, account("alice"), times=ACCOUNT.free)
    clock.now += ACCOUNT.forget_after
    answers = await at_once(store, acme, *[(account("alice"),)] * 50)
    assert Tally(answers) == {Allow(): ACCOUNT.free, Throttled(ACCOUNT.first): 50 - ACCOUNT.free}


async def test_a_process_whose_clock_is_behind_cannot_move_the_wait_back(
    store: Store, acme: Tenant, clock: Clock
) -> None:
    await fail(store, acme, account("alice"), times=ACCOUNT.free)
    clock.now += ACCOUNT.first
    await fail(store, acme, account("alice"), times=1)
    clock.advance(seconds=-5)
    assert await reserve(store, acme, account("alice")) == Throttled(ACCOUNT.first * 2)


async def test_an_attempt_that_was_not_tried_is_given_back_and_its_wait_runs_on(
    store: Store, acme: Tenant, clock: Clock
) -> None:
    counters = account("alice"), HERE
    await fail(store, acme, *counters, times=ACCOUNT.free)
    clock.now += ACCOUNT.first
    await fail(store, acme, *counters, times=1)
    async with store.for_tenant(acme.id) as mine:
        await mine.throttles.refund(*counters)
    assert await reserve(store, acme, *counters) == Throttled(ACCOUNT.first)  # not doubled, and not over either
    clock.now += ACCOUNT.first
    assert await reserve(store, acme, *counters) == Allow()


async def test_fifty_parallel_refunds_give_back_what_was_counted_and_nothing_more(
    store: Store, acme: Tenant, superuser: AsyncEngine
) -> None:
    await fail(store, acme, account("alice"), HERE, times=3)
    await fail(store, acme, account("bob"), HERE, times=2)

    async def refund(name: str) -> None:
        async with store.for_tenant(acme.id) as mine:
            await mine.throttles.refund(account(name), HERE)

    await asyncio.gather(*(refund("alice") for _ in range(4)))
    assert await counts(superuser) == {
        ("account", account("alice").subject): 0,
        ("account", account("bob").subject): 2,
        ("network", HERE.subject): 1,
    }
    await asyncio.gather(*(refund("nobody") for _ in range(50)))
    assert min((await counts(superuser)).values()) == 0
    answers = await at_once(store, acme, *[(account("alice"),)] * 50)
    assert Tally(answers) == {Allow(): ACCOUNT.free, Throttled(ACCOUNT.first): 50 - ACCOUNT.free}


async def test_a_networks_successes_are_never_counted_and_never_clear_its_failures(store: Store, acme: Tenant) -> None:
    """Whoever has one account of their own would else open the door for a hundred more guesses with each login."""
    for _ in range(NETWORK.free - 1):
        await fail(store, acme, HERE, times=2)  # a success and a failure
        async with store.for_tenant(acme.id) as mine:
            await mine.throttles.refund(HERE)
    await fail(store, acme, HERE, times=1)
    assert await reserve(store, acme, HERE) == Throttled(NETWORK.first)


async def test_a_success_clears_its_own_counter_only(store: Store, acme: Tenant, superuser: AsyncEngine) -> None:
    names = account("alice"), account("bob")
    counters = (*names, HERE, DEVICE, known(USER, "network:192.0.2.1/32"), factor(USER), factor(USER, "device:x"))
    for counter in counters:
        await fail(store, acme, counter, times=3)
    async with store.for_tenant(acme.id) as mine:
        await mine.throttles.clear(account("alice"))
        await mine.throttles.clear(letter("alice"))
    assert await counts(superuser) == {(counter.kind, counter.subject): 3 for counter in counters[1:]}
    await fail(store, acme, account("alice"), times=ACCOUNT.free)


async def test_who_is_known_has_a_budget_that_no_stranger_spends(store: Store, acme: Tenant) -> None:
    await fail(store, acme, account("alice"), times=ACCOUNT.free)
    assert await reserve(store, acme, account("alice"), HERE) == Throttled(ACCOUNT.first)
    for mine in (DEVICE, known(uuid4(), "device:6c9d1c4e-4a8e-4a56-a9d1-0a0ac8e2d3a7"), known(USER, "network:x")):
        await fail(store, acme, mine, times=KNOWN.free)
        assert await reserve(store, acme, mine) == Throttled(KNOWN.first)


async def test_each_tenant_counts_its_own(store: Store, acme: Tenant, globex: Tenant) -> None:
    for tenant in (acme, globex):
        await fail(store, tenant, account("alice"), HERE, times=ACCOUNT.free)
    async with store.for_tenant(acme.id) as mine:
        await mine.throttles.clear(account("alice"))
        await mine.throttles.refund(HERE)
    assert await reserve(store, acme, account("alice"), HERE) == Allow()
    assert await reserve(store, globex, account("alice"), HERE) == Throttled(ACCOUNT.first)


@pytest.mark.parametrize("spelling", ["ALICE", "\uff41lice", "Alice", "\u24d0lice"])
@pytest.mark.parametrize("counter", [account, letter])
def test_no_spelling_of_a_name_has_a_budget_of_its_own(counter: Callable[[str], Counter], spelling: str) -> None:
    assert counter(spelling) == counter("alice")
    assert counter("alice") != counter("alicia")


@pytest.mark.parametrize("typed", ["", " ", "\0", "\ud800", "a\u200db", "x" * 100_000, "e\u0301 "])
async def test_what_cannot_be_a_name_is_counted_as_it_was_typed(store: Store, acme: Tenant, typed: str) -> None:
    await fail(store, acme, account(typed), times=ACCOUNT.free)
    assert await reserve(store, acme, account(typed)) == Throttled(ACCOUNT.first)
    assert await reserve(store, acme, account(typed + "\0")) == Allow()


def test_a_subject_of_one_kind_is_not_taken_for_another() -> None:
    found = [account("a"), network("a"), letter("a"), known(USER, "a"), factor(USER, "a"), factor(USER)]
    assert len({(counter.kind, counter.subject) for counter in found}) == len(found)
    assert account("\u00e9 ") == account("e\u0301 ")  # NFC: one text, however it was typed


async def test_what_was_typed_as_a_name_is_not_stored(store: Store, acme: Tenant, superuser: AsyncEngine) -> None:
    await fail(store, acme, account("correct horse"), letter("battery@staple"), times=1)
    rows = str(await dump(superuser))
    assert not [typed for typed in ("correct", "battery", "staple") if typed in rows]


@pytest.fixture
def statements(database: Database) -> Iterator[list[str]]:
    """What is sent to the database, in order."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        sent.append(statement)

    engine: Engine = database.app.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    yield sent
    event.remove(engine, "before_cursor_execute", note)


async def test_the_statements_do_not_tell_whether_an_account_exists(
    store: Store, household: Household, statements: list[str]
) -> None:
    async def sent(name: str) -> tuple[Allow | Throttled, list[str]]:
        statements.clear()
        return await reserve(store, household.tenant, account(name), HERE), list(statements)

    for _ in range(ACCOUNT.free + 1):
        assert await sent("alice") == await sent("nobody")
    answer, _ = await sent("alice")
    assert answer == Throttled(ACCOUNT.first)


async def test_two_counters_cost_a_lock_each_and_one_write(store: Store, acme: Tenant, statements: list[str]) -> None:
    await reserve(store, acme, HERE, account("alice"))
    assert [statement.split()[0] for statement in statements if "throttles" in statement] == [
        "INSERT",
        "INSERT",
        "UPDATE",
    ]


async def test_no_two_transactions_wait_for_each_other(
    database: Database, store: Store, acme: Tenant, clock: Clock
) -> None:
    """Whatever the order in which counters are named; a database that breaks a deadlock up raises."""
    stale = [(account(f"user{number}"), known(USER, f"{number}"), factor(USER, f"{number}")) for number in range(4)]
    for counters in stale:
        await fail(store, acme, *counters, HERE, times=1)
    clock.now += REMEMBERED + timedelta(seconds=1)  # the pruning wants them too

    async def attempt(number: int) -> None:
        counters = *stale[number % 4], (HERE, THERE)[number // 4 % 2]
        async with store.for_tenant(acme.id) as mine:
            await mine.throttles.reserve(*(counters if number % 3 else reversed(counters)))
        async with store.for_tenant(acme.id) as mine:
            await mine.throttles.clear(counters[0])
            await mine.throttles.refund(*(counters if number % 5 else reversed(counters)))
            await mine.throttles.alarm()

    async def prune() -> None:
        async with database.system_step() as connection:
            await throttles.prune(connection, clock() - REMEMBERED)

    await asyncio.gather(*(attempt(number) if number % 10 else prune() for number in range(100)))


async def test_an_alarm_is_given_once_in_a_window_and_slows_nobody(store: Store, acme: Tenant, clock: Clock) -> None:
    async def count() -> bool:
        async with store.for_tenant(acme.id) as mine:
            return await mine.throttles.alarm()

    clock.now = ALARM.window_of(clock.now)
    for _ in range(2):
        assert not any([await count() for _ in range(ALARM.threshold - 10)])
        assert sum(await asyncio.gather(*(count() for _ in range(50)))) == 1
        clock.now += ALARM.window - timedelta(microseconds=1)
        assert not await count()
        assert await reserve(store, acme, account("alice"), HERE) == Allow()
        clock.advance(microseconds=1)


async def test_an_alarm_is_a_tenants_own(store: Store, acme: Tenant, globex: Tenant) -> None:
    async def count(tenant: Tenant) -> bool:
        async with store.for_tenant(tenant.id) as mine:
            return await mine.throttles.alarm()

    given = [(await count(acme), await count(globex)) for _ in range(ALARM.threshold)]
    assert given == [(False, False)] * (ALARM.threshold - 1) + [(True, True)]


async def test_a_process_whose_clock_is_behind_gives_no_second_alarm(store: Store, acme: Tenant, clock: Clock) -> None:
    clock.now = ALARM.window_of(clock.now) - timedelta(seconds=1)
    given = []
    for number in range(3 * ALARM.threshold):
        clock.advance(seconds=-2 if number % 2 else 2)
        async with store.for_tenant(acme.id) as mine:
            given.append(await mine.throttles.alarm())
    assert sum(given) == 1


async def test_a_counter_is_pruned_when_it_says_nothing_any_more(
    database: Database, store: Store, acme: Tenant, clock: Clock, superuser: AsyncEngine
) -> None:
    await fail(store, acme, account("alice"), HERE, times=1)
    async with store.for_tenant(acme.id) as mine:
        await mine.throttles.alarm()
    clock.now += REMEMBERED
    await fail(store, acme, account("bob"), times=1)
    left = []
    for second in (0, 1):
        clock.advance(seconds=second)
        async with database.system_step() as connection:
            await throttles.prune(connection, clock() - REMEMBERED)
        left.append({subject for _, subject in await counts(superuser)})
    assert left[0] >= {account("alice").subject, account("bob").subject, HERE.subject}
    assert left[1] == {account("bob").subject}
