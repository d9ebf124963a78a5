"""What an API asks for beyond a login, and a page's way to it (RFC 9470), in the demo and in Chromium:

GET /admin/x -> 401 with a challenge -> code flow with acr_values and max_age -> code of an authenticator -> 200
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Request

from tests.e2e.authenticator import Authenticator
from tests.e2e.clients.page_server import serving_page
from tests.e2e.clients.test_oidc_client_ts import Page
from tests.e2e.demo import Demo
from tests.e2e.gateway import claims
from tests.e2e.hosted import Window
from tests.e2e.ports import free_port
from tests.e2e.server_process import PASSWORD

MFA, PASSWORD_ONLY = "urn:yett:acr:mfa", "urn:yett:acr:pwd"
_STEPS = 120  # of half a minute


class Alice:
    """Who knows her password, and is asked for nothing else that is not in the test."""

    def __init__(self, window: Window, identity: str) -> None:
        self.window, self.identity = window, identity

    def follow(self) -> None:
        """The login page, where it is that."""
        page = self.window.page
        if page.url.startswith(self.identity) and page.locator("h1").inner_text() == "Log in":
            self.window.fill(username="alice", password=PASSWORD)
            with page.expect_navigation():
                self.window.press("Log in")


@pytest.fixture
def own_demo(tmp_path: Path) -> Iterator[Demo]:
    """In which alice may get an authenticator."""
    running = Demo(free_port(), free_port(), tmp_path)
    try:
        running.wait_until_ready()
        yield running
        running.stop()
    finally:
        running.discard()


def test_a_page_does_what_the_challenge_of_an_api_asks_for(own_demo: Demo, window: Window) -> None:
    identity, api = f"http://localhost:{own_demo.port}", f"http://127.0.0.1:{own_demo.port}"
    port = free_port()
    app = f"http://127.0.0.1:{port}"
    registration = {
        "issuer": f"{identity}/t/acme",
        "client_id": "demo-app",
        "redirect_uri": f"{app}/callback",
        "resource": api,
        "api": f"{api}/admin/x",
    }
    asked: list[dict[str, list[str]]] = []

    def note(request: Request) -> None:
        if urlsplit(request.url).path == "/t/acme/authorize":
            asked.append(parse_qs(urlsplit(request.url).query))

    authenticator = _on_a_trusted_device(window, f"{identity}/t/acme")
    window.page.on("request", note)
    with serving_page(port, registration, "step_up"):
        page = Page(Alice(window, identity), app)
        first = page.press("Log in here", "Welcome")["tokens"]
        assert (claims(first)["acr"], "acr_values" in asked[-1]) == (PASSWORD_ONLY, False)
        _long_ago(own_demo.data / "yett.db", authenticator)
        old = page.press("Log in here", "Welcome")["tokens"]
        assert claims(old)["auth_time"] < claims(first)["auth_time"] - 900

        with window.page.expect_navigation(url=lambda url: url.startswith(identity)):
            window.press("Call the API")
        assert (asked[-1]["acr_values"], asked[-1]["max_age"]) == ([MFA], ["900"])
        window.sees("Enter your code")
        window.fill(otp=authenticator.code())
        with window.page.expect_navigation():
            window.press("Continue")
        said = page.shows("Welcome")
        challenge = said["asked"]["challenge"]
        assert (said["asked"]["status"], challenge["acr_values"], challenge["max_age"]) == (401, MFA, "900")
        assert claims(said["tokens"])["acr"] == MFA

        answer = page.press("Call the API", "200")
    assert (answer["method"], answer["path"]) == ("GET", "/admin/x")


def _on_a_trusted_device(window: Window, issuer: str) -> Authenticator:
    """Alice gets an authenticator and trusts this browser, so that her password alone logs her in here."""

    def log_in() -> None:
        window.go(f"{issuer}/account")
        window.sees("Log in")
        window.fill(username="alice", password=PASSWORD)
        window.press("Log in")

    def log_out() -> None:
        window.press("Log out")
        window.sees("You are logged out")

    log_in()
    window.sees("Your account")
    window.press("Set up an authenticator")
    window.sees("Set up a second factor")
    authenticator = Authenticator.scan(window.page.screenshot(full_page=True))
    window.fill(otp=authenticator.code())
    window.press("Turn it on")
    window.sees("Your recovery codes")
    window.press("I have kept them")
    log_out()
    log_in()
    window.fill(otp=authenticator.code())
    window.page.get_by_label("Trust this device").check()
    window.press("Continue")
    window.sees("Your account")
    log_out()
    return authenticator


def _long_ago(database: Path, authenticator: Authenticator) -> None:
    """Let every login have been an hour ago, and every code: nobody waits for that."""
    authenticator.last -= _STEPS
    with closing(sqlite3.connect(database)) as connection, connection:
        for rowid, auth_time in connection.execute("SELECT rowid, auth_time FROM sessions").fetchall():
            earlier = datetime.fromisoformat(auth_time) - timedelta(hours=1)
            text = earlier.isoformat(sep=auth_time[10])
            connection.execute("UPDATE sessions SET auth_time = ? WHERE rowid = ?", (text, rowid))
        connection.execute("UPDATE totp_steps SET step = step - ?", (_STEPS,))
