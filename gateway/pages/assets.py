"""Serves what a page loads: ``{base}/assets/yett.css``, ``icon.svg``, ``form_post.js``, and the tenant's own
``brand.css`` and ``logo``.

An address with today's version is kept for good by browsers, any other is asked for again each time (RFC 9111, 9110
section 8.8.3). Nothing that is opened by itself can run anything: each file has its own media type, and a policy of
``default-src 'none'``.
"""

from collections.abc import Callable

import structlog
from fastapi import APIRouter, Request, Response

from gateway.errors import NotFound, TooManyRequests, Unavailable
from gateway.limits import AddressLimit
from gateway.middleware import context_of
from gateway.pages.stylesheets import Sheet, brand_sheet, form_script, icon, page_sheet
from tenants.database import DATABASE_ERRORS
from tenants.snapshot import TenantFacts
from tenants.store import Store

_log = structlog.get_logger("yett.pages")
_READ = ["GET", "HEAD"]
_FOR_GOOD = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
}


def assets_router(tenant_of: Callable[[str, Request], TenantFacts], store: Store, limit: AddressLimit) -> APIRouter:
    """The routes below ``/t/{slug}/assets``. ``tenant_of`` refuses a slug that is nobody's; ``limit`` guards what has
    to ask the database.
    """
    router = APIRouter(prefix="/t/{slug}/assets")
    sheet_of_all, icon_of_all, script_of_all = page_sheet(), icon(), form_script()

    @router.api_route("/yett.css", methods=_READ)
    async def yett_css(slug: str, request: Request) -> Response:
        tenant_of(slug, request)
        return _answer(request, sheet_of_all)

    @router.api_route("/icon.svg", methods=_READ)
    async def icon_svg(slug: str, request: Request) -> Response:
        tenant_of(slug, request)
        return _answer(request, icon_of_all)

    @router.api_route("/form_post.js", methods=_READ)
    async def form_post_js(slug: str, request: Request) -> Response:
        tenant_of(slug, request)
        return _answer(request, script_of_all)

    async def admit(request: Request) -> None:
        seconds = limit.refused_for(context_of(request.scope).address)
        if seconds is not None:
            raise TooManyRequests(reason="address_limit", retry_after=seconds)

    @router.api_route("/brand.css", methods=_READ)
    async def brand_css(slug: str, request: Request) -> Response:
        facts = tenant_of(slug, request)
        await admit(request)
        try:
            async with store.for_tenant(facts.id, read_only=True) as mine:
                tenant = await mine.settings.get()
        except DATABASE_ERRORS as error:
            raise _unavailable(error) from error
        if tenant is None:  # deleted a moment ago
            raise NotFound
        return _answer(request, brand_sheet(tenant.branding.accent))

    @router.api_route("/logo", methods=_READ)
    async def logo(slug: str, request: Request) -> Response:
        facts = tenant_of(slug, request)
        await admit(request)
        try:
            async with store.for_tenant(facts.id, read_only=True) as mine:
                found = await mine.logos.get()
        except DATABASE_ERRORS as error:
            raise _unavailable(error) from error
        if found is None:
            raise NotFound
        return _answer(request, Sheet(found.media_type, found.image, found.version))

    return router


def _unavailable(error: Exception) -> Unavailable:
    _log.warning("database_unavailable", error=type(error).__name__)
    return Unavailable(reason="database_unavailable", retry_after=1)


def _answer(request: Request, file: Sheet) -> Response:
    asked_for = request.query_params.get("v")
    etag = f'"{file.version}"'
    headers = {**_HEADERS, "ETag": etag, "Cache-Control": _FOR_GOOD if asked_for == file.version else _ASK_AGAIN}
    if _holds(request.headers.getlist("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    return Response(file.body, headers=headers, media_type=file.media_type)


def _holds(if_none_match: list[str], etag: str) -> bool:
    """RFC 9110 section 13.1.2, by weak comparison."""
    held = [tag.strip().removeprefix("W/") for header in if_none_match for tag in header.split(",")]
    return etag in held or "*" in held
