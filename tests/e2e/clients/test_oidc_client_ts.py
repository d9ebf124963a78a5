"""oidc-client-ts 3 in a page in Chromium, from another origin than the issuer's: it fetches discovery, tokens and
userinfo by CORS.

The library verifies ``state`` and ``nonce``, that userinfo is of the same ``sub``, and that a refreshed ID token is of
the same ``sub`` and ``auth_time``. It reads ID tokens, which came by TLS from the issuer itself, without a look at
signatures.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.e2e.clients import evidence
from tests.e2e.clients.page_server import serving_page
from tests.e2e.clients.person import Person
from tests.e2e.clients.provider import Provider
from tests.e2e.eventually import eventually
from tests.e2e.gateway import claims

SHOWN = {
    "code with PKCE": "test_a_page_logs_a_person_in_and_out",
    "refresh": "test_a_page_logs_a_person_in_and_out",
    "userinfo": "test_a_page_logs_a_person_in_and_out",
    "logout": "test_a_page_logs_a_person_in_and_out",
    "DPoP": "test_tokens_of_a_page_are_bound_to_a_key",
    "revocation": "test_tokens_of_a_page_are_bound_to_a_key",
}
MISSING = {
    "PAR": "it pushes no request",
    "signed request": "a page has no key of its client's",
    "device": "it is no device",
    "client credentials": "a page keeps no secret",
    "private_key_jwt": "a page has no key of its client's",
    "form_post": "a page reads answers from its address only",
    "introspection": "it does not introspect",
}

_PATIENCE = 20_000  # milliseconds


class Page:
    """The application as its person sees it."""

    def __init__(self, person: Person, address: str) -> None:
        self._person, self._page = person, person.window.page
        self.goes(address, "Nobody")

    def shows(self, heading: str) -> Any:
        """What it shows below this heading."""
        expect(self._page.locator("h1")).to_contain_text(heading, timeout=_PATIENCE)
        return json.loads(self._page.locator("#found").inner_text())

    def goes(self, address: str, heading: str) -> None:
        """An address that leads to this heading."""
        self._page.goto(address)
        self.shows(heading)

    def press(self, button: str, heading: str) -> Any:
        """What comes of a button, whether or not it leads through the issuer's pages."""
        self._person.window.press(button)
        expect(self._page.locator("h1")).not_to_have_text("Wait", timeout=_PATIENCE)
        self._person.follow()
        return self.shows(heading)


@pytest.fixture
def opened(provider: Provider, person: Person) -> Iterator[Callable[..., Page]]:
    """``opened(dpop=False)``: the page, with what its developer registered."""
    with ExitStack() as stack:

        def at(*, dpop: bool) -> Page:
            registration = {**provider.registration("page"), "private_key": None, "dpop": dpop}
            stack.enter_context(serving_page(provider.app_port, registration))
            return Page(person, provider.app)

        yield at


def _found(first: dict[str, Any], refreshed: dict[str, Any]) -> dict[str, Any]:
    """What the library keeps of a user, as evidence. It does not keep the claims that it has verified."""
    told, again = claims(first["id_token"]), claims(refreshed["id_token"])
    return {
        "tokens": first,
        "claims": told,
        "nonce": told["nonce"],
        "refreshed": refreshed,
        "refreshed_claims": again,
    }


def test_a_page_logs_a_person_in_and_out(provider: Provider, opened: Callable[..., Page]) -> None:
    page = opened(dpop=False)
    page.press("Am I logged in?", "Refused: login_required")
    first, refreshed = page.press("Log in here", "Welcome"), page.press("Refresh", "Refreshed")
    userinfo, again = (
        {name: user["profile"][name] for name in ("sub", "name", "preferred_username")} for user in (first, refreshed)
    )
    found = {**_found(first, refreshed), "userinfo": userinfo, "refreshed_userinfo": again}
    evidence.is_a_login(found, provider, "page")
    assert page.press("Log out here", "Goodbye") == "gone"
    page.press("Am I logged in?", "Refused: login_required")


def test_tokens_of_a_page_are_bound_to_a_key(provider: Provider, opened: Callable[..., Page]) -> None:
    page = opened(dpop=True)
    first = page.press("Log in here", "Welcome")
    userinfo = page.press("Who am I?", "You")
    refreshed = page.press("Refresh", "Refreshed")
    found = {**_found(first, refreshed), "userinfo": userinfo, "refreshed_userinfo": page.press("Who am I?", "You")}
    evidence.is_a_login(found, provider, "page")
    assert claims(first["access_token"])["cnf"] == claims(refreshed["access_token"])["cnf"]
    page.press("Revoke", "Revoked")
    eventually(
        lambda: page.press("Who am I?", "You").get("error") == "invalid_token", within=5, what="the token is revoked"
    )


def test_an_answer_to_nothing_that_was_asked_is_refused(provider: Provider, opened: Callable[..., Page]) -> None:
    opened(dpop=False).goes(f"{provider.app}/callback?code=yac_another&state=another", "Refused: No matching state")
