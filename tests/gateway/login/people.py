"""What tests of logins do to a tenant and its people."""

import re
from typing import Any

import pyotp

from tenants import throttles
from tests.gateway.browser import Browser
from tests.gateway.world import Fixture, World

STEP = 30


async def enrol(world: World, name: str = "alice", fixture: Fixture | None = None) -> str:
    """Give the user an authenticator; its secret. Its enrolment code is spent, so the clock moves on by a step."""
    fixture = fixture or world.acme
    async with world.store(fixture) as store:
        enrolment = await store.factors.enrol(fixture.users[name], name="Phone", issuer_name="acme", account=name)
        assert await store.factors.confirm(fixture.users[name], enrolment.factor_id, code(world, enrolment.secret))
    world.clock.advance(seconds=STEP)
    return enrolment.secret


def code(world: World, secret: str) -> str:
    """What the authenticator shows now."""
    return pyotp.TOTP(secret).at(world.clock().timestamp())


async def recovery_codes(world: World, name: str = "alice") -> tuple[str, ...]:
    async with world.store() as store:
        return await store.recovery_codes.make(world.acme.users[name])


async def change_people(world: World, fixture: Fixture | None = None, **values: Any) -> None:
    """What ``yett tenant configure`` does."""
    async with world.store(fixture) as store:
        tenant = await store.settings.get()
        assert tenant is not None
        await store.settings.set_people(tenant.people.changed(world.clock(), **values))


async def lock_factor(world: World, name: str = "alice", *, source: str = "") -> None:
    """Wrong codes, until none is tried any more."""
    counter = throttles.factor(world.acme.users[name], source)
    for _ in range(6):
        async with world.store() as store:
            await store.throttles.reserve(counter)


def shown_secret(browser: Browser) -> str:
    """The key that an enrolment page shows as text."""
    found = re.search(r'<code class="secret"[^>]*>([^<]*)<', browser.page.text)
    assert found is not None, browser.page.text
    return "".join(found[1].split())
