"""Refresh tokens: each is good for one successor, whoever asks at the same time."""

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pyotp
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from policies import refresh
from policies.decision import Deny
from policies.refresh import ReplaySuccessor, Reuse, Rotate
from tenants import pruning, refresh_tokens
from tenants.database import Database
from tenants.refresh_tokens import RefreshToken
from tenants.roles import Held
from tenants.sessions import Session
from tenants.store import Store
from tenants.visitor import UNKNOWN
from tests.conftest import Clock
from tests.tenants.conftest import API, Household, dump

IDLE, ABSOLUTE = timedelta(days=30), timedelta(days=90)
GRACE = timedelta(seconds=10)
SCOPES = frozenset({"orders:read"})


@dataclass(frozen=True)
class Family:
    household: Household
    session: Session
    token: str


@pytest.fixture
async def family(store: Store, household: Household, clock: Clock) -> Family:
    async with store.for_tenant(household.tenant.id) as mine:
        session = await mine.sessions.start(
            household.user_id, acr="a", amr=["pwd"], expires_at=clock() + timedelta(days=30)
        )
        token = await mine.refresh_tokens.begin_family(
            session.id, "app", scopes=SCOPES, audiences=[API, "urn:x:y"], idle=IDLE, absolute=ABSOLUTE
        )
    return Family(household, session, token)


async def find(store: Store, family: Family, token: str) -> RefreshToken:
    async with store.for_tenant(family.household.tenant.id, read_only=True) as mine:
        found = await mine.refresh_tokens.find(token)
    assert found is not None
    return found


async def spend(store: Store, family: Family, token: str) -> str | None:
    async with store.for_tenant(family.household.tenant.id) as mine:
        found = await mine.refresh_tokens.find(token)
        assert found is not None
        return await mine.refresh_tokens.spend(found, idle=IDLE)


def decide(token: RefreshToken, clock: Clock) -> refresh.RefreshDecision:
    return refresh.decide(token.facts, client_id="app", asked=None, permitted=SCOPES, now=clock(), grace=GRACE)


async def test_a_token_is_found_with_what_it_descends_from(store: Store, family: Family, clock: Clock) -> None:
    assert family.token.startswith("yrt_")
    found = await find(store, family, family.token)
    assert (found.session.id, found.user.id) == (family.session.id, family.household.user_id)
    assert found.audiences == (API, "urn:x:y")
    assert (found.facts.client_id, found.facts.granted) == ("app", SCOPES)
    assert (found.facts.idle_expires_at, found.facts.family_expires_at) == (clock() + IDLE, clock() + ABSOLUTE)
    assert decide(found, clock) == Rotate(SCOPES)


async def test_a_token_is_found_with_whose_it_is(store: Store, family: Family, clock: Clock) -> None:
    user_id, tenant_id = family.household.user_id, family.household.tenant.id
    found = await find(store, family, family.token)
    async with store.for_tenant(tenant_id) as mine:
        assert found.user == await mine.users.get(user_id)
        whole = await mine.sessions.get(family.session.id)
        assert whole is not None
        assert found.session == replace(whole, visitor=UNKNOWN, created_at=None, seen_at=None)
        enrolment = await mine.factors.enrol(user_id, name="phone", issuer_name="Acme", account="alice")
    assert not found.has_factor
    assert not (await find(store, family, family.token)).has_factor, "it was not confirmed"
    assert found.held == Held(frozenset(), frozenset())
    async with store.for_tenant(tenant_id) as mine:
        for role, scopes in {"reader": ["a", "b"], "writer": ["b", "c"], "idle": []}.items():
            await mine.roles.create(role, scopes)
            await mine.roles.assign(user_id, role)
        await mine.roles.create("not-theirs", ["d"])
        code = pyotp.TOTP(enrolment.secret).at(clock())
        assert await mine.factors.confirm(user_id, enrolment.factor_id, code)
    again = await find(store, family, family.token)
    assert again.has_factor
    assert again.held == Held(frozenset({"reader", "writer", "idle"}), frozenset({"a", "b", "c"}))


@pytest.mark.parametrize("alter", [str.upper, lambda t: t[:-1], lambda t: t + "=", lambda t: "ycs_" + t[4:]])
async def test_only_the_whole_string_is_the_token(store: Store, family: Family, alter: Any) -> None:
    async with store.for_tenant(family.household.tenant.id, read_only=True) as mine:
        for unverified in (alter(family.token), "", "\0", "\ud800", "x" * 100_000):
            assert await mine.refresh_tokens.find(unverified) is None


async def test_a_token_is_stored_as_a_hash_only(store: Store, family: Family, superuser: AsyncEngine) -> None:
    successor = await spend(store, family, family.token)
    assert successor is not None
    rows = await dump(superuser)
    for token in (family.token, successor):
        assert token not in str(rows)
        assert token.removeprefix("yrt_") not in str(rows)


async def test_of_twenty_parallel_redemptions_one_wins_and_the_others_get_its_successor(
    store: Store, family: Family, clock: Clock
) -> None:
    found = await find(store, family, family.token)

    async def redeem() -> tuple[bool, str]:
        async with store.for_tenant(family.household.tenant.id) as mine:
            successor = await mine.refresh_tokens.spend(found, idle=IDLE)
            if successor is not None:
                return True, successor
            again = await mine.refresh_tokens.find(family.token)
            assert again is not None
            assert decide(again, clock) == ReplaySuccessor(SCOPES)
            return False, mine.refresh_tokens.successor(again)

    outcomes = await asyncio.gather(*(redeem() for _ in range(20)))
    assert sum(won for won, _ in outcomes) == 1
    assert len({successor for _, successor in outcomes}) == 1
    assert decide(await find(store, family, outcomes[0][1]), clock) == Rotate(SCOPES)


