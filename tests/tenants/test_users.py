"""Users: one person per name whatever its spelling; disabling ends what they have."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenants.errors import AlreadyExists, InvalidValue, NotFound
from tenants.store import Store
from tenants.tenant import Tenant
from tenants.users import name_key
from tests.conftest import Clock
from tests.tenants.conftest import Household

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "user_names.json").read_text())


def named(vectors: list[dict[str, Any]]) -> list[Any]:
    return [pytest.param(vector, id=vector["name"]) for vector in vectors]


@pytest.mark.parametrize("vector", named(VECTORS["same"]))
def test_spellings_of_one_name_have_one_key(vector: dict[str, Any]) -> None:
    assert len({name_key(spelling) for spelling in vector["spellings"]}) == 1


@pytest.mark.parametrize(("one", "other"), VECTORS["different"])
def test_names_that_look_different_have_different_keys(one: str, other: str) -> None:
    assert name_key(one) != name_key(other)


@pytest.mark.parametrize("vector", named(VECTORS["refused"]))
def test_what_nobody_can_see_or_type_is_no_name(vector: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue):
        name_key(vector["text"])


@given(st.text(min_size=1, max_size=20))
def test_a_key_is_its_own_key(name: str) -> None:
    try:
        key = name_key(name)
        again = name_key(key)
    except InvalidValue:
        return
    assert again == key


@pytest.mark.parametrize("name", ["x" * 255, "\ufdfa" * 254])
def test_a_name_is_not_longer_than_its_column(name: str) -> None:
    with pytest.raises(InvalidValue):
        name_key(name)


async def test_names_at_the_limit_are_stored_whole(store: Store, acme: Tenant) -> None:
    names = [
        "x" * 254,
        "\N{LATIN SMALL LETTER SHARP S}" * 254,
        "\N{LATIN SMALL LIGATURE FFI}" * 254,
        "\U0001d538" * 254,
    ]
    for name in names:
        async with store.for_tenant(acme.id) as mine:
            made = await mine.users.create(name)
        async with store.for_tenant(acme.id, read_only=True) as mine:
            assert await mine.users.by_name(name) == made


@pytest.mark.parametrize("vector", named(VECTORS["same"][:4]))
async def test_a_name_is_taken_in_every_spelling(store: Store, acme: Tenant, vector: dict[str, Any]) -> None:
    first, *others = vector["spellings"]
    async with store.for_tenant(acme.id) as mine:
        made = await mine.users.create(first)
        for other in others:
            with pytest.raises(AlreadyExists):
                await mine.users.create(other)
            assert await mine.users.by_name(other) == made
        assert await mine.users.list() == [made]  # and the transaction goes on


async def test_a_look_up_of_what_cannot_be_a_name_finds_nobody(store: Store, household: Household) -> None:
    async with store.for_tenant(household.tenant.id, read_only=True) as mine:
        for vector in VECTORS["refused"]:
            assert await mine.users.by_name(vector["text"]) is None, vector["name"]
        assert await mine.users.by_name("\ufdfa" * 10_000) is None


async def test_a_name_is_shown_as_it_was_typed(store: Store, acme: Tenant) -> None:
    async with store.for_tenant(acme.id) as mine:
        await mine.users.create("\uff21lice Stra\u00dfe")
        found = await mine.users.by_name("alice strasse")
    assert found is not None
    assert (found.name, found.key) == ("\uff21lice Stra\u00dfe", "alice strasse")


async def test_a_list_goes_on_where_it_stopped(store: Store, acme: Tenant) -> None:
    async with store.for_tenant(acme.id) as mine:
        for number in range(7):
            await mine.users.create(f"User {number}")
        seen: list[str] = []
        while page := await mine.users.list(after=seen[-1] if seen else "", limit=3):
            seen += [user.key for user in page]
    assert seen == [f"user {number}" for number in range(7)]


async def test_disabling_ends_the_sessions_and_refuses_the_tokens(
    store: Store, household: Household, clock: Clock
) -> None:
    hour = clock() + timedelta(hours=1)
    async with store.for_tenant(household.tenant.id) as mine:
        bob = await mine.users.create("bob")
        hers = await mine.sessions.start(household.user_id, acr="a", amr=["pwd"], expires_at=hour)
        his = await mine.sessions.start(bob.id, acr="a", amr=["pwd"], expires_at=hour)
    clock.advance(seconds=60)
    async with store.for_tenant(household.tenant.id) as mine:
        await mine.users.set_active(household.user_id, False)
    async with store.for_tenant(household.tenant.id, read_only=True) as mine:
        user, ended, living = (
            await mine.users.get(household.user_id),
            await mine.sessions.get(hers.id),
            await mine.sessions.get(his.id),
        )
        (revocation,) = await mine.revocations.list()
    assert user is not None
    assert not user.active
    assert ended is not None
    assert ended.ended_at == clock()
    assert living is not None
    assert living.ended_at is None
    assert (revocation.kind, revocation.value) == ("subject", str(household.user_id))


async def test_enabling_brings_no_session_back(store: Store, household: Household, clock: Clock) -> None:
    async with store.for_tenant(household.tenant.id) as mine:
        session = await mine.sessions.start(
            household.user_id, acr="a", amr=["pwd"], expires_at=clock() + timedelta(hours=1)
        )
        await mine.users.set_active(household.user_id, False)
    async with store.for_tenant(household.tenant.id) as mine:
        await mine.users.set_active(household.user_id, True)
        found, user = await mine.sessions.get(session.id), await mine.users.get(household.user_id)
    assert user is not None
    assert user.active
    assert found is not None
    assert found.ended_at is not None


async def test_nobody_can_be_disabled_who_is_not_there(store: Store, acme: Tenant) -> None:
    async with store.for_tenant(acme.id) as mine:
        with pytest.raises(NotFound):
            await mine.users.set_active(uuid4(), False)
        assert await mine.users.get(uuid4()) is None
