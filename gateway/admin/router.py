"""The addresses of the admin API: on the management listener, and below each tenant's own issuer."""

from collections.abc import Iterable

from fastapi import APIRouter
from starlette.routing import Route

from gateway.admin.endpoint import Endpoint, Shared
from gateway.admin.operation import Operation
from gateway.admin.operations import OPERATIONS, READ_OPENAPI

TENANT = "/tenants/{slug}"


def management_router(shared: Shared) -> APIRouter:
    """All operations, below ``/v1``; and the document that describes them."""
    found = [(f"/v1{each.path}", each) for each in OPERATIONS]
    return _router(shared, [*found, (READ_OPENAPI.path, READ_OPENAPI)], public=False)


def tenant_router(shared: Shared) -> APIRouter:
    """Those of one tenant, for its own administrators, below ``{issuer}/admin/v1``."""
    found = [
        (f"/t/{{slug}}/admin/v1{each.path.removeprefix(TENANT) or '/tenant'}", each)
        for each in OPERATIONS
        if each.path.startswith(TENANT) and not each.operators_only
    ]
    return _router(shared, found, public=True)


def _router(shared: Shared, operations: Iterable[tuple[str, Operation]], *, public: bool) -> APIRouter:
    by_path: dict[str, dict[str, Operation]] = {}
    for path, operation in operations:
        by_path.setdefault(path, {})[operation.method] = operation
    router = APIRouter()
    for path, methods in by_path.items():
        endpoint = Endpoint(shared, methods, public)
        router.routes.append(Route(path, endpoint, methods=endpoint.allowed))
    return router
