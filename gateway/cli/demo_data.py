"""The demo's tenants, users and clients: also the fixture of the end-to-end tests.

What exists already is left as it is, so that a demo on a kept folder goes on where it stopped.
"""

from dataclasses import dataclass
from datetime import datetime

from gateway import urls
from gateway.cli.errors import Refused
from gateway.installation import Installation, administrable
from policies.administration import OWNER, TENANT_ADMINISTRATOR
from policies.scope import OPENID
from tenants.acts.by import By
from tenants.audit_event import Event
from tenants.client import DEVICE_CODE
from tenants.client_options import ClientOptions
from tenants.clients import Client
from tenants.hashing import HashingPool
from tenants.people import PeoplePolicy
from tenants.store import TenantStore
from tenants.tenant import Tenant

PASSWORD = "correct horse battery staple"  # noqa: S105 - the demo's, printed at its start
_ACTOR = "demo"
_ALL_SCOPES = ("orders:read", "orders:write", "admin", "ws")
_LOOPBACK = ("http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*")
_ROLES = {
    "administrator": _ALL_SCOPES,
    "reader": ("orders:read",),
}
_ADMINISTRATOR = ("administrator", TENANT_ADMINISTRATOR)
_USERS: dict[str, dict[str, tuple[str, ...]]] = {
    "acme": {"alice": _ADMINISTRATOR, "bob": ("reader",), "mallory": ()},
    "globex": {"carol": _ADMINISTRATOR, "bob": ("reader",)},
}
_PEOPLE = {"sign_up": True, "trusted_devices": True}
_OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class DemoTenant:
    """What is printed of a tenant. ``service_secret`` is new at each start: only hashes are kept."""

    slug: str
    issuer: str
    users: tuple[str, ...]
    service_secret: str


async def seed(installation: Installation, hashing: HashingPool, *, audience: str) -> list[DemoTenant]:
    """Make what is missing.

    Raises:
        Refused: the folder's tenants have issuers of another port.
    """
    return [await _seed_tenant(installation, hashing, slug, audience) for slug in _USERS]


async def operator_invitation(installation: Installation) -> str | None:
    """The link at which the first operator chooses a password; None once there is one. Each start makes a new link."""
    platform = await installation.platform()
    await administrable(installation, platform, By(_ACTOR))
    async with installation.store.for_tenant(platform.id) as store:
        if await store.users.by_name(_OPERATOR) is not None:
            return None
        data = {"name": _OPERATOR, "roles": OWNER}
        secret = await store.mail_links.make("invite", lifetime=platform.lifetimes.invitation, data=data)
        await store.audit.add(Event(type="user.invited", outcome="success", user_name=_OPERATOR, actor=_ACTOR))
    return f"{platform.issuer}/invite?token={secret}"


async def _seed_tenant(installation: Installation, hashing: HashingPool, slug: str, audience: str) -> DemoTenant:
    issuer = urls.issuer(installation.settings.public_url, slug)
    tenant = await installation.directory.find(slug)
    if tenant is None:
        tenant = await installation.directory.create(slug=slug, name=slug.capitalize(), issuer=issuer, actor=_ACTOR)
    elif tenant.issuer != issuer:
        raise Refused(
            f"the demo in this folder was made as {tenant.issuer}, and an issuer is fixed at creation: "
            "use the same --port again, or another --data"
        )
    await administrable(installation, tenant, By(_ACTOR))
    hashes = {name: await hashing.hash(PASSWORD) for name in _USERS[slug]}
    async with installation.store.for_tenant(tenant.id) as store:
        await _seed_people(store, tenant, installation.clock())
        for name, scopes in _ROLES.items():
            if await store.roles.get(name) is None:
                await store.roles.create(name, scopes)
        for name, roles in _USERS[slug].items():
            await _seed_user(store, name, f"{name}@{slug}.test", roles, hashes[name])
        await _seed_clients(store, audience)
        await store.clients.end_secrets("demo-service")  # those of earlier starts: only hashes are kept to print
        secret = await store.clients.add_secret("demo-service")
    return DemoTenant(slug, issuer, tuple(_USERS[slug]), secret)


async def _seed_people(store: TenantStore, tenant: Tenant, now: datetime) -> None:
    if tenant.people != PeoplePolicy():  # seeded before, or somebody tries something else out
        return
    await store.settings.set_people(tenant.people.changed(now, **_PEOPLE))
    await store.audit.add(
        Event(type="tenant.configured", outcome="success", actor=_ACTOR, details={"changed": sorted(_PEOPLE)})
    )


async def _seed_user(store: TenantStore, name: str, email: str, roles: tuple[str, ...], hashed: str) -> None:
    if await store.users.by_name(name) is not None:
        return
    user = await store.users.create(name, email=email, email_verified=True)
    await store.credentials.set_password(user.id, hashed, stands_alone=True)
    for role in roles:
        await store.roles.assign(user.id, role)
    await store.audit.add(
        Event(type="user.created", outcome="success", subject=str(user.id), user_name=name, actor=_ACTOR)
    )


async def _seed_clients(store: TenantStore, audience: str) -> None:
    app = Client(
        client_id="demo-app",
        name="Demo app",
        confidential=False,
        grant_types=frozenset({"authorization_code", "password", "refresh_token", DEVICE_CODE}),
        scopes=OPENID | set(_ALL_SCOPES),
        default_scopes=frozenset({"orders:read", "orders:write", "ws"}),
        audiences=(audience,),
        redirect_uris=("http://127.0.0.1:9000/callback",),
        origins=_LOOPBACK,
        options=ClientOptions(first_party=True),
    )
    service = Client(
        client_id="demo-service",
        name="Demo service",
        confidential=True,
        grant_types=frozenset({"client_credentials"}),
        scopes=frozenset({"orders:read"}),
        default_scopes=frozenset({"orders:read"}),
        audiences=(audience,),
    )
    for client in (app, service):
        if await store.clients.get(client.client_id) is None:
            await store.clients.create(client)
            await store.audit.add(
                Event(type="client.created", outcome="success", client_id=client.client_id, actor=_ACTOR)
            )
    await store.settings.set_default_client("demo-app")
