"""A new user's way from the invitation to a forgotten password, in a real browser and by real letters."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.authenticator import Authenticator
from tests.e2e.conftest import DATABASES, Copy
from tests.e2e.hosted import Hosted, Window, hosted

_FIRST = "seven green lanterns in a row"
_SECOND = "eight blue lanterns in a ring"
_PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}}
_DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}


@pytest.fixture(scope="module", params=DATABASES)
def site(request: pytest.FixtureRequest, copy_of: Copy) -> Iterator[Hosted]:
    """acme wants a second factor of everybody, globex of its administrators."""
    here = copy_of(request.param)
    here.does("tenant", "configure", "acme", "--otp", "required")
    here.does("tenant", "configure", "globex", "--otp-role", "administrator")
    with hosted(here, here.data.parent) as running:
        yield running


def _log_in(window: Window, tenant: str, name: str, password: str) -> None:
    window.go(f"/t/{tenant}/login")
    window.sees("Log in")
    window.fill(username=name, password=password)
    window.press("Log in")


def _accept_invitation(site: Hosted, window: Window, tenant: str, address: str) -> tuple[Authenticator, list[str]]:
    """From the letter to the account, as the pages lead."""
    site.installation.does("user", "invite", "--tenant", tenant, address, "--role", "administrator")
    letter = site.mailbox.take(address, "You are invited")
    window.go(letter.link)
    window.sees("Accept the invitation")
    window.fill(password=_FIRST)
    window.press("Save password")

    window.sees("Set up a second factor")
    app = Authenticator.scan(window.page.screenshot(full_page=True))
    assert (app.totp.issuer or "").lower() == tenant
    assert app.totp.name == address
    assert window.page.get_by_role("link", name="open it on this device").get_attribute("href") == app.uri
    window.go(f"/t/{tenant}/account")  # nobody gets past it
    window.sees("Set up a second factor")
    app = Authenticator.scan(window.page.screenshot(full_page=True))
    window.fill(otp=app.code(), name="My phone")
    window.press("Turn it on")

    window.sees("Your recovery codes")
    codes = window.page.locator(".codes li").all_inner_texts()
    assert len(set(codes)) == 10
    window.press("I have kept them")
    window.sees("Your account")
    window.reads(address)
    window.reads("My phone")
    window.go(letter.link)
    window.sees("This link does not work")
    return app, codes


def _log_out(window: Window, tenant: str) -> None:
    window.go(f"/t/{tenant}/account")
    window.press("Log out")
    window.sees("You are logged out")
    window.go(f"/t/{tenant}/account")
    window.sees("Log in")


@pytest.mark.parametrize("tenant", ["acme", "globex"])
def test_a_new_user_is_invited_enrols_comes_back_and_forgets_the_password(site: Hosted, tenant: str) -> None:
    on_sqlite = site.installation.admin_url is None
    javascript = on_sqlite is (tenant == "acme")  # each tenant once with it, on a desktop, and once without, on a phone
    address = "erin@example.com"
    size = _DESKTOP if javascript else _PHONE
    with site.window(javascript=javascript, **size) as window, site.window(javascript=javascript) as other:
        assert window.runs_scripts() is other.runs_scripts() is javascript
        app, codes = _accept_invitation(site, window, tenant, address)
        assert site.mailbox.take(address, "A second factor was added").link.endswith(f"/t/{tenant}/account")

        _log_out(window, tenant)
        _log_in(window, tenant, address, _FIRST)
        window.sees("Enter your code")
        window.fill(otp=app.code())
        window.press("Continue")
        window.sees("Your account")

        _log_out(window, tenant)
        _log_in(window, tenant, address, _FIRST)
        window.press("Use a recovery code")
        window.fill(recovery_code=codes[0].upper().replace("-", " "))
        window.press("Continue")
        window.sees("Your account")
        window.reads("9 recovery codes left.")

        _log_in(other, tenant, address, _FIRST)
        other.press("Use a recovery code")
        other.fill(recovery_code=codes[0])
        other.press("Continue")
        other.reads("That is none of your recovery codes, or it was used already.")
        other.fill(recovery_code=codes[1])
        other.press("Continue")
        other.sees("Your account")
        assert site.mailbox.take(address, "New login to your account").link.endswith(f"/t/{tenant}/account")

        window.press("Sessions")
        window.sees("Sessions")
        (item,) = window.page.locator(".item", has_not_text="This session").all()
        item.get_by_role("button").click()
        window.page.wait_for_load_state()
        window.sees("Sessions")
        assert window.page.locator(".item").count() == 1
        other.press("Activity")  # that session is over
        other.sees("Log in")

        _forget_password(site, other, tenant, address)
        other.press("Use a recovery code")
        other.fill(recovery_code=codes[2])
        other.press("Continue")
        other.sees("Your account")
        window.press("Overview")  # the new password ended every session
        window.sees("Log in")
        window.fill(username=address, password=_FIRST)
        window.press("Log in")
        window.reads("The user name or the password is wrong.")
    assert site.mailbox.left(address) == []


def _forget_password(site: Hosted, window: Window, tenant: str, address: str) -> None:
    """Up to the second factor, which a new password does not replace."""
    window.press("Forgot your password?")
    window.fill(identifier=address)
    window.press("Send me the link")
    window.sees("Check your mail")
    letter = site.mailbox.take(address, "Choose a new password")
    window.go(letter.link)
    window.sees("Choose a new password")
    window.fill(password=_SECOND)
    window.press("Save password")
    site.mailbox.take(address, "Your password for")
    window.sees("Log in")
    window.fill(username=address, password=_SECOND)
    window.press("Log in")
    window.sees("Enter your code")
    window.go(f"/t/{tenant}/account")
    window.sees("Enter your code")
