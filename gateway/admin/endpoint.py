"""What all operations of the admin API go through, in this order, so that none of them can forget a step:

    limit -> token -> second factor -> whose tenant -> scope -> query and body
      -> one transaction: done before? -> tenant held -> precondition -> the operation -> answer kept -> COMMIT

Owns that order, and how refusals look. Who may see a tenant at all is asked before anything about it: what is another
tenant's is not there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import UUID, uuid4

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.admin.admission import Admission, Known
from gateway.admin.conditions import check_precondition
from gateway.admin.document import merged, plain, validated
from gateway.admin.errors import (
    DatabaseAway,
    Existing,
    JsonInvalid,
    ResourceNotFound,
    TenantUnknown,
    ValidationFailed,
)
from gateway.admin.idempotency import InFlights, answered_before, key_of, tenant_to_be
from gateway.admin.operation import Call, Operation, Services
from gateway.admin.reading import Asked, asked
from gateway.admin.written import Written
from gateway.audit import Observation
from gateway.errors import MethodNotAllowed, Problem
from gateway.middleware import context_of
from gateway.tenancy import step
from gateway.web import problem_response, respond
from policies.principal import Principal
from tenants import errors as store_errors
from tenants.acts.by import By
from tenants.database import DATABASE_ERRORS
from tenants.idempotency_keys import IdempotencyKey
from tenants.store import TenantStore

_log = structlog.get_logger("yett.admin")
_OBSERVED = frozenset({401, 403, 404, 429})  # what tells of somebody who tries; the rest is an administrator's mistake


@dataclass(frozen=True, slots=True)
class Shared:
    """The parts that endpoints share."""

    services: Services
    admission: Admission
    in_flights: InFlights
    observe: Callable[[Observation], None]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address, as an ASGI application. ``operations`` are by method; ``public``: below a tenant's own issuer."""

    shared: Shared
    operations: Mapping[str, Operation]
    public: bool

    @property
    def allowed(self) -> list[str]:
        """The methods that are answered: GET implies HEAD (RFC 9110 section 9.3.2)."""
        return sorted({*self.operations, *(("HEAD",) if "GET" in self.operations else ())})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer. The path's parameters are in ``scope``, as a router leaves them there."""
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        operation = self.operations.get(method)
        if operation is None:
            refused = problem_response(Request(scope), MethodNotAllowed(), {"Allow": ", ".join(self.allowed)})
            await refused(scope, receive, send)
            return
        await respond(self._respond(operation, scope, receive), scope, receive, send)

    async def _respond(self, operation: Operation, scope: Scope, receive: Receive) -> Response:
        principal: Principal | None = None
        try:
            known = self.shared.admission.know(scope, public=self.public)
            principal = known.caller.principal
            tenant_id = await self.shared.admission.reach(operation, scope, known.caller)
            found = await asked(operation, scope, receive)
            response = await self._answer(operation, scope, known, tenant_id, found)
        except Problem as refusal:
            self._tell(refusal, scope, principal)
            raise
        except store_errors.AlreadyExists as error:
            raise Existing(detail=str(error)) from error
        except store_errors.NotFound as error:
            raise ResourceNotFound(detail=str(error)) from error
        except store_errors.InvalidValue as error:
            raise ValidationFailed([{"detail": str(error)}]) from error
        except ClientDisconnect as error:  # nobody reads the answer; it is no fault of ours either
            raise JsonInvalid(reason="body_incomplete") from error
        except DATABASE_ERRORS as error:
            _log.warning("database_unavailable", error=type(error).__name__)
            raise DatabaseAway(reason="database_unavailable", retry_after=1) from error
        if known.nonce is not None:
            response.headers["DPoP-Nonce"] = known.nonce
        return response

    async def _answer(
        self, operation: Operation, scope: Scope, known: Known, tenant_id: UUID | None, found: Asked
    ) -> Response:
        key = None
        installation = self.shared.services.installation
        if operation.method == "POST" and not operation.asks:
            principal, secret = known.caller.principal, None
            if operation.prepare is not None:
                secret = installation.master_keys.derived("admin request")[0]
            asked_for = {"method": scope["method"], "path": scope["path"]}
            key = key_of(found.idempotency, principal, **asked_for, body=found.raw, secret=secret)
        if tenant_id is None:
            tenant_id = uuid4() if key is None else tenant_to_be(key)
        with self.shared.in_flights.entered(key, tenant_id):
            prepared = await self._prepared(operation, scope, known, tenant_id, found, key)
            written = await self._written(operation, scope, known, tenant_id, found, key, prepared)
            if written.afterwards is not None:  # kept once that is done: broken off between, it is done again
                await written.afterwards()
                if key is not None:
                    async with step(installation.store, tenant_id) as store:
                        await store.idempotency_keys.keep(key, status=operation.status, body=written.stored())
        return written.response(operation)

    async def _written(
        self,
        operation: Operation,
        scope: Scope,
        known: Known,
        tenant_id: UUID,
        found: Asked,
        key: IdempotencyKey | None,
        prepared: object,
    ) -> Written:
        installation = self.shared.services.installation
        async with step(installation.store, tenant_id, read_only=operation.reads) as store:
            if key is not None:
                kept = await answered_before(store, key)
                if kept is not None:
                    return Written.kept(kept.body)
            if not operation.reads:
                await store.settings.hold()
            call = await self._call(operation, scope, known, tenant_id, found, store)
            call.prepared, call.holds = prepared, not operation.reads
            if operation.current is not None:
                call.current = await operation.current(call)
                check_precondition(call.current, found.if_match, required=operation.method == "PATCH")
            call.body = _body(call, found)
            answer = await operation.handle(call)
            written = Written.of(operation, answer)
            if key is not None and written.afterwards is None:
                await store.idempotency_keys.keep(key, status=operation.status, body=written.stored())
        return written

    async def _prepared(
        self,
        operation: Operation,
        scope: Scope,
        known: Known,
        tenant_id: UUID,
        found: Asked,
        key: IdempotencyKey | None,
    ) -> object:
        """What the operation needs that is made while no transaction is open; None where it was done before."""
        if operation.prepare is None:
            return None
        async with step(self.shared.services.installation.store, tenant_id, read_only=True) as store:
            if key is not None and await store.idempotency_keys.find(key) is not None:
                return None
            call = await self._call(operation, scope, known, tenant_id, found, store)
            call.body = _body(call, found)
            make = await operation.prepare(call)
        return None if make is None else await make()

    async def _call(
        self,
        operation: Operation,
        scope: Scope,
        known: Known,
        tenant_id: UUID,
        found: Asked,
        store: TenantStore,
    ) -> Call:
        tenant = await store.settings.get()
        if tenant is None and operation.where == "path":
            raise TenantUnknown(reason="tenant_deleted")
        context, principal = context_of(scope), known.caller.principal
        return Call(
            operation=operation,
            services=self.shared.services,
            caller=known.caller,
            by=By(f"{principal.tenant}/{principal.subject}", context.request_id, str(context.address)),
            now=self.shared.services.installation.clock(),
            parameters=scope["path_params"],
            base=known.base,
            query=found.query,
            store=store,
            tenant_id=tenant_id,
            found=tenant,
        )

    def _tell(self, refusal: Problem, scope: Scope, principal: Principal | None) -> None:
        if refusal.status not in _OBSERVED:
            return
        context = context_of(scope)
        self.shared.observe(
            Observation(
                outcome="refused",
                event="admin",
                reason=refusal.reason,
                status=refusal.status,
                route=None,
                method=scope["method"],
                path=scope["path"],
                request_id=context.request_id,
                address=str(context.address),
                tenant_id=None if principal is None else principal.tenant_id,
                subject=None if principal is None else principal.subject,
                client_id=None if principal is None else principal.client_id,
            )
        )


def _body(call: Call, found: Asked) -> object:
    """What the operation is to do. Of a PATCH the parts that stay are judged once more, with those that change."""
    model = call.operation.body
    if model is None:
        return None
    if call.operation.method != "PATCH":
        return validated(model, found.json)
    settable = {name: value for name, value in plain(call.current).items() if name in model.model_fields}
    return validated(model, merged(settable, found.json))
