"""The console as its readers use it, without JavaScript: in, about, out; and what a stranger gets of it."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import pytest_asyncio

from gateway.app import compose
from gateway.installation import administrable
from policies.administration import TENANT_ADMINISTRATOR
from tenants.acts.by import By
from tests.gateway.conftest import OpenWorld
from tests.gateway.world import ADDRESS, PASSWORDS, PUBLIC_URL, World

CONSOLE = "http://127.0.0.1:8081"
NAVIGATION = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "none", "Accept": "text/html"}


@pytest_asyncio.fixture(loop_scope="session")
async def staffed(open_world: OpenWorld, hashes: Mapping[str, str]) -> AsyncIterator[World]:
    """With an operator who needs no second factor, and an administrator of acme."""
    async with open_world(unsafe_operators_by_password=True) as world:
        await staff(world, hashes)
        yield world


async def staff(world: World, hashes: Mapping[str, str]) -> None:
    installation = world.installation
    acme = await installation.directory.find("acme")
    assert acme is not None
    platform = await installation.platform()
    for tenant, name, role in ((platform, "olga", "owner"), (acme, "ada", TENANT_ADMINISTRATOR)):
        await administrable(installation, tenant, By("test"))
        async with installation.store.for_tenant(tenant.id) as store:
            user = await store.users.create(name)
            await store.credentials.set_password(user.id, hashes["acme"])
            await store.roles.assign(user.id, role)
    await world.snapshot.poll()


@dataclass
class Tab:
    """A browser's tab, between both listeners. ``page`` is the last answer, ``url`` its address."""

    world: World
    clients: dict[str, httpx.AsyncClient]
    url: str = ""
    page: Any = None
    seen: list[httpx.Response] = field(default_factory=list)

    async def get(self, url: str) -> httpx.Response:
        return await self._follow("GET", url)

    async def press(self, action: str, **fields: str) -> httpx.Response:
        """Send the form of the page that goes to ``action`` (a part of it)."""
        forms = re.findall(r"<form[^>]*method=\"post\".*?</form>", self.page.text, re.DOTALL)
        form = next(each for each in forms if action in each)
        found = re.search(r'action="([^"]*)"', form)
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', form))
        return await self._follow("POST", urljoin(self.url, found[1] if found else ""), {**hidden, **fields})

    async def log_in(self, start: str, name: str) -> httpx.Response:
        await self.get(start)
        return await self.press("password", username=name, password=PASSWORDS["acme"])

    async def _follow(self, method: str, url: str, data: dict[str, str] | None = None) -> httpx.Response:
        for _ in range(10):
            parts = urlsplit(url)
            origin = f"{parts.scheme}://{parts.netloc}"
            headers = {"Origin": origin} if method == "POST" else NAVIGATION
            self.page = await self.clients[origin].request(method, url, data=data, headers=headers)
            self.url = url
            self.seen.append(self.page)
            if self.page.status_code != 303:
                return self.page
            method, url, data = "GET", urljoin(url, self.page.headers["location"]), None
        raise AssertionError(f"round and round: {url}")


@asynccontextmanager
async def tab(world: World) -> AsyncIterator[Tab]:
    service = world.service
    async with (
        world.client(app=service.management, address=ADDRESS, base_url=CONSOLE) as console,
        world.client() as public,
    ):
        yield Tab(world, {CONSOLE: console, PUBLIC_URL: public})


def cookie_of(tab: Tab) -> str:
    fields = [value for answer in tab.seen for value in answer.headers.get_list("set-cookie")]
    return next(value for value in fields if "-console=" in value)


async def test_an_operator_logs_in_and_looks_about_and_out(staffed: World) -> None:
    async with tab(staffed) as reader:
        page = await reader.log_in(f"{CONSOLE}/console", "olga")
        assert (page.status_code, reader.url) == (200, f"{CONSOLE}/console"), page.text
        assert "<h1>Overview" in page.text
        assert "Secure" not in cookie_of(reader)  # plain HTTP of a loopback host
        assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie_of(reader).split("; "))
        assert not any("eyJ" in answer.text for answer in reader.seen)
        page = await reader.get(f"{CONSOLE}/console/tenants")
        assert "globex" in page.text
        await reader.get(f"{CONSOLE}/console/new-tenant")
        page = await reader.press("Create the tenant", slug="No Slug", name="")
        assert page.status_code in (400, 422), page.text
        assert 'role="alert"' in page.text
        for stranger in ("%C3%A9", "NOBODY", "nobody", "-"):
            assert (await reader.get(f"{CONSOLE}/console/tenants/{stranger}/users")).status_code == 404
        for query in ("name=%ED%A0%80", "name=%FF", "cursor=x", "name=a&name=b", f"name={'x' * 300}"):
            answer = await reader.get(f"{CONSOLE}/console/tenants/acme/users?{query}")
            assert 400 <= answer.status_code < 500, (query, answer.status_code)
    async with tab(staffed) as reader:
        await reader.log_in(f"{CONSOLE}/console/new-tenant", "olga")
        page = await reader.press("Create the tenant", slug="initech", name="Initech")
        assert (page.status_code, reader.url) == (200, f"{CONSOLE}/console/tenants/initech"), page.text
        await reader.press("sign-out")
        assert "Your session has ended" in reader.page.text
        page = await reader.get(f"{CONSOLE}/console")
        assert reader.url.startswith(f"{PUBLIC_URL}/t/platform/login")


