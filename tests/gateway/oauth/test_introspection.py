"""``/introspect`` (RFC 7662): what a token says, to those whom it concerns, and nothing to anybody else."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from gateway.authn.bearer import InvalidToken
from policies.principal import Principal
from tests.gateway.login.people import change_people
from tests.gateway.oauth.presenting import (
    ELSEWHERE,
    as_web,
    at_the_proxy,
    basic,
    call,
    introspect,
    later,
    revoke,
    service,
)
from tests.gateway.world import INVOICES, ORDERS, World

INACTIVE = b'{"active":false}'


async def test_an_access_token_is_shown_with_its_claims_rfc7662_2_2(world: World) -> None:
    token = (await world.login(scope="orders:read orders:write"))["access_token"]
    answer = await introspect(world, token)

    claims = world.claims(token)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {"active": True, "token_type": "Bearer", **claims}
    assert set(claims) == {
        *("iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope", "sid", "auth_time", "acr", "amr"),
    }


async def test_a_clients_own_token_has_no_session(world: World) -> None:
    own = {"grant_type": "client_credentials", "client_id": "web", "client_secret": world.acme.secret}
    body = (await introspect(world, (await world.post(own)).json()["access_token"])).json()

    assert body["active"]
    assert body["sub"] == body["client_id"] == "web"
    assert not {"sid", "auth_time", "acr", "amr", "username"} & set(body)


async def test_a_refresh_token_is_shown_to_its_client(world: World) -> None:
    tokens = await world.login(client_id="web", client_secret=world.acme.secret, scope="orders:read")
    body = (await introspect(world, tokens["refresh_token"])).json()

    claims = world.claims(tokens["access_token"])
    for name in ("sub", "sid", "client_id", "iss", "scope", "acr", "amr", "auth_time"):
        assert body.pop(name) == claims[name], name
    assert body == {"active": True, "aud": [ORDERS], "exp": claims["iat"] + 30 * 24 * 3600}


async def test_a_refresh_tokens_scope_is_what_it_would_give_today(world: World) -> None:
    login = await world.login(client_id="web", client_secret=world.acme.secret, scope="orders:read orders:write")
    async with world.store() as store:
        await store.roles.withdraw(world.acme.users["alice"], "writer")
        await store.roles.assign(world.acme.users["alice"], "reader")

    assert (await introspect(world, login["refresh_token"])).json()["scope"] == "orders:read"


async def test_a_refresh_token_is_not_shown_to_the_clients_of_its_audience(world: World) -> None:
    assert (await introspect(world, (await world.login())["refresh_token"])).content == INACTIVE


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "id_token", "nonsense", ""])
async def test_a_hint_changes_nothing_rfc7662_2_1(world: World, hint: str) -> None:
    login = await world.login(client_id="web", client_secret=world.acme.secret)

    for token in (login["access_token"], login["refresh_token"]):
        assert (await introspect(world, token, form={"token_type_hint": hint})).json()["active"]


async def test_the_users_name_is_told_where_the_scope_profile_tells_it(world: World) -> None:
    by = await service(world, "portal", audiences=(ORDERS,), grant_types=frozenset({"password", "refresh_token"}))
    form = world.acme.form(client_id=None, scope="orders:read profile")
    login = (await world.post(form, headers=by)).json()

    for token in (login["access_token"], login["refresh_token"]):
        assert (await introspect(world, token, by=by)).json()["username"] == "alice"
    assert "username" not in (await introspect(world, (await world.login())["access_token"])).json()


# -- to whom


async def test_a_token_is_shown_to_its_client_whatever_api_it_is_for(world: World) -> None:
    by = await service(world, "shop", grant_types=frozenset({"password"}), audiences=(INVOICES,))
    token = (await world.post(world.acme.form(client_id=None, scope="orders:read"), headers=by)).json()["access_token"]

    assert (await introspect(world, token, by=by)).json()["client_id"] == "shop"


async def test_a_client_of_another_api_sees_nothing(world: World) -> None:
    token = (await world.login())["access_token"]
    by = await service(world, audiences=(ELSEWHERE, INVOICES, ORDERS + "/"))

    assert (await introspect(world, token, by=by)).content == INACTIVE
    (event,) = [event for event in await world.events() if event["type"] == "token.refused"]
    assert (event["reason"], event["client_id"], event["path"]) == ("token_foreign", "ledger", "/t/acme/introspect")
    assert token not in str(event)


async def test_the_issuer_itself_is_no_api_that_a_client_stands_for(world: World) -> None:
    """It is the audience of clients that name no API, so that they would all see each other's tokens."""
    own = {"audiences": (world.acme.issuer,), "default_scopes": frozenset({"openid"})}
    one, other = await service(world, "one", **own), await service(world, "other", **own)
    token = (await world.post({"grant_type": "client_credentials"}, headers=one)).json()["access_token"]

    assert (await introspect(world, token, by=one)).json()["aud"] == world.acme.issuer
    assert (await introspect(world, token, by=other)).content == INACTIVE


async def test_who_may_not_see_a_token_cannot_tell_it_from_one_that_never_was(world: World) -> None:
    token = (await world.login())["access_token"]
    by = await service(world)
    answers = [await introspect(world, text, by=by) for text in (token, token[:-3], "x", token.upper())]

    assert {answer.content for answer in answers} == {INACTIVE}
    assert len({tuple(sorted(_told(answer).items())) for answer in answers}) == 1


def _told(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name != "x-request-id"}


