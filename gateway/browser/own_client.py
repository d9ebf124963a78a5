"""The gateway as a client of its own tenants: it runs a grant in this process, by the pipeline that every client's runs
through, with every check of it.

Owns what such a call looks like, and what is wrong with a client that cannot be used. Not what is granted.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta

import structlog

from gateway.context import RequestContext
from gateway.form import Form
from gateway.oauth.access_token import TokenResponse
from gateway.oauth.endpoint import Call
from gateway.oauth.pipeline import TokenPipeline
from gateway.proxy.request import ProxiedRequest
from policies import redirect_uri
from tenants.issuers import Issuers
from tenants.snapshot import TenantFacts
from tenants.visitor import Visitor

_log = structlog.get_logger("yett.browser")


class OwnClient:
    """``pipeline`` has the two grants that this client uses."""

    def __init__(self, pipeline: TokenPipeline, issuers: Issuers) -> None:
        self._pipeline = pipeline
        self._issuers = issuers

    async def ask(
        self, tenant: TenantFacts, request: ProxiedRequest, form: Mapping[str, str | Sequence[str]]
    ) -> TokenResponse:
        """What the token endpoint would answer.

        Raises:
            OAuthError: what it would refuse.
        """
        fields = {name: [value] if isinstance(value, str) else list(value) for name, value in form.items()}
        return await self._pipeline.run(
            Call(
                tenant=tenant,
                method="POST",
                url=f"{tenant.issuer}/token",
                form=Form.from_stored(fields),
                authorizations=(),
                proofs=(),
                body=b"",
                context=_context(request),
                visitor=visitor(request),
            )
        )

    async def session_idle(self, tenant: TenantFacts) -> timedelta | None:
        """How long a session of this tenant's may go unused; None where the tenant is not there any more."""
        issuer = await self._issuers.get(tenant.id, under=tenant.issuer)
        return None if issuer is None else issuer.tenant.lifetimes.session_idle

    async def fault(self, tenant: TenantFacts, client_id: str, address: str, audiences: Sequence[str]) -> str | None:
        """Why nobody can log in by this client, for the operator; None where they can. It is logged, too."""
        issuer = await self._issuers.get(tenant.id, under=tenant.issuer)
        registered = None if issuer is None else issuer.clients.get(client_id)
        client = None if registered is None else registered.client
        if client is None:
            reason = "client_unknown"
        elif not client.active:
            reason = "client_disabled"
        elif client.confidential:
            reason = "client_is_confidential"
        elif "authorization_code" not in client.grant_types:
            reason = "grant_type_not_allowed"
        elif not redirect_uri.matches(address, client.redirect_uris):
            reason = "redirect_uri_unregistered"
        elif not set(audiences) <= set(client.audiences):
            reason = "resource_not_allowed"
        elif client.options.dpop_bound_access_tokens:
            reason = "dpop_bound_access_tokens"
        elif client.options.require_pushed_authorization_requests:
            reason = "require_pushed_authorization_requests"
        else:
            return None
        _log.warning(
            "browser_client_unusable", reason=reason, tenant=tenant.slug, client_id=client_id, redirect_uri=address
        )
        return reason


def visitor(request: ProxiedRequest) -> Visitor:
    """Who comes, as sessions remember it."""
    agents = [value.decode("latin-1") for name, value in request.scope["headers"] if name == b"user-agent"]
    return Visitor.of(request.origin.address, agents[0] if agents else "")


def _context(request: ProxiedRequest) -> RequestContext:
    host, scheme = request.inbound.host.decode("latin-1"), request.origin.proto.decode("ascii")
    return RequestContext(request.ids.text, request.origin.address, scheme, host)
