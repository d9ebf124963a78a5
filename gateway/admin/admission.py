"""Who gets as far as an operation: the limit per address, the token, the second factor, whose tenant, the scope.

On the management listener an operator reaches every tenant, and a tenant's administrator their own; below a tenant's
own issuer its administrators alone are let in: tokens of operators never count on the public listener.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never
from uuid import UUID

from starlette.types import Scope

from gateway import urls
from gateway.admin.caller import Caller, Callers
from gateway.admin.errors import FactorMissing, InsufficientScope, InvalidToken, OperatorsOnly, TenantUnknown
from gateway.admin.operation import Operation
from gateway.errors import TooManyRequests
from gateway.header_fields import Fields
from gateway.limits import AddressLimit
from gateway.middleware import context_of
from gateway.own_hosts import reached
from policies.administration import decide
from policies.decision import Allow, Challenge, Deny
from tenants.directory import Directory
from tenants.snapshot import Snapshot, TenantFacts

_FIELDS = frozenset({b"authorization", b"dpop"})


@dataclass(frozen=True, slots=True)
class Known:
    """Who asks, and by which address of the API: ``base`` is the path below which a tenant's resources are there.
    ``nonce`` is for the next DPoP proof, where this request had one.
    """

    caller: Caller
    base: str
    nonce: str | None


class Admission:
    """``limit`` counts what comes by the public listener; the management listener has its guard. ``nonce`` is a
    tenant's. ``factor_required``: operators must have shown a second factor.
    """

    def __init__(
        self,
        callers: Callers,
        snapshot: Snapshot,
        directory: Directory,
        limit: AddressLimit,
        nonce: Callable[[UUID], str],
        *,
        factor_required: bool,
    ) -> None:
        self._callers = callers
        self._snapshot = snapshot
        self._directory = directory
        self._limit = limit
        self._nonce = nonce
        self._factor_required = factor_required

    def know(self, scope: Scope, *, public: bool) -> Known:
        """Who asks.

        Raises:
            Problem: too many requests, no such tenant, or as ``Callers.identify``.
        """
        slug: str | None = scope["path_params"].get("slug")
        path = scope["raw_path"].decode("ascii")
        if not public:
            context = context_of(scope)
            base = "/v1" if slug is None else f"/v1/tenants/{slug}"
            return self._known(scope, f"{context.scheme}://{context.host}{path}", base)
        seconds = self._limit.refused_for(context_of(scope).address)
        if seconds is not None:
            raise TooManyRequests(reason="address_limit", retry_after=seconds)
        tenant = self._by_issuer(slug or "", scope)
        url = tenant.issuer + path.removeprefix(f"/t/{slug}")
        known = self._known(scope, url, f"{urls.base(tenant.issuer)}/admin/v1")
        if known.caller.principal.tenant_id != tenant.id:
            raise InvalidToken(reason="tenant_mismatch", scheme=known.caller.scheme)
        return known

    async def reach(self, operation: Operation, scope: Scope, caller: Caller) -> UUID | None:
        """Whose transaction it will be; None where that tenant is still to be made.

        Raises:
            TenantUnknown: there is no such tenant, or it is another's.
            OperatorsOnly, FactorMissing, InsufficientScope: this caller may not.
        """
        principal, slug = caller.principal, scope["path_params"].get("slug")
        if principal.tenant != urls.PLATFORM:
            if slug is not None and slug != principal.tenant:
                raise TenantUnknown(reason="tenant_foreign")
            if operation.operators_only:
                raise OperatorsOnly(reason="operators_only")
            self._judge(operation, caller)
            return principal.tenant_id
        self._judge(operation, caller)
        match operation.where:
            case "new":
                return None
            case "platform":
                return principal.tenant_id
            case "path":
                return await self._id_of(slug or "")
            case other:
                assert_never(other)

    def _known(self, scope: Scope, url: str, base: str) -> Known:
        fields = Fields.of(scope, _FIELDS)
        caller = self._callers.identify(fields, method=scope["method"], url=url)
        nonce = None if fields.first(b"dpop") is None else self._nonce(caller.principal.tenant_id)
        return Known(caller, base, nonce)

    def _by_issuer(self, slug: str, scope: Scope) -> TenantFacts:
        tenant = reached(self._snapshot, slug, scope)
        if tenant is None or not tenant.active or tenant.slug == urls.PLATFORM:
            raise TenantUnknown
        return tenant

    async def _id_of(self, slug: str) -> UUID:
        """From memory, or from the database: a tenant that was made just now is there for who made it."""
        known = self._snapshot.by_slug(slug)
        if known is not None:
            return known.id
        found = await self._directory.find(slug) if urls.is_slug(slug) else None
        if found is None:
            raise TenantUnknown
        return found.id

    def _judge(self, operation: Operation, caller: Caller) -> None:
        of_platform, required = caller.principal.tenant == urls.PLATFORM, self._factor_required
        decision = decide(caller.principal, operation.scope, of_platform=of_platform, factor_required=required)
        match decision:
            case Allow():
                return
            case Challenge(_, acr_values):
                raise FactorMissing(acr_values=acr_values, scheme=caller.scheme)
            case Deny(reason, scopes):
                raise InsufficientScope(reason=reason, scopes=scopes, scheme=caller.scheme)
            case _:
                assert_never(decision)
