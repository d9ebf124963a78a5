"""Somebody at a browser, who logs in, allows what applications ask for, and lets the pages lead on from there."""

from tests.e2e.clients.provider import USER
from tests.e2e.hosted import Window
from tests.e2e.server_process import PASSWORD

_MOST_PAGES = 10


class Person:
    """``identity`` is the origin of the pages that they know what to do with."""

    def __init__(self, window: Window, identity: str) -> None:
        self.window, self._identity = window, identity

    def go(self, url: str) -> str:
        """Open this, and go through the pages for as long as they ask for something; returns the last one's heading."""
        self.window.go(url)
        return self.follow()

    def follow(self) -> str:
        """The same from the page that is open."""
        page = self.window.page
        for _ in range(_MOST_PAGES):
            at_the_issuer = page.url.startswith(self._identity)  # a page that posts itself may go before it is read
            heading = page.locator("h1").inner_text()
            match heading.split() if at_the_issuer else []:
                case ["Log", "in"]:
                    self.window.fill(username=USER, password=PASSWORD)
                    button = "Log in"
                case ["Connect", "a", "device"]:
                    button = "Continue"
                case ["Allow" | "Connect", *_]:
                    button = "Allow"
                case ["Back", *_]:  # the page posts itself
                    page.wait_for_url(lambda url: not url.startswith(self._identity))
                    continue
                case _:
                    return heading
            with page.expect_navigation():
                self.window.press(button)
        raise AssertionError(f"the pages lead nowhere: {page.url}")
