"""``/revoke`` (RFC 7009): what a client takes back, and what stays where it is."""

import asyncio
from typing import Any

import pytest

from gateway.authn.bearer import InvalidToken
from tests.gateway.oauth.presenting import as_web, at_the_proxy, basic, call, in_browser, later, revoke
from tests.gateway.world import World


async def heard(world: World, token: str) -> str | None:
    """Why the proxy refuses the token once the change was heard; None where it does not."""
    await world.snapshot.poll()
    found = at_the_proxy(world, token)
    return found.reason if isinstance(found, InvalidToken) else None


async def told(world: World, kind: str) -> list[dict[str, Any]]:
    return [event for event in await world.events() if event["type"] == kind]


async def test_an_access_token_is_refused_from_then_on_rfc7009_2(world: World) -> None:
    login = await world.login()
    answer = await revoke(world, login["access_token"])

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["cache-control"] == "no-store"
    assert await heard(world, login["access_token"]) == "token_revoked"


async def test_an_access_token_goes_alone(world: World) -> None:
    login = await world.login()
    refreshed = (await world.refresh(login["refresh_token"])).json()
    await revoke(world, login["access_token"])

    assert await heard(world, refreshed["access_token"]) is None
    assert (await world.refresh(refreshed["refresh_token"])).status_code == 200


async def test_a_refresh_token_goes_with_its_family_and_its_access_tokens_rfc7009_2_1(world: World) -> None:
    login = await world.login()
    refreshed = (await world.refresh(login["refresh_token"])).json()
    await revoke(world, refreshed["refresh_token"])

    for token in (login["refresh_token"], refreshed["refresh_token"]):
        assert (await world.refresh(token)).json()["error"] == "invalid_grant"
    for token in (login["access_token"], refreshed["access_token"]):
        assert await heard(world, token) == "token_revoked"


async def test_a_token_that_was_spent_stands_for_its_family_still(world: World) -> None:
    login = await world.login()
    refreshed = (await world.refresh(login["refresh_token"])).json()
    await revoke(world, login["refresh_token"])

    assert (await world.refresh(refreshed["refresh_token"])).json()["error"] == "invalid_grant"


async def test_the_session_that_was_made_for_the_grant_ends_with_it(world: World) -> None:
    login = await world.login()
    await revoke(world, login["refresh_token"])

    async with world.store() as store:
        assert await store.sessions.of_user(world.acme.users["alice"]) == []


async def test_a_browsers_session_goes_on_for_the_other_clients(world: World) -> None:
    session_id, token = await in_browser(world)
    _, others = await in_browser(world, client_id="web", session_id=session_id)
    mine = (await world.refresh(token)).json()
    form = {"grant_type": "refresh_token", "refresh_token": others}
    theirs = (await world.post(form, headers=as_web(world.acme))).json()
    await revoke(world, mine["refresh_token"])

    assert await heard(world, mine["access_token"]) == "token_revoked"
    assert await heard(world, theirs["access_token"]) is None
    async with world.store() as store:
        assert [session.id for session in await store.sessions.of_user(world.acme.users["alice"])] == [session_id]


async def test_what_the_client_gets_by_that_session_later_is_good(world: World) -> None:
    session_id, token = await in_browser(world)
    await revoke(world, token)
    world.clock.advance(seconds=1)
    _, next_one = await in_browser(world, session_id=session_id)
    later = (await world.refresh(next_one)).json()["access_token"]

    assert await heard(world, later) is None
    await revoke(world, token)  # it is over, and ends nothing a second time
    assert await heard(world, later) is None


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
async def test_it_is_one_event(world: World, kind: str) -> None:
    login = await world.login()
    sid = world.claims(login["access_token"])["sid"]
    await revoke(world, login[kind])
    await world.snapshot.poll()
    await revoke(world, login[kind])

    (event,) = await told(world, "token.revoked")
    assert (event["outcome"], event["client_id"], event["session_id"]) == ("success", "spa", sid)
    assert (event["subject"], event["user_name"]) == (str(world.acme.users["alice"]), "alice")
    assert event["details"] == {"kind": kind}
    assert login[kind] not in str(await world.events())


async def test_a_token_that_was_taken_back_is_remembered_for_as_long_as_it_would_have_lived(world: World) -> None:
    login = await world.login()
    await revoke(world, login["access_token"])
    async with world.store() as store:
        (found,) = await store.revocations.list()
    minutes = (found.expires_at - world.clock()).total_seconds() / 60

    assert found.kind == "token"
    assert minutes == pytest.approx(login["expires_in"] / 60 + 5, abs=0.1)


