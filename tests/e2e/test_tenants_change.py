"""What an operator changes from the command line, in a process of its own, holds on a running gateway within a second.

Measured on the wire from the command's end on. A token that the gateway remembers is no exception: it was accepted a
moment before.
"""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.e2e.eventually import eventually
from tests.e2e.gateway import Gateway, claims
from tests.e2e.server_process import PASSWORD

pytestmark = pytest.mark.alone

WITHIN = 1.0


class Watch:
    """Asks over and over in a thread, and remembers when the answer was first what is waited for."""

    def __init__(self, ask: Callable[[], httpx.Response], status: int) -> None:
        self._ask, self._status = ask, status
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.seen_at: float | None = None
        self.last: httpx.Response | None = None
        self.statuses: list[int] = []

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        while not self._over.wait(0.02):
            self.last = self._ask()
            self.statuses.append(self.last.status_code)
            if self.last.status_code == self._status:
                self.seen_at = self.seen_at or time.monotonic()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()


@contextmanager
def changes_to(status: int, ask: Callable[[], httpx.Response]) -> Iterator[Watch]:
    """Within a second of the end of the ``with``, the answer is this one, and it stays so."""
    assert ask().status_code == 200
    watch = Watch(ask, status)
    watch.start()
    try:
        yield watch
        done = time.monotonic()
        eventually(lambda: watch.seen_at, within=WITHIN + 5, what=f"{status}, not {watch.statuses[-1:]}")
    finally:
        watch.stop()
    assert watch.seen_at is not None
    assert watch.seen_at - done <= WITHIN
    assert ask().status_code == status
    assert set(watch.statuses) == {200, status}


def _until_the_second_after(token: str) -> None:
    eventually(lambda: time.time() >= claims(token)["iat"] + 1, within=2, what="time passes")


def _form(user: str) -> dict[str, str]:
    return {"grant_type": "password", "username": user, "password": PASSWORD}


def test_a_disabled_user_is_out(own_gateway: Gateway) -> None:
    token = own_gateway.login("bob")
    with changes_to(401, lambda: own_gateway.call("/orders/1", token["access_token"])):
        own_gateway.installation.does("user", "disable", "--tenant", "acme", "bob")
    refused = own_gateway.call("/orders/1", token["access_token"])
    assert 'error="invalid_token"' in refused.headers["www-authenticate"]
    login = own_gateway.ask_token(**_form("bob"))
    assert (login.status_code, login.json()["error"]) == (400, "invalid_grant")
    refresh = own_gateway.ask_token(
        grant_type="refresh_token", refresh_token=token["refresh_token"], client_id="demo-app"
    )
    assert (refresh.status_code, refresh.json()["error"]) == (400, "invalid_grant")
    _until_the_second_after(token["access_token"])  # times in tokens are whole seconds
    own_gateway.installation.does("user", "enable", "--tenant", "acme", "bob")
    again = own_gateway.login("bob")["access_token"]
    eventually(lambda: own_gateway.call("/orders/1", again).status_code == 200, within=WITHIN, what="bob is back")
    assert own_gateway.call("/orders/1", token["access_token"]).status_code == 401


def test_a_disabled_client_is_out(own_gateway: Gateway) -> None:
    form = {"grant_type": "client_credentials"}
    service = ("demo-service", own_gateway.installation.secrets["acme"])

    def ask() -> httpx.Response:
        return own_gateway.identity.post("/t/acme/token", data=form, auth=service)

    token = ask().json()["access_token"]
    with changes_to(401, ask), changes_to(401, lambda: own_gateway.api.get("/orders/1", headers=_bearer(token))):
        own_gateway.installation.does("client", "disable", "--tenant", "acme", "demo-service")
    assert ask().json()["error"] == "invalid_client"


def test_a_suspended_tenant_is_out_and_the_others_are_not(own_gateway: Gateway) -> None:
    carol, alice = own_gateway.login("carol", "globex"), own_gateway.login("alice")

    def ask() -> httpx.Response:
        return own_gateway.identity.get("/t/globex/jwks")

    with changes_to(404, ask), changes_to(401, lambda: own_gateway.call("/orders/1", carol["access_token"])):
        own_gateway.installation.does("tenant", "disable", "globex")
    assert own_gateway.ask_token("globex", **_form("carol")).status_code == 404
    assert own_gateway.identity.get("/t/globex/.well-known/openid-configuration").status_code == 404
    assert own_gateway.call("/orders/1", alice["access_token"]).status_code == 200
    _until_the_second_after(carol["access_token"])
    own_gateway.installation.does("tenant", "enable", "globex")
    eventually(lambda: ask().status_code == 200, within=WITHIN, what="globex is back")
    again = own_gateway.login("carol", "globex")["access_token"]
    eventually(lambda: own_gateway.call("/orders/1", again).status_code == 200, within=WITHIN, what="carol is back")


def _kid(token: str) -> str:
    head: dict[str, str] = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))
    return head["kid"]


