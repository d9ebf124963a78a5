"""Two tenants behind the real composition, called as an ASGI application. Nothing runs beside a test: the clock is its
own, and the feed and the audit log move when the test says so."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import jwt
from jwt.types import Options
from starlette.types import ASGIApp

from gateway import urls
from gateway.app import compose
from gateway.audit import Recorder
from gateway.breach import Breaches
from gateway.health import Fitness
from gateway.installation import Installation, open_installation
from gateway.live import Service
from gateway.mail.configured import configured_mailer
from gateway.place import Places
from gateway.proxy.configured import running_pools
from gateway.settings import Settings
from tenants.api_key_uses import ApiKeyUses
from tenants.client import DEVICE_CODE, GRANT_TYPES
from tenants.clients import Client
from tenants.hashing import HashingPool
from tenants.snapshot import Snapshot
from tenants.store import TenantStore
from tests.conftest import Clock

PUBLIC_URL = "http://localhost:8080"
ORDERS = "https://api.example.com/orders"
INVOICES = "https://api.example.com/invoices"
ADDRESS = "203.0.113.7"
PASSWORDS = {"acme": "correct horse battery staple", "globex": "wrong mule charger pin"}
ORIGINS = {
    "acme": ("https://app.acme.test", "http://localhost:*", "http://[::1]:*"),
    "globex": ("https://app.globex.test",),
}
_SEEDED = frozenset({"tenant.created"})


@dataclass(frozen=True)
class Fixture:
    """What a test knows of one tenant."""

    id: UUID
    slug: str
    issuer: str
    password: str
    users: Mapping[str, UUID]
    secret: str

    def form(self, **changes: str | None) -> dict[str, str]:
        """Alice's login by the public client; a change to None leaves a parameter out."""
        form = {"grant_type": "password", "username": "alice", "password": self.password, "client_id": "spa", **changes}
        return {name: value for name, value in form.items() if value is not None}


@dataclass
class World:
    """The composition and its outer seams."""

    installation: Installation
    snapshot: Snapshot
    recorder: Recorder
    service: Service
    clock: Clock
    acme: Fixture
    globex: Fixture
    fitness: Fitness
    parts: tuple[Any, ...] = ()

    def composed_anew(self) -> Service:
        """Another service on the same database, as another process has it."""
        return compose(self.installation, self.snapshot, self.recorder, *self.parts)

    @asynccontextmanager
    async def client(
        self, *, address: str = ADDRESS, app: ASGIApp | None = None, **options: Any
    ) -> AsyncIterator[httpx.AsyncClient]:
        """A client at this address; a server's exception becomes the answer that it would give."""
        transport = httpx.ASGITransport(app or self.service.public, client=(address, 40000), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, **{"base_url": PUBLIC_URL, **options}) as client:
            yield client

    async def post(self, form: Mapping[str, Any] | str | bytes, *, to: str = "acme", **options: Any) -> httpx.Response:
        """One call of a token endpoint."""
        client_options = {name: options.pop(name) for name in ("address", "app") if name in options}
        if isinstance(form, Mapping):
            options["data"] = form
        else:
            options["content"] = form
            options.setdefault("headers", {"Content-Type": "application/x-www-form-urlencoded"})
        async with self.client(**client_options) as client:
            return await client.post(f"/t/{to}/token", **options)

    async def login(self, **changes: str | None) -> dict[str, Any]:
        """Acme's alice gets her tokens."""
        answer = await self.post(self.acme.form(**changes))
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def refresh(self, token: str, *, to: str = "acme", **more: str) -> httpx.Response:
        """Spend a refresh token as the public client."""
        form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": "spa", **more}
        return await self.post(form, to=to)

    def claims(self, token: str, fixture: Fixture | None = None) -> dict[str, Any]:
        """The claims, after the signature was verified with a key that the tenant publishes."""
        facts = self.snapshot.by_id((fixture or self.acme).id)
        assert facts is not None
        jwk = jwt.PyJWK(facts.keys[jwt.get_unverified_header(token)["kid"]].public_jwk())
        unchecked = Options(verify_exp=False, verify_iat=False, verify_aud=False)  # its times are of the test's clock
        return dict(jwt.decode(token, jwk, algorithms=["ES256"], options=unchecked))

    @asynccontextmanager
    async def store(self, fixture: Fixture | None = None) -> AsyncIterator[TenantStore]:
        """What an administrator would do; it is heard when it is done."""
        async with self.installation.store.for_tenant((fixture or self.acme).id) as store:
            yield store
        await self.snapshot.poll()

    async def deliver(self) -> None:
        """Write and send every letter that waits."""
        mailer = configured_mailer(
            self.installation.settings, self.installation.database, self.installation.store, self.clock
        )
        assert mailer is not None
        while await mailer.deliver():
            pass

    async def events(self, fixture: Fixture | None = None) -> list[dict[str, Any]]:
        """The tenant's audit log, without its making. None of acme or globex: ``platform_events``."""
        return await self._log((fixture or self.acme).id)

    async def platform_events(self) -> list[dict[str, Any]]:
        """The log of what belongs to no tenant."""
        return await self._log((await self.installation.platform()).id)

    async def _log(self, tenant_id: UUID) -> list[dict[str, Any]]:
        await self.recorder.flush()
        while await self.installation.audit_log.sequence():
            pass
        entries = [entry.event async for entry in self.installation.audit_log.export(tenant_id)]
        events = [json.loads(event) for event in entries if event is not None]
        return [event for event in events if event["type"] not in _SEEDED]


