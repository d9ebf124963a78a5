"""An application that registers itself: an initial access token, its requests, what it was answered."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx

from tests.gateway.world import Fixture, World

METADATA: dict[str, Any] = {"client_name": "A partner's app", "redirect_uris": ["https://partner.example/callback"]}


async def allow(world: World, fixture: Fixture | None = None, *, uses: int = 1, **policy: Any) -> str:
    """The tenant allows registration. Answers an initial access token."""
    async with world.store(fixture) as store:
        tenant = await store.settings.get()
        assert tenant is not None
        await store.settings.set_provider(tenant.provider.changed(registration=True, **policy))
        return await store.registration_tokens.issue("Partner", uses=uses, lifetime=timedelta(hours=1))


async def post(
    world: World, token: str | None, metadata: Any = METADATA, *, to: str = "acme", **options: Any
) -> httpx.Response:
    """One registration."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with world.client(headers=headers) as client:
        answer = await client.post(f"/t/{to}/register", **(options or {"json": metadata}))
    await world.snapshot.poll()
    return answer


@dataclass
class Application:
    """What a registered application knows of itself."""

    world: World
    known: dict[str, Any] = field(default_factory=dict)

    @classmethod
    async def register(cls, world: World, **changes: Any) -> "Application":
        answer = await post(world, await allow(world), METADATA | changes)
        assert answer.status_code == 201, answer.text
        return cls(world, answer.json())

    @property
    def client_id(self) -> str:
        return str(self.known["client_id"])

    async def manage(
        self, method: str, metadata: Any = None, *, token: str | None = None, path: str | None = None
    ) -> httpx.Response:
        """One request of RFC 7592."""
        headers = {"Authorization": f"Bearer {token or self.known['registration_access_token']}"}
        async with self.world.client(headers=headers) as client:
            url = path or self.known["registration_client_uri"]
            answer = await client.request(method, url, **({} if metadata is None else {"json": metadata}))
        await self.world.snapshot.poll()
        return answer

    async def change(self, **changes: Any) -> httpx.Response:
        """Replace everything, remembering what is answered."""
        answer = await self.manage("PUT", {**METADATA, "client_id": self.client_id, **changes})
        if answer.status_code == 200:
            self.known = answer.json()
        return answer