@pytest.mark.parametrize(
    ("headers", "form"),
    [
        ({}, {"client_id": "spa"}),
        ({}, {"client_id": "web"}),
        (basic("web", "ycs_wrong"), {}),
        (basic("nobody", "ycs_wrong"), {}),
        ({"Authorization": "Bearer x"}, {}),
    ],
)
async def test_a_client_that_proves_nothing_is_invalid_client_rfc7662_2_1(
    world: World, headers: dict[str, str], form: dict[str, str]
) -> None:
    token = (await world.login())["access_token"]
    answer = await call(world, "introspect", {"token": token, **form}, headers=headers)

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert "www-authenticate" in answer.headers


@pytest.mark.parametrize("form", [{}, {"token": ""}])
async def test_no_token_is_invalid_request(world: World, form: dict[str, str]) -> None:
    answer = await call(world, "introspect", form, headers=as_web(world.acme))

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_a_token_in_the_address_is_not_read(world: World) -> None:
    async with world.client() as client:
        answer = await client.get("/t/acme/introspect", params={"token": "x"}, headers=as_web(world.acme))

    assert answer.status_code == 405


# -- what does not count: each for both kinds of token

Change = Callable[[World, dict[str, Any]], Awaitable[None]]


async def revoked(world: World, login: dict[str, Any]) -> None:
    for kind in ("access_token", "refresh_token"):
        answer = await call(world, "revoke", {"token": login[kind]}, headers=as_web(world.acme))
        assert answer.status_code == 200
    await world.snapshot.poll()


async def expired(world: World, login: dict[str, Any]) -> None:
    await later(world, days=30)


async def spent(world: World, login: dict[str, Any]) -> None:
    """The refresh token; the access token is another matter, and taken back here."""
    form = {"grant_type": "refresh_token", "refresh_token": login["refresh_token"]}
    assert (await world.post(form, headers=as_web(world.acme))).status_code == 200
    async with world.store() as store:
        await store.revocations.forbid("token", world.claims(login["access_token"])["jti"])


async def disabled_user(world: World, login: dict[str, Any]) -> None:
    async with world.store() as store:
        await store.users.set_active(world.acme.users["alice"], False)


async def ended_session(world: World, login: dict[str, Any]) -> None:
    async with world.store() as store:
        await store.sessions.end_all(world.acme.users["alice"])


async def factor_due(world: World, login: dict[str, Any]) -> None:
    """A refresh would be refused; the access token lives on, and is taken back here."""
    await change_people(world, otp="required")
    async with world.store() as store:
        await store.revocations.forbid("token", world.claims(login["access_token"])["jti"])


async def test_it_is_the_same_on_each_database(each_world: World) -> None:
    login = await each_world.login(client_id="web", client_secret=each_world.acme.secret)
    for kind in ("access_token", "refresh_token"):
        assert (await introspect(each_world, login[kind])).json()["active"]
    await revoked(each_world, login)

    for kind in ("access_token", "refresh_token"):
        assert (await introspect(each_world, login[kind])).content == INACTIVE


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
@pytest.mark.parametrize("change", [revoked, expired, spent, disabled_user, ended_session, factor_due])
async def test_what_does_not_count_is_inactive(world: World, change: Change, kind: str) -> None:
    login = await world.login(client_id="web", client_secret=world.acme.secret)
    assert (await introspect(world, login[kind])).json()["active"]
    await change(world, login)

    answer = await introspect(world, login[kind])

    assert (answer.status_code, answer.content) == (200, INACTIVE)


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
async def test_a_token_of_another_tenant_is_inactive_x01(world: World, kind: str) -> None:
    login = await world.login(client_id="web", client_secret=world.acme.secret)
    foreign = await introspect(world, login[kind], by=as_web(world.globex), to="globex")
    never_was = await introspect(world, "x", by=as_web(world.globex), to="globex")

    assert foreign.content == never_was.content == INACTIVE
    assert (await introspect(world, login[kind], by=as_web(world.acme), to="globex")).status_code == 401
    assert world.acme.secret not in str(await world.events(world.globex))


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
async def test_a_suspended_tenants_tokens_are_inactive_everywhere_x03(world: World, kind: str) -> None:
    login = await world.login(client_id="web", client_secret=world.acme.secret)
    async with world.store() as store:
        await store.settings.set_active(False)

    assert (await introspect(world, login[kind])).status_code == 404
    assert (await introspect(world, login[kind], by=as_web(world.globex), to="globex")).content == INACTIVE


async def test_what_was_revoked_is_inactive_for_the_api_too(world: World) -> None:
    token = (await world.login())["access_token"]
    await revoke(world, token)
    await world.snapshot.poll()

    assert (await introspect(world, token)).content == INACTIVE


async def test_nobody_is_told_what_counts_while_revocations_are_not_heard(world: World) -> None:
    token = (await world.login())["access_token"]
    world.clock.advance(seconds=61)
    answer = await introspect(world, token)
    await world.snapshot.poll()

    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert "retry-after" in answer.headers
    assert (await introspect(world, token)).json()["active"]


async def test_it_says_what_the_proxy_says(world: World) -> None:
    login = await world.login()
    assert isinstance(at_the_proxy(world, login["access_token"]), Principal)
    async with world.store() as store:
        await store.clients.set_active("spa", False)

    refused = at_the_proxy(world, login["access_token"])
    assert isinstance(refused, InvalidToken)
    assert refused.reason == "token_revoked"
    assert (await introspect(world, login["access_token"])).content == INACTIVE


async def test_an_assertion_that_proves_nothing_is_401_here_rfc7662_2_3(world: World) -> None:
    form = {
        "token": (await world.login())["access_token"],
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": "no.j.wt",
    }
    answer = await call(world, "introspect", form)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert "www-authenticate" in answer.headers
