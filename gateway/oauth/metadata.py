"""What an issuer says of itself (RFC 8414, OpenID Connect Discovery 1.0) and its keys (RFC 7517).

It names what this version has, nothing that is to come.
"""

from gateway import urls
from policies import acr
from policies.key_rotation import jwks_max_age
from tenants.clients import GRANT_TYPES
from tenants.snapshot import TenantFacts

JWKS_CACHE = f"public, max-age={jwks_max_age()}"


def server_metadata(tenant: TenantFacts) -> dict[str, object]:
    """The metadata document (RFC 8414 section 2)."""
    return {
        "issuer": tenant.issuer,
        "token_endpoint": urls.token(tenant.issuer),
        "jwks_uri": urls.jwks(tenant.issuer),
        "grant_types_supported": sorted(GRANT_TYPES),
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "acr_values_supported": [acr.PASSWORD],
    }


def jwks(tenant: TenantFacts) -> dict[str, list[dict[str, str]]]:
    """Every published key: the next one too, so that caches know it before it signs."""
    return {"keys": [tenant.keys[kid].public_jwk() for kid in sorted(tenant.keys)]}
