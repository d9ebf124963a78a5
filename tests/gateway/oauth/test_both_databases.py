"""The core of the token endpoint on SQLite and on PostgreSQL, where rows are guarded a second time."""

import asyncio

from sqlalchemy import make_url

from tests.conftest import administer, make_postgresql_database
from tests.gateway.conftest import OpenWorld
from tests.gateway.world import World


async def test_login_refresh_reuse_and_their_events(each_world: World) -> None:
    world = each_world
    login = await world.login(scope="orders:read orders:write")
    world.clock.advance(minutes=1)
    refreshed = await world.refresh(login["refresh_token"], scope="orders:read")
    world.clock.advance(minutes=1)
    reused = await world.refresh(login["refresh_token"])
    ended = await world.refresh(refreshed.json()["refresh_token"])

    assert world.claims(refreshed.json()["access_token"])["sid"] == world.claims(login["access_token"])["sid"]
    assert (reused.json()["error"], ended.json()["error"]) == ("invalid_grant", "invalid_grant")
    assert [(event["type"], event.get("reason")) for event in await world.events()] == [
        ("login.succeeded", None),
        ("token.refreshed", None),
        ("token.refused", "refresh_token_reused"),
        ("token.refused", "family_revoked"),
    ]


async def test_what_is_refused_writes_its_event_and_nothing_else(each_world: World) -> None:
    world = each_world
    for changes in ({"password": "wrong"}, {"username": "nobody"}, {"scope": "x"}):
        assert (await world.post(world.acme.form(**changes))).status_code == 400

    told = await world.events()
    assert [event["reason"] for event in told] == ["wrong_password", "unknown_user", "invalid_scope"]
    assert ["account" in event["details"] for event in told] == [False, True, False]  # in place of a subject
    async with world.store() as store:
        assert await store.sessions.of_user(world.acme.users["alice"]) == []


async def test_two_tenants_with_the_same_names_stay_strangers(each_world: World) -> None:
    world = each_world
    acme = await world.login()
    globex = (await world.post(world.globex.form(), to="globex")).json()

    assert (await world.post(world.acme.form(), to="globex")).json()["error"] == "invalid_grant"
    assert (await world.refresh(acme["refresh_token"], to="globex")).json()["error"] == "invalid_grant"
    assert (await world.refresh(globex["refresh_token"])).json()["error"] == "invalid_grant"
    form = {"grant_type": "client_credentials", "client_id": "web", "client_secret": world.acme.secret}
    assert (await world.post(form)).status_code == 200
    assert (await world.post(form, to="globex")).status_code == 401
    assert {event["tenant_id"] for event in await world.events()} == {str(world.acme.id)}


async def test_logins_at_once_have_an_event_each(each_world: World) -> None:
    """From a network that the account knows: from anywhere else, five may be under way at a time."""
    world = each_world
    first = world.claims((await world.login())["access_token"])["sid"]
    answers = await asyncio.gather(*(world.post(world.acme.form()) for _ in range(20)))

    assert {answer.status_code for answer in answers} == {200}
    sessions = {world.claims(answer.json()["access_token"])["sid"] for answer in answers}
    assert sessions | {first} == {event["session_id"] for event in await world.events()}
    assert len(sessions) == 20


async def test_a_name_and_a_client_of_every_sign_that_a_form_can_carry(each_world: World) -> None:
    for text in ("'; DROP TABLE users; --", "\u2603" * 200, "\u0001", "\U0001f511", "%", "_", "\\"):
        assert (await each_world.post(each_world.acme.form(username=text))).json()["error"] == "invalid_grant"
        assert (await each_world.post(each_world.acme.form(client_id=text))).status_code == 401
        assert (await each_world.refresh(text)).json()["error"] == "invalid_grant"


async def test_a_database_that_is_away_is_503_and_is_found_again(
    open_world: OpenWorld, postgresql_admin_url: str
) -> None:
    urls = await make_postgresql_database(postgresql_admin_url)
    name = make_url(urls.app).database
    async with open_world(database=urls) as world:
        await world.login()
        kill = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        await administer(postgresql_admin_url, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false', kill)
        away = await world.post(world.acme.form())
        await administer(postgresql_admin_url, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')

        assert (away.status_code, away.json()["error"], away.headers["retry-after"]) == (
            503,
            "temporarily_unavailable",
            "1",
        )
        assert await world.login()
        assert [event.get("reason") for event in await world.events()] == [None, None, "database_unavailable"]
