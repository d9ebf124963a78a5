"""A site behind the gateway that knows nothing of logins, in a real browser by TLS: page, form, other sites, the end of
the session at the issuer, logout.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.e2e.conftest import DATABASES, Copy
from tests.e2e.eventually import eventually
from tests.e2e.gateway import Gateway
from tests.e2e.hosted import Window
from tests.e2e.installation import API, AUDIENCE, IDENTITY
from tests.e2e.nginx_front import nginx_with_tls
from tests.e2e.recording_upstream import RecordingUpstream
from tests.e2e.server_process import PASSWORD

PAGE = f"https://{API}/app/x?y=1"
SIBLING = "open.example.com"
ACCOUNT = f"https://{IDENTITY}/t/acme/account"
COOKIE = "__Host-yett-acme-app"
_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_MORE = """\
  - name: app
    match: {path: /app/**}
    tenants: [acme]
    require: {scopes: ["orders:read"]}
    session: cookie
    upstream: orders
browser_sessions: {client: site}
"""
_POST = "fetch('/app/x', {method: 'POST', body: 'x'}).then(answer => answer.status)"
_FORM = """
document.body.innerHTML =
  '<form method="post" action="https://api.example.com/app/x"><button>Win a prize</button></form>'
"""


@dataclass(frozen=True)
class Site:
    gateway: Gateway
    browser: Browser

    @contextmanager
    def window(self) -> Iterator[Window]:
        """A browser that has not been here before."""
        context = self.browser.new_context(ignore_https_errors=True)
        context.set_default_timeout(20_000)
        yield Window(context.new_page())
        context.close()


@pytest.fixture(params=DATABASES)
def site(request: pytest.FixtureRequest, copy_of: Copy, tmp_path: Path) -> Iterator[Site]:
    made = copy_of(request.param)
    with made.config.open("a", encoding="utf-8") as config:
        config.write(_MORE)
    made.does(
        *("client", "create", "--tenant", "acme", "site", "--grant", "authorization_code", "--first-party"),
        *("--scope", "openid", "--scope", "orders:read", "--audience", AUDIENCE),
        *("--redirect-uri", f"https://{API}/.yett/callback"),
    )
    gateway = Gateway(replace(made), tmp_path, YETT_TRUSTED_PROXIES="127.0.0.1", YETT_LIMITS__PAGES="100000/minute")
    path = next(filter(None, map(shutil.which, _BROWSERS)), None)
    assert path is not None
    try:
        gateway.wait_until_ready()
        with nginx_with_tls(tmp_path, yett=gateway.port) as port, sync_playwright() as playwright:
            mapped = ",".join(f"MAP {host} 127.0.0.1:{port}" for host in (IDENTITY, API, SIBLING))
            browser = playwright.chromium.launch(
                executable_path=path, args=[*_ARGUMENTS, f"--host-resolver-rules={mapped}"]
            )
            yield Site(gateway, browser)
            browser.close()
        gateway.close()
        gateway.stop()
    finally:
        gateway.close()
        gateway.discard()


def _log_in(window: Window) -> None:
    window.sees("Log in")
    window.fill(username="alice", password=PASSWORD)
    window.press("Log in")


def _is_shown(window: Window) -> None:
    window.page.wait_for_url(PAGE)
    assert '"target": "/app/x?y=1"' in window.page.content()


def test_a_person_logs_in_works_is_thrown_out_and_leaves(site: Site, upstream: RecordingUpstream) -> None:
    upstream.clear()
    with site.window() as window:
        window.go(PAGE)
        assert window.page.url.startswith(f"https://{IDENTITY}/t/acme/")
        _log_in(window)
        _is_shown(window)
        (cookie,) = [one for one in window.page.context.cookies(f"https://{API}") if one["name"] == COOKIE]
        assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"], cookie["expires"]) == (True, True, "Lax", -1)
        assert window.page.evaluate("document.cookie") == ""
        assert window.page.evaluate(_POST) == 200

        before = len(upstream.requests)
        window.go(f"https://{SIBLING}/")
        window.page.evaluate(_FORM)
        window.press("Win a prize")
        window.page.wait_for_url(f"https://{API}/app/x")
        assert "request_forged" in window.page.content()
        assert len(upstream.requests) == before
        assert all(not seen.values("cookie") for seen in upstream.requests)

        window.go(PAGE)
        _is_shown(window)
        _end_the_other_session(site)
        eventually(lambda: window.page.evaluate(_POST) == 401, within=5, what="the session is over here")
        window.go(PAGE)
        assert window.page.url.startswith(f"https://{IDENTITY}/t/acme/")
        _log_in(window)
        _is_shown(window)

        window.go(f"https://{API}/.yett/logout")
        window.sees("Log out?")
        window.press("Log out")
        window.sees("You are logged out")
        assert COOKIE not in {one["name"] for one in window.page.context.cookies(f"https://{API}")}
        window.go(ACCOUNT)
        window.sees("Log in")
        window.go(PAGE)
        window.sees("Log in")


def _end_the_other_session(site: Site) -> None:
    """By alice herself, in another browser, on her account's page."""
    with site.window() as other:
        other.go(ACCOUNT)
        _log_in(other)
        other.sees("Your account")
        other.press("Sessions")
        other.sees("Sessions")
        (item,) = other.page.locator(".item", has_not_text="This session").all()
        item.get_by_role("button").click()
        other.page.wait_for_load_state()
        other.sees("Sessions")
        assert other.page.locator(".item").count() == 1
