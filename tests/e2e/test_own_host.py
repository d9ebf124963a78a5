"""A tenant with a host of its own, as applications and people meet it: a client library that knows an issuer alone
follows it before, during and after a change; a browser walks through the pages there.
"""

import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import httpx
import jwt
import pytest

from tests.e2e.administering import refused
from tests.e2e.conftest import DATABASES, Copy
from tests.e2e.eventually import eventually
from tests.e2e.hosted import hosted
from tests.e2e.installation import API, AUDIENCE, Installation
from tests.e2e.ports import free_port
from tests.e2e.server_process import PASSWORD, ServerProcess

_HEARD = 5.0  # seconds; a change is to be heard in one, on a machine that has nothing else to do
_LOGIN = "https://login.acme.example"


@pytest.fixture(autouse=True)
def _names_in_localhost_are_this_computer(monkeypatch: pytest.MonkeyPatch) -> None:
    """As RFC 6761 section 6.3 says, and not every resolver does."""
    resolve = socket.getaddrinfo

    def found(host: Any, *args: Any, **kwargs: Any) -> Any:
        here = isinstance(host, str) and host.endswith("localhost")
        return resolve("127.0.0.1" if here else host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", found)


@dataclass(frozen=True)
class Library:
    """A client that was given an issuer and nothing else."""

    issuer: str
    metadata: dict[str, Any]
    keys: jwt.PyJWKClient

    @classmethod
    def following(cls, issuer: str) -> "Library":
        """By discovery, which has to speak of the issuer that was asked (RFC 8414 section 3.3)."""
        answer = httpx.get(f"{issuer}/.well-known/openid-configuration", trust_env=False)
        assert answer.status_code == 200, answer.text
        metadata = answer.json()
        assert metadata["issuer"] == issuer
        addresses = [value for name, value in metadata.items() if name.endswith(("_endpoint", "_uri"))]
        assert all(address.startswith(f"{issuer}/") for address in addresses), addresses
        return cls(issuer, metadata, jwt.PyJWKClient(metadata["jwks_uri"]))

    def token(self, **form: str) -> dict[str, Any]:
        """Tokens that are this issuer's, signed with the keys that it publishes."""
        form = {"client_id": "demo-app", "scope": "orders:read", **form}
        answer = httpx.post(self.metadata["token_endpoint"], data=form, trust_env=False)
        assert answer.status_code == 200, answer.text
        tokens: dict[str, Any] = answer.json()
        self.verify(tokens["access_token"])
        return tokens

    def login(self) -> dict[str, Any]:
        return self.token(grant_type="password", username="alice", password=PASSWORD)

    def refresh(self, tokens: dict[str, Any]) -> dict[str, Any]:
        return self.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])

    def verify(self, token: str) -> None:
        key = self.keys.get_signing_key_from_jwt(token)
        jwt.decode(token, key, algorithms=["ES256"], audience=AUDIENCE, issuer=self.issuer)


@dataclass(frozen=True)
class Here:
    """``yett serve`` on this computer, reached by names in localhost without TLS."""

    installation: Installation
    server: ServerProcess
    shared: str
    own: str

    def status(self, tokens: dict[str, Any]) -> int:
        """Of a call of the API with this token."""
        headers = {"Host": API, "Authorization": f"Bearer {tokens['access_token']}"}
        return httpx.get(f"http://127.0.0.1:{self.server.port}/orders/7", headers=headers, trust_env=False).status_code


def _found(issuer: str) -> int:
    return httpx.get(f"{issuer}/.well-known/openid-configuration", trust_env=False).status_code


@pytest.fixture(params=DATABASES)
def here(request: pytest.FixtureRequest, copy_of: Copy) -> Iterator[Here]:
    """It was moved: its tenants have their issuers at another address, and acme was brought along."""
    made, port, management = copy_of(request.param), free_port(), free_port()
    public_url = f"http://localhost:{port}"
    installation = replace(made, settings={**made.settings, "YETT_PUBLIC_URL": public_url})
    said = installation.does("tenant", "change-issuer", "acme", "--to", "default", "--overlap", "0s")
    assert said["issuer"] == f"{public_url}/t/acme"
    listening = {"YETT_LISTEN": f"127.0.0.1:{port}", "YETT_MANAGEMENT_LISTEN": f"127.0.0.1:{management}"}
    server = ServerProcess(
        *("serve", "--config", installation.config),
        settings={**installation.settings, **listening},
        ports=(port, management),
        folder=installation.data.parent,
    )
    try:
        server.wait_until_ready()
        yield Here(installation, server, f"{public_url}/t/acme", f"http://acme.localhost:{port}")
        server.stop()
    finally:
        server.discard()


def test_a_client_library_follows_an_issuer_through_its_change(here: Here) -> None:
    change = ("tenant", "change-issuer", "acme", "--to", here.own, "--overlap")
    before = Library.following(here.shared)
    old, kept = before.login(), before.login()
    assert here.status(old) == 200
    assert _found(here.own) == 421

    here.installation.does(*change, "1h")
    eventually(lambda: _found(here.own) == 200, within=_HEARD, what="the new issuer is served")
    former, now = Library.following(here.shared), Library.following(here.own)
    before.verify(old["access_token"])  # by the keys that it had fetched
    assert here.status(old) == 200
    at_the_old = former.refresh(old)
    at_the_new = now.refresh(at_the_old)
    new = now.login()
    assert [here.status(tokens) for tokens in (kept, at_the_old, at_the_new, new)] == [200, 200, 200, 200]

    here.installation.does(*change, "0s")
    eventually(lambda: _found(here.shared) == 404, within=_HEARD, what="the former issuer is over")
    assert [here.status(tokens) for tokens in (old, kept, at_the_old)] == [401, 401, 401]
    assert [here.status(tokens) for tokens in (at_the_new, new)] == [200, 200]
    assert here.status(now.refresh(kept)) == 200
    answer = httpx.post(f"{here.shared}/token", data={"grant_type": "password"}, trust_env=False)
    assert answer.status_code == 404

    refused(
        *(here.installation, "tenant", "change-issuer", "platform", "--to", _LOGIN),
        says="has its issuer below public_url",
    )
    here.installation.does("tenant", "change-issuer", "acme", "--to", "default", "--overlap", "0s")
    eventually(lambda: _found(here.shared) == 200, within=_HEARD, what="the tenant is back")
    assert _found(here.own) == 421
    assert [here.status(tokens) for tokens in (at_the_new, old)] == [401, 200]  # what it signed there, it signed


def test_a_person_walks_through_the_pages_of_an_own_host(copy_of: Copy) -> None:
    made = copy_of("sqlite")
    made.does("tenant", "change-issuer", "acme", "--to", _LOGIN, "--overlap", "0s")
    with hosted(made, made.data.parent, _LOGIN.removeprefix("https://")) as site, site.window() as window:
        window.go(f"{_LOGIN}/account")
        window.sees("Log in")
        assert window.page.url.startswith(f"{_LOGIN}/login?")
        window.fill(username="alice", password=PASSWORD)
        window.press("Log in")
        window.sees("Your account")
        assert window.page.url == f"{_LOGIN}/account"
        names = {cookie["name"] for cookie in window.page.context.cookies(_LOGIN)}
        assert names == {"__Host-yett-acme-session", "__Host-yett-acme-device"}
        assert window.page.context.cookies("https://auth.example.com") == []
        window.press("Sessions")
        window.sees("Sessions")
        window.press("Overview")
        window.press("Log out")
        window.sees("You are logged out")
        window.go(f"{_LOGIN}/account")
        window.sees("Log in")
        assert site.programs.get("/t/acme/login").status_code == 404
