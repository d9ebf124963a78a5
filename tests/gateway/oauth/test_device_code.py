"""The device grant from its first request to its tokens (RFC 8628)."""

import re

import pytest
from sqlalchemy import text

from policies.device_code import ALPHABET
from tenants.client import DEVICE_CODE
from tenants.clients import Client
from tests.gateway.browser import Browser
from tests.gateway.login.people import code, enrol
from tests.gateway.oauth.devices import Device, approved, approving_session, decide, started
from tests.gateway.oauth.test_dpop import proved, ready, refresh_form
from tests.gateway.world import INVOICES, ORDERS, World

PENDING, SLOW, OVER, DENIED = "authorization_pending", "slow_down", "expired_token", "access_denied"


async def test_a_device_is_told_its_codes_and_where_to_type_one(world: World) -> None:
    device = Device(world)
    answer = await device.start()
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    shown = answer.json()
    assert re.fullmatch(f"[{ALPHABET}]{{4}}-[{ALPHABET}]{{4}}", shown["user_code"])
    assert shown == {
        "device_code": shown["device_code"],
        "user_code": shown["user_code"],
        "verification_uri": f"{world.acme.issuer}/device",
        "verification_uri_complete": f"{world.acme.issuer}/device?user_code={shown['user_code']}",
        "expires_in": 600,
        "interval": 5,
    }


async def test_the_lifetime_is_the_tenants(world: World) -> None:
    async with world.store() as store:
        await store.settings.set_lifetimes({"device_code": 120})
    device = await started(world)
    assert device.shown["expires_in"] == 120
    world.clock.advance(seconds=119)
    assert (await device.poll()).json()["error"] == PENDING
    world.clock.advance(seconds=1)
    assert (await device.poll()).json()["error"] == OVER


async def test_an_approved_device_gets_its_tokens(each_world: World) -> None:
    world = each_world
    device = await approved(world, scope="orders:read orders:write")
    answer = await device.poll()
    assert answer.status_code == 200, answer.text
    tokens = answer.json()
    assert tokens.keys() == {"access_token", "token_type", "expires_in", "scope", "refresh_token"}
    assert tokens["scope"] == "orders:read orders:write"
    claims = world.claims(tokens["access_token"])
    assert claims["sub"] == str(world.acme.users["alice"])
    assert claims["client_id"] == "spa"
    assert claims["aud"] == ORDERS
    refreshed = await world.refresh(tokens["refresh_token"])
    assert refreshed.status_code == 200
    assert world.claims(refreshed.json()["access_token"])["sid"] == claims["sid"]


async def test_a_confidential_client_proves_itself_at_both_ends(world: World) -> None:
    device = Device(world, client_id="web")
    assert (await device.start()).json()["error"] == "invalid_client"
    assert (await device.start(client_secret="wrong")).json()["error"] == "invalid_client"
    assert (await device.start(client_secret=world.acme.secret, scope="orders:read")).status_code == 200
    async with Browser(world) as browser:
        await browser.log_in()
        await decide(browser, device)
    assert (await device.poll()).json()["error"] == "invalid_client"
    assert (await device.poll(client_secret="wrong")).json()["error"] == "invalid_client"
    assert (await device.poll(client_secret=world.acme.secret)).status_code == 200


async def test_a_client_without_the_grant_does_not_begin(world: World) -> None:
    answer = await Device(world, client_id="login-only").start()
    assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")


@pytest.mark.parametrize("client_id", [None, "nobody"])
async def test_a_device_without_a_client_does_not_begin(world: World, client_id: str | None) -> None:
    """The default client of FastAPI's form stands in at no other place."""
    answer = await Device(world).start(client_id=client_id)
    assert answer.json()["error"] == ("invalid_request" if client_id is None else "invalid_client")


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"scope": "unknown"}, "invalid_scope"),
        ({"scope": 'bad"scope'}, "invalid_scope"),
        ({"resource": "https://api.example.com/others"}, "invalid_target"),
    ],
)
async def test_what_the_client_may_not_have_is_refused_at_once(world: World, asked: dict[str, str], error: str) -> None:
    assert (await Device(world).start(**asked)).json()["error"] == error


async def test_a_parameter_that_is_repeated_is_refused(world: World) -> None:
    assert (await Device(world).start(scope=["orders:read", "orders:write"])).json()["error"] == "invalid_request"