async def test_an_administrator_has_their_own_tenant(staffed: World) -> None:
    async with tab(staffed) as reader:
        base = f"{PUBLIC_URL}/t/acme/admin"
        page = await reader.log_in(base, "ada")
        assert (page.status_code, reader.url) == (200, base), page.text
        page = await reader.get(f"{base}/users?name=ali")
        assert "alice" in page.text
        assert "bob" not in page.text
        alice = staffed.acme.users["alice"]
        await reader.get(f"{base}/users/{alice}")
        page = await reader.press(f"{alice}/active")
        assert "disabled" in page.text
        page = await reader.press(f"{alice}/active")
        assert "disabled" not in page.text
        page = await reader.press(f"{alice}/sessions")
        assert page.status_code == 200
        await reader.get(f"{base}/invite")
        page = await reader.press("Send the invitation", email="new@example.com")
        assert "A letter goes to new@example.com." in page.text
        assert (await reader.get(f"{base}/users/none")).status_code == 404
        assert (await reader.get(f"{base}/tenants")).status_code == 404
        assert "http://localhost" in (await reader.get(f"{base}/clients")).text
        assert "ES256" in (await reader.get(f"{base}/keys")).text
        await staffed.events()
        page = await reader.get(f"{base}/audit?type=user.*")
        assert "user.disabled" in page.text
        assert (await reader.get(f"{base}/audit?since=yesterday")).status_code in (400, 422)
        page = await reader.get(f"{PUBLIC_URL}/t/globex/admin")  # which nobody has made to be administered
        assert page.status_code == 403
        assert "Nobody was logged in" in page.text


async def test_who_has_no_scope_of_administration_sees_nothing(staffed: World) -> None:
    async with tab(staffed) as reader:
        page = await reader.log_in(f"{PUBLIC_URL}/t/acme/admin", "alice")
        assert page.status_code == 403, page.text
        for path in ("users", "clients", "keys", "audit", f"users/{staffed.acme.users['bob']}"):
            page = await reader.get(f"{PUBLIC_URL}/t/acme/admin/{path}")
            assert page.status_code == 403
            assert "bob" not in page.text


async def test_a_form_of_another_site_or_without_its_token_is_refused(staffed: World) -> None:
    async with tab(staffed) as reader:
        base = f"{PUBLIC_URL}/t/acme/admin"
        await reader.log_in(base, "ada")
        alice = staffed.acme.users["alice"]
        page = await reader.get(f"{base}/users/{alice}")
        token = re.search(r'name="form_token" value="([^"]+)"', page.text)
        assert token is not None
        form, client = {"form_token": token[1], "active": "no"}, reader.clients[PUBLIC_URL]
        for fields, headers in (
            (form, {"Origin": "https://evil.example"}),
            (form, {}),
            (form, {"Sec-Fetch-Site": "cross-site"}),
            ({"active": "no"}, {"Origin": PUBLIC_URL}),
            ({**form, "form_token": "x"}, {"Origin": PUBLIC_URL}),
        ):
            refused = await client.post(f"{base}/users/{alice}/active", data=fields, headers=headers)
            assert refused.status_code == 403
        assert "disabled" not in (await reader.get(f"{base}/users/{alice}")).text


async def test_pages_may_load_what_is_their_own_and_nothing_else(staffed: World) -> None:
    async with tab(staffed) as reader:
        page = await reader.log_in(f"{CONSOLE}/console", "olga")
        policy = page.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "unsafe" not in policy
        assert page.headers["cache-control"] == "no-store"
        for address in re.findall(r'(?:href|src)="([^"]*assets[^"]*)"', page.text):
            assert (await reader.clients[CONSOLE].get(address)).status_code == 200
        assert (await reader.clients[CONSOLE].get("/console/assets/none.js")).status_code == 404


async def test_a_second_factor_that_the_api_wants_is_asked_for_at_the_login(staffed: World) -> None:
    async with tab(staffed) as reader:
        await reader.log_in(f"{CONSOLE}/console", "olga")
        settings = staffed.installation.settings.model_copy(update={"unsafe_operators_by_password": False})
        installation = replace(staffed.installation, settings=settings)
        strict = compose(installation, staffed.snapshot, staffed.recorder, *staffed.parts)
        cookies = reader.clients[CONSOLE].cookies
        async with staffed.client(app=strict.management, base_url=CONSOLE, cookies=cookies) as client:
            answer = await client.get("/console", headers=NAVIGATION)
        assert answer.status_code == 303
        asked = parse_qs(urlsplit(answer.headers["location"]).query)
        assert (asked["acr_values"], asked["code_challenge_method"]) == (["urn:yett:acr:mfa"], ["S256"])


async def test_a_cookie_that_is_none_of_ours_leads_to_the_login(staffed: World) -> None:
    async with tab(staffed) as reader:
        await reader.log_in(f"{CONSOLE}/console", "olga")
        value = reader.clients[CONSOLE].cookies["yett-platform-console"]
        for bad in ("x", value[:-4] + "AAAA", ""):
            cookies = {"yett-platform-console": bad}
            async with staffed.client(app=staffed.service.management, base_url=CONSOLE, cookies=cookies) as client:
                answer = await client.get("/console/tenants", headers=NAVIGATION)
                assert answer.status_code == 303
                assert answer.headers["location"].startswith(f"{PUBLIC_URL}/t/platform/authorize?")
                assert "globex" not in answer.text


async def test_an_address_that_is_not_registered_is_named_as_the_reason(staffed: World) -> None:
    base = CONSOLE.replace("127.0.0.1", "localhost")
    async with staffed.client(app=staffed.service.management, address=ADDRESS, base_url=base) as console:
        answer = await console.get("/console", headers=NAVIGATION)
        assert answer.status_code == 403
        assert "the client yett-console does not redirect here" in answer.text
