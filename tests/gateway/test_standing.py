"""What was verified once stands until anything that it stands on is taken away, whatever the token's own time."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from math import inf
from uuid import UUID

import pytest

from gateway.authn.api_key import ApiKeys
from gateway.authn.bearer import Bearer
from gateway.authn.standing import Standing, Standings
from gateway.authn.token_table import TokenTable
from policies.principal import Principal
from tenants.store import TenantStore
from tests.gateway.own_host import OWN, move
from tests.gateway.world import ORDERS, World

Act = Callable[[World, TenantStore, Principal], Awaitable[object]]


async def begun(world: World) -> tuple[Standings, Standing]:
    token = (await world.login())["access_token"].encode()
    principal = Bearer(world.snapshot, TokenTable(), lambda: world.clock().timestamp()).authenticate(token)
    assert isinstance(principal, Principal)
    standings = Standings(world.snapshot)
    return standings, standings.begin(principal, token)


async def end_session(world: World, store: TenantStore, principal: Principal) -> object:
    return await store.sessions.end(UUID(principal.session_id))


async def revoke_token(world: World, store: TenantStore, principal: Principal) -> object:
    expires_at = world.clock() + timedelta(minutes=5)
    return await store.revocations.forbid_token(principal.token_id, expires_at=expires_at)


async def disable_user(world: World, store: TenantStore, principal: Principal) -> object:
    return await store.users.set_active(UUID(principal.subject), False)


async def disable_client(world: World, store: TenantStore, principal: Principal) -> object:
    assert principal.client_id is not None
    return await store.clients.set_active(principal.client_id, False)


async def delete_client(world: World, store: TenantStore, principal: Principal) -> object:
    assert principal.client_id is not None
    return await store.clients.delete(principal.client_id)


async def suspend_tenant(world: World, store: TenantStore, principal: Principal) -> object:
    return await store.settings.set_active(False)


async def revoke_key(world: World, store: TenantStore, principal: Principal) -> object:
    return await store.keys.revoke((await store.keys.signing()).kid, "ES256")


CASES: list[tuple[Act, str]] = [
    (end_session, "token_revoked"),
    (revoke_token, "token_revoked"),
    (disable_user, "token_revoked"),
    (disable_client, "token_revoked"),
    (delete_client, "token_revoked"),
    (suspend_tenant, "tenant_suspended"),
    (revoke_key, "key_unknown"),
]


@pytest.mark.parametrize("late", [False, True], ids=["in time", "after its time"])
@pytest.mark.parametrize(("act", "reason"), CASES, ids=[act.__name__ for act, _ in CASES])
async def test_it_stands_until(world: World, act: Act, reason: str, late: bool) -> None:
    standings, standing = await begun(world)
    tenant_id = standing.principal.tenant_id
    if late:
        world.clock.advance(hours=1)
    assert standings.refused(standing) is None
    before = standings.version_of(tenant_id)
    async with world.store() as store:
        await act(world, store, standing.principal)
    assert standings.version_of(tenant_id) != before
    assert standings.refused(standing) == reason


async def test_nothing_of_another_tenant_takes_it_away_or_has_it_looked_at(world: World) -> None:
    standings, standing = await begun(world)
    before = standings.version_of(standing.principal.tenant_id)
    async with world.store(world.globex) as store:
        await store.settings.set_active(False)
    assert standings.version_of(standing.principal.tenant_id) == before
    assert standings.refused(standing) is None


async def test_an_issuer_that_is_left_has_an_end(world: World) -> None:
    standings, standing = await begun(world)
    assert standing.until == inf
    await move(world, OWN, overlap=timedelta(hours=2))
    end = (world.clock() + timedelta(hours=2)).timestamp()
    assert standings.refused(standing) is None
    assert standing.until == end
    world.clock.advance(hours=2)
    assert standings.refused(standing) == "issuer_unknown"


async def an_api_key(world: World) -> tuple[Standings, Standing]:
    async with world.store() as store:
        _, text = await store.api_keys.create("ci", scopes=["orders:read"], audiences=[ORDERS], lifetime=None)
    key = ApiKeys(world.snapshot, lambda: world.clock().timestamp(), lambda *_: None).authenticate(text.encode())
    assert isinstance(key, Principal)
    standings = Standings(world.snapshot)
    return standings, standings.begin(key, text.encode())


async def test_an_api_key_stands_until_it_is_revoked(world: World) -> None:
    standings, standing = await an_api_key(world)
    assert standings.refused(standing) is None
    before = standings.version_of(world.acme.id)
    async with world.store() as store:
        await store.api_keys.revoke(UUID(standing.principal.api_key_id))
    assert standings.version_of(world.acme.id) != before
    assert standings.refused(standing) == "api_key_revoked"


async def test_an_api_key_stands_until_its_tenant_is_suspended(world: World) -> None:
    standings, standing = await an_api_key(world)
    async with world.store() as store:
        await store.settings.set_active(False)
    assert standings.refused(standing) == "tenant_suspended"
