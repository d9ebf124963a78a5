"""Consents: one per user, client and API, added to, gone with the user or the client."""

import asyncio
from datetime import timedelta

from tenants.consents import Consent
from tenants.store import Store
from tests.conftest import Clock
from tests.tenants.conftest import API, Household, an_app

HOUR = timedelta(hours=1)


async def test_scopes_are_remembered_for_their_api_and_added_to(
    store: Store, household: Household, clock: Clock
) -> None:
    async with store.for_tenant(household.tenant.id) as mine:
        assert await mine.consents.get(household.user_id, "app") is None
        await mine.consents.give(household.user_id, "app", scopes=["b", "a"], audiences=[API])
    clock.advance(minutes=1)
    async with store.for_tenant(household.tenant.id) as mine:
        await mine.consents.give(household.user_id, "app", scopes=["c", "a"], audiences=[API])
        await mine.consents.give(household.user_id, "app", scopes=["c"], audiences=["urn:x:y"])
        await mine.consents.give(household.user_id, "app", scopes=[], audiences=["urn:x:z"])
        await mine.consents.give(household.user_id, "app", scopes=[], audiences=["urn:x:z"])
        scopes_at = {API: frozenset("abc"), "urn:x:y": frozenset("c"), "urn:x:z": frozenset[str]()}
        expected = Consent("app", scopes_at, clock())
        assert await mine.consents.get(household.user_id, "app") == expected
        (listed,) = await mine.consents.of_user(household.user_id)
        assert (listed.consent, listed.name) == (expected, "The app")
        assert expected.scopes == frozenset("abc")


async def test_what_is_taken_back_is_gone_once(store: Store, household: Household) -> None:
    async with store.for_tenant(household.tenant.id) as mine:
        await mine.clients.create(an_app("other", name="Another"))
        for client_id in ("app", "other"):
            await mine.consents.give(household.user_id, client_id, scopes=["a"], audiences=[API, "urn:x:y"])
        assert [found.name for found in await mine.consents.of_user(household.user_id)] == ["Another", "The app"]
        assert await mine.consents.withdraw(household.user_id, "app")
        assert not await mine.consents.withdraw(household.user_id, "app")
        assert [found.consent.client_id for found in await mine.consents.of_user(household.user_id)] == ["other"]


async def test_of_twenty_at_once_none_is_lost(store: Store, household: Household) -> None:
    async def give(scope: str) -> None:
        async with store.for_tenant(household.tenant.id) as mine:
            await mine.consents.give(household.user_id, "app", scopes=[scope], audiences=[API])

    scopes = [f"s{number}" for number in range(20)]
    await asyncio.gather(*(give(scope) for scope in scopes))
    async with store.for_tenant(household.tenant.id) as mine:
        (listed,) = await mine.consents.of_user(household.user_id)
        assert listed.consent.scopes_at == {API: frozenset(scopes)}


async def test_a_client_that_is_deleted_takes_its_consents_along(store: Store, household: Household) -> None:
    async with store.for_tenant(household.tenant.id) as mine:
        await mine.consents.give(household.user_id, "app", scopes=["a"], audiences=[API])
        await mine.clients.delete("app")
        assert await mine.consents.of_user(household.user_id) == []


async def test_the_refresh_families_of_one_client_and_user_end(
    store: Store, household: Household, clock: Clock
) -> None:
    async with store.for_tenant(household.tenant.id) as mine:
        await mine.clients.create(an_app("other"))
        bob = await mine.users.create("bob")
        tokens = {}
        for user_id, client_id in ((household.user_id, "app"), (household.user_id, "other"), (bob.id, "app")):
            session = await mine.sessions.start(user_id, acr="urn:yett:acr:pwd", amr=["pwd"], expires_at=clock() + HOUR)
            tokens[user_id, client_id] = await mine.refresh_tokens.begin_family(
                session.id, client_id, scopes=["a"], audiences=[API], idle=HOUR, absolute=HOUR
            )
        assert await mine.refresh_tokens.revoke_of_client(household.user_id, "app") == 1
        assert await mine.refresh_tokens.revoke_of_client(household.user_id, "app") == 0
        ended = {}
        for whose, token in tokens.items():
            found = await mine.refresh_tokens.find(token)
            assert found is not None
            ended[whose] = found.facts.family_revoked
    assert ended == {(household.user_id, "app"): True, (household.user_id, "other"): False, (bob.id, "app"): False}
