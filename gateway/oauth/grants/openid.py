"""What turns a grant into a login for the client: an ID token, wherever ``openid`` was granted (OpenID Connect Core
section 3.1.3.3).
"""

from collections.abc import Set

from gateway.oauth.claims import id_token_claims
from gateway.oauth.grants.grant import GrantRequest, IdTokenFacts
from tenants.store import TenantStore
from tenants.users import User


async def id_token_facts(
    store: TenantStore,
    request: GrantRequest,
    user: User,
    scopes: Set[str],
    *,
    nonce: str | None = None,
    requested: Set[str] = frozenset(),
) -> IdTokenFacts | None:
    """What the ID token is to say; None where ``scopes``, the granted ones, have no ``openid`` in them.

    ``requested`` are claims that the authorization request wanted in the ID token by name.
    """
    if "openid" not in scopes:
        return None
    claims = await id_token_claims(store, request.tenant, request.client, user, scopes=scopes, requested=requested)
    return IdTokenFacts(user.id, nonce, claims)
