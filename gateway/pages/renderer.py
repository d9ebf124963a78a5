"""Makes a response of a page: Jinja2 with autoescape, the tenant's brand, the headers that bound what a page can do.

Templates are package data, all compiled when the process starts: a broken one keeps it from starting. There is no
script on any page but the one that sends an answer on by a form, so Content-Security-Policy (CSP level 3) allows none.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from jinja2 import BaseLoader, ChoiceLoader, Environment, PackageLoader, StrictUndefined, Template
from starlette.responses import HTMLResponse, Response

from gateway import urls
from gateway.pages.page import Page
from gateway.pages.stylesheets import brand_sheet, form_script, icon, page_sheet
from tenants.tenant import Tenant

# What may stand in form-action: an origin, or the scheme of an app's own redirect URI (RFC 8252 section 7.1).
_FORM_TARGET = re.compile(r"https?://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?|[a-z][a-z0-9+-]*\.[a-z0-9.+-]*:")
_IPV6_HOST = re.compile(r"\[[0-9a-f:.]+\]")

_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",  # with no-referrer our own forms would be sent with "Origin: null"
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_ABSENT: Mapping[str, object] = {"error": None, "notice": None, "hidden": {}}


@dataclass(frozen=True, slots=True)
class Brand:
    """What a page shows of its tenant. Addresses are paths that change when what they name does."""

    name: str
    initial: str
    tagline: str | None
    logo: str | None
    icon: str
    page_sheet: str
    brand_sheet: str
    form_script: str


def _compiled(more: BaseLoader | None) -> Mapping[str, Template]:
    environment = Environment(
        loader=ChoiceLoader([loader for loader in (PackageLoader("gateway.pages"), more) if loader]),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        cache_size=-1,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return {name: environment.get_template(name) for name in environment.list_templates()}


@cache
def _templates() -> Mapping[str, Template]:
    """Ours, compiled once in a process: that takes 200 ms."""
    return _compiled(None)


class Renderer:
    """Renders the pages of all tenants. ``more_templates`` may extend ours, and replace none of them."""

    def __init__(self, more_templates: BaseLoader | None = None) -> None:
        self._page_sheet = page_sheet()
        self._icon = icon()
        self._form_script = form_script()
        self.templates = _templates() if more_templates is None else _compiled(more_templates)

    def response(
        self, page: Page, *, tenant: Tenant, form_token: str = "", form_origins: tuple[str, ...] = ()
    ) -> Response:
        """The page in the tenant's look. Its addresses are those below ``tenant.issuer``.

        ``form_token`` goes into every form (see ``forgery``). ``form_origins`` are where a form's answer may redirect
        to beside ourselves: browsers hold ``form-action`` against the whole chain.

        Raises:
            jinja2.UndefinedError: the template asks for what the page does not say.
            ValueError: a form origin that is none.
        """
        base = urls.base(tenant.issuer)
        body = self.templates[page.template].render(
            {
                **_ABSENT,
                **page.context,
                "title": page.title,
                "brand": self._brand(tenant, base),
                "base": base,
                "form_token": form_token,
            }
        )
        response = HTMLResponse(body, page.status)
        policy = _policy(form_origins, scripted=page.scripted)
        for headers in (_HEADERS, {"Content-Security-Policy": policy}, page.headers):
            response.headers.update(headers)
        return response

    def _brand(self, tenant: Tenant, base: str) -> Brand:
        branding, assets = tenant.branding, f"{base}/assets"
        logo = None if branding.logo is None else f"{assets}/logo?v={branding.logo}"
        return Brand(
            name=tenant.name,
            initial=next((sign.upper()[:1] for sign in tenant.name if sign.isalnum()), "•"),
            tagline=branding.tagline_for(tenant.name),
            logo=logo,
            icon=logo or f"{assets}/icon.svg?v={self._icon.version}",
            page_sheet=f"{assets}/yett.css?v={self._page_sheet.version}",
            brand_sheet=f"{assets}/brand.css?v={brand_sheet(branding.accent).version}",
            form_script=f"{assets}/form_post.js?v={self._form_script.version}",
        )


def _policy(form_origins: tuple[str, ...], *, scripted: bool) -> str:
    directives: Mapping[str, str] = {
        "default-src": "'none'",
        **({"script-src": "'self'"} if scripted else {}),
        "style-src": "'self'",
        "img-src": "'self'",
        "form-action": " ".join(("'self'", *map(_form_target, form_origins))),
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{name} {sources}" for name, sources in directives.items())


def _form_target(origin: str) -> str:
    """As a source of CSP. That has no word for an IPv6 address (browsers drop the source, and block the redirect to
    ``http://[::1]:…`` of RFC 8252 section 7.3), so there any host will do that has this scheme and port.
    """
    if _FORM_TARGET.fullmatch(origin) is None:
        raise ValueError("not an origin that a form may lead to")
    return _IPV6_HOST.sub("*", origin)
