"""The columns of the matrix in test_matrix.py: what can go wrong with every grant alike.

Owns what a grant looks like to them. Not which grants there are (matrix.py), nor what is expected.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Protocol

import httpx

from tests.gateway.oauth.authorizing import WEB_CALLBACK
from tests.gateway.world import Fixture, World

Proof = Mapping[str, str]


def proof_of(fixture: Fixture) -> Proof:
    """How the tenant's confidential client proves itself."""
    return {"client_id": "web", "client_secret": fixture.secret}


async def ledger(world: World, **changes: Any) -> Proof:
    """Another client of the tenant, which may do all that ``web`` may, but for the changes; how it proves itself."""
    async with world.store() as store:
        web = await store.clients.get("web")
        assert web is not None
        await store.clients.create(replace(web, client_id="ledger", **changes))
        return {"client_id": "ledger", "client_secret": await store.clients.add_secret("ledger")}


class Use(Protocol):
    """Sends what is held, as it should be sent but for what is said: to another tenant, by another client."""

    async def __call__(self, *, to: str = "acme", proof: Proof | None = None, **said: str) -> httpx.Response: ...


@dataclass(frozen=True)
class Held:
    """``revoke`` takes it back before its time, which is ``lasts``; ``secret`` is what no log may tell."""

    use: Use
    secret: str
    revoke: Callable[[], Awaitable[object]]
    lasts: timedelta = timedelta()


Mishap = Callable[[World, Held], Awaitable[httpx.Response]]


async def replayed(world: World, held: Held) -> httpx.Response:
    assert (await held.use()).status_code == 200
    return await held.use()


async def other_client(world: World, held: Held) -> httpx.Response:
    return await held.use(proof=await ledger(world))


async def other_tenant(world: World, held: Held) -> httpx.Response:
    return await held.use(to="globex", proof=proof_of(world.globex))


async def wrong_redirect_uri(world: World, held: Held) -> httpx.Response:
    return await held.use(redirect_uri=f"{WEB_CALLBACK}/")


async def wider_scope(world: World, held: Held) -> httpx.Response:
    return await held.use(scope="orders:read orders:write admin")


async def expired(world: World, held: Held) -> httpx.Response:
    world.clock.advance(seconds=held.lasts.total_seconds())
    await world.snapshot.poll()
    return await held.use()


async def revoked(world: World, held: Held) -> httpx.Response:
    await held.revoke()
    await world.snapshot.poll()
    return await held.use()


async def disabled_user(world: World, held: Held) -> httpx.Response:
    async with world.store() as store:
        await store.users.set_active(world.acme.users["alice"], False)
    answer = await held.use()
    async with world.store() as store:
        await store.users.set_active(world.acme.users["alice"], True)
    return answer


async def suspended_tenant(world: World, held: Held) -> httpx.Response:
    async with world.store() as store:
        await store.settings.set_active(False)
    answer = await held.use()
    async with world.store() as store:
        await store.settings.set_active(True)
    return answer


async def wrong_client_authentication(world: World, held: Held) -> httpx.Response:
    return await held.use(proof={"client_id": "web", "client_secret": world.globex.secret})


COLUMNS: Mapping[str, Mishap] = {
    "replayed": replayed,
    "other client": other_client,
    "other tenant": other_tenant,
    "wrong redirect URI": wrong_redirect_uri,
    "wider scope": wider_scope,
    "expired": expired,
    "revoked": revoked,
    "disabled user": disabled_user,
    "suspended tenant": suspended_tenant,
    "wrong client authentication": wrong_client_authentication,
}
