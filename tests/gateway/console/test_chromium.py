"""The console in a real browser: nothing that axe-core objects to, nothing from elsewhere, proofs that are verified."""

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest_asyncio
import uvicorn
from axe_playwright_python.async_playwright import Axe
from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Page, async_playwright, expect
from starlette.types import ASGIApp

from tests.gateway.conftest import OpenWorld
from tests.gateway.console.test_walk import staff
from tests.gateway.world import PASSWORDS, PUBLIC_URL, World

_AXE = Axe("null")  # axe-core itself comes with each page
_PATIENCE = 6_000  # milliseconds
_ANSWERED_404 = "Failed to load resource: the server responded with a status of 404"
_VIOLATIONS = {"resultTypes": ["violations"]}


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[int]:
    """Its port."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, interface="asgi3", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined] # those are the test run's
    sockets = [config.bind_socket()]
    running = asyncio.create_task(server._serve(sockets))
    try:
        yield sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await running


@pytest_asyncio.fixture(loop_scope="session")
async def staffed(open_world: OpenWorld, hashes: Mapping[str, str]) -> AsyncIterator[World]:
    async with open_world(unsafe_operators_by_password=True) as world:
        await staff(world, hashes)
        yield world


@asynccontextmanager
async def window(world: World) -> AsyncIterator[tuple[Page, str, list[str]]]:
    """A page, the console's origin, and the origins that were asked for anything."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    assert path is not None
    async with served(world.service.public) as public, served(world.service.management) as management:
        rules = f"--host-resolver-rules=MAP localhost:8080 127.0.0.1:{public}"
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox", rules])
            context = await browser.new_context(reduced_motion="reduce", service_workers="block")
            context.set_default_timeout(_PATIENCE)
            await context.add_init_script(AXE_SCRIPT)
            page, asked, complaints = await context.new_page(), list[str](), list[str]()
            page.on("request", lambda request: asked.append(request.url))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("console", lambda message: complaints.append(message.text))
            yield page, f"http://127.0.0.1:{management}", asked
            await browser.close()
            assert [each for each in complaints if not each.startswith(_ANSWERED_404)] == []


async def log_in(page: Page, address: str, name: str) -> None:
    await page.goto(address)
    await page.fill("input[name=username]", name)
    await page.fill("input[name=password]", PASSWORDS["acme"])
    await page.get_by_role("button", name="Log in", exact=True).click()
    await expect(page.locator("h1")).to_have_text("Overview")


async def look(page: Page, heading: str) -> None:
    await expect(page.locator("h1")).to_have_text(heading)
    for width in (360, 1280):
        await page.set_viewport_size({"width": width, "height": 800})
        found = await _AXE.run(page, options=_VIOLATIONS)
        assert found.violations_count == 0, f"{page.url}: {found.generate_report()}"
        assert await page.evaluate("document.documentElement.scrollWidth") == width, page.url


async def look_at_an_event(world: World, page: Page, base: str) -> None:
    """Found, shown, verified; and what was altered is not."""
    await world.events()
    await world.installation.audit_tree.grow()
    await page.goto(f"{base}/audit")
    await look(page, "Audit log")
    await page.fill("input[name=type]", "role.*")
    await page.get_by_role("button", name="Search").click()
    await page.get_by_role("link", name="role.created").first.click()
    await look(page, "Audit event")
    verdict = page.locator("#verdict")
    await page.get_by_role("button", name="Verify in this browser").click()
    await expect(verdict).to_have_text(re.compile("^(Verified: event|Not verified)"))
    has_ed25519 = await page.evaluate(
        "crypto.subtle.generateKey({name: 'Ed25519'}, false, ['sign', 'verify']).then(() => true, () => false)"
    )
    assert (await verdict.inner_text()).startswith("Verified" if has_ed25519 else "Not verified")
    await page.evaluate(
        "const proof = document.getElementById('proof'); const lines = proof.textContent.split('\\n');"
        "const filed = JSON.parse(lines[1]); filed.event = filed.event.replace('role.created', 'role.deleted');"
        "lines[1] = JSON.stringify(filed); proof.textContent = lines.join('\\n');"
    )
    await page.get_by_role("button", name="Verify in this browser").click()
    await expect(verdict).to_have_text(re.compile("^Wrong: "))


async def test_an_operator_sees_pages_without_a_fault(staffed: World) -> None:
    async with window(staffed) as (page, origin, asked):
        await log_in(page, f"{origin}/console", "olga")
        asked.clear()
        await look(page, "Overview")
        for path, heading in (
            ("tenants", "Tenants"),
            ("new-tenant", "New tenant"),
            ("tenants/acme", "acme"),
            ("tenants/acme/users", "Users"),
            (f"tenants/acme/users/{staffed.acme.users['alice']}", "alice"),
            ("tenants/acme/clients", "Clients"),
            ("tenants/acme/keys", "Signing keys"),
            ("tenants/acme/invite", "Invite somebody"),
        ):
            await page.goto(f"{origin}/console/{path}")
            await look(page, heading)
        await look_at_an_event(staffed, page, f"{origin}/console/tenants/platform")
        assert asked
        assert {address for address in asked if not address.startswith(origin)} == set()
        cookies = {cookie["name"]: cookie for cookie in await page.context.cookies()}
        session = cookies["yett-platform-console"]
        assert (session["httpOnly"], session["sameSite"], session["expires"]) == (True, "Lax", -1)
        assert "eyJ" not in json.dumps(await page.context.storage_state())


async def test_an_administrator_sees_their_tenant_without_a_fault(staffed: World) -> None:
    async with window(staffed) as (page, _, asked):
        base = f"{PUBLIC_URL}/t/acme/admin"
        await log_in(page, base, "ada")
        await page.goto(f"{base}/users")
        await look(page, "Users")
        await page.get_by_role("link", name="bob").click()
        await page.get_by_role("button", name="Disable").click()
        await expect(page.locator("main")).to_contain_text("disabled")
        await look(page, "bob")
        await page.goto(f"{base}/users/nobody")
        await look(page, "This cannot be done")
        await look_at_an_event(staffed, page, base)
        await page.get_by_role("button", name="Log out").click()
        await look(page, "You are logged out")
        assert {address for address in asked if not address.startswith(PUBLIC_URL)} == set()