async def test_a_device_that_asks_for_no_scope_gets_the_defaults(world: World) -> None:
    device = await approved(world)
    assert (await device.poll()).json()["scope"] == "orders:read"


async def test_a_device_gets_no_more_than_its_person_has(world: World) -> None:
    device = await approved(world, name="bob", scope="orders:read orders:write admin")
    assert (await device.poll()).json()["scope"] == "orders:read"


async def test_the_resources_are_those_of_the_beginning_or_fewer(world: World) -> None:
    device = await approved(world, resource=[ORDERS, INVOICES])
    assert (await device.poll(resource="https://other.example.com")).json()["error"] == "invalid_target"
    tokens = (await device.poll(resource=INVOICES)).json()
    assert world.claims(tokens["access_token"])["aud"] == INVOICES
    refreshed = (await world.refresh(tokens["refresh_token"])).json()
    assert world.claims(refreshed["access_token"])["aud"] == [ORDERS, INVOICES], "the grant is what was approved"


async def test_another_resource_than_at_the_beginning_is_refused(world: World) -> None:
    device = await approved(world, resource=ORDERS)
    assert (await device.poll(resource=INVOICES)).json()["error"] == "invalid_target"
    assert (await device.poll()).status_code == 200


async def test_openid_gives_an_id_token(world: World) -> None:
    async with world.store() as store:
        known = await store.clients.get("spa")
        assert known is not None
        await store.clients.create(
            Client("tv", "TV", False, frozenset({DEVICE_CODE}), known.scopes | {"openid", "email"}, (ORDERS,))
        )
    device = Device(world, client_id="tv")
    await device.start(scope="openid email orders:read")
    async with Browser(world) as browser:
        await browser.log_in()
        await decide(browser, device)
        session = await approving_session(world)
        world.clock.advance(seconds=30)
    tokens = (await device.poll()).json()
    assert "refresh_token" not in tokens, "the client has no such grant"
    assert tokens["scope"] == "email openid orders:read", "no role has to hold those of OpenID Connect"
    claims = world.claims(tokens["id_token"])
    assert (claims["aud"], claims["sub"]) == ("tv", str(world.acme.users["alice"]))
    assert claims["auth_time"] == int(session.auth_time.timestamp())
    assert claims["sid"] == world.claims(tokens["access_token"])["sid"]


async def test_a_device_has_a_session_of_its_own_as_strong_and_as_old_as_the_one_that_approved(world: World) -> None:
    authenticator = await enrol(world)
    device = await started(world)
    async with Browser(world) as browser:
        await browser.log_in()
        await browser.submit(otp=code(world, authenticator))
        session = await approving_session(world)
        world.clock.advance(minutes=3)
        await decide(browser, device)
        tokens = (await device.poll()).json()
        claims = world.claims(tokens["access_token"])
        assert claims["sid"] != str(session.id)
        assert claims["auth_time"] == int(session.auth_time.timestamp()), "a redemption never moves it"
        assert claims["acr"] == "urn:yett:acr:mfa"
        assert claims["amr"] == ["mfa", "otp", "pwd"]
        assert (await world.refresh(tokens["refresh_token"])).status_code == 200
        await browser.get("/logout")
        await browser.submit()
    refreshed = await world.refresh((await world.refresh(tokens["refresh_token"])).json()["refresh_token"])
    assert refreshed.status_code == 200, "a browser that logs out leaves the device alone"


