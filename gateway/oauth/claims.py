"""What is told of a user, and to whom (OpenID Connect Core sections 5.3 to 5.5).

    userinfo   sub, the claims of the scopes that were granted, the client's mapping
    ID token   the client's mapping, and claims that the authorization request wanted there by name (section 5.4)

A scope releases claims: the standard ones those of ``policies.claim_mapping``, others those that the tenant defines for
them. Asking for a claim by name is asking for the scope of OpenID Connect that releases it (``scopes_for``), so that
nothing is told that was not granted. A scope that is not granted costs the answer its claims and nothing else: that a
claim is essential makes its absence no error (section 5.5.1).
"""

from collections.abc import Iterable, Set
from typing import Any

from policies import claim_mapping
from policies.claim_mapping import STANDARD, ClaimFacts
from policies.scope import OPENID
from tenants.client import Client
from tenants.store import TenantStore
from tenants.tenant import Tenant
from tenants.users import User


async def user_claims(
    store: TenantStore, tenant: Tenant, client: Client, user: User, *, scopes: Set[str]
) -> dict[str, Any]:
    """Everything that ``scopes`` release and the client's mapping adds; ``sub`` always."""
    facts = await _facts(store, tenant, client, user)
    mapping = [*_released(tenant, scopes), *client.options.claim_mapping]
    return {**claim_mapping.claims(mapping, facts), "sub": str(user.id)}


async def id_token_claims(
    store: TenantStore,
    tenant: Tenant,
    client: Client,
    user: User,
    *,
    scopes: Set[str],
    requested: Set[str] = frozenset(),
) -> dict[str, Any]:
    """What an ID token carries beside the protocol's own claims. ``requested`` are names of the ``claims`` parameter's
    member ``id_token``; those that the granted ``scopes`` do not release are left out.
    """
    wanted = [(claim, source) for claim, source in _released(tenant, scopes) if claim in requested]
    mapping = [*wanted, *client.options.claim_mapping]
    if not mapping:
        return {}
    return claim_mapping.claims(mapping, await _facts(store, tenant, client, user))


def scopes_for(tenant: Tenant, names: Iterable[str]) -> frozenset[str]:
    """The scopes of OpenID Connect that release claims of these names. Which are granted is decided as for any other.

    A scope of the tenant's own may open more than the claim that it releases, so it has to be asked for by its name.
    """
    wanted = frozenset(names)
    offered = {**STANDARD, **dict(tenant.provider.scope_claims)}
    return frozenset(
        scope for scope, pairs in offered.items() if scope in OPENID and any(claim in wanted for claim, _ in pairs)
    )


def _released(tenant: Tenant, scopes: Set[str]) -> list[tuple[str, str]]:
    """Claims and their sources, those of the tenant's own scopes last: they are the tenant's to say."""
    standard = [pair for scope, pairs in STANDARD.items() if scope in scopes for pair in pairs]
    own = [pair for scope, pairs in tenant.provider.scope_claims if scope in scopes for pair in pairs]
    return standard + own


async def _facts(store: TenantStore, tenant: Tenant, client: Client, user: User) -> ClaimFacts:
    return ClaimFacts(
        user_id=str(user.id),
        user_name=user.name,
        email=user.email,
        email_verified=user.email_verified,
        roles=tuple(await store.roles.held_by(user.id)),
        groups=tuple(await store.groups.of_user(user.id)),
        tenant_slug=tenant.slug,
        tenant_name=tenant.name,
        client_id=client.client_id,
    )
