"""For each operation a request that would be done, on something that was made for it: so that only who asks decides."""

import json
from typing import Any

import pyotp

from gateway.admin.operation import Operation
from policies.throttle import NETWORK
from tenants import throttles
from tenants.acts.throttles import name_of
from tenants.audit_event import Event
from tenants.clients import Client
from tests.gateway.admin.house import Caller, House
from tests.gateway.world import ORDERS

PATCHES: dict[str, dict[str, Any]] = {
    "change_tenant": {"branding": {"tagline": "Hello"}},
    "change_user": {"active": False},
    "change_group": {"description": "Who reads"},
    "change_role": {"scopes": ["orders:read"]},
    "change_client": {"name": "Another name"},
}
BODIES: dict[str, dict[str, Any]] = {
    "create_tenant": {"slug": "initech"},
    "create_user": {"name": "newcomer", "email": "newcomer@example.com", "roles": ["reader"]},
    "invite": {"email": "guest@example.com", "roles": ["reader"]},
    "create_role": {"name": "new-role", "scopes": ["orders:read"]},
    "create_group": {"name": "new-group", "roles": ["reader"]},
    "set_password": {"password": "a few words, and a horse"},
    "create_client": {"client_id": "new-client", "name": "New", "audiences": [ORDERS]},
    "explain_policy": {"method": "GET", "url": "http://api.localhost/orders/7", "token": {"scopes": ["orders:read"]}},
    "test_policy": {
        "cases": [{"name": "a", "method": "GET", "url": "http://api.localhost/orders/7", "expect": "refuse"}]
    },
    "create_api_key": {"name": "machine", "scopes": ["orders:read"], "audiences": [ORDERS]},
}


class Targets:
    """Of one tenant, ``slug``; or of a spare one, for what concerns a tenant as a whole."""

    def __init__(self, house: House, slug: str) -> None:
        self.house = house
        self.slug = slug
        self.made = 0

    async def call(self, caller: Caller, operation: Operation, *, public: bool = False) -> Any:
        """Ask for it, as somebody would who may."""
        path = await self.path(operation, public=public) + self.query(operation)
        if operation.method == "PATCH":
            return await caller.patch(path, PATCHES[operation.name], tag="*")
        return await caller.call(operation.method, path, BODIES.get(operation.name))

    async def path(self, operation: Operation, *, public: bool = False) -> str:
        """Its address, with all that it names."""
        self.made += 1
        whole = operation.operators_only and operation.path.startswith("/tenants/")
        slug = await self._spare_tenant() if whole else self.slug
        values = {"slug": slug, **await self._values(operation)}
        filled = operation.path.format_map(values)
        if public:
            return f"/t/{slug}/admin/v1" + (filled.removeprefix(f"/tenants/{slug}") or "/tenant")
        return filled if filled == "/openapi.json" else f"/v1{filled}"

    @staticmethod
    def query(operation: Operation) -> str:
        """What it cannot do without."""
        wanted = {"withdraw_invitations": "?email=guest@example.com", "prove_consistency": "?earlier=1"}
        return wanted.get(operation.name, "")

    async def _spare_tenant(self) -> str:
        slug = f"spare-{self.slug}-{self.made}"
        issuer = f"http://localhost:8080/t/{slug}"
        await self.house.world.installation.directory.create(slug=slug, name=slug, issuer=issuer, actor="test")
        return slug

    async def _values(self, operation: Operation) -> dict[str, str]:
        path, found = operation.path, dict[str, str]()
        world, name = self.house.world, f"spare-{self.made}"
        tenant = await world.installation.directory.find(self.slug)
        assert tenant is not None
        async with world.installation.store.for_tenant(tenant.id) as store:
            if "{user_id}" in path:
                user = await store.users.create(name, email=f"{name}@example.com")
                found["user_id"] = str(user.id)
                shown = await store.factors.enrol(user.id, name="Phone", issuer_name="T", account=name)
                code = pyotp.TOTP(shown.secret).at(world.clock())
                assert await store.factors.confirm(user.id, shown.factor_id, code)
                expires_at = world.clock() + tenant.lifetimes.session
                session = await store.sessions.start(
                    user.id, acr="urn:yett:acr:pwd", amr=["pwd"], expires_at=expires_at
                )
                found["session_id"] = str(session.id)
            if "{role}" in path:
                await store.roles.create(name, ["orders:read"])
                found["role"] = name
            if "{group}" in path:
                await store.groups.create(name, roles=["reader"])
                found["group"] = name
            if "{client_id}" in path:
                await store.clients.create(
                    Client(name, name, True, frozenset({"client_credentials"}), frozenset({"a"}), (ORDERS,))
                )
                found["client_id"] = name
            if "{kid}" in path:
                found["kid"] = await store.keys.create_next(tenant.signing_alg)
            if "{key_id}" in path:
                key, _ = await store.api_keys.create(name, scopes=["a"], audiences=[ORDERS], lifetime=None)
                found["key_id"] = str(key.id)
            if "{throttle_id}" in path:
                counter = throttles.network(f"192.0.2.{self.made}/32")
                for _ in range(NETWORK.free):
                    await store.throttles.reserve(counter)
                found["throttle_id"] = name_of(counter)
            if "/audit/" in path:
                await store.audit.add(Event(type="login.succeeded", outcome="success"))
        if "{job}" in path:
            found["job"] = "pruning"
        if "/audit/" in path:
            found["event_id"] = await self._event()
        return found

    async def _event(self) -> str:
        world = self.house.world
        while await world.installation.audit_log.sequence():
            pass
        await world.installation.audit_tree.grow()
        tenant = await world.installation.directory.find(self.slug)
        assert tenant is not None
        entries = await world.installation.audit_log.newest(tenant.id, limit=1)
        assert entries[0].event is not None
        return str(json.loads(entries[0].event)["id"])
