"""A data plane with routes for browsers before a scripted upstream, on the real composition, and a browser's tab there.

Nothing runs beside a test; the clock is the test's own.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from gateway.audit import Observation
from gateway.authn.bearer import Bearer
from gateway.authn.dpop import Possession, ProofCheck, SeenProofs
from gateway.authn.dpop_nonce import DpopNonces
from gateway.authn.standing import Standings
from gateway.authn.token_table import TokenTable
from gateway.browser.composed import browser_front
from gateway.data_plane import plane_config
from gateway.limits import AddressLimit
from gateway.oauth.client_auth import ClientAuth
from gateway.oauth.client_jwks import ClientJwks
from gateway.oauth.dpop import DpopProofs
from gateway.proxy.configured import running_pools
from gateway.proxy.identity_token import IdentityTokens
from gateway.proxy.plane import DataPlane
from tenants.active_keys import ActiveKeys
from tenants.client_options import ClientOptions
from tenants.clients import Client
from tenants.issuers import Issuers
from tests.gateway.browser import Browser
from tests.gateway.conftest import OpenWorld
from tests.gateway.proxy.harness import ScriptedUpstream, polite
from tests.gateway.world import ADDRESS, ORDERS, World

HOST = "api.example.com"
SITE = f"https://{HOST}"
CALLBACK = f"{SITE}/.yett/callback"
APP, PENDING = "__Host-yett-acme-app", "__Host-yett-acme-app-login"
NAVIGATION = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "none", "Accept": "text/html,*/*"}
FETCH = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin", "Accept": "*/*"}
ROUTES: list[dict[str, Any]] = [
    {
        "name": "app",
        "match": {"path": "/app/**"},
        "tenants": ["acme"],
        "require": {"scopes": ["orders:read"]},
        "session": "cookie",
        "upstream": "orders",
    },
    {
        "name": "strict",
        "match": {"path": "/strict/**"},
        "tenants": ["acme"],
        "require": {"all": [{"acr": "urn:yett:acr:mfa"}, {"max_age": "15m"}]},
        "session": "cookie",
        "upstream": "orders",
    },
    {
        "name": "writers",
        "match": {"path": "/writers"},
        "tenants": ["acme"],
        "require": {"scopes": ["orders:write"]},
        "session": "cookie",
        "upstream": "orders",
    },
    {
        "name": "both-acme",
        "match": {"path": "/both"},
        "tenants": ["acme"],
        "require": {"scopes": ["orders:read"]},
        "session": "cookie",
        "upstream": "orders",
    },
    {
        "name": "both-globex",
        "match": {"path": "/both"},
        "tenants": ["globex"],
        "require": {"scopes": ["orders:read"]},
        "session": "cookie",
        "upstream": "orders",
    },
    {
        "name": "api",
        "match": {"path": "/api/**"},
        "require": {"scopes": ["orders:read"]},
        "upstream": "orders",
    },
]
SITE_CLIENT = Client(
    client_id="site",
    name="Site",
    confidential=False,
    grant_types=frozenset({"authorization_code"}),
    scopes=frozenset({"openid", "orders:read", "orders:write"}),
    redirect_uris=(CALLBACK,),
    audiences=(ORDERS,),
    options=ClientOptions(first_party=True),
)


@dataclass
class House:
    """The world, its API host, and what the API behind has seen."""

    world: World
    plane: DataPlane
    upstream: ScriptedUpstream
    observed: list[Observation]

    @asynccontextmanager
    async def tab(self, site: str = SITE) -> AsyncIterator["Tab"]:
        """A browser that has not been here before, at the API host and at the issuer."""
        transport = httpx.ASGITransport(self.plane, client=(ADDRESS, 40000))
        async with httpx.AsyncClient(transport=transport, base_url=site) as client, Browser(self.world) as issuer:
            yield Tab(self, client, issuer)

    @property
    def seen(self) -> list[dict[str, str]]:
        """The header fields of what reached the API."""
        return [
            {
                name.decode().lower(): value.strip().decode()
                for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:] if line)
            }
            for head in self.upstream.heads
        ]

    async def told(self, kind: str) -> list[dict[str, Any]]:
        """Events of this type in acme's log."""
        return [event for event in await self.world.events() if event["type"] == kind]


