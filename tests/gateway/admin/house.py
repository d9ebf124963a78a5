"""Administrators of three tenants and their tokens; every answer of the API is held against its own document."""

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
from jsonschema import Draft202012Validator
from starlette.types import ASGIApp

from gateway.admin.openapi import problems_of, status_of
from gateway.admin.operation import Operation
from gateway.admin.operations import OPERATIONS, READ_OPENAPI, openapi_document
from gateway.installation import administrable
from gateway.oauth.access_token import AccessGrant, sign
from policies.administration import AUDIENCE, OPERATOR_ROLES, TENANT_ROLES
from tenants.acts.by import By
from tenants.sessions import Session
from tenants.tenant import Tenant
from tests.gateway.world import ADDRESS, World

MANAGEMENT = "http://localhost:8081"
MFA = frozenset({"pwd", "otp", "mfa"})
DOCUMENT: dict[str, Any] = json.loads(openapi_document().model_dump_json())


@dataclass
class House:
    """A world in which platform, acme and globex are administered. ``operators`` are by role."""

    world: World
    platform: Tenant
    acme: Tenant
    globex: Tenant
    operators: dict[str, UUID] = field(default_factory=dict)
    administrators: dict[str, UUID] = field(default_factory=dict)

    async def token(
        self,
        tenant: Tenant,
        user_id: UUID,
        scopes: frozenset[str] | None = None,
        *,
        amr: frozenset[str] = MFA,
        audience: str = AUDIENCE,
        client_id: str = "yett-cli",
        confirmation: str | None = None,
    ) -> str:
        """An access token of a session that was begun now; ``scopes`` are those of the user's roles by default."""
        now = self.world.clock()
        async with self.world.installation.store.for_tenant(tenant.id) as store:
            held = await store.roles.scopes_of(user_id) if scopes is None else scopes
            session: Session = await store.sessions.start(
                user_id, acr="urn:yett:acr:mfa", amr=amr, expires_at=now + tenant.lifetimes.session
            )
            grant = AccessGrant(str(user_id), client_id, held, (audience,), session, confirmation=confirmation)
            return sign(grant, tenant=tenant, key=await store.keys.signing(), now=now).access_token

    async def operator(self, role: str = "owner", **options: Any) -> str:
        return await self.token(self.platform, self.operators[role], **options)

    async def administrator(self, tenant: Tenant | None = None, **options: Any) -> str:
        tenant = tenant or self.acme
        return await self.token(tenant, self.administrators[tenant.slug], **options)

    @asynccontextmanager
    async def client(
        self, token: str | None = None, *, public: bool = False, address: str = ADDRESS, app: ASGIApp | None = None
    ) -> AsyncIterator["Caller"]:
        """Somebody who has this token, at the management listener or at the public one."""
        service = self.world.service
        app = app or (service.public if public else service.management)
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        options = {"headers": headers} if public else {"headers": headers, "base_url": MANAGEMENT}
        async with self.world.client(app=app, address=address, **options) as client:
            yield Caller(client)


@dataclass
class Caller:
    """Calls, and checks that nothing is answered which the document does not say."""

    client: httpx.AsyncClient

    async def call(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        headers = dict(options.pop("headers", {}))
        if body is not None and "content" not in options:
            options["content"] = json.dumps(body)
        if "content" in options and "Content-Type" not in headers:
            merge = method == "PATCH"
            headers["Content-Type"] = "application/merge-patch+json" if merge else "application/json"
        answer = await self.client.request(method, path, headers=headers, **options)
        operation = operation_of(method, path.partition("?")[0])
        if operation is not None:
            conforms(operation, answer)
        return answer

    async def get(self, path: str, **options: Any) -> httpx.Response:
        return await self.call("GET", path, **options)

    async def post(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        return await self.call("POST", path, body, **options)

    async def delete(self, path: str, **options: Any) -> httpx.Response:
        return await self.call("DELETE", path, **options)

    async def patch(self, path: str, body: Any, *, tag: str | None = None, **options: Any) -> httpx.Response:
        """By the state that was read just before, or by another ``tag``; an empty one is not sent."""
        if tag is None:
            tag = (await self.client.get(path)).headers.get("etag", '"none"')
        headers = {**options.pop("headers", {}), **({"If-Match": tag} if tag else {})}
        return await self.call("PATCH", path, body, headers=headers, **options)


_BELOW_ISSUER = re.compile(r"/t/[a-z0-9-]+/admin/v1")


def operation_of(method: str, path: str) -> Operation | None:
    """The operation that answers there."""
    path = re.sub(r"^/v1", "", _BELOW_ISSUER.sub("/v1/tenants/acme", path).replace("/acme/tenant", "/acme"))
    for each in (*OPERATIONS, READ_OPENAPI):
        pattern = re.sub(r"\{[a-z_]+\}", "[^/]+", each.path)
        if each.method == method and re.fullmatch(pattern, path):
            return each
    return None


def conforms(operation: Operation, answer: httpx.Response) -> None:
    """The status, the code and the body are among those that the document says."""
    path = operation.path if operation is READ_OPENAPI else f"/v1{operation.path}"
    described = DOCUMENT["paths"][path][operation.method.lower()]["responses"]
    status = str(answer.status_code)
    assert status in described, (operation.name, status, answer.text)
    assert answer.headers["cache-control"] == "no-store"
    if answer.status_code >= 400:
        known = {(each.status, each.code) for each in problems_of(operation)}
        assert (answer.status_code, answer.json()["code"]) in known, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        validate(described[status]["content"]["application/problem+json"]["schema"], answer.json())
        return
    assert answer.status_code == status_of(operation)
    if operation.tagged:
        assert re.fullmatch(r'"[\w-]{22}"', answer.headers["etag"])
    if operation.answer is None:
        assert answer.content == b""
    else:
        validate(described[status]["content"]["application/json"]["schema"], answer.json())


def validate(schema: Mapping[str, Any], instance: Any) -> None:
    Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(instance)


Inhabited = tuple[dict[str, UUID], dict[str, UUID]]


async def moved_in(world: World, people: Inhabited) -> House:
    """A house on a copy of a database where this was done before."""
    directory = world.installation.directory
    found = [await directory.find(slug) for slug in ("platform", "acme", "globex")]
    platform, acme, globex = (tenant for tenant in found if tenant is not None)
    return House(world, platform, acme, globex, *people)


async def inhabited(world: World) -> House:
    """With an operator for each role, and an administrator of acme and of globex."""
    installation = world.installation
    platform = await installation.platform()
    tenants = [await installation.directory.find(slug) for slug in ("acme", "globex")]
    acme, globex = (tenant for tenant in tenants if tenant is not None)
    house = House(world, platform, acme, globex)
    for tenant in (platform, acme, globex):
        await administrable(installation, tenant, By("test"))
    async with installation.store.for_tenant(platform.id) as store:
        for role in OPERATOR_ROLES:
            user = await store.users.create(f"operator-{role}")
            await store.roles.assign(user.id, role)
            house.operators[role] = user.id
    (role,) = TENANT_ROLES
    for tenant in (acme, globex):
        async with installation.store.for_tenant(tenant.id) as store:
            user = await store.users.create("administrator")
            await store.roles.assign(user.id, role)
            house.administrators[tenant.slug] = user.id
    await world.snapshot.poll()
    return house
