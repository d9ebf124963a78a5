"""What the grants that log a person in have in common: what was asked for, what of it there is, the session."""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

from gateway.authn.completion import start_by_api
from gateway.errors import InvalidScope, InvalidTarget, OAuthError
from gateway.form import Form
from gateway.oauth.access_token import AccessGrant, audiences_for
from gateway.oauth.grants.grant import GrantRequest, Issued
from gateway.oauth.grants.openid import id_token_facts
from policies.decision import Deny
from policies.scope import Granted, granted, of_user
from tenants.sessions import Session
from tenants.store import TenantStore
from tenants.users import User


@dataclass(frozen=True, slots=True)
class Asked:
    """The scopes and APIs that a request names. Kept with a login that waits for its second factor."""

    scope: str | None
    resources: tuple[str, ...]

    @classmethod
    def of(cls, form: Form) -> "Asked":
        """As the form says (RFC 6749 section 3.3, RFC 8707 section 2)."""
        return cls(form.optional("scope"), form.many("resource"))

    def stored(self) -> dict[str, Any]:
        """As JSON."""
        return {"scope": self.scope, "resources": list(self.resources)}

    @classmethod
    def from_stored(cls, stored: Mapping[str, Any]) -> "Asked":
        """What ``stored`` wrote."""
        return cls(stored["scope"], tuple(stored["resources"]))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What may be granted of what was asked, today."""

    scopes: frozenset[str]
    audiences: tuple[str, ...]


async def wanted(store: TenantStore, request: GrantRequest, user: User, asked: Asked) -> Wanted | OAuthError:
    """Asked for, and the client's, and the user's; or what to refuse with."""
    scopes = granted(
        asked.scope,
        client_scopes=request.client.scopes,
        default_scopes=request.client.default_scopes,
        user_scopes=of_user(await store.roles.scopes_of(user.id)),
    )
    match scopes:
        case Deny(reason):
            return InvalidScope(reason=reason)
        case Granted():
            try:
                return Wanted(scopes.scopes, audiences_for(request.client, asked.resources))
            except InvalidTarget as error:
                return error


async def issue_for(
    store: TenantStore, request: GrantRequest, user: User, found: Wanted, *, proved: Set[str]
) -> Issued:
    """Start the session, and what ``issue_in`` says."""
    session = await start_by_api(
        store,
        request.tenant,
        user,
        proved=proved,
        client_id=request.client.client_id,
        visitor=request.visitor,
        now=request.now,
    )
    return await issue_in(store, request, user, found, session)


async def issue_in(store: TenantStore, request: GrantRequest, user: User, found: Wanted, session: Session) -> Issued:
    """What a session gives that was started for this client: a refresh family where it may have one, an ID token."""
    await store.logout_notices.used_by(session.id, request.client.client_id)
    refresh_token = None
    if "refresh_token" in request.client.grant_types:
        lifetimes = request.tenant.lifetimes
        refresh_token = await store.refresh_tokens.begin_family(
            session.id,
            request.client.client_id,
            scopes=found.scopes,
            audiences=found.audiences,
            idle=lifetimes.refresh_idle,
            absolute=lifetimes.refresh_absolute,
            dpop_jkt=request.refresh_binding,
        )
    access = AccessGrant(str(user.id), request.client.client_id, found.scopes, found.audiences, session)
    id_token = await id_token_facts(store, request, user, found.scopes)
    return Issued(access, "login.succeeded", user_name=user.name, refresh_token=refresh_token, id_token=id_token)