Seeded = tuple[Fixture, Fixture]


async def seed(settings: Settings, hashes: Mapping[str, str], clock: Clock) -> Seeded:
    """Make the two tenants on a migrated database."""
    async with open_installation(settings, clock=clock) as installation:
        await installation.platform()
        acme = await _seed(installation, "acme", hashes["acme"])
        return acme, await _seed(installation, "globex", hashes["globex"])


@asynccontextmanager
async def opened(settings: Settings, hashing: HashingPool, seeded: Seeded, clock: Clock) -> AsyncIterator[World]:
    """The world on a seeded database."""
    async with open_installation(settings, clock=clock) as installation, running_pools(settings) as upstreams:
        platform = await installation.platform()
        acme, globex = seeded
        snapshot = Snapshot(installation.database, clock=clock, monotonic=clock.monotonic)
        await snapshot.load()
        recorder = Recorder(installation.audit_log.observe, platform_id=platform.id, clock=clock)
        uses = ApiKeyUses(installation.database)
        places = Places(settings.geoip_database)
        fitness = Fitness.of(installation)
        parts = hashing, upstreams, Breaches.of(settings), places, uses, fitness
        service = compose(installation, snapshot, recorder, *parts)
        yield World(installation, snapshot, recorder, service, clock, acme, globex, fitness, parts)


async def _seed(installation: Installation, slug: str, hashed: str) -> Fixture:
    issuer = urls.issuer(PUBLIC_URL, slug)
    tenant = await installation.directory.create(slug=slug, name=slug, issuer=issuer, actor="test")
    users: dict[str, UUID] = {}
    async with installation.store.for_tenant(tenant.id) as store:
        await store.roles.create("writer", {"orders:read", "orders:write"})
        await store.roles.create("reader", {"orders:read"})
        for name, role in {"alice": "writer", "bob": "reader", "mallory": None, "keyless": None}.items():
            user = await store.users.create(name)
            users[name] = user.id
            if name != "keyless":
                await store.credentials.set_password(user.id, hashed)
            if role is not None:
                await store.roles.assign(user.id, role)
        for client in _clients(slug):
            await store.clients.create(client)
        await store.settings.set_default_client("spa")
        secret = await store.clients.add_secret("web")
    return Fixture(tenant.id, slug, issuer, PASSWORDS[slug], users, secret)


def _clients(slug: str) -> tuple[Client, ...]:
    scopes = frozenset({"orders:read", "orders:write", "admin"})
    return (
        Client(
            client_id="spa",
            name="Public",
            confidential=False,
            grant_types=frozenset({"authorization_code", "password", "refresh_token", DEVICE_CODE}),
            scopes=scopes,
            redirect_uris=(f"https://app.{slug}.test/callback", "http://127.0.0.1/callback"),
            default_scopes=frozenset({"orders:read"}),
            audiences=(ORDERS, INVOICES),
            origins=ORIGINS[slug],
        ),
        Client(
            client_id="web",
            name="Confidential",
            confidential=True,
            grant_types=GRANT_TYPES,
            scopes=scopes,
            redirect_uris=(f"https://web.{slug}.test/callback",),
            auth_method="client_secret",
            audiences=(ORDERS, INVOICES),
        ),
        Client(
            client_id="login-only",
            name="No refresh",
            confidential=False,
            grant_types=frozenset({"password"}),
            scopes=scopes,
            audiences=(ORDERS,),
            origins=("https://login.acme.test",) if slug == "acme" else (),
        ),
    )
