"""Every page in a real browser: axe-core finds nothing, at a phone's and a desktop's width, in light and dark."""

import io
import shutil
from collections.abc import Iterator

import pytest
import zxingcpp
from axe_playwright_python.base import AXE_SCRIPT
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from gateway.pages.stylesheets import Sheet
from tests.gateway.pages.looks import LOOKS, SCHEMES, SIZES
from tests.gateway.pages.samples import (
    NOT_PAGES,
    TENANTS,
    URI,
    Sample,
    a_logo,
    a_renderer,
    samples,
)
from tests.gateway.pages.served import assets, served

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
_RENDERER, _SAMPLES = a_renderer(), samples()
_AXE = Axe("null")  # axe-core itself comes with each page: half a megabyte, needed again and again on it


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    """Where the samples are served, with the headers that the renderer gave them."""
    logo = a_logo()
    responses = {
        _address(sample): _RENDERER.response(sample.page, tenant=sample.tenant, form_token="token")
        for sample in _SAMPLES
    }
    for tenant in TENANTS:
        responses |= assets(tenant, Sheet(logo.media_type, logo.image, logo.version))
    with served(responses) as origin:
        yield origin


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, _BROWSERS)), None)
    assert path is not None, f"none of {', '.join(_BROWSERS)} is installed"
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    """One for all tests: a new one each would take most of the time."""
    made = browser.new_page(reduced_motion="reduce")  # axe looks at once, and must not see half of a transition
    made.set_default_timeout(20_000)
    made.add_init_script(AXE_SCRIPT)
    yield made
    made.close()


def _address(sample: Sample) -> str:
    return f"/t/{sample.tenant.slug}/{sample.name}"


def _sample(name: str) -> Sample:
    return next(sample for sample in _SAMPLES if sample.name == name)


def test_every_template_has_its_samples() -> None:
    ours = {name for name in _RENDERER.templates if not name.startswith("account/")}  # those have tests of their own
    assert {sample.page.template for sample in _SAMPLES} == ours - NOT_PAGES


@pytest.mark.soak
@pytest.mark.parametrize("sample", _SAMPLES, ids=[sample.name for sample in _SAMPLES])
def test_axe_finds_no_violation_and_nothing_sticks_out(origin: str, page: Page, sample: Sample) -> None:
    said: list[str] = []

    def note(message: ConsoleMessage) -> None:
        said.append(message.text)  # a style or a picture that the policy blocks is told here

    page.on("console", note)
    try:
        page.goto(f"{origin}{_address(sample)}")
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


@pytest.mark.parametrize(("scheme", "card"), [("light", "rgb(255, 255, 255)"), ("dark", "rgb(25, 29, 36)")])
def test_the_style_sheets_and_the_tenants_colours_and_logo_arrive(
    origin: str, page: Page, scheme: str, card: str
) -> None:
    page.emulate_media(color_scheme="light" if scheme == "light" else "dark")
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(f"{origin}{_address(_sample('login-branded'))}")

    def style(selector: str, name: str) -> str:
        return str(page.locator(selector).evaluate(f"element => getComputedStyle(element).{name}"))

    assert style(".card", "backgroundColor") == card
    assert style(".button-primary", "backgroundColor") == "rgb(255, 212, 0)"
    assert style(".button-primary", "color") == "rgb(0, 0, 0)"
    assert page.locator("img.brand-logo").evaluate("image => image.naturalWidth") == 480


def test_the_browser_runs_and_styles_nothing_that_was_smuggled_in(origin: str, page: Page) -> None:
    page.goto(f"{origin}{_address(_sample('login-plain'))}")
    page.evaluate(
        """() => {
            document.body.insertAdjacentHTML("beforeend", "<p id=p style='color: rgb(1, 2, 3)'>x</p>");
            const script = document.createElement("script");
            script.textContent = "document.title = 'run'";
            document.body.append(script);
        }"""
    )

    assert page.title() == "Log in · Acme"
    assert page.locator("#p").evaluate("element => getComputedStyle(element).color") != "rgb(1, 2, 3)"


def test_the_keyboard_reaches_fields_button_and_links_in_the_order_of_reading(origin: str, page: Page) -> None:
    page.goto(f"{origin}{_address(_sample('login-branded'))}")
    reached = []
    for _ in range(5):
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", reached[-1]
        page.keyboard.press("Tab")

    assert reached == ["username", "password", "Log in", "Forgot your password?", "Create one"]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_camera_reads_the_qr_code_in_either_scheme(
    origin: str, page: Page, scheme: str, size: tuple[int, int]
) -> None:
    page.emulate_media(color_scheme="light" if scheme == "light" else "dark")
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.goto(f"{origin}{_address(_sample('enrol-plain'))}")

    picture = Image.open(io.BytesIO(page.screenshot(full_page=True)))

    assert [code.text for code in zxingcpp.read_barcodes(picture)] == [URI]


def test_the_names_of_others_do_not_move_the_page(origin: str, page: Page) -> None:
    """A name of 200 characters without a space takes no more room than two lines."""
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(f"{origin}{_address(_sample('login-worst'))}")
    box = page.locator(".brand-name").bounding_box()

    assert box is not None
    assert box["height"] < 50
    assert box["x"] + box["width"] <= 360
