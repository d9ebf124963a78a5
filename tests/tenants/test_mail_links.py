"""Links of letters: each is good once, for its purpose, in its tenant, until its time is over."""

import asyncio
from datetime import timedelta
from typing import get_args

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from tenants import mail_links
from tenants.database import Database
from tenants.mail_links import MailLink, Purpose
from tenants.store import Store
from tenants.tenant import Tenant
from tests.conftest import Clock
from tests.tenants.conftest import Household, dump

HALF_AN_HOUR = timedelta(minutes=30)
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)


async def make(store: Store, household: Household, purpose: Purpose = "reset") -> str:
    async with store.for_tenant(household.tenant.id) as mine:
        return await mine.mail_links.make(
            purpose, lifetime=HALF_AN_HOUR, user_id=household.user_id, email="alice@example.com"
        )


async def find(store: Store, tenant: Tenant, purpose: Purpose, secret: str) -> MailLink | None:
    async with store.for_tenant(tenant.id, read_only=True) as mine:
        return await mine.mail_links.find(purpose, secret)


async def use(store: Store, tenant: Tenant, purpose: Purpose, secret: str) -> bool:
    """As a page does it: look, then consume, in one step."""
    async with store.for_tenant(tenant.id) as mine:
        link = await mine.mail_links.find(purpose, secret)
        return link is not None and await mine.mail_links.consume(link)


async def test_a_link_is_found_with_what_it_was_made_for(store: Store, acme: Tenant, clock: Clock) -> None:
    data = {"name": "bob", "roles": "reader writer", "invited_by": "Alice"}
    async with store.for_tenant(acme.id) as mine:
        secret = await mine.mail_links.make("invite", lifetime=HALF_AN_HOUR, email="bob@example.com", data=data)

    link = await find(store, acme, "invite", secret)

    assert link is not None
    assert (link.purpose, link.user_id, link.email, link.data) == ("invite", None, "bob@example.com", data)
    assert (link.created_at, link.expires_at) == (clock(), clock() + HALF_AN_HOUR)


@pytest.mark.parametrize(
    ("purpose", "prefix"), [("reset", "ypr_"), ("sign_up", "yvf_"), ("verify", "yvf_"), ("invite", "yic_")]
)
async def test_a_secret_says_its_kind(store: Store, household: Household, purpose: Purpose, prefix: str) -> None:
    assert (await make(store, household, purpose)).startswith(prefix)


async def test_to_look_at_a_link_changes_nothing(store: Store, household: Household, superuser: AsyncEngine) -> None:
    """Mail scanners open links."""
    secret = await make(store, household)
    before = await dump(superuser)

    for _ in range(3):
        assert await find(store, household.tenant, "reset", secret) is not None

    assert await dump(superuser) == before
    assert await use(store, household.tenant, "reset", secret)


async def test_a_link_works_once(store: Store, household: Household) -> None:
    secret = await make(store, household)

    assert await use(store, household.tenant, "reset", secret)

    assert await find(store, household.tenant, "reset", secret) is None
    assert not await use(store, household.tenant, "reset", secret)


@pytest.mark.parametrize("purpose", PURPOSES)
async def test_of_twenty_who_use_a_link_at_once_one_wins(store: Store, household: Household, purpose: Purpose) -> None:
    secret = await make(store, household, purpose)
    link = await find(store, household.tenant, purpose, secret)
    assert link is not None

    async def consume() -> bool:
        async with store.for_tenant(household.tenant.id) as mine:
            return await mine.mail_links.consume(link)

    assert sorted(await asyncio.gather(*(consume() for _ in range(20)))) == [False] * 19 + [True]


async def test_purposes_do_not_mix(store: Store, household: Household) -> None:
    secrets = {purpose: await make(store, household, purpose) for purpose in PURPOSES}

    for purpose, secret in secrets.items():
        for other in set(PURPOSES) - {purpose}:
            assert await find(store, household.tenant, other, secret) is None
            assert not await use(store, household.tenant, other, secret)

    for purpose, secret in secrets.items():
        assert await use(store, household.tenant, purpose, secret), "the attempts left each link as it was"


