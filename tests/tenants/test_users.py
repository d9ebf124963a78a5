"""Users: one person per name and per address whatever their spelling; disabling ends what they have."""

import asyncio
import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import insert
from sqlalchemy.event import listen
from sqlalchemy.ext.asyncio import AsyncEngine

from tenants.database import Database
from tenants.errors import AlreadyExists, InvalidValue, NotFound
from tenants.store import Store
from tenants.tables import users
from tenants.tenant import Tenant
from tenants.users import User
from tests.conftest import Clock
from tests.tenants.conftest import Household

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "user_names.json").read_text())


def named(vectors: list[dict[str, Any]]) -> list[Any]:
    return [pytest.param(vector, id=vector["name"]) for vector in vectors]


async def test_names_at_the_limit_are_stored_whole(store: Store, acme: Tenant) -> None:
    domain = ".".join(["d" * 63] * 3)
    for name in (
        "x" * 254,
        "\N{LATIN SMALL LETTER SHARP S}" * 254,
        "\N{CJK UNIFIED IDEOGRAPH-20000}" * 254,
        f"{'l' * 62}@{domain}",
    ):
        async with store.for_tenant(acme.id) as mine:
            made = await mine.users.create(name)
        async with store.for_tenant(acme.id, read_only=True) as mine:
            assert await mine.users.by_name(name) == made


@pytest.mark.parametrize("vector", named(VECTORS["same"]))
async def test_a_name_is_taken_in_every_spelling(store: Store, acme: Tenant, vector: dict[str, Any]) -> None:
    first, *others = vector["spellings"]
    async with store.for_tenant(acme.id) as mine:
        made = await mine.users.create(first)
        for other in others:
            with pytest.raises(AlreadyExists, match=r"^user "):
                await mine.users.create(other)
            assert await mine.users.by_name(other) == await mine.users.by_login(other) == made
        assert await mine.users.list() == [made]  # and the transaction goes on


async def test_a_name_that_cannot_be_one_is_not_stored(store: Store, acme: Tenant) -> None:
    async with store.for_tenant(acme.id) as mine:
        for vector in [*VECTORS["unseen"], *VECTORS["refused"]]:
            with pytest.raises(InvalidValue):
                await mine.users.create(vector["text"])
        assert await mine.users.list() == []


async def test_a_look_up_of_what_cannot_be_a_name_finds_nobody(store: Store, household: Household) -> None:
    async with store.for_tenant(household.tenant.id, read_only=True) as mine:
        for text in [
            *(vector["text"] for vector in VECTORS["unseen"]),
            "\ufdfa" * 10_000,
            "@" * 10_000,
            "x" * 1_000_000,
        ]:
            assert await mine.users.by_name(text) is None, text[:20]
            assert await mine.users.by_login(text) is None, text[:20]
            assert await mine.users.by_email(text) is None, text[:20]


@pytest.mark.parametrize("vector", named(VECTORS["of_old"]))
async def test_users_of_before_these_rules_are_found_still(
    store: Store, superuser: AsyncEngine, acme: Tenant, clock: Clock, vector: dict[str, Any]
) -> None:
    name = vector["spellings"][0]
    address = {"email": name, "email_key": name.lower()} if "@" in name else {}  # as the migration made it
    row = {"id": uuid4(), "name": name, "name_key": name.lower(), "active": True, "email_verified": False, **address}
    async with superuser.begin() as connection:
        await connection.execute(insert(users).values(tenant_id=acme.id, created_at=clock(), **row))
    async with store.for_tenant(acme.id, read_only=True) as mine:
        for spelling in vector["spellings"]:
            for found in (await mine.users.by_name(spelling), await mine.users.by_login(spelling)):
                assert found is not None
                assert found.name == name


async def test_a_name_is_shown_as_it_was_typed(store: Store, acme: Tenant) -> None:
    async with store.for_tenant(acme.id) as mine:
        await mine.users.create("\uff21lice.Stra\u00dfe")
        found = await mine.users.by_name("alice.strasse")
    assert found is not None
    assert (found.name, found.key, found.email) == ("\uff21lice.Stra\u00dfe", "alice.strasse", None)


async def test_a_user_logs_in_by_name_and_by_address(store: Store, acme: Tenant) -> None:
    async with store.for_tenant(acme.id) as mine:
        alice = await mine.users.create("alice", email="Alice.Smith@example.com")
        bob = await mine.users.create("Bob@example.com", email_verified=True)
    async with store.for_tenant(acme.id, read_only=True) as mine:
        for typed in ("Alice", "alice.smith@EXAMPLE.com", "alice.smith\uff20example.com"):
            assert await mine.users.by_login(typed) == alice
        assert await mine.users.by_login("bob@example.com") == await mine.users.by_name("bob@example.com") == bob
        assert await mine.users.by_name("alice.smith@example.com") is None
        assert await mine.users.by_email("alice") is None
        assert await mine.users.by_email("ALICE.smith@example.com") == alice
        for nobody in ("alice.smith", "bob", "carol@example.com", "@", "@example.com", "alice@"):
            assert await mine.users.by_login(nobody) is None
    assert (alice.email, alice.email_verified) == ("Alice.Smith@example.com", False)
    assert (bob.email, bob.email_verified) == ("Bob@example.com", True)


@pytest.mark.parametrize(
    "identifier", ["alice", "nobody", "alice@example.com", "nobody@example.com", "al\x00ice", "", "@"]
)
async def test_a_look_up_of_a_login_is_one_query_whoever_is_looked_for(
    database: Database, store: Store, acme: Tenant, identifier: str
) -> None:
    async with store.for_tenant(acme.id) as mine:
        await mine.users.create("alice", email="alice@example.com")
    said: list[str] = []
    async with store.for_tenant(acme.id, read_only=True) as mine:
        listen(database.app.sync_engine, "before_cursor_execute", lambda _, __, statement, *___: said.append(statement))
        await mine.users.by_login(identifier)
    (query,) = (statement for statement in said if "FROM users" in statement)
    assert re.search(r"WHERE users\.tenant_id = \S+ AND users\.(name|email)_key = \S+$", query)


