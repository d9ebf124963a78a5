"""What is told of a user (OpenID Connect Core 5.3 to 5.5): by scope, by the tenant's own scopes, by mapping."""

from dataclasses import replace

import pytest

from gateway.oauth.claims import id_token_claims, scopes_for, user_claims
from tenants.client import Client
from tenants.client_options import ClientOptions
from tenants.provider import ProviderPolicy
from tenants.store import TenantStore
from tenants.tenant import Tenant
from tenants.users import User
from tests.gateway.oauth.openid import PROTOCOL, offer, told, verified
from tests.gateway.world import World

SHARED = "https://shared.test/level"


@pytest.fixture
async def openid(world: World) -> World:
    """Alice has an address, and the public client may ask for everything."""
    async with world.store() as store:
        await store.users.set_email(world.acme.users["alice"], "Alice@acme.test", verified=True)
    await offer(world)
    return world


async def own_scopes(world: World, **scopes: dict[str, str]) -> None:
    """The tenant's own scopes, with what they release; alice has them all."""
    pairs = tuple((scope, tuple(claims.items())) for scope, claims in scopes.items())
    async with world.store() as store:
        await store.settings.set_provider(ProviderPolicy().changed(scope_claims=pairs))
        await store.roles.create("told", scopes)
        await store.roles.assign(world.acme.users["alice"], "told")


@pytest.mark.parametrize(
    ("scope", "claims"),
    [
        ("openid", {}),
        ("openid profile", {"name": "alice", "preferred_username": "alice"}),
        ("openid email", {"email": "Alice@acme.test", "email_verified": True}),
        ("openid groups", {"groups": ["writer"]}),
        ("openid roles", {"roles": ["writer"]}),
        ("openid offline_access orders:read", {}),
        ("openid email groups", {"email": "Alice@acme.test", "email_verified": True, "groups": ["writer"]}),
    ],
)
async def test_a_scope_releases_its_claims_and_no_other(openid: World, scope: str, claims: dict[str, object]) -> None:
    assert await told(openid, scope) == {"sub": str(openid.acme.users["alice"]), **claims}


async def test_what_a_user_does_not_have_is_left_out(openid: World) -> None:
    assert await told(openid, "openid email roles", username="mallory") == {
        "sub": str(openid.acme.users["mallory"]),
        "roles": [],
    }


async def test_roles_are_listed_by_name_as_they_are_now(openid: World) -> None:
    async with openid.store() as store:
        await store.roles.assign(openid.acme.users["alice"], "reader")
    assert (await told(openid, "openid groups roles"))["groups"] == ["reader", "writer"]
    async with openid.store() as store:
        await store.roles.withdraw(openid.acme.users["alice"], "writer")
    assert (await told(openid, "openid groups roles"))["roles"] == ["reader"]


async def test_an_address_that_nobody_has_proved_is_told_as_such(openid: World) -> None:
    async with openid.store() as store:
        await store.users.set_email(openid.acme.users["alice"], "other@acme.test", verified=False)
    claims = await told(openid, "openid email")
    assert (claims["email"], claims["email_verified"]) == ("other@acme.test", False)


async def test_a_scope_of_the_tenants_own_releases_what_the_tenant_says(openid: World) -> None:
    await own_scopes(openid, company={"company": "tenant.name", "tier": "const:gold"}, badge={"badge": "user.id"})
    await offer(openid, scopes=frozenset({"company", "badge"}))
    claims = await told(openid, "openid company")
    assert claims == {"sub": str(openid.acme.users["alice"]), "company": "acme", "tier": "gold"}


async def test_a_scope_of_the_tenants_own_needs_a_role_that_holds_it(openid: World) -> None:
    await own_scopes(openid, company={"company": "tenant.name"})
    await offer(openid, scopes=frozenset({"company"}))
    assert await told(openid, "openid company", username="mallory") == {"sub": str(openid.acme.users["mallory"])}


async def test_a_clients_mapping_stands_in_userinfo_and_in_id_tokens(openid: World) -> None:
    await offer(openid, mapping={"teams": "user.roles", SHARED: "const:3", "org": "tenant.slug", "app": "client.id"})
    mapped = {"teams": ["writer"], SHARED: "3", "org": "acme", "app": "spa"}
    assert await told(openid, "openid") == {"sub": str(openid.acme.users["alice"]), **mapped}
    login = await openid.login(scope="openid")
    refreshed = (await openid.refresh(login["refresh_token"])).json()
    for id_token in (login["id_token"], refreshed["id_token"]):
        claims = await verified(openid, id_token)
        assert {name: value for name, value in claims.items() if name not in PROTOCOL} == mapped


