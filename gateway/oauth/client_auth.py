"""Whether a client is the one that it says: by the method that it registered, and no other (RFC 6749 section 2.3).

A client that is unknown, one that is disabled, a wrong proof and a right proof by another method are refused in the
same words. Not what a request says of its client (presented_client.py), not the claims of an assertion
(policies/client_statement.py), not whose keys are whose (client_jwks.py).
"""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from gateway.errors import InvalidClient, InvalidRequest, UnauthorizedClient
from gateway.oauth.client_jwks import ClientJwks
from gateway.oauth.endpoint import Call
from gateway.oauth.errors import InvalidClientAssertion
from gateway.oauth.presented_client import PresentedClient, presented_client
from gateway.tenancy import step
from policies import client_statement
from policies.client_statement import Statement
from policies.decision import Deny
from tenants.client import RegisteredClient
from tenants.client_options import AuthMethod
from tenants.clients import Client
from tenants.issuers import Issuer, Issuers
from tenants.store import Store
from tenants.unverified_token import UnverifiedToken

_SECRET_METHODS: dict[str, frozenset[AuthMethod]] = {
    "basic": frozenset({"client_secret_basic", "client_secret"}),
    "form": frozenset({"client_secret_post", "client_secret"}),
}


class Recognised(NamedTuple):
    """Who asks whom, as it is known ``now``."""

    issuer: Issuer
    client: Client
    now: datetime


class ClientAuth:
    """Recognises the client of a call; every endpoint that clients call asks here."""

    def __init__(self, issuers: Issuers, store: Store, jwks: ClientJwks, clock: Callable[[], datetime]) -> None:
        self._issuers = issuers
        self._store = store
        self._jwks = jwks
        self._clock = clock

    async def recognise(self, call: Call, *, grant_type: str | None = None) -> Recognised:
        """The client, proved by exactly the method that it registered. ``grant_type`` is what it has to carry.

        A password form that names no client stands for the tenant's default client, where one is configured. No
        transaction may be open: an assertion is used up in one of its own, and its keys may have to be fetched.

        Raises:
            InvalidRequest: no client is named, and none stands in; or it is presented in two ways.
            InvalidClient: unknown, disabled, a wrong proof, a missing one, or one that it did not register.
            UnauthorizedClient: it does not carry the grant type.
        """
        found, statement = await self._judged(call, grant_type, None)
        if statement is not None:
            await self._use_up(call.tenant.id, found.client.client_id, statement)
        return _carrying(found, grant_type)

    async def again(self, call: Call, found: Recognised, *, grant_type: str | None = None) -> Recognised:
        """The same client, as it is by now: time has passed. Its assertion was used up and is not used a second time;
        it counts as it did when the call came. Raises as ``recognise`` does."""
        now, _ = await self._judged(call, grant_type, found.now)
        return _carrying(now, grant_type)

    async def _judged(
        self, call: Call, grant_type: str | None, came_at: datetime | None
    ) -> tuple[Recognised, Statement | None]:
        presented = presented_client(call.form, call.authorizations)
        issuer = await self._issuers.get(call.tenant.id, under=call.tenant.issuer)
        if issuer is None or not issuer.tenant.active:
            raise InvalidClient(reason="tenant_suspended")
        now = self._clock()
        registered = _registered(issuer, presented, grant_type)
        statement = None
        if presented.assertion is None:
            _check_secret(registered, presented, now)
        else:
            statement = await self._stated(issuer, registered.client, presented.assertion, came_at or now)
        if not registered.client.active:
            raise _refusal(presented, "client_disabled")
        return Recognised(issuer, registered.client, now), statement

    async def _stated(self, issuer: Issuer, client: Client, assertion: UnverifiedToken, came_at: datetime) -> Statement:
        """RFC 7523 section 3, in its order: what it is, who signed it, what it says."""
        if client.method != "private_key_jwt":
            raise InvalidClientAssertion(reason="client_auth_method")
        form = client_statement.header(assertion.header, "assertion")
        if isinstance(form, Deny):
            raise InvalidClientAssertion(reason=f"assertion_{form.reason}")
        claims = await self._jwks.verify(issuer.tenant.id, client, assertion)
        if claims is None:
            raise InvalidClientAssertion(reason="assertion_not_signed")
        told = client_statement.assertion(claims, client_id=client.client_id, issuer=issuer.tenant.issuer, now=came_at)
        match told:
            case Deny(reason):
                raise InvalidClientAssertion(reason=f"assertion_{reason}")
            case Statement():
                return told

    async def _use_up(self, tenant_id: UUID, client_id: str, statement: Statement) -> None:
        identifier = f"{client_id}\n{statement.token_id}"  # no client id has a line break in it
        async with step(self._store, tenant_id) as store:
            first = await store.seen_ids.first_time("assertion", identifier, statement.expires_at)
        if not first:
            raise InvalidClientAssertion(reason="assertion_replayed")


def _registered(issuer: Issuer, presented: PresentedClient, grant_type: str | None) -> RegisteredClient:
    client_id = presented.client_id
    if client_id is None:
        client_id = issuer.tenant.default_client_id
        if grant_type != "password" or client_id is None:
            raise InvalidRequest(reason="client_missing")
    registered = issuer.clients.get(client_id)
    if registered is None:
        raise _refusal(presented, "client_unknown")
    return registered


def _check_secret(registered: RegisteredClient, presented: PresentedClient, now: datetime) -> None:
    """By a secret or by nothing at all, as the client registered.

    Raises:
        InvalidClient: by something else.
    """
    client, secret = registered.client, presented.unverified_secret
    if not client.confidential:
        if secret is not None:
            raise InvalidClient(reason="client_is_public")
        return
    if secret is None or presented.secret_in is None:
        raise InvalidClient(reason="client_secret_missing")
    if client.method not in _SECRET_METHODS[presented.secret_in]:
        raise InvalidClient(reason="client_auth_method")
    if not registered.has_secret(secret, now):
        raise InvalidClient(reason="client_secret_wrong")


def _refusal(presented: PresentedClient, reason: str) -> InvalidClient:
    """As a proof of the same kind by another client would be refused."""
    return InvalidClient(reason=reason) if presented.assertion is None else InvalidClientAssertion(reason=reason)


def _carrying(found: Recognised, grant_type: str | None) -> Recognised:
    if grant_type is not None and grant_type not in found.client.grant_types:
        raise UnauthorizedClient(reason="grant_type_not_allowed")
    return found