@dataclass
class Tab:
    """One tab. ``client`` keeps the cookies of the API host, ``issuer`` those of the tenant's pages."""

    house: House
    client: httpx.AsyncClient
    issuer: Browser

    async def go(self, path: str, **headers: str) -> httpx.Response:
        """As somebody who follows a link or types an address. No redirect is followed."""
        return await self.client.get(path, headers={**NAVIGATION, **headers})

    async def fetch(self, path: str, method: str = "GET", **headers: str) -> httpx.Response:
        """As a script of a page of this site."""
        own = {} if method == "GET" else {"Origin": SITE}
        return await self.client.request(method, path, headers={**FETCH, **own, **headers})

    async def authorize(self, answer: httpx.Response) -> str:
        """From the redirect to the issuer on, and logged in there: the address that it sends the browser back to."""
        assert answer.status_code == 303, answer.text
        to = urlsplit(answer.headers["location"])
        await self.issuer.get(f"{to.path}?{to.query}")
        back = self.issuer.page.headers.get("location", "")
        assert back.startswith(CALLBACK), (self.issuer.path, self.issuer.page.text)
        return str(back)

    async def log_in(self, path: str = "/app/x", name: str = "alice") -> httpx.Response:
        """All of it; the answer at the end is that of the callback."""
        if self.issuer.cookie("session") is None:
            await self.issuer.log_in(name)
        return await self.go(await self.authorize(await self.go(path)))


@asynccontextmanager
async def house(open_world: OpenWorld, **values: Any) -> AsyncIterator[House]:
    """Everything, with acme's client for browsers."""
    async with ScriptedUpstream(polite).running() as upstream:
        settings: Mapping[str, Any] = {
            "api_hosts": [HOST, "other.example.com"],
            "upstreams": {"orders": {"targets": [f"http://127.0.0.1:{upstream.port}"], "audience": ORDERS}},
            "routes": ROUTES,
            "browser_sessions": {"client": "site"},
            **values,
        }
        async with open_world(**settings) as world, running_pools(world.installation.settings) as pools:
            async with world.store() as store:
                await store.clients.create(SITE_CLIENT)
            observed: list[Observation] = []
            yield House(world, _plane(world, pools, observed), upstream, observed)


def _plane(world: World, pools: Any, observed: list[Observation]) -> DataPlane:
    installation, snapshot, settings = world.installation, world.snapshot, world.installation.settings

    def now() -> float:
        return world.clock().timestamp()

    def issuer_of(tenant_id: Any) -> str | None:
        found = snapshot.by_id(tenant_id)
        return None if found is None else found.issuer

    issuers = Issuers(installation.store, snapshot)
    clients = ClientAuth(issuers, installation.store, ClientJwks.of(settings, world.clock), world.clock)
    proofs = ProofCheck(DpopNonces(lambda: [bytes(32)], now), now)
    return DataPlane(
        plane_config(settings, pools.current, snapshot),
        authenticate=Bearer(snapshot, TokenTable(), now).authenticate,
        possession=Possession(proofs, SeenProofs(), now),
        feed_fresh=lambda: True,
        standings=Standings(snapshot),
        observe=observed.append,
        identities=IdentityTokens(ActiveKeys(installation.store, snapshot), issuer_of, now),
        browsers=browser_front(
            installation,
            snapshot,
            issuers,
            clients,
            DpopProofs(proofs, installation.store),
            AddressLimit(settings.limits.pages),
        )[0],
        now=now,
    )


def query_of(answer: httpx.Response) -> dict[str, list[str]]:
    """The parameters of a redirect."""
    return parse_qs(urlsplit(answer.headers["location"]).query)