async def test_groups_are_told_where_they_are_mapped_and_their_roles_with_the_own_ones(openid: World) -> None:
    async with openid.store() as store:
        await store.groups.create("staff", roles=["reader"])
        await store.groups.add("staff", openid.acme.users["alice"])
    await offer(openid, mapping={"teams": "user.groups", "may": "user.roles"})
    told_of = await told(openid, "openid")
    assert (told_of["teams"], told_of["may"]) == (["staff"], ["reader", "writer"])


async def test_a_clients_mapping_is_no_other_clients(openid: World) -> None:
    await offer(openid, "web", mapping={"tier": "const:gold"})
    claims = await verified(openid, (await openid.login(scope="openid"))["id_token"])
    assert set(claims) == PROTOCOL


async def test_a_clients_mapping_goes_before_the_scopes(openid: World) -> None:
    await offer(openid, mapping={"name": "user.email"})
    assert (await told(openid, "openid profile"))["name"] == "Alice@acme.test"


async def test_an_id_token_has_the_claims_of_no_scope_core_5_4(openid: World) -> None:
    body = await openid.login(scope="openid profile email groups roles")
    assert set(await verified(openid, body["id_token"])) == PROTOCOL


@pytest.mark.parametrize(
    ("requested", "claims"),
    [
        ((), {}),
        (("email",), {"email": "Alice@acme.test"}),
        (("email", "email_verified"), {"email": "Alice@acme.test", "email_verified": True}),
        (("groups",), {}),  # not granted
        (("phone_number", "", "sub", "iss"), {}),
        (("tier",), {"tier": "gold"}),
    ],
)
async def test_an_id_token_has_what_was_asked_for_by_name_and_granted_core_5_5(
    openid: World, requested: tuple[str, ...], claims: dict[str, object]
) -> None:
    await own_scopes(openid, company={"company": "tenant.name", "tier": "const:gold"})
    async with openid.store() as store:
        tenant, client, alice = await facts(openid, store)
        scopes = frozenset({"openid", "email", "company"})
        found = await id_token_claims(store, tenant, client, alice, scopes=scopes, requested=frozenset(requested))
    assert found == claims


async def test_what_was_asked_for_by_name_is_in_the_id_tokens_of_refreshes_too(openid: World) -> None:
    login = await openid.login(scope="openid email")
    claims = openid.claims(login["access_token"])
    async with openid.store() as store:
        session = next(
            s for s in await store.sessions.of_user(openid.acme.users["alice"]) if str(s.id) == claims["sid"]
        )
        lifetimes = (await facts(openid, store))[0].lifetimes
        token = await store.refresh_tokens.begin_family(
            session.id,
            "spa",
            scopes={"openid", "email"},
            audiences=("https://api.example.com/orders",),
            idle=lifetimes.refresh_idle,
            absolute=lifetimes.refresh_absolute,
            id_token_claims={"email", "name"},
        )
    for _ in range(2):
        body = (await openid.refresh(token)).json()
        token = body["refresh_token"]
        told_now = await verified(openid, body["id_token"])
        assert set(told_now) == PROTOCOL | {"email"}


async def test_asking_for_a_claim_is_asking_for_the_scopes_of_openid_that_release_it(openid: World) -> None:
    await own_scopes(openid, company={"company": "tenant.name", "email": "user.email"})
    async with openid.store() as store:
        tenant, _, _ = await facts(openid, store)
    assert scopes_for(tenant, ()) == frozenset()
    assert scopes_for(tenant, ("name",)) == {"profile"}
    assert scopes_for(tenant, ("email",)) == {"email"}, "a scope of the tenant's own may open more than its claims"
    assert scopes_for(tenant, ("groups", "company", "unknown", "sub", "acr")) == {"groups"}


async def test_no_mapping_says_who_the_user_is(openid: World) -> None:
    # It cannot be stored; were it there all the same, it would change nothing.
    async with openid.store() as store:
        tenant, client, alice = await facts(openid, store)
        forged = replace(client, options=ClientOptions(claim_mapping=(("sub", "const:somebody"),)))
        assert await user_claims(store, tenant, forged, alice, scopes=frozenset()) == {"sub": str(alice.id)}


async def facts(world: World, store: TenantStore) -> tuple[Tenant, Client, User]:
    tenant, client = await store.settings.get(), await store.clients.get("spa")
    alice = await store.users.get(world.acme.users["alice"])
    assert tenant is not None
    assert client is not None
    assert alice is not None
    return tenant, client, alice