async def test_the_devices_session_is_ended_alone_in_the_account(world: World) -> None:
    device = await approved(world)
    tokens = (await device.poll()).json()
    sid = world.claims(tokens["access_token"])["sid"]
    async with Browser(world) as browser:
        await browser.log_in()
        await browser.get("/account/sessions")
        assert "Public" in browser.page.text
        token = browser.forms[0].fields["form_token"]
        ended = await browser.post("/account/sessions", {"form_token": token, "session": sid})
        assert ended.status_code == 303
        assert (await browser.get("/account")).status_code == 200
        assert browser.at == "/account"
    assert (await world.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


async def test_to_forget_the_browser_that_approved_is_to_end_the_device(world: World) -> None:
    device = await started(world)
    async with Browser(world) as browser:
        await browser.log_in()
        await decide(browser, device)
        tokens = (await device.poll()).json()
        session = await approving_session(world)
        await browser.get("/account/devices")
        token = browser.forms[0].fields["form_token"]
        gone = await browser.post("/account/devices", {"form_token": token, "device": str(session.device_id)})
        assert gone.status_code == 303
    assert (await world.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


async def test_the_tokens_are_bound_to_the_key_that_the_device_shows_at_its_polls(world: World) -> None:
    device, prover = await approved(world), await ready(world)
    form = {"grant_type": DEVICE_CODE, "client_id": "spa", "device_code": device.shown["device_code"]}
    tokens = (await proved(world, prover, form)).json()
    assert tokens["token_type"] == "DPoP"
    assert world.claims(tokens["access_token"])["cnf"] == {"jkt": prover.thumbprint}
    assert (await world.refresh(tokens["refresh_token"])).json()["error"] == "invalid_dpop_proof"
    assert (await proved(world, prover, refresh_form(tokens["refresh_token"]))).status_code == 200


async def test_the_network_of_a_device_is_not_one_that_the_person_logged_in_from(world: World) -> None:
    device = await approved(world)
    assert (await device.poll()).status_code == 200
    async with world.store() as store:
        assert list(await store.devices.networks_of(world.acme.users["alice"])) == []


async def test_until_somebody_decides_the_device_waits_and_too_soon_is_slower(each_world: World) -> None:
    world = each_world
    device = await started(world)
    errors = []
    for seconds in (0, 5, 4, 5, 15):
        world.clock.advance(seconds=seconds)
        errors.append((await device.poll()).json()["error"])
    assert errors == [PENDING, PENDING, SLOW, SLOW, PENDING]
    async with Browser(world) as browser:
        await browser.log_in()
        await decide(browser, device)
    assert (await device.poll()).status_code == 200, "there is nothing to wait for any more"


async def test_a_device_that_was_refused_is_told_so(world: World) -> None:
    device = await started(world)
    async with Browser(world) as browser:
        await browser.log_in()
        answer = await decide(browser, device, "deny")
    assert "Refused" in answer.text
    for _ in range(2):
        refused = await device.poll()
        assert (refused.status_code, refused.json()["error"]) == (400, DENIED)


async def test_a_device_code_that_is_over_is_over_approved_or_not(world: World) -> None:
    fresh, ready = await started(world), await approved(world)
    world.clock.advance(minutes=10)
    for device in (fresh, ready):
        answer = await device.poll()
        assert (answer.status_code, answer.json()["error"]) == (400, OVER)


async def test_a_poll_without_a_code_or_with_nobodys_is_refused(world: World) -> None:
    device = await started(world)
    assert (await device.poll(device_code=None)).json()["error"] == "invalid_request"
    secret = device.shown["device_code"]
    for unverified in ("ydc_" + "A" * 43, secret[:-1], secret.upper(), device.user_code, "x"):
        assert (await device.poll(device_code=unverified)).json()["error"] == "invalid_grant"


async def test_what_happens_is_in_the_log_and_polls_are_not(world: World) -> None:
    device = await started(world, scope="orders:read")
    await device.poll()
    async with Browser(world) as browser:
        await browser.log_in()
        await decide(browser, device)
        await device.poll()
        other = await started(world)
        await decide(browser, other, "deny")
        await other.poll()
    events = await world.events()
    told = [(event["type"], event.get("client_id"), event.get("reason")) for event in events]
    assert told == [
        ("login.succeeded", None, None),
        ("device.approved", "spa", None),
        ("login.succeeded", "spa", None),
        ("device.denied", "spa", None),
        ("token.refused", None, "device_code_denied"),
    ]
    approval, redemption = events[1], events[2]
    assert approval["subject"] == redemption["subject"] == str(world.acme.users["alice"])
    assert approval["details"] == {"scopes": ["orders:read"]}
    assert redemption["details"] == {"grant_type": DEVICE_CODE, "scopes": ["orders:read"]}
    assert approval["session_id"] == events[0]["session_id"] != redemption["session_id"]
    secrets = (device.shown["device_code"], device.user_code, other.shown["device_code"], other.user_code)
    assert not [secret for secret in secrets if secret in str(events)]
    async with Browser(world) as browser:
        await browser.log_in()
        activity = (await browser.get("/account/activity")).text
        assert "A device of spa allowed in" in activity
        assert "A device of spa refused" in activity


async def test_nothing_of_a_code_can_be_read_in_the_database(world: World) -> None:
    device = await started(world)
    async with world.installation.database.app_step(read_only=True) as connection:
        rows = str((await connection.execute(text("SELECT * FROM device_codes"))).all())
    assert device.user_code.replace("-", "") not in rows
    assert device.shown["device_code"] not in rows
