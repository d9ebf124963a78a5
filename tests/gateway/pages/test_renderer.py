"""What every page is sent with, and what can never be in one."""

import gc
import re

import pytest
from jinja2 import DictLoader, UndefinedError
from markupsafe import escape

from gateway.pages.page import Page
from gateway.pages.renderer import Renderer
from tenants.branding import Branding
from tests.gateway.pages.markup import Markup
from tests.gateway.pages.samples import (
    BRANDED,
    HOSTILE,
    PLAIN,
    a_logo,
    a_renderer,
    a_tenant,
)

RENDERER = a_renderer()
LOGIN = Page("login.html", "Log in", {"name": "", "can_sign_up": True, "can_reset": True})


def rendered(page: Page = LOGIN, tenant=PLAIN, **options) -> str:
    return bytes(RENDERER.response(page, tenant=tenant, **options).body).decode()


def test_the_headers_are_exactly_these() -> None:
    response = RENDERER.response(LOGIN, tenant=PLAIN)

    assert response.status_code == 200
    assert dict(response.headers) == {
        "content-type": "text/html; charset=utf-8",
        "content-length": str(len(response.body)),
        "cache-control": "no-store",
        "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'",
        "referrer-policy": "same-origin",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "cross-origin-opener-policy": "same-origin",
        "permissions-policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    }


def test_a_page_has_its_status_and_its_own_headers_in_place_of_the_usual() -> None:
    page = Page("login.html", "Log in", LOGIN.context, 429, {"Retry-After": "7", "cache-control": "private"})

    response = RENDERER.response(page, tenant=PLAIN)

    assert response.status_code == 429
    assert response.headers["retry-after"] == "7"
    assert response.headers.getlist("cache-control") == ["private"]


@pytest.mark.parametrize(
    ("origins", "form_action"),
    [
        (("https://app.acme.test",), "'self' https://app.acme.test"),
        (("http://127.0.0.1:9000",), "'self' http://127.0.0.1:9000"),
        (("http://[::1]:9000",), "'self' http://*:9000"),  # CSP cannot name an IPv6 address
        (("com.example.app:",), "'self' com.example.app:"),
        (("https://a.test", "https://b.test:8443"), "'self' https://a.test https://b.test:8443"),
    ],
)
def test_a_form_may_lead_to_the_origins_of_its_transaction(origins: tuple[str, ...], form_action: str) -> None:
    policy = RENDERER.response(LOGIN, tenant=PLAIN, form_origins=origins).headers["content-security-policy"]

    assert f"; form-action {form_action}; " in policy


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "https:",
        "javascript:",
        "data:",
        "'unsafe-inline'",
        "https://*",
        "https://a.test/path",
        "https://a.test; script-src *",
        "https://a.test, default-src *",
        "https://a.test\r\nSet-Cookie: a=b",
        "https://a.test https://b.test",
        "https://A.test",
        "https://",
        "",
    ],
)
def test_what_is_no_origin_gets_into_no_policy(origin: str) -> None:
    with pytest.raises(ValueError, match="origin"):
        RENDERER.response(LOGIN, tenant=PLAIN, form_origins=(origin,))


def test_the_title_is_the_pages_then_the_tenants_name() -> None:
    (title,) = Markup(rendered(tenant=a_tenant(name="A & B"))).all("title")

    assert title.text == "Log in · A & B"


def test_a_page_that_says_too_little_is_a_bug_and_not_a_blank() -> None:
    with pytest.raises(UndefinedError, match="can_reset"):
        rendered(Page("login.html", "Log in", {"name": "", "can_sign_up": True}))


def test_a_page_leaves_nothing_for_the_garbage_collector() -> None:
    rendered()
    gc.collect()
    gc.disable()  # what it finds is to be counted here
    try:
        rendered()

        assert gc.collect() == 0
    finally:
        gc.enable()


def test_a_form_without_a_token_is_a_bug() -> None:
    more = DictLoader({"new.html": '{% import "macros.html" as ui %}{% call ui.form(token) %}{% endcall %}'})

    with pytest.raises(UndefinedError, match="token"):
        Renderer(more).response(Page("new.html", "New"), tenant=PLAIN)


def test_a_template_that_is_not_there_is_a_bug() -> None:
    with pytest.raises(KeyError):
        rendered(Page("../../settings.html", "Log in"))


def test_more_templates_replace_none_of_ours() -> None:
    more = DictLoader({"login.html": "theirs", "new.html": "{{ brand.name }} {{ error }} {{ word }}"})
    renderer = Renderer(more)

    assert b"<!doctype html>" in renderer.response(LOGIN, tenant=PLAIN).body
    page = Page("new.html", "T", {"word": "<b>"})
    assert renderer.response(page, tenant=PLAIN).body == b"Acme None &lt;b&gt;"


@pytest.mark.parametrize("field", ["tenant", "tagline", "name", "error", "notice", "hidden name", "hidden value"])
def test_what_people_type_stays_text(field: str) -> None:
    tenant, context = PLAIN, dict(LOGIN.context)
    match field:
        case "tenant":
            tenant = a_tenant(name=HOSTILE)
        case "tagline":
            tenant = a_tenant(name=HOSTILE, branding=Branding(tagline=f"{HOSTILE} {{tenant}}"))
        case "hidden name":
            context["hidden"] = {HOSTILE: "1"}
        case "hidden value":
            context["hidden"] = {"return_to": HOSTILE}
        case _:
            context[field] = HOSTILE

    page = rendered(Page("login.html", HOSTILE, context), tenant)

    assert "<script" not in page
    assert "onerror=alert(1)>" not in page
    assert not list(Markup(page).all("script", "img"))
    assert page.count(str(escape(HOSTILE))) >= 2  # in the title, and where it was put


def test_a_tenants_text_is_no_template() -> None:
    name = "{{ 7 * 7 }}{% raw %}{tenant}"
    page = rendered(tenant=a_tenant(name=name, branding=Branding(tagline="By {tenant}")))

    (tagline,) = (element for element in Markup(page).elements if element.attributes.get("class") == "brand-tagline")
    assert tagline.text == f"By {name}"


def test_a_brand_is_the_tenants_name_initial_icon_and_colours() -> None:
    markup = Markup(rendered(tenant=a_tenant(slug="acme", name="<Ørsted>")))

    (mark,) = (element for element in markup.elements if element.attributes.get("class") == "brand-mark")
    assert mark.text == "Ø"
    sources = [element.attributes["href"] or "" for element in markup.all("link")]
    assert [re.sub(r"[0-9a-f]{16}$", "VERSION", source) for source in sources] == [
        "/t/acme/assets/icon.svg?v=VERSION",
        "/t/acme/assets/yett.css?v=VERSION",
        "/t/acme/assets/brand.css?v=VERSION",
    ]


def test_a_logo_stands_in_for_the_initial_and_is_the_icon() -> None:
    markup = Markup(rendered(tenant=BRANDED))

    address = f"/t/globex/assets/logo?v={a_logo().version}"
    (image,) = markup.all("img")
    assert (image.attributes["src"], image.attributes["alt"]) == (address, "")
    assert next(markup.all("link")).attributes["href"] == address
    assert not [element for element in markup.elements if element.attributes.get("class") == "brand-mark"]


def test_another_accent_is_another_address() -> None:
    one, other = (rendered(tenant=a_tenant(branding=Branding(accent=accent))) for accent in ("#ffd400", "#ffd401"))

    assert one != other


def test_a_name_without_a_letter_has_a_mark_all_the_same() -> None:
    assert '<span class="brand-mark" aria-hidden="true">•</span>' in rendered(tenant=a_tenant(name="!?"))
