"""Every account page in a real browser: axe-core finds nothing, at a phone's and a desktop's width, light and dark."""

import shutil
from collections.abc import Iterator

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import ConsoleMessage, Page, sync_playwright

from gateway.pages.renderer import Renderer
from gateway.pages.stylesheets import Sheet
from tests.gateway.account.samples import samples
from tests.gateway.pages.looks import LOOKS
from tests.gateway.pages.samples import HOSTILE, TENANTS, Sample, a_logo
from tests.gateway.pages.served import assets, served

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
_PARTS = {"account/frame.html", "account/lines.html"}
_RENDERER, _SAMPLES = Renderer(), samples()
_AXE = Axe("null")  # axe-core itself comes with each page


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    """Where the samples are served, with the headers that the renderer gave them."""
    logo = a_logo()
    responses = {
        f"/t/{sample.tenant.slug}/{sample.name}": _RENDERER.response(
            sample.page, tenant=sample.tenant, form_token="token"
        )
        for sample in _SAMPLES
    }
    for tenant in TENANTS:
        responses |= assets(tenant, Sheet(logo.media_type, logo.image, logo.version))
    with served(responses) as origin:
        yield origin


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """One for all tests: a new one each would take most of the time."""
    path = next(filter(None, map(shutil.which, _BROWSERS)), None)
    assert path is not None, f"none of {', '.join(_BROWSERS)} is installed"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        made = browser.new_page(reduced_motion="reduce")  # axe must not see half of a transition
        made.set_default_timeout(20_000)
        made.add_init_script(AXE_SCRIPT)
        yield made
        browser.close()


def test_every_template_has_its_samples() -> None:
    ours = {name for name in _RENDERER.templates if name.startswith("account/")}
    assert {sample.page.template for sample in _SAMPLES} == ours - _PARTS


@pytest.mark.soak
@pytest.mark.parametrize("sample", _SAMPLES, ids=[sample.name for sample in _SAMPLES])
def test_axe_finds_no_violation_and_nothing_sticks_out(origin: str, page: Page, sample: Sample) -> None:
    said: list[str] = []

    def note(message: ConsoleMessage) -> None:
        said.append(message.text)  # a style or a picture that the policy blocks is told here

    page.on("console", note)
    try:
        page.goto(f"{origin}/t/{sample.tenant.slug}/{sample.name}")
        for look in LOOKS:
            width, height = look.size
            page.set_viewport_size({"width": width, "height": height})
            page.emulate_media(color_scheme=look.scheme)
            found = _AXE.run(page)
            assert found.violations_count == 0, f"{look}: {found.generate_report()}"
            assert page.evaluate("document.documentElement.scrollWidth") == width
    finally:
        page.remove_listener("console", note)
    assert said == []


@pytest.mark.parametrize(
    "sample", [sample for sample in _SAMPLES if sample.name.endswith("worst")], ids=lambda one: one.name
)
def test_what_people_and_browsers_say_is_text(sample: Sample) -> None:
    body = bytes(_RENDERER.response(sample.page, tenant=sample.tenant, form_token="token").body).decode()
    assert HOSTILE not in body
    assert "<script" not in body
    assert "<img src=x" not in body
