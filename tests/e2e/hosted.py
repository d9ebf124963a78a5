"""The hosted pages as people meet them: a gateway that sends real letters, TLS in front of it, and a browser."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.e2e.gateway import Gateway
from tests.e2e.installation import IDENTITY, Installation
from tests.e2e.mailbox import Mailbox
from tests.e2e.tls_front import TlsFront

SENDER = "Example <auth@example.com>"
_PATIENCE = 20_000  # milliseconds
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@dataclass(frozen=True, slots=True)
class Hosted:
    """``installation`` has the settings that commands need so that letters go out. ``programs`` call the issuers
    beside the browser.
    """

    installation: Installation
    mailbox: Mailbox
    browser: Browser
    programs: httpx.Client

    @contextmanager
    def window(self, *, javascript: bool = True, axe: bool = False, **context: Any) -> Iterator["Window"]:
        """A browser that has not been here before. At the end it must not have complained about anything.

        ``axe``: axe-core comes with every page.
        """
        opened = self.browser.new_context(
            ignore_https_errors=True,
            java_script_enabled=javascript,
            reduced_motion="reduce",  # axe must not see half of a transition
            **context,
        )
        opened.set_default_timeout(_PATIENCE)
        if axe:
            opened.add_init_script(AXE_SCRIPT)
        window = Window(opened.new_page())
        yield window
        opened.close()
        assert not window.complaints, window.complaints


class Window:
    """A page, and what people do with it: they go by what is written on it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self._asked = ""
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _note(self, message: ConsoleMessage) -> None:
        """What the policy blocks is told here. That a page itself was answered with an error status is none of it."""
        about_page = message.location["url"] == self.page.url or message.location["url"] == self._asked
        if not (about_page and message.text.startswith("Failed to load resource: the server responded with a status")):
            self.complaints.append(f"{message.text} ({message.location['url']})")

    def runs_scripts(self) -> bool:
        """Whether a page's own script would run here."""
        self.page.goto("data:text/html,<title>no</title><script>document.title = 'yes'</script>")
        return self.page.title() == "yes"

    def go(self, address: str) -> None:
        """Open an address, or a path."""
        self._asked = address if "://" in address else f"https://{IDENTITY}{address}"
        self.page.goto(self._asked)

    @property
    def path(self) -> str:
        return self.page.url.removeprefix(f"https://{IDENTITY}").partition("?")[0]

    def sees(self, heading: str) -> None:
        """The page has this as its heading."""
        expect(self.page.locator("h1")).to_have_text(heading, timeout=_PATIENCE)

    def reads(self, text: str) -> None:
        """It says this somewhere."""
        expect(self.page.locator("main")).to_contain_text(text, timeout=_PATIENCE)

    def fill(self, **fields: str) -> None:
        """Fields by their name."""
        for name, value in fields.items():
            self.page.locator(f"input[name={name}]").fill(value)

    def press(self, text: str) -> None:
        """A button, or a link that may look like one."""
        either = self.page.get_by_role("button", name=text, exact=True)
        either.or_(self.page.get_by_role("link", name=text, exact=True)).click()


@contextmanager
def hosted(installation: Installation, folder: Path, *own_hosts: str) -> Iterator[Hosted]:
    """Everything, until the end of the block; then the gateway has to have ended in order. The browser finds
    ``own_hosts`` where identity is.
    """
    path = next(filter(None, map(shutil.which, _BROWSERS)), None)
    assert path is not None, f"none of {', '.join(_BROWSERS)} is installed"
    with Mailbox() as mailbox:
        mail = {
            "YETT_MAIL__SMTP_HOST": "127.0.0.1",
            "YETT_MAIL__SMTP_PORT": str(mailbox.port),
            "YETT_MAIL__SECURITY": "none",
            "YETT_MAIL__SENDER": SENDER,
        }
        posting = replace(installation, settings={**installation.settings, **mail})
        gateway = Gateway(posting, folder, YETT_LIMITS__PAGES="100000/minute")
        try:
            gateway.wait_until_ready()
            with TlsFront(gateway.port, folder) as front, sync_playwright() as playwright:
                mapped = ",".join(f"MAP {host} 127.0.0.1:{front.port}" for host in (IDENTITY, *own_hosts))
                rules = f"--host-resolver-rules={mapped}"
                browser = playwright.chromium.launch(executable_path=path, args=[*_ARGUMENTS, rules])
                yield Hosted(posting, mailbox, browser, gateway.identity)
                browser.close()
            gateway.close()
            gateway.stop()
        finally:
            gateway.close()
            gateway.discard()
