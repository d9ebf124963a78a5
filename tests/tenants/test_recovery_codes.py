"""Recovery codes: ten at a time, each good once, for their user only."""

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from tenants.database import Database
from tenants.errors import NotFound
from tenants.store import Store
from tests.tenants.conftest import Household, dump


async def make(store: Store, household: Household) -> tuple[str, ...]:
    async with store.for_tenant(household.tenant.id) as mine:
        return await mine.recovery_codes.make(household.user_id)


async def redeem(store: Store, household: Household, code: str) -> bool:
    async with store.for_tenant(household.tenant.id) as mine:
        return await mine.recovery_codes.redeem(household.user_id, code)


async def left(store: Store, household: Household) -> int:
    async with store.for_tenant(household.tenant.id, read_only=True) as mine:
        return await mine.recovery_codes.left(household.user_id)


async def test_ten_codes_of_eighty_bits_are_made_without_signs_that_look_alike(
    store: Store, household: Household
) -> None:
    codes = await make(store, household)
    assert len(set(codes)) == 10
    for code in codes:
        assert re.fullmatch(r"(?:[0-9a-hjkmnp-tv-z]{4}-){3}[0-9a-hjkmnp-tv-z]{4}", code)  # 32 signs, 5 bits each
    assert await left(store, household) == 10


async def test_a_code_is_good_once(store: Store, household: Household) -> None:
    codes = await make(store, household)
    for used, code in enumerate(codes):
        assert await redeem(store, household, code)
        assert not await redeem(store, household, code)
        assert await left(store, household) == 9 - used


async def test_of_twenty_parallel_redemptions_of_a_code_one_wins(store: Store, household: Household) -> None:
    code = (await make(store, household))[0]
    assert sorted(await asyncio.gather(*(redeem(store, household, code) for _ in range(20)))) == [False] * 19 + [True]
    assert await left(store, household) == 9


async def test_making_new_ones_kills_the_old(store: Store, household: Household) -> None:
    old = await make(store, household)
    assert await redeem(store, household, old[0])
    new = await make(store, household)
    assert await left(store, household) == 10
    for code in old:
        assert not await redeem(store, household, code)
    assert await redeem(store, household, new[0])


async def test_who_makes_codes_twenty_times_at_once_has_ten(store: Store, household: Household) -> None:
    made = await asyncio.gather(*(make(store, household) for _ in range(20)))
    assert await left(store, household) == 10
    good = [[await redeem(store, household, code) for code in codes] for codes in made]
    assert sorted(good) == [[False] * 10] * 19 + [[True] * 10]  # one set whole, the others gone


@pytest.mark.parametrize(
    "typed",
    [
        str.upper,
        str.title,
        lambda code: code.replace("-", ""),
        lambda code: code.replace("-", " "),
        lambda code: f"  {code.replace('-', ' - ')}\r\n",
        lambda code: "-".join(code.replace("-", "")),
        lambda code: code.replace("0", "O").replace("1", "l"),
        lambda code: code.replace("0", "o").replace("1", "I"),
    ],
)
async def test_capitals_spaces_hyphens_and_look_alikes_do_not_matter(
    store: Store, household: Household, typed: Callable[[str], str]
) -> None:
    for code in await make(store, household):
        assert await redeem(store, household, typed(code))


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """What is asked of the recovery codes' table meanwhile."""
    seen: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if "recovery_codes" in statement:
            seen.append(statement)

    engine = database.app.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


GARBAGE: dict[str, Callable[[str], str]] = {
    "nothing": lambda _: "",
    "hyphens": lambda _: "----",
    "one sign less": lambda code: code[:-1],
    "one sign more": lambda code: code + "0",
    "twice": lambda code: code + code,
    "a foreign sign": lambda code: code[:-1] + "u",
    "an underscore": lambda code: code.replace("-", "_"),
    "full-width": lambda code: "".join(chr(ord(sign) + 0xFEE0) for sign in code),
    "a NUL": lambda code: code + "\0",
    "an unpaired surrogate": lambda code: code + "\ud800",
    "an en dash": lambda code: code.replace("-", "–"),
    "six digits": lambda _: "123456",
    "10 MB": lambda code: code * 500_000,
    "10 MB of space around": lambda code: " " * 10_000_000 + code,
}


@pytest.mark.parametrize("garbage", GARBAGE)
async def test_what_has_not_a_codes_form_is_a_wrong_code_and_costs_no_query(
    database: Database, store: Store, household: Household, garbage: str
) -> None:
    code = (await make(store, household))[0]
    with statements(database) as seen:
        assert not await redeem(store, household, GARBAGE[garbage](code))
    assert seen == []
    assert await redeem(store, household, code)


async def test_a_code_is_its_own_users_only(store: Store, household: Household) -> None:
    codes = await make(store, household)
    async with store.for_tenant(household.tenant.id) as mine:
        bob = await mine.users.create("bob")
        own = await mine.recovery_codes.make(bob.id)
        assert not await mine.recovery_codes.redeem(bob.id, codes[0])
        assert await mine.recovery_codes.redeem(bob.id, own[0])
    assert await left(store, household) == 10


async def test_codes_are_stored_as_hashes_that_are_bound_to_their_user(
    store: Store, household: Household, superuser: AsyncEngine
) -> None:
    codes = await make(store, household)
    rows = await dump(superuser)
    for code in codes:
        assert code not in str(rows)
        assert code.replace("-", "") not in str(rows)
    table = (await dump(superuser))["recovery_codes"]
    assert len({row[2] for row in table}) == 10
    assert all(len(row[2]) == 32 for row in table)


async def test_removed_codes_are_worth_nothing(store: Store, household: Household) -> None:
    codes = await make(store, household)
    async with store.for_tenant(household.tenant.id) as mine:
        await mine.recovery_codes.remove_all(household.user_id)
        await mine.recovery_codes.remove_all(household.user_id)
        assert await mine.recovery_codes.left(household.user_id) == 0
    assert not await redeem(store, household, codes[0])


async def test_nobody_has_no_codes(store: Store, household: Household) -> None:
    async with store.for_tenant(household.tenant.id) as mine:
        with pytest.raises(NotFound):
            await mine.recovery_codes.make(uuid4())
        assert not await mine.recovery_codes.redeem(uuid4(), "k7mq-2xvd-9p4t-w3hz")
        assert await mine.recovery_codes.left(uuid4()) == 0