async def test_a_lost_answer_is_given_again_within_the_grace_only(store: Store, family: Family, clock: Clock) -> None:
    await spend(store, family, family.token)
    clock.advance(seconds=10)
    assert decide(await find(store, family, family.token), clock) == ReplaySuccessor(SCOPES)
    clock.advance(seconds=1)
    assert decide(await find(store, family, family.token), clock) == Reuse()


async def test_no_answer_is_given_again_once_the_successor_was_used(store: Store, family: Family, clock: Clock) -> None:
    successor = await spend(store, family, family.token)
    assert successor is not None
    third = await spend(store, family, successor)
    assert third is not None
    assert decide(await find(store, family, family.token), clock) == Reuse()
    assert decide(await find(store, family, successor), clock) == ReplaySuccessor(SCOPES)
    assert decide(await find(store, family, third), clock) == Rotate(SCOPES)


async def test_a_spent_token_is_not_spent_again(store: Store, family: Family) -> None:
    found = await find(store, family, family.token)
    successor = await spend(store, family, family.token)
    async with store.for_tenant(family.household.tenant.id) as mine:
        assert await mine.refresh_tokens.spend(found, idle=IDLE) is None
        again = await mine.refresh_tokens.find(family.token)
        assert again is not None
        assert mine.refresh_tokens.successor(again) == successor  # the loser has not overwritten the winner's


async def test_a_revoked_family_revokes_all_of_its_tokens(store: Store, family: Family, clock: Clock) -> None:
    successor = await spend(store, family, family.token)
    assert successor is not None
    found = await find(store, family, successor)
    async with store.for_tenant(family.household.tenant.id) as mine:
        assert await mine.refresh_tokens.revoke_family(found.family_id)
        assert not await mine.refresh_tokens.revoke_family(found.family_id)
    for token in (family.token, successor):
        assert decide(await find(store, family, token), clock) == Deny("family_revoked")


async def test_a_family_ends_with_its_session(store: Store, family: Family, clock: Clock) -> None:
    async with store.for_tenant(family.household.tenant.id) as mine:
        await mine.sessions.end(family.session.id)
    assert decide(await find(store, family, family.token), clock) == Deny("session_ended")


async def test_no_token_outlives_its_family(store: Store, family: Family, clock: Clock) -> None:
    token: str | None = family.token
    for _ in range(3):
        clock.advance(days=25)
        assert token is not None
        token = await spend(store, family, token)
    assert token is not None
    found = await find(store, family, token)
    assert found.facts.idle_expires_at == found.facts.family_expires_at == clock() + timedelta(days=15)


async def test_a_kept_successor_is_erased_and_then_not_given_again(
    database: Database, store: Store, family: Family, clock: Clock
) -> None:
    await spend(store, family, family.token)
    for seconds in (0, 1):
        clock.advance(seconds=seconds)
        async with database.system_step() as connection:
            await refresh_tokens.forget_successors(connection, clock())
        found = await find(store, family, family.token)
        assert (found.sealed_successor is None) == bool(seconds)
    assert decide(found, clock) == Reuse()
    async with store.for_tenant(family.household.tenant.id, read_only=True) as mine:
        with pytest.raises(ValueError, match="no kept successor"):
            mine.refresh_tokens.successor(found)


async def test_a_family_is_forgotten_with_its_tokens_when_it_is_over(
    database: Database, store: Store, family: Family, clock: Clock
) -> None:
    await spend(store, family, family.token)
    for days, found in ((90, True), (1, False)):
        clock.advance(days=days)
        async with database.system_step() as connection:
            await refresh_tokens.prune(connection, clock())
        async with store.for_tenant(family.household.tenant.id, read_only=True) as mine:
            assert (await mine.refresh_tokens.find(family.token) is not None) is found


async def test_tokens_of_who_is_deleted_go_in_portions_and_nobody_elses(
    database: Database, store: Store, family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "AT_ONCE", 2)
    tenant_id, alice = family.household.tenant.id, family.household.user_id
    successor = await spend(store, family, family.token)
    assert successor is not None
    await spend(store, family, successor)
    for user_id, more in ((uuid4(), [False]), (alice, [True, False])):
        told = []
        for _ in more:
            async with database.system_step() as connection:
                told.append(await pruning.delete_tokens_of(connection, tenant_id, user_id))
        assert told == more
    async with store.for_tenant(tenant_id, read_only=True) as mine:
        assert await mine.refresh_tokens.find(successor) is None


async def test_a_family_may_be_bound_to_a_key_from_its_first_token_on(store: Store, family: Family) -> None:
    async with store.for_tenant(family.household.tenant.id) as mine:
        token = await mine.refresh_tokens.begin_family(
            family.session.id, "app", scopes=SCOPES, audiences=[API], idle=IDLE, absolute=ABSOLUTE, dpop_jkt="k" * 43
        )
    assert (await find(store, family, token)).facts.bound_to == "k" * 43
    successor = await spend(store, family, token)
    assert successor is not None
    assert (await find(store, family, successor)).facts.bound_to == "k" * 43