async def test_an_address_never_stands_for_two_users(store: Store, acme: Tenant) -> None:
    async with store.for_tenant(acme.id) as mine:
        await mine.users.create("alice", email="alice@example.com")
        await mine.users.create("bob@example.com")
        carol = await mine.users.create("carol")
        dave = await mine.users.create("dave@example.com")
        for name, email, taken in (
            ("alice2", "ALICE@example.com", "email address 'ALICE@example.com' exists already"),
            ("Alice@example.com", None, "email address 'Alice@example.com' exists already"),
            ("bob", "Bob@Example.com", "email address 'Bob@Example.com' exists already"),
            ("BOB@example.com", None, "user 'BOB@example.com' exists already"),
            ("alice", "else@example.com", "user 'alice' exists already"),
        ):
            with pytest.raises(AlreadyExists, match=f"^{taken}$"):
                await mine.users.create(name, email=email)
        for user in (carol, dave):
            for email in ("Alice@EXAMPLE.com", "BOB@example.com"):
                with pytest.raises(AlreadyExists, match=f"^email address '{email}' exists already$"):
                    await mine.users.set_email(user.id, email, verified=True)
        assert await mine.users.get(carol.id) == carol
        assert await mine.users.get(dave.id) == dave


@pytest.mark.parametrize(
    ("name", "email", "verified"),
    [
        ("bob@example.com", "robert@example.com", False),
        ("bob", "bob", False),
        ("bob", "bob\uff20example.com", False),
        ("bob", None, True),
    ],
)
async def test_an_address_that_does_not_fit_its_user_is_refused(
    store: Store, acme: Tenant, name: str, email: str | None, verified: bool
) -> None:
    async with store.for_tenant(acme.id) as mine:
        with pytest.raises(InvalidValue):
            await mine.users.create(name, email=email, email_verified=verified)
        assert await mine.users.list() == []


async def test_a_user_whose_name_is_their_address_is_renamed_with_it(store: Store, acme: Tenant) -> None:
    async with store.for_tenant(acme.id) as mine:
        alice = await mine.users.create("alice", email="alice@example.com", email_verified=True)
        bob = await mine.users.create("bob@example.com", email="BOB@example.com", email_verified=True)
        await mine.users.set_email(alice.id, "A.Smith@example.com", verified=False)
        await mine.users.set_email(bob.id, "Robert@example.com", verified=True)
        await mine.users.create("bob@example.com")  # is free again
        smith, robert = await mine.users.get(alice.id), await mine.users.by_login("robert@example.com")
    assert smith == replace(alice, email="A.Smith@example.com", email_verified=False)
    assert robert == replace(bob, name="Robert@example.com", key="robert@example.com", email="Robert@example.com")


async def test_an_address_is_verified_only_while_it_is_the_users(store: Store, acme: Tenant) -> None:
    async with store.for_tenant(acme.id) as mine:
        alice = await mine.users.create("alice", email="alice@example.com")
        bob = await mine.users.create("bob")
        await mine.users.set_email(alice.id, "new@example.com", verified=False)
        for stranger in ("alice@example.com", "alice", "", "al\x00ice"):
            assert not await mine.users.confirm_email(alice.id, stranger)
            assert not await mine.users.confirm_email(bob.id, stranger)
        assert not await mine.users.confirm_email(uuid4(), "new@example.com")
        assert not await mine.users.confirm_email(bob.id, "new@example.com")
        before = await mine.users.get(alice.id)
        assert before is not None
        assert not before.email_verified
        assert await mine.users.confirm_email(alice.id, "NEW@example.com")
        assert await mine.users.confirm_email(alice.id, "new@example.com")  # twice is once
        assert await mine.users.get(alice.id) == replace(before, email_verified=True)
        assert await mine.users.get(bob.id) == bob


async def test_an_address_is_checked_before_it_is_set(store: Store, household: Household) -> None:
    async with store.for_tenant(household.tenant.id) as mine:
        for address in VECTORS["address"]["refused"]:
            with pytest.raises(InvalidValue):
                await mine.users.set_email(household.user_id, address, verified=True)
        with pytest.raises(NotFound):
            await mine.users.set_email(uuid4(), "alice@example.com", verified=True)


async def test_of_twenty_who_take_an_address_at_once_one_has_it(store: Store, acme: Tenant) -> None:
    async with store.for_tenant(acme.id) as mine:
        people = [await mine.users.create(f"user-{number}") for number in range(20)]

    async def take(user: User) -> bool:
        try:
            async with store.for_tenant(acme.id) as mine:
                await mine.users.set_email(user.id, "one@example.com", verified=True)
        except AlreadyExists:
            return False
        return True

    took = await asyncio.gather(*map(take, people))
    async with store.for_tenant(acme.id, read_only=True) as mine:
        found = await mine.users.by_login("one@example.com")
    assert found is not None
    assert [user.id for user, won in zip(people, took, strict=True) if won] == [found.id]


async def test_a_list_goes_on_where_it_stopped(store: Store, acme: Tenant) -> None:
    async with store.for_tenant(acme.id) as mine:
        for number in range(7):
            await mine.users.create(f"User-{number}")
        seen: list[str] = []
        while page := await mine.users.list(after=seen[-1] if seen else "", limit=3):
            seen += [user.key for user in page]
    assert seen == [f"user-{number}" for number in range(7)]


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