async def test_a_link_expires(store: Store, household: Household, clock: Clock) -> None:
    secret = await make(store, household)
    link = await find(store, household.tenant, "reset", secret)
    assert link is not None

    clock.advance(minutes=30)

    assert await find(store, household.tenant, "reset", secret) is None
    async with store.for_tenant(household.tenant.id) as mine:
        assert not await mine.mail_links.consume(link), "found in time, and used too late"


async def test_a_link_of_another_tenant_is_none(store: Store, household: Household, globex: Tenant) -> None:
    secret = await make(store, household)

    assert await find(store, globex, "reset", secret) is None
    assert await find(store, household.tenant, "reset", secret) is not None


async def test_a_link_cannot_point_at_another_tenants_user(store: Store, household: Household, globex: Tenant) -> None:
    with pytest.raises(IntegrityError):
        async with store.for_tenant(globex.id) as theirs:
            await theirs.mail_links.make("reset", lifetime=HALF_AN_HOUR, user_id=household.user_id)


@pytest.mark.parametrize("change", ["", "=", " ", "\n", "\ud800", "cut", "case", "prefix"])
async def test_a_secret_that_is_not_whole_is_none(store: Store, household: Household, change: str) -> None:
    secret = await make(store, household)
    presented = {
        "": "",
        "cut": secret[:-1],
        "case": secret.swapcase(),
        "prefix": secret.replace("ypr_", "yvf_", 1),
    }.get(change, secret + change)

    assert await find(store, household.tenant, "reset", presented) is None


async def test_all_links_of_a_user_and_a_purpose_end_together_and_no_others_with_them(
    store: Store, household: Household
) -> None:
    first, second, other = [await make(store, household, purpose) for purpose in ("reset", "reset", "verify")]
    async with store.for_tenant(household.tenant.id) as mine:
        bob = await mine.users.create("bob")
        bobs = await mine.mail_links.make("reset", lifetime=HALF_AN_HOUR, user_id=bob.id)

        await mine.mail_links.end_all(household.user_id, "reset")

    assert [await find(store, household.tenant, "reset", secret) is None for secret in (first, second, bobs)] == [
        True,
        True,
        False,
    ]
    assert await find(store, household.tenant, "verify", other) is not None


async def test_one_link_is_ended_by_its_secret(store: Store, household: Household) -> None:
    first, second = await make(store, household), await make(store, household)
    async with store.for_tenant(household.tenant.id) as mine:
        await mine.mail_links.end("reset", first)
        await mine.mail_links.end("verify", second)  # of another purpose: nothing

    assert await find(store, household.tenant, "reset", first) is None
    assert await find(store, household.tenant, "reset", second) is not None


async def test_no_secret_is_stored_or_shown(store: Store, household: Household, superuser: AsyncEngine) -> None:
    secret = await make(store, household)
    link = await find(store, household.tenant, "reset", secret)

    assert secret not in str(await dump(superuser))
    assert "digest" not in repr(link)


async def test_links_are_forgotten_once_expired(
    store: Store, household: Household, database: Database, clock: Clock, superuser: AsyncEngine
) -> None:
    await make(store, household)
    clock.advance(minutes=10)
    later = await make(store, household)
    clock.advance(minutes=25)

    async with database.system_step() as connection:
        await mail_links.prune(connection, clock())

    assert len((await dump(superuser))["mail_links"]) == 1
    assert await find(store, household.tenant, "reset", later) is not None


async def test_of_who_is_erased_no_link_is_left_by_address_or_name_in_whatever_spelling(
    store: Store, household: Household, superuser: AsyncEngine
) -> None:
    await make(store, household)
    async with store.for_tenant(household.tenant.id) as mine:
        for email, name in (("Bob@Example.com", ""), (None, "BOB"), ("carol@example.com", "carol"), (None, "")):
            await mine.mail_links.make("invite", lifetime=HALF_AN_HOUR, email=email, data={"name": name})
        await mine.mail_links.end_for("Bob@Example.com", "invite")
        assert await mine.mail_links.remove_for({"bob@example.com", "bob"}) == 2
        assert await mine.mail_links.remove_for({"bob@example.com", "bob"}) == 0
    left = (await dump(superuser))["mail_links"]
    assert len(left) == 3  # alice's own goes with her account
    assert "bob" not in str(left).lower()
