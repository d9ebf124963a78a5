"""A code in the wrong place, and one whose grounds are gone by the time that it comes (cases T03 and T09)."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from tests.gateway.browser import Browser
from tests.gateway.login.people import change_people
from tests.gateway.oauth.authorizing import (
    address,
    change_client,
    change_options,
    code_of,
    first_party,
    openid,
    redeem,
    refused,
)
from tests.gateway.oauth.presenting import call
from tests.gateway.world import INVOICES, ORDERS, World

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def own(world: World) -> World:
    await openid(world)
    await first_party(world)
    return world


# -- T03: one namespace for each kind


async def in_refresh(world: World, secret: str) -> int:
    return (await world.refresh(secret)).status_code


async def in_mfa(world: World, secret: str) -> int:
    form = {"grant_type": "urn:yett:params:oauth:grant-type:mfa-otp", "client_id": "spa", "otp": "123456"}
    return (await world.post({**form, "mfa_token": secret})).status_code


async def in_device(world: World, secret: str) -> int:
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "client_id": "spa"}
    return (await world.post({**form, "device_code": secret})).status_code


async def in_request_uri(world: World, secret: str) -> int:
    async with Browser(world) as browser:
        uri = f"urn:ietf:params:oauth:request_uri:{secret}"
        return (await browser.get(address(request_uri=uri))).status_code


async def in_begun(world: World, secret: str) -> int:
    async with Browser(world) as browser:
        return (await browser.get(f"/authorize?begun={secret}")).status_code


async def in_reset(world: World, secret: str) -> int:
    async with Browser(world) as browser:
        return (await browser.get(f"/reset?token={secret}")).status_code


async def in_introspection(world: World, secret: str) -> int:
    form = {"token": secret, "client_id": "web", "client_secret": world.acme.secret}
    return 200 if (await call(world, "introspect", form)).json()["active"] else 400


Place = Callable[[World, str], Awaitable[int]]


@pytest.mark.parametrize("place", [in_refresh, in_mfa, in_device, in_request_uri, in_begun, in_reset, in_introspection])
async def test_t03_a_code_is_good_in_its_own_place_only(own: World, place: Place) -> None:
    code = await code_of(own)
    assert await place(own, code) >= 400
    assert (await redeem(own, code)).status_code == 200, "and trying it there has used nothing up"


async def test_t03_nothing_else_is_good_as_a_code(own: World) -> None:
    tokens = (await redeem(own, await code_of(own))).json()
    async with Browser(own) as browser:
        await browser.get(address())
        begun = browser.at.rpartition("ybg_")[2]
    async with own.store() as store:
        pushed = await store.authorization_requests.push("spa", {}, MINUTE)
        reset = await store.mail_links.make("reset", lifetime=MINUTE, user_id=own.acme.users["alice"])
    for secret in (tokens["refresh_token"], tokens["access_token"], f"ybg_{begun}", pushed, pushed[-47:], reset):
        assert (await redeem(own, secret)).json()["error"] == "invalid_grant"
    assert (await own.refresh(tokens["refresh_token"])).status_code == 200
    async with own.store() as store:
        assert await store.begun_requests.find(f"ybg_{begun}") is not None
        assert await store.authorization_requests.find(pushed) is not None


# -- T09, rule 7: what was true at /authorize is asked again


async def user_disabled(world: World) -> None:
    async with world.store() as store:
        await store.users.set_active(world.acme.users["alice"], False)


async def session_ended(world: World) -> None:
    async with world.store() as store:
        await store.sessions.end_all(world.acme.users["alice"])


async def factor_missing(world: World) -> None:
    await change_people(world, otp="required")


async def redirect_uri_unregistered(world: World) -> None:
    await change_client(world, "spa", redirect_uris=("https://app.acme.test/new",))


async def consent_withdrawn(world: World) -> None:
    await change_options(world, "spa", first_party=False)


async def scope_not_allowed(world: World) -> None:
    await change_client(world, "spa", scopes=frozenset({"admin"}), default_scopes=frozenset())


CHANGES = [
    user_disabled,
    session_ended,
    factor_missing,
    redirect_uri_unregistered,
    consent_withdrawn,
    scope_not_allowed,
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
async def test_t09_what_holds_no_more_when_the_code_comes(
    own: World, change: Callable[[World], Awaitable[None]]
) -> None:
    code = await code_of(own)
    await change(own)
    await refused(own, await redeem(own, code), change.__name__)


async def test_t09_a_session_that_ends_by_its_age(own: World) -> None:
    async with own.store() as store:
        await store.settings.set_lifetimes({"session": 30})
    code = await code_of(own)
    own.clock.advance(seconds=31)
    await refused(own, await redeem(own, code), "session_ended")


async def test_t09_a_client_that_lost_the_grant_or_was_disabled(own: World) -> None:
    code = await code_of(own)
    await change_client(own, "spa", grant_types=frozenset({"password"}))
    assert (await redeem(own, code)).json()["error"] == "unauthorized_client"
    async with own.store() as store:
        await store.clients.set_active("spa", False)
    assert (await redeem(own, code)).status_code == 401


async def test_t09_a_tenant_that_was_suspended(own: World) -> None:
    code = await code_of(own)
    async with own.store() as store:
        await store.settings.set_active(False)
    assert (await redeem(own, code)).status_code == 404


async def test_t09_an_api_that_the_client_lost(own: World) -> None:
    code = await code_of(own, resource=INVOICES)
    await change_client(own, "spa", audiences=(ORDERS,))
    await refused(own, await redeem(own, code), "resource_not_allowed", "invalid_target")


async def test_t09_a_scope_that_the_user_lost_is_not_granted(own: World) -> None:
    code = await code_of(own, scope="openid orders:read orders:write")
    async with own.store() as store:
        await store.roles.withdraw(own.acme.users["alice"], "writer")
        await store.roles.assign(own.acme.users["alice"], "reader")
    assert (await redeem(own, code)).json()["scope"] == "openid orders:read"
