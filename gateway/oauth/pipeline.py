"""The token endpoint's pipeline: the security phases in their order, for every grant alike.

    form -> grant -> client -> load (-> COMMIT -> prove -> client again) -> issue -> event -> sign -> COMMIT -> answer

What a stranger gets wrong before anybody is recognised is an observation, aggregated; what a grant refuses is an event
of its own in the transaction that refused it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from gateway.context import RequestContext
from gateway.errors import InvalidClient, UnauthorizedClient, UnsupportedGrantType
from gateway.form import Form
from gateway.oauth.access_token import TokenResponse, sign
from gateway.oauth.client_auth import PresentedClient, authenticate_client, presented_client
from gateway.oauth.grants.grant import Grant, GrantRequest, Issued, Refused
from gateway.tenancy import step
from tenants.audit_event import Details, Event
from tenants.store import Store, TenantStore
from tenants.visitor import Visitor


@dataclass(frozen=True, slots=True)
class TokenCall:
    """One call, parsed: which grant, by which client, from where."""

    tenant_id: UUID
    form: Form
    presented: PresentedClient
    context: RequestContext
    visitor: Visitor


class TokenPipeline:
    """Runs a grant. A grant cannot skip a phase: it is asked for its part and never calls the next."""

    def __init__(self, store: Store, grants: Iterable[Grant[Any]], clock: Callable[[], datetime]) -> None:
        self._store = store
        self._grants: Mapping[str, Grant[Any]] = {grant.grant_type: grant for grant in grants}
        self._clock = clock

    async def run(
        self, tenant_id: UUID, form: Form, authorizations: list[str], context: RequestContext, visitor: Visitor
    ) -> TokenResponse:
        """The answer to one call.

        Raises:
            OAuthError: whatever is wrong, in RFC 6749's words.
        """
        grant = self._grants.get(form.required("grant_type"))
        if grant is None:
            raise UnsupportedGrantType
        call = TokenCall(tenant_id, form, presented_client(form, authorizations), context, visitor)
        grant.admit()
        async with step(self._store, tenant_id) as store:
            request = await self._recognise(store, call, grant.carried_by)
            attempt = await grant.load(store, request)
            if not grant.slow:
                return await self._finish(store, call, request, grant, attempt)
        attempt = await grant.prove(attempt, lambda: step(self._store, tenant_id))
        async with step(self._store, tenant_id) as store:
            request = await self._recognise(store, call, grant.carried_by)
            return await self._finish(store, call, request, grant, attempt)

    async def _recognise(self, store: TenantStore, call: TokenCall, carried_by: str) -> GrantRequest:
        """Tenant and client, as they are in this transaction."""
        tenant = await store.settings.get()
        if tenant is None or not tenant.active:
            raise InvalidClient(reason="tenant_suspended")
        client = await authenticate_client(store, call.presented, grant_type=carried_by)
        if carried_by not in client.grant_types:
            raise UnauthorizedClient(reason="grant_type_not_allowed")
        return GrantRequest(tenant, client, call.form, call.visitor, self._clock())

    async def _finish(
        self, store: TenantStore, call: TokenCall, request: GrantRequest, grant: Grant[Any], attempt: Any
    ) -> TokenResponse:
        result = await grant.issue(store, request, attempt)
        request_id, address = call.context.request_id, str(call.context.address)
        details: Details = {"grant_type": grant.grant_type}
        match result:
            case Refused(error, event):
                await store.audit.add(
                    Event(
                        type=event,
                        outcome="refused",
                        reason=error.reason,
                        subject=result.subject,
                        user_name=result.user_name,
                        session_id=result.session_id,
                        client_id=request.client.client_id,
                        details=details,
                        request_id=request_id,
                        address=address,
                    )
                )
                error.told = True
                raise error
            case Issued(access, event):
                key = await store.keys.signing()  # none: nothing of this is kept, since that is no Refusal
                details["scopes"] = sorted(access.scopes)
                await store.audit.add(
                    Event(
                        type=event,
                        outcome="success",
                        subject=access.subject,
                        user_name=result.user_name,
                        session_id=None if access.session is None else str(access.session.id),
                        client_id=request.client.client_id,
                        details=details,
                        request_id=request_id,
                        address=address,
                    )
                )
                return sign(access, tenant=request.tenant, key=key, now=request.now, refresh_token=result.refresh_token)