def _published(gateway: Gateway) -> set[str]:
    return {key["kid"] for key in gateway.identity.get("/t/acme/jwks").json()["keys"]}


def test_a_rotation_fails_no_request_and_a_revoked_key_fails_all_of_its_own(own_gateway: Gateway) -> None:
    before = own_gateway.login("alice")
    old = _kid(before["access_token"])
    assert old in _published(own_gateway)
    own_gateway.installation.does("key", "rotate", "--tenant", "acme", "--now")

    def signed_by_another() -> str | None:
        token: str = own_gateway.login("alice")["access_token"]
        return None if _kid(token) == old else token

    after = eventually(signed_by_another, within=WITHIN, what="the next key signs")
    assert after is not None
    assert _kid(after) in _published(own_gateway)
    assert own_gateway.call("/orders/1", after).status_code == 200
    assert own_gateway.call("/orders/1", before["access_token"]).status_code == 200

    with changes_to(401, lambda: own_gateway.call("/orders/1", before["access_token"])):
        own_gateway.installation.does("key", "revoke", "--tenant", "acme", old)
    eventually(lambda: old not in _published(own_gateway), within=WITHIN, what="the key is published no more")
    assert own_gateway.call("/orders/1", after).status_code == 200
    refreshed = own_gateway.ask_token(
        grant_type="refresh_token", refresh_token=before["refresh_token"], client_id="demo-app"
    )
    assert refreshed.status_code == 200  # the key was revoked, not the session


def test_a_revoked_signing_key_is_replaced_at_once(own_gateway: Gateway) -> None:
    before = own_gateway.login("alice")["access_token"]
    with changes_to(401, lambda: own_gateway.call("/orders/1", before)):
        own_gateway.installation.does("key", "revoke", "--tenant", "acme", _kid(before))
    after = own_gateway.login("alice")["access_token"]
    assert _kid(after) != _kid(before)
    eventually(
        lambda: own_gateway.call("/orders/1", after).status_code == 200, within=WITHIN, what="the new key is known"
    )


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _with_claims(token: str, **changed: str) -> str:
    """The token with other claims and its old signature."""
    head, _, signature = token.split(".")
    body = json.dumps({**claims(token), **changed}).encode()
    return f"{head}.{base64.urlsafe_b64encode(body).rstrip(b'=').decode()}.{signature}"


def test_a_token_of_one_tenant_is_no_token_of_another(gateway: Gateway) -> None:
    carols, alices = gateway.token("carol", "globex"), gateway.token("alice")
    acme, globex = claims(alices)["iss"], claims(carols)["iss"]
    assert (acme, globex) == ("https://auth.example.com/t/acme", "https://auth.example.com/t/globex")
    seen = dict(gateway.call("/orders/1", carols).json()["headers"])
    assert (seen["x-yett-tenant"], seen["x-yett-subject"]) == ("globex", claims(carols)["sub"])
    head, body, signature = alices.split(".")
    carols_head, carols_body, carols_signature = carols.split(".")
    forged = [
        _with_claims(carols, iss=acme),
        _with_claims(alices, iss=globex),
        _with_claims(alices, iss="https://auth.example.com/t/nobody"),
        _with_claims(alices, scope="orders:read orders:write admin"),
        f"{head}.{body}.{carols_signature}",
        f"{carols_head}.{body}.{signature}",
        f"{head}.{carols_body}.{signature}",
        f"{head}.{body}.",
        f"{head}.{body}",
    ]
    for token in forged:
        refused = gateway.call("/orders/1", token)
        assert refused.status_code == 401, token
        assert 'error="invalid_token"' in refused.headers["www-authenticate"]
    assert gateway.call("/orders/1", alices).status_code == 200


def test_another_tenants_user_client_and_refresh_token_are_unknown(gateway: Gateway) -> None:
    for user in ("carol", "nobody"):
        answer = gateway.ask_token("acme", **_form(user))
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    carols = gateway.login("carol", "globex")
    refresh = {"grant_type": "refresh_token", "refresh_token": carols["refresh_token"], "client_id": "demo-app"}
    assert gateway.ask_token("acme", **refresh).json()["error"] == "invalid_grant"
    assert gateway.ask_token("globex", **refresh).status_code == 200
    service = ("demo-service", gateway.installation.secrets["acme"])
    form = {"grant_type": "client_credentials"}
    assert gateway.identity.post("/t/acme/token", data=form, auth=service).status_code == 200
    elsewhere = gateway.identity.post("/t/globex/token", data=form, auth=service)
    assert (elsewhere.status_code, elsewhere.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("slug", ["ACME", "acme%20", "%61cme", "nobody", "acme."])
def test_a_slug_is_never_folded(gateway: Gateway, slug: str) -> None:
    assert gateway.identity.get(f"/t/{slug}/jwks").status_code in (400, 404)
    assert gateway.ask_token(slug, **_form("alice")).status_code in (400, 404)
