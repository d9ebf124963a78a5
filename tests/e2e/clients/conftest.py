"""One gateway by TLS for all libraries, one browser, and a person who is not logged in yet for each test."""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, sync_playwright

from tests.e2e.clients.callback import Callback, listening
from tests.e2e.clients.person import Person
from tests.e2e.clients.provider import Provider, provided
from tests.e2e.conftest import Copy
from tests.e2e.hosted import Window

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_ANSWERED = "Failed to load resource: the server responded with a status"
_ICON = "/favicon.ico)"  # the browser asks for it by itself, and may meet an application that is over already
_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="package")
def provider(copy_of: Copy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with provided(copy_of("sqlite"), tmp_path_factory.mktemp("provider")) as running:
        yield running


@pytest.fixture(scope="package")
def browser() -> Iterator[BrowserContext]:
    path = next(filter(None, map(shutil.which, _BROWSERS)), None)
    assert path is not None, f"none of {', '.join(_BROWSERS)} is installed"
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        context = running.new_context(ignore_https_errors=True)
        context.set_default_timeout(20_000)
        yield context
        running.close()


@pytest.fixture
def window(browser: BrowserContext) -> Iterator[Window]:
    """A tab in which nobody is logged in. At the end the browser must not have complained about anything, but that a
    page's own request was answered with an error: what such a page makes of it is for its test to see.
    """
    browser.clear_cookies()
    opened = Window(browser.new_page())
    yield opened
    opened.page.close()
    complaints = [text for text in opened.complaints if not text.startswith(_ANSWERED) and not text.endswith(_ICON)]
    assert not complaints, complaints


@pytest.fixture
def person(provider: Provider, window: Window) -> Person:
    return Person(window, provider.origin)


@pytest.fixture
def callback(provider: Provider) -> Iterator[Callback]:
    """Of an application that has no pages."""
    with listening(provider.app_port) as heard:
        yield heard


@pytest.fixture
def private_authority(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python programs trust the certificate, as on a machine behind a company's own authority."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(provider.certificate))
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
