"""Makes a response of a page of the console: Jinja2 with autoescape, the look of the hosted pages, and a policy that
allows files of this very origin alone (Content-Security-Policy level 3).
"""

from collections.abc import Mapping
from functools import cache

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, Template
from starlette.responses import HTMLResponse, Response

from gateway.console.assets import FILES
from gateway.console.place import Place
from gateway.console.visit import Show

_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",  # with no-referrer our own forms would be sent with "Origin: null"
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_ABSENT: Mapping[str, object] = {"error": None, "notice": None}


@cache
def _templates() -> Mapping[str, Template]:
    """Compiled once in a process."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("gateway.console"), PackageLoader("gateway.pages")]),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    own = PackageLoader("gateway.console").list_templates()
    return {name: environment.get_template(name) for name in own}


def check_templates() -> None:
    """A broken one keeps the process from starting."""
    _templates()


def rendered(page: Show, place: Place, *, slug: str | None, form_token: str = "") -> Response:
    """``slug`` is the tenant whose pages are looked at; None where there is nowhere to go from here."""
    body = _templates()[page.template].render(
        {
            **_ABSENT,
            **page.context,
            "title": page.title,
            "brand": _brand(place),
            "base": place.base,
            "here": "" if slug is None else place.of_tenant(slug),
            "nav": () if slug is None else _nav(place, slug),
            "script": None if page.script is None else _address(place, page.script),
            "form_token": form_token,
        }
    )
    return HTMLResponse(body, page.status, {**_HEADERS, "Content-Security-Policy": _POLICY})


def _nav(place: Place, slug: str) -> tuple[tuple[str, str], ...]:
    here = place.of_tenant(slug)
    operators = ((f"{place.base}/tenants", "Tenants"), (here, slug)) if place.operators else ()
    below = (("users", "Users"), ("clients", "Clients"), ("keys", "Signing keys"), ("audit", "Audit log"))
    return ((place.base, "Overview"), *operators, *((f"{here}/{path}", text) for path, text in below))


def _brand(place: Place) -> Mapping[str, object]:
    return {
        "name": "Yett console",
        "initial": "Y",
        "tagline": None,
        "logo": None,
        "icon": _address(place, "icon.svg"),
        "page_sheet": _address(place, "yett.css"),
        "brand_sheet": _address(place, "brand.css"),
    }


def _address(place: Place, name: str) -> str:
    """A script imports another by its plain name, so scripts have no version in theirs."""
    version = "" if name.endswith(".js") else f"?v={FILES[name].version}"
    return f"{place.base}/assets/{name}{version}"
