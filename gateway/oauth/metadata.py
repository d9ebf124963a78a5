"""What an issuer says of itself (RFC 8414, OpenID Connect Discovery 1.0) and its keys (RFC 7517).

It names what this version has, nothing that is to come: values that the code has a list of are taken from that list.
"""

from collections.abc import Mapping
from typing import Final

from gateway import urls
from gateway.oauth.authorization_request import PROMPTS, RESPONSE_MODES
from gateway.oauth.grants import mfa_otp
from policies import acr, dpop, pkce
from policies.claim_mapping import STANDARD
from policies.key_rotation import jwks_max_age
from policies.scope import OPENID
from tenants.client import GRANT_TYPES
from tenants.client_keys import CLIENT_ALGORITHMS
from tenants.snapshot import TenantFacts

JWKS_CACHE = f"public, max-age={jwks_max_age()}"
_PROVED: Final = ("client_secret_basic", "client_secret_post", "private_key_jwt")
_PROTOCOL_CLAIMS: Final = frozenset(
    {"iss", "sub", "aud", "exp", "iat", "auth_time", "acr", "amr", "sid", "nonce", "at_hash"}
)
_ENDPOINTS: Final = {
    "authorization_endpoint": "authorize",
    "token_endpoint": "token",
    "jwks_uri": "jwks",
    "userinfo_endpoint": "userinfo",
    "pushed_authorization_request_endpoint": "par",
    "device_authorization_endpoint": "device",
    "introspection_endpoint": "introspect",
    "revocation_endpoint": "revoke",
    "end_session_endpoint": "logout",
}
_SAID: Final[Mapping[str, object]] = {
    "grant_types_supported": sorted({*GRANT_TYPES, mfa_otp.GRANT_TYPE}),
    "response_types_supported": ["code"],
    "response_modes_supported": list(RESPONSE_MODES),
    "code_challenge_methods_supported": [pkce.METHOD],
    "authorization_response_iss_parameter_supported": True,  # RFC 9207
    "prompt_values_supported": sorted(PROMPTS),
    "ui_locales_supported": ["en"],
    "claims_parameter_supported": True,
    "request_parameter_supported": True,
    "request_uri_parameter_supported": False,  # but for those of a pushed request (RFC 9126 section 5)
    "request_object_signing_alg_values_supported": list(CLIENT_ALGORITHMS),
    "acr_values_supported": list(acr.ORDER),
    "subject_types_supported": ["public"],
    "claim_types_supported": ["normal"],
    "token_endpoint_auth_methods_supported": [*_PROVED, "none"],
    "token_endpoint_auth_signing_alg_values_supported": list(CLIENT_ALGORITHMS),
    "revocation_endpoint_auth_methods_supported": [*_PROVED, "none"],
    "revocation_endpoint_auth_signing_alg_values_supported": list(CLIENT_ALGORITHMS),
    "introspection_endpoint_auth_methods_supported": list(_PROVED),
    "introspection_endpoint_auth_signing_alg_values_supported": list(CLIENT_ALGORITHMS),
    "dpop_signing_alg_values_supported": list(dpop.ALGORITHMS),
    "backchannel_logout_supported": True,
    "backchannel_logout_session_supported": True,
}


def server_metadata(tenant: TenantFacts) -> dict[str, object]:
    """The metadata document (RFC 8414 section 2). The registration endpoint is named where there is one."""
    endpoints = {name: urls.below(tenant.issuer, path) for name, path in _ENDPOINTS.items()}
    if tenant.provider.registration:
        endpoints["registration_endpoint"] = urls.below(tenant.issuer, "register")
    return {
        "issuer": tenant.issuer,
        **endpoints,
        **_SAID,
        "require_pushed_authorization_requests": tenant.provider.require_pushed,
        "scopes_supported": sorted(OPENID | dict(tenant.provider.scope_claims).keys()),
        "claims_supported": sorted(_claims(tenant)),
        "id_token_signing_alg_values_supported": _algorithms(tenant),
        "introspection_signing_alg_values_supported": _algorithms(tenant),  # RFC 9701 section 7
    }


def jwks(tenant: TenantFacts) -> dict[str, list[dict[str, str]]]:
    """Every published key: the next one too, so that caches know it before it signs."""
    return {"keys": [tenant.keys[kid].public_jwk() for kid in sorted(tenant.keys)]}


def _algorithms(tenant: TenantFacts) -> list[str]:
    """Of the published keys: a client that follows discovery accepts the next one's too, before it signs."""
    return sorted({key.alg for key in tenant.keys.values()})


def _claims(tenant: TenantFacts) -> frozenset[str]:
    """The protocol's, and what scopes release. Claims that are mapped for one client are between it and the tenant."""
    released = [*STANDARD.values(), *(pairs for _, pairs in tenant.provider.scope_claims)]
    return _PROTOCOL_CLAIMS | {claim for pairs in released for claim, _ in pairs}