async def test_a_clients_own_token_can_be_taken_back(world: World) -> None:
    form = {"grant_type": "client_credentials", "client_id": "web", "client_secret": world.acme.secret}
    token = (await world.post(form)).json()["access_token"]
    answer = await call(world, "revoke", {"token": token}, headers=as_web(world.acme))

    assert answer.status_code == 200
    assert await heard(world, token) == "token_revoked"


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "urn:x:unknown", ""])
async def test_a_hint_changes_nothing_rfc7009_2_1(world: World, kind: str, hint: str) -> None:
    login = await world.login()
    await revoke(world, login[kind], form={"token_type_hint": hint})

    assert len(await told(world, "token.revoked")) == 1


# -- to what nothing happens


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
async def test_another_clients_token_stays_and_the_answer_does_not_tell_rfc7009_2_1(world: World, kind: str) -> None:
    login = await world.login()
    foreign = await call(world, "revoke", {"token": login[kind]}, headers=as_web(world.acme))
    never_was = await call(world, "revoke", {"token": "x"}, headers=as_web(world.acme))

    assert (foreign.status_code, foreign.content) == (never_was.status_code, never_was.content) == (200, b"")
    assert await heard(world, login["access_token"]) is None
    assert (await world.refresh(login["refresh_token"])).status_code == 200
    assert await told(world, "token.revoked") == []
    reasons = {event["reason"] for event in await told(world, "token.refused")}
    assert reasons == {"token_foreign", "token_malformed"}


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
async def test_another_tenants_token_stays_x01(world: World, kind: str) -> None:
    login = await world.login()
    answer = await revoke(world, login[kind], to="globex")

    assert answer.status_code == 200
    assert await heard(world, login["access_token"]) is None
    assert (await world.refresh(login["refresh_token"])).status_code == 200
    assert [event["type"] for event in await world.events(world.globex)] == ["token.refused"]


async def test_an_expired_token_is_nothing_to_take_back(world: World) -> None:
    login = await world.login()
    await later(world, minutes=5)
    answer = await revoke(world, login["access_token"])

    assert answer.status_code == 200
    assert await told(world, "token.revoked") == []


@pytest.mark.parametrize(
    ("headers", "form", "status"),
    [
        ({}, {}, 400),
        ({}, {"client_id": "nobody"}, 401),
        ({}, {"client_id": "web"}, 401),
        (basic("web", "ycs_wrong"), {}, 401),
        ({}, {"client_id": "spa", "client_secret": "ycs_x"}, 401),
    ],
)
async def test_a_client_that_does_not_say_and_prove_who_it_is_ends_nothing_rfc7009_2_1(
    world: World, headers: dict[str, str], form: dict[str, str], status: int
) -> None:
    login = await world.login()
    answer = await call(world, "revoke", {"token": login["refresh_token"], **form}, headers=headers)

    assert answer.status_code == status
    assert (await world.refresh(login["refresh_token"])).status_code == 200


async def test_a_suspended_tenants_clients_revoke_nothing_x03(world: World) -> None:
    login = await world.login()
    async with world.store() as store:
        await store.settings.set_active(False)
    answer = await revoke(world, login["refresh_token"])
    async with world.store() as store:
        await store.settings.set_active(True)

    assert (answer.status_code, answer.json()["code"]) == (404, "tenant_not_found")
    assert (await world.refresh(login["refresh_token"])).status_code == 200


async def test_no_token_is_invalid_request(world: World) -> None:
    assert (await call(world, "revoke", {"client_id": "spa"})).json()["error"] == "invalid_request"


async def test_a_page_of_the_tenants_origins_may_revoke_rfc7009_2_3(world: World) -> None:
    origin = "https://app.acme.test"
    answer = await revoke(world, "x", headers={"Origin": origin})

    assert answer.headers["access-control-allow-origin"] == origin


@pytest.mark.parametrize("kind", ["access_token", "refresh_token", "in_browser"])
async def test_twenty_at_once_take_back_once(each_world: World, kind: str) -> None:
    login = await each_world.login() if kind != "in_browser" else {kind: (await in_browser(each_world))[1]}
    answers = await asyncio.gather(*(revoke(each_world, login[kind]) for _ in range(20)))

    assert {answer.status_code for answer in answers} == {200}
    events = [event for event in await each_world.events() if event["type"] == "token.revoked"]
    assert len(events) == 1 if kind != "access_token" else events


async def test_refreshing_and_revoking_at_once_leaves_nothing_alive(each_world: World) -> None:
    _, token = await in_browser(each_world)
    refreshing = [each_world.refresh(token) for _ in range(10)]
    answers = await asyncio.gather(*refreshing[:5], revoke(each_world, token), *refreshing[5:])

    got = [answer.json() for answer in answers if answer.content]
    for body in got:
        if "access_token" in body:
            assert await heard(each_world, body["access_token"]) == "token_revoked"
            assert (await each_world.refresh(body["refresh_token"])).json()["error"] == "invalid_grant"
