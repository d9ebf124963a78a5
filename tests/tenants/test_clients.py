"""Clients: what they may register, and their secrets."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from policies.principal import Principal
from tenants.clients import Client
from tenants.errors import AlreadyExists, InvalidValue, NotFound
from tenants.names import checked_audience, checked_origin, checked_redirect_uri
from tenants.snapshot import Snapshot
from tenants.store import Store
from tenants.tenant import Tenant
from tests.conftest import Clock
from tests.tenants.conftest import API, Household, an_app

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "clients.json").read_text())
CHECKS: dict[str, Callable[[str], str]] = {
    "origins": checked_origin,
    "redirect_uris": checked_redirect_uri,
    "audiences": checked_audience,
}


def good_texts() -> list[Any]:
    return [pytest.param(kind, text, id=f"{kind}-{text}") for kind in CHECKS for text in VECTORS[kind]["good"]]


def bad_texts() -> list[Any]:
    return [
        pytest.param(kind, vector["text"], id=f"{kind}-{vector['name']}")
        for kind in CHECKS
        for vector in VECTORS[kind]["bad"]
    ]


def client_of(vector: dict[str, Any]) -> Client:
    return an_app(**{name: _plain(name, value) for name, value in vector["client"].items()})


def _plain(name: str, value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return tuple(value) if name == "audiences" else frozenset(value)


@pytest.mark.parametrize(("kind", "text"), good_texts())
def test_a_good_value_is_kept_as_it_is(kind: str, text: str) -> None:
    assert CHECKS[kind](text) == text


@pytest.mark.parametrize(("kind", "text"), bad_texts())
def test_a_bad_value_is_refused(kind: str, text: str) -> None:
    with pytest.raises(InvalidValue):
        CHECKS[kind](text)


@pytest.mark.parametrize("kind", CHECKS)
def test_a_value_has_a_length(kind: str) -> None:
    with pytest.raises(InvalidValue):
        CHECKS[kind]("https://app.example.com/" + "x" * 2000)


async def test_good_clients_are_stored_whole(store: Store, acme: Tenant) -> None:
    for number, vector in enumerate(VECTORS["clients"]["good"]):
        made = client_of({"client": {"client_id": f"client-{number}"} | vector["client"]})
        async with store.for_tenant(acme.id) as mine:
            await mine.clients.create(made)
        async with store.for_tenant(acme.id, read_only=True) as mine:
            assert await mine.clients.get(made.client_id) == replace(made, auth_method=made.method), vector["name"]


async def test_every_field_of_a_client_is_stored(store: Store, acme: Tenant, clock: Clock) -> None:
    made = an_app(
        audiences=(API, "https://api.example.com/admin"),  # the first is the default one: the order counts
        default_scopes=frozenset({"orders:read"}),
        redirect_uris=("https://b.example.com/cb", "https://a.example.com/cb"),
        origins=("https://b.example.com", "http://localhost:*"),
    )
    async with store.for_tenant(acme.id) as mine:
        await mine.clients.create(made)
        found = await mine.clients.get("app")
        assert await mine.clients.list() == [found]
    assert found == replace(made, auth_method=made.method)
    assert found is not None
    assert found.created_at == clock()


async def test_bad_clients_leave_nothing_behind(store: Store, acme: Tenant) -> None:
    for vector in VECTORS["clients"]["bad"]:
        async with store.for_tenant(acme.id) as mine:
            with pytest.raises(InvalidValue):
                await mine.clients.create(client_of(vector))
            assert await mine.clients.list() == [], vector["name"]


@pytest.mark.parametrize("kind", ["origins", "redirect_uris", "audiences"])
async def test_a_client_with_one_bad_value_is_refused(store: Store, acme: Tenant, kind: str) -> None:
    values = (VECTORS[kind]["good"][0], VECTORS[kind]["bad"][1]["text"])
    async with store.for_tenant(acme.id) as mine:
        with pytest.raises(InvalidValue):
            await mine.clients.create(an_app(**{kind: values}))


async def test_a_client_id_is_taken_once_and_case_counts(store: Store, acme: Tenant) -> None:
    async with store.for_tenant(acme.id) as mine:
        await mine.clients.create(an_app("app"))
        with pytest.raises(AlreadyExists):
            await mine.clients.create(an_app("app", name="Another"))
        await mine.clients.create(an_app("App"))
        assert {client.client_id for client in await mine.clients.list()} == {"app", "App"}


@pytest.mark.parametrize("client_id", ["", "app\0", "app\ud800", "x" * 10_000, "äpp", "unknown"])
async def test_a_look_up_of_what_cannot_be_an_id_finds_nobody(
    store: Store, household: Household, client_id: str
) -> None:
    async with store.for_tenant(household.tenant.id, read_only=True) as mine:
        assert await mine.clients.get(client_id) is None
        assert client_id not in await mine.clients.registered()


# --- secrets


async def test_only_the_secret_itself_is_the_clients_secret(store: Store, household: Household, clock: Clock) -> None:
    async with store.for_tenant(household.tenant.id) as mine:
        await mine.clients.create(an_app("other"))
        secret, others = await mine.clients.add_secret("app"), await mine.clients.add_secret("other")
        assert secret.startswith("ycs_")
        app = (await mine.clients.registered())["app"]
        assert app.has_secret(secret, clock())
        wrong = (others, "", secret[:-1], secret + "=", secret.upper(), secret.removeprefix("ycs_"), "\0", "\ud800")
        for unverified in wrong:
            assert not app.has_secret(unverified, clock()), unverified
        assert not app.has_secret("yrt_" + secret.removeprefix("ycs_"), clock())


async def test_secrets_can_be_rolled_without_a_gap(store: Store, household: Household, clock: Clock) -> None:
    async with store.for_tenant(household.tenant.id) as mine:
        old = await mine.clients.add_secret("app", expires_at=clock() + timedelta(hours=1))
        new = await mine.clients.add_secret("app")
        app = (await mine.clients.registered())["app"]
    clock.advance(hours=1, seconds=-1)
    assert [app.has_secret(secret, clock()) for secret in (old, new)] == [True, True]
    clock.advance(seconds=1)
    assert [app.has_secret(secret, clock()) for secret in (old, new)] == [False, True]
    async with store.for_tenant(household.tenant.id, read_only=True) as mine:
        assert len((await mine.clients.registered())["app"].secrets) == 1


async def test_a_secret_is_stored_as_a_hash_only(store: Store, household: Household, superuser: Any) -> None:
    async with store.for_tenant(household.tenant.id) as mine:
        secret = await mine.clients.add_secret("app")
    async with superuser.connect() as connection:
        (row,) = await connection.exec_driver_sql("SELECT * FROM client_secrets")
    assert secret not in str(row)
    assert secret.removeprefix("ycs_") not in str(row)


async def test_a_public_client_has_no_secret_and_nobody_has_none(store: Store, household: Household) -> None:
    async with store.for_tenant(household.tenant.id) as mine:
        await mine.clients.create(an_app("spa", confidential=False, grant_types=frozenset({"password"})))
        with pytest.raises(InvalidValue):
            await mine.clients.add_secret("spa")
        for unknown in ("nobody", "app\0"):
            with pytest.raises(NotFound):
                await mine.clients.add_secret(unknown)


# --- disabling


async def test_disabling_ends_the_clients_families_for_good(store: Store, household: Household, clock: Clock) -> None:
    hour = timedelta(hours=1)
    async with store.for_tenant(household.tenant.id) as mine:
        await mine.clients.create(an_app("other"))
        session = await mine.sessions.start(household.user_id, acr="a", amr=["pwd"], expires_at=clock() + hour)
        tokens = [
            await mine.refresh_tokens.begin_family(
                session.id, client, scopes=[], audiences=[API], idle=hour, absolute=hour
            )
            for client in ("app", "other")
        ]
        await mine.clients.set_active("app", False)
        client = await mine.clients.get("app")
    assert client is not None
    assert not client.active
    async with store.for_tenant(household.tenant.id) as mine:
        await mine.clients.set_active("app", True)
        found = [await mine.refresh_tokens.find(token) for token in tokens]
        (revocation,) = await mine.revocations.list()
    assert [token is not None and token.facts.family_revoked for token in found] == [True, False]
    assert (revocation.kind, revocation.value) == ("client", "app")


@pytest.mark.parametrize("disabled", [False, True])
async def test_a_client_that_is_made_anew_gets_tokens_and_its_forerunners_stay_refused(
    store: Store, snapshot: Snapshot, acme: Tenant, clock: Clock, disabled: bool
) -> None:
    def issued() -> Principal:
        at = int(clock().timestamp())
        return Principal(acme.id, acme.slug, "app", "app", frozenset(), frozenset(), "j-1", at, at + 300, None)

    async with store.for_tenant(acme.id) as mine:
        await mine.clients.create(an_app())
    old = issued()
    async with store.for_tenant(acme.id) as mine:
        if disabled:
            await mine.clients.set_active("app", False)
        await mine.clients.delete("app")
    clock.advance(seconds=2)
    late = issued()  # by a process that had not heard of it, or whose clock is ahead
    await snapshot.load()
    assert [snapshot.revoked(token) for token in (old, late)] == [True, True]
    clock.advance(seconds=1)
    async with store.for_tenant(acme.id) as mine:
        await mine.clients.create(an_app())
    await snapshot.poll()
    assert [snapshot.revoked(token) for token in (old, late, issued())] == [True, True, False]


async def test_of_twenty_changes_at_once_none_is_lost(store: Store, acme: Tenant) -> None:
    async def add(number: int) -> None:
        async with store.for_tenant(acme.id) as mine:
            found = await mine.clients.held("app")
            assert found is not None
            uris = (*found.redirect_uris, f"https://app.example.com/{number}")
            await mine.clients.replace(replace(found, redirect_uris=uris))

    async with store.for_tenant(acme.id) as mine:
        await mine.clients.create(an_app())
    await asyncio.gather(*(add(number) for number in range(20)))
    async with store.for_tenant(acme.id, read_only=True) as mine:
        found = await mine.clients.get("app")
    assert found is not None
    assert len(found.redirect_uris) == 20


async def test_a_change_by_the_tenant_leaves_the_registration_access_token_as_it_is(store: Store, acme: Tenant) -> None:
    async with store.for_tenant(acme.id) as mine:
        await mine.clients.create(an_app(registration_digest=b"old"))
        read = await mine.clients.get("app")
        assert read is not None
        assert await mine.clients.replace_registered(replace(read, registration_digest=b"new"), digest=b"old")
        await mine.clients.replace(replace(read, name="Changed"))
        found = await mine.clients.get("app")
    assert found is not None
    assert (found.name, found.registration_digest) == ("Changed", b"new")


async def test_a_client_that_is_not_there_cannot_be_disabled(store: Store, acme: Tenant) -> None:
    async with store.for_tenant(acme.id) as mine:
        with pytest.raises(NotFound):
            await mine.clients.set_active("nobody", False)


async def test_of_twenty_creations_at_once_one_wins(store: Store, acme: Tenant) -> None:
    async def create(number: int) -> bool:
        async with store.for_tenant(acme.id) as mine:
            try:
                await mine.clients.create(an_app(name=f"App {number}"))
            except AlreadyExists:
                return False
            return True

    assert sorted(await asyncio.gather(*(create(number) for number in range(20)))) == [False] * 19 + [True]
