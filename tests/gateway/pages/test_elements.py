"""What the elements of every page are: fields with labels, errors tied to them, forms with their token, nothing that
runs."""

import pytest

from gateway.pages.page import Page
from gateway.pages.stylesheets import form_script
from tests.gateway.pages.markup import Element, Markup
from tests.gateway.pages.samples import PLAIN, Sample, a_renderer, samples

RENDERER = a_renderer()
SAMPLES = samples()
LOGIN = {"name": "", "can_sign_up": True, "can_reset": True}
TOKEN = "form-token-of-the-cookie"

every_sample = pytest.mark.parametrize("sample", SAMPLES, ids=[sample.name for sample in SAMPLES])


def rendered(page: Page) -> str:
    return bytes(RENDERER.response(page, tenant=PLAIN).body).decode()


def of(sample: Sample) -> Markup:
    return Markup(bytes(RENDERER.response(sample.page, tenant=sample.tenant, form_token=TOKEN).body).decode())


@every_sample
def test_a_page_has_nothing_that_runs_or_is_styled_in_it(sample: Sample) -> None:
    markup = of(sample)

    assert not list(markup.all("style", "iframe", "object", "embed", "base"))
    scripts = [script.attributes["src"] for script in markup.all("script")]
    assert scripts == (
        [f"/t/{sample.tenant.slug}/assets/form_post.js?v={form_script().version}"] if sample.page.scripted else []
    )
    for element in markup.elements:
        assert not [name for name in element.attributes if name.startswith("on") or name == "style"], element.tag
        for name in ("href", "src", "action"):
            url = element.attributes.get(name)
            assert url is None or url.startswith(("/t/", "#", "otpauth:")) or _is_an_applications(element), url


def _is_an_applications(element: Element) -> bool:
    """A client's own address, as it registered it: its pages that the consent names, and where its answer goes."""
    if element.tag == "a":
        return element.attributes["rel"] == "noreferrer" and (element.attributes["href"] or "").startswith("https://")
    return element.tag == "form" and element.attributes.get("id") == "answer"


@every_sample
def test_every_form_is_a_post_with_the_token_in_it(sample: Sample) -> None:
    markup = of(sample)

    for form in markup.all("form"):
        assert form.attributes["method"] == "post"
        expected = [] if form.attributes.get("id") == "answer" else [TOKEN]  # the client must not learn it
        tokens = [
            element.attributes["value"]
            for element in markup.all("input")
            if element.inside(form) and element.attributes.get("name") == "form_token"
        ]
        assert tokens == expected


@every_sample
def test_a_page_has_one_heading_its_landmarks_a_language_and_no_id_twice(sample: Sample) -> None:
    markup = of(sample)

    assert [element.tag for element in markup.all("h1", "header", "main")] == ["header", "main", "h1"]
    (html,) = markup.all("html")
    assert html.attributes["lang"] == "en"
    ids = [element.attributes["id"] for element in markup.elements if "id" in element.attributes]
    assert len(ids) == len(set(ids))


@every_sample
def test_every_field_has_a_label_and_every_reference_something_to_refer_to(sample: Sample) -> None:
    markup = of(sample)

    labelled = {label.attributes["for"] for label in markup.all("label")}
    for element in markup.all("input"):
        assert element.attributes["type"] == "hidden" or element.attributes["id"] in labelled
    for element in markup.elements:
        for name in ("aria-describedby", "aria-labelledby"):
            for other in (element.attributes.get(name) or "").split():
                assert markup.by_id(other).text.strip()


_WITH_ERROR = [
    sample for sample in SAMPLES if "error" in sample.page.context and sample.page.template != "confirm.html"
]


@pytest.mark.parametrize("sample", _WITH_ERROR, ids=[sample.name for sample in _WITH_ERROR])
def test_an_error_is_announced_and_tied_to_its_field(sample: Sample) -> None:
    markup = of(sample)

    (alert,) = (element for element in markup.elements if element.attributes.get("role") == "alert")
    assert alert.text == sample.page.context["error"]
    wrong = [element for element in markup.all("input") if element.attributes.get("aria-invalid") == "true"]
    assert wrong
    for element in wrong:
        assert alert.attributes["id"] in (element.attributes["aria-describedby"] or "").split()


def test_without_an_error_there_is_no_alert() -> None:
    for sample in SAMPLES:
        if "error" not in sample.page.context:
            assert "aria-invalid" not in rendered(sample.page), sample.name
            assert 'role="alert"' not in rendered(sample.page), sample.name


@pytest.mark.parametrize(
    ("template", "field", "expected"),
    [
        ("login.html", "username", {"type": "text", "autocomplete": "username", "autocapitalize": "none"}),
        ("login.html", "password", {"type": "password", "autocomplete": "current-password"}),
        ("otp.html", "otp", {"type": "text", "autocomplete": "one-time-code", "inputmode": "numeric"}),
        ("otp.html", "trust_device", {"type": "checkbox", "value": "yes"}),
        ("recovery.html", "recovery_code", {"type": "text", "autocomplete": "off"}),
        ("enrol.html", "otp", {"type": "text", "autocomplete": "one-time-code", "inputmode": "numeric"}),
        ("enrol.html", "name", {"type": "text"}),
        ("sign_up.html", "email", {"type": "email", "autocomplete": "email"}),
        ("forgot.html", "identifier", {"type": "text", "autocomplete": "username"}),
        ("new_password.html", "password", {"type": "password", "autocomplete": "new-password", "minlength": "15"}),
    ],
)
def test_a_field_says_what_it_is_for(template: str, field: str, expected: dict[str, str]) -> None:
    sample = next(sample for sample in SAMPLES if sample.page.template == template)

    found = of(sample).named(field).attributes

    assert {name: found.get(name) for name in expected} == expected
    assert "maxlength" not in found or field == "name"  # a browser would cut what is pasted, silently
    assert "required" in found or field in ("trust_device", "name")


def test_a_password_is_never_sent_back() -> None:
    for sample in SAMPLES:
        for element in of(sample).all("input"):
            assert element.attributes["type"] != "password" or "value" not in element.attributes


def test_hidden_fields_come_with_the_form() -> None:
    page = Page("login.html", "Log in", {**LOGIN, "hidden": {"return_to": "/t/acme/account?a=1&b=2"}})

    assert Markup(rendered(page)).named("return_to").attributes["value"] == "/t/acme/account?a=1&b=2"


@pytest.mark.parametrize(("ask_name", "user_name"), [(False, None), (False, "alice"), (True, None), (True, "alice")])
def test_a_name_is_sent_only_where_it_is_asked_for(ask_name: bool, user_name: str | None) -> None:
    context: dict[str, object] = {"heading": "H", "text": None, "user_name": user_name, "ask_name": ask_name}
    context |= {"min_length": 8, "wrong": None}
    markup = Markup(rendered(Page("new_password.html", "T", context)))

    names = [element.attributes.get("name") for element in markup.all("input")]
    assert ("name" in names) is ask_name
    shown = [element.attributes.get("value") for element in markup.all("input")]
    assert ("alice" in shown) is (user_name == "alice")
    assert "None" not in "".join(element.text for element in markup.elements)


@pytest.mark.parametrize("can_reset", [True, False])
@pytest.mark.parametrize("can_sign_up", [True, False])
def test_login_leads_only_to_what_there_is(can_reset: bool, can_sign_up: bool) -> None:
    page = rendered(Page("login.html", "T", {"name": "", "can_sign_up": can_sign_up, "can_reset": can_reset}))

    assert ('href="/t/acme/forgot"' in page) is can_reset
    assert ('href="/t/acme/signup"' in page) is can_sign_up
