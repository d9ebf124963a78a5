"""Who may administer what: the scopes of the admin API, the roles that hold them, and what nobody may give away.

A scope of the API begins with ``yett:``, so that none of a tenant's own, for its own APIs, can be taken for one. Owns
these tables. Not which operation wants which scope (gateway/admin/operations.py).
"""

from collections.abc import Iterable, Mapping, Set
from types import MappingProxyType
from typing import Final

from policies import acr
from policies.decision import Allow, Challenge, Decision, Deny
from policies.principal import Principal

AUDIENCE: Final = "urn:yett:admin"
"""What an access token has to be for."""

PREFIX: Final = "yett:"
TENANTS_READ: Final = "yett:tenants:read"
TENANTS_WRITE: Final = "yett:tenants:write"
TENANTS_DELETE: Final = "yett:tenants:delete"
SETTINGS_WRITE: Final = "yett:settings:write"
USERS_READ: Final = "yett:users:read"
USERS_WRITE: Final = "yett:users:write"
USERS_SUPPORT: Final = "yett:users:support"
ROLES_READ: Final = "yett:roles:read"
ROLES_WRITE: Final = "yett:roles:write"
CLIENTS_READ: Final = "yett:clients:read"
CLIENTS_WRITE: Final = "yett:clients:write"
KEYS_READ: Final = "yett:keys:read"
KEYS_WRITE: Final = "yett:keys:write"
API_KEYS_READ: Final = "yett:api-keys:read"
API_KEYS_WRITE: Final = "yett:api-keys:write"
AUDIT_READ: Final = "yett:audit:read"
INSTALLATION_READ: Final = "yett:installation:read"
INSTALLATION_WRITE: Final = "yett:installation:write"

MEANINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        TENANTS_READ: "see tenants and their settings",
        TENANTS_WRITE: "create, suspend and resume tenants",
        TENANTS_DELETE: "delete tenants",
        SETTINGS_WRITE: "change a tenant's settings",
        USERS_READ: "see users, their sessions and which authenticators they have",
        USERS_WRITE: "create, change, disable and delete users",
        USERS_SUPPORT: "end sessions, reset second factors, unlock, send reset letters",
        ROLES_READ: "see roles and who has them",
        ROLES_WRITE: "change roles, and give and take them",
        CLIENTS_READ: "see clients",
        CLIENTS_WRITE: "change clients and their secrets",
        KEYS_READ: "see signing keys",
        KEYS_WRITE: "rotate and revoke signing keys",
        API_KEYS_READ: "see API keys",
        API_KEYS_WRITE: "create and revoke API keys",
        AUDIT_READ: "read the audit log",
        INSTALLATION_READ: "see what belongs to no tenant: sinks, routes, limits, jobs",
        INSTALLATION_WRITE: "have background jobs done at once",
    }
)
SCOPES: Final = frozenset(MEANINGS)

_READING: Final = frozenset(scope for scope in SCOPES if scope.endswith(":read"))
_OF_THE_INSTALLATION: Final = frozenset({TENANTS_WRITE, TENANTS_DELETE, INSTALLATION_READ, INSTALLATION_WRITE})

OPERATOR_ROLES: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "owner": SCOPES,
        "admin": SCOPES - {TENANTS_DELETE},
        "support": frozenset({TENANTS_READ, USERS_READ, USERS_SUPPORT, ROLES_READ, CLIENTS_READ}),
        "auditor": _READING,
    }
)
"""Of the platform tenant. Nobody can change these roles there."""

OWNER: Final = "owner"
"""At least one operator is."""

TENANT_ADMINISTRATOR: Final = "tenant-administrator"
TENANT_ROLES: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {TENANT_ADMINISTRATOR: SCOPES - _OF_THE_INSTALLATION}
)
"""Of any other tenant that administers itself. Nor these."""

SECOND_FACTORS: Final = frozenset({"otp", "mfa", "recovery"})
_ALLOW: Final = Allow()


def administrative(scopes: Iterable[str]) -> frozenset[str]:
    """Those of them that are the admin API's, of this release or of another."""
    return frozenset(scope for scope in scopes if scope.startswith(PREFIX))


def beyond(held: Set[str], touched: Iterable[str]) -> Allow | Deny:
    """Whether somebody who holds these scopes may give, take or act for who has ``touched``: nobody grants what they
    lack, nor acts on who has more than they have.
    """
    missing = administrative(touched) - held
    return Deny("beyond_own_scopes", missing) if missing else _ALLOW


def decide(principal: Principal, scope: str | None, *, of_platform: bool, factor_required: bool) -> Decision:
    """Whether this caller may do what wants ``scope`` (None: any administrator may).

    ``of_platform``: an operator. ``factor_required``: operators must have shown a second factor.
    """
    if of_platform and factor_required and SECOND_FACTORS.isdisjoint(principal.amr):
        return Challenge("insufficient_user_authentication", acr_values=(acr.MFA,))
    if scope is not None and scope not in principal.scopes:
        return Deny("insufficient_scope", frozenset({scope}))
    return _ALLOW
