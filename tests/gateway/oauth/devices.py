"""A device without a browser, and the person who types its code somewhere else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx

from tenants.client import DEVICE_CODE
from tests.gateway.browser import Browser
from tests.gateway.world import Fixture, World


@dataclass
class Device:
    """One device of the public client, at a tenant. ``shown`` is what it was told at its start."""

    world: World
    shown: Mapping[str, Any] = field(default_factory=dict)
    slug: str = "acme"
    client_id: str = "spa"
    address: str = "198.51.100.20"

    async def start(self, **form: Any) -> httpx.Response:
        """Ask for codes. A change to None leaves a parameter out; a list sends it several times."""
        asked = {name: value for name, value in {"client_id": self.client_id, **form}.items() if value is not None}
        async with self.world.client(address=self.address) as client:
            answer = await client.post(
                f"/t/{self.slug}/device",
                content=urlencode(asked, doseq=True),
                headers={"Content-Type": "application/x-www-form-urlencoded"},
            )
        if answer.status_code == 200:
            self.shown = answer.json()
        return answer

    async def poll(self, *, to: str | None = None, **form: Any) -> httpx.Response:
        """Ask at the token endpoint how far it is."""
        asked = {
            "grant_type": DEVICE_CODE,
            "client_id": self.client_id,
            "device_code": self.shown["device_code"],
            **form,
        }
        asked = {name: value for name, value in asked.items() if value is not None}
        return await self.world.post(asked, to=to or self.slug, address=self.address)

    @property
    def user_code(self) -> str:
        return str(self.shown["user_code"])


async def started(world: World, **form: Any) -> Device:
    """A device that shows its code."""
    device = Device(world)
    answer = await device.start(**form)
    assert answer.status_code == 200, answer.text
    return device


async def decide(browser: Browser, device: Device, decision: str = "allow") -> httpx.Response:
    """Type the device's code, look, and say it. The browser is logged in."""
    await browser.get("/device")
    await browser.submit(user_code=device.user_code)
    assert browser.page.status_code == 200, browser.page.text
    return await browser.submit(decision=decision)


async def approved(world: World, *, name: str = "alice", **form: Any) -> Device:
    """A device that somebody has just approved, in a browser of their own."""
    device = await started(world, **form)
    async with Browser(world) as browser:
        await browser.log_in(name)
        answer = await decide(browser, device)
    assert "Your device is connected" in answer.text
    return device


async def approving_session(world: World, name: str = "alice", fixture: Fixture | None = None) -> Any:
    """The browser session of this user that is there."""
    fixture = fixture or world.acme
    async with world.store(fixture) as store:
        (session,) = [each for each in await store.sessions.of_user(fixture.users[name]) if each.client_id is None]
        return session
