"""The files that the console's pages load, from their own origin: style sheets, an icon, two scripts."""

import hashlib
from importlib import resources

from starlette.responses import Response

from gateway.errors import NotFound
from gateway.pages.stylesheets import Sheet, brand_sheet, icon, page_sheet

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-cache",
}


def _styles() -> Sheet:
    shared, own = page_sheet().body, resources.files("gateway.console").joinpath("static", "console.css").read_bytes()
    return _sheet("text/css", shared + own)


def _script(package: str, name: str) -> Sheet:
    return _sheet("text/javascript", resources.files(package).joinpath("static", name).read_bytes())


def _sheet(media_type: str, body: bytes) -> Sheet:
    return Sheet(media_type, body, hashlib.sha256(body).hexdigest()[:16])


FILES = {
    "yett.css": _styles(),
    "brand.css": brand_sheet(None),
    "icon.svg": icon(),
    "audit_proof.js": _script("gateway.pages", "audit_proof.js"),
    "audit_page.js": _script("gateway.console", "audit_page.js"),
}


def asset(name: str) -> Response:
    """The file.

    Raises:
        NotFound: there is none of that name.
    """
    found = FILES.get(name)
    if found is None:
        raise NotFound
    return Response(found.body, headers=_HEADERS, media_type=found.media_type)
