"""The addresses of the console. A page is a module, and a line here."""

from fastapi import APIRouter
from starlette.routing import Route

from gateway.console import audit_page, clients_page, keys_page, overview_page, tenants_page, users_page
from gateway.console.rendering import check_templates
from gateway.console.site import ADMIN, CONSOLE, Callback, Console, Endpoint, File, SignOut
from gateway.console.visit import Page

PAGES: tuple[Page, ...] = (
    *overview_page.PAGES,
    *tenants_page.PAGES,
    *users_page.PAGES,
    *clients_page.PAGES,
    *keys_page.PAGES,
    *audit_page.PAGES,
)


def console_router(console: Console) -> APIRouter:
    """On the management listener below ``/console``, on the public one below each tenant's ``{issuer}/admin``."""
    check_templates()
    root = CONSOLE if console.operators else ADMIN
    below_tenant = f"{root}/tenants/{{slug}}" if console.operators else root
    router = APIRouter()
    for page in PAGES:
        if page.operators and not console.operators:
            continue
        path, endpoint = (below_tenant if page.of_tenant else root) + page.path, Endpoint(console, page)
        router.routes.append(Route(path, endpoint, methods=endpoint.allowed))
    router.routes.append(Route(f"{root}/callback", Callback(console), methods=["GET"]))
    router.routes.append(Route(f"{root}/sign-out", SignOut(console), methods=["POST"]))
    router.routes.append(Route(f"{root}/assets/{{name}}", File(console), methods=["GET"]))
    return router
