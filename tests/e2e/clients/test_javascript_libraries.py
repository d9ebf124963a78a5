"""openid-client 6 and oauth4webapi 3 under Node.js: a server, a native application and a device.

The first finds the provider by OpenID Connect Discovery, the second by RFC 8414. Both verify the ID token's signature,
``iss``, ``aud``, ``exp`` and ``nonce``, the answer's ``state`` and ``iss`` (RFC 9207), and that userinfo is of the same
``sub``; a program that gets as far as to say what it found has found nothing wrong.
"""

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.clients import evidence, program
from tests.e2e.clients.callback import Callback
from tests.e2e.clients.person import Person
from tests.e2e.clients.provider import TENANTS, Provider
from tests.e2e.gateway import claims

SHOWN = {
    "code with PKCE": "test_a_server_logs_a_person_in_and_out",
    "refresh": "test_a_server_logs_a_person_in_and_out",
    "userinfo": "test_a_server_logs_a_person_in_and_out",
    "logout": "test_a_server_logs_a_person_in_and_out",
    "PAR": "test_a_request_is_pushed_and_its_answer_posted",
    "signed request": "test_a_request_is_signed",
    "DPoP": "test_tokens_are_bound_to_a_key",
    "device": "test_a_device_is_connected",
    "client credentials": "test_a_service_gets_a_token_for_itself",
    "private_key_jwt": "test_a_service_gets_a_token_for_itself",
    "form_post": "test_a_request_is_pushed_and_its_answer_posted",
    "introspection": "test_a_token_is_looked_into_and_revoked",
    "revocation": "test_a_token_is_looked_into_and_revoked",
}
MISSING: dict[str, str] = {}

Shows = Callable[..., Any]


@pytest.fixture(params=["openid_client", "oauth4webapi"])
def shows(request: pytest.FixtureRequest, provider: Provider, person: Person, callback: Callback) -> Shows:
    """``shows(feature, client_id, tenant)``: what the library found."""

    def run(feature: str, client_id: str, tenant: str = "birch") -> Any:
        brief = {"feature": feature, **provider.registration(client_id, tenant)}
        return program.run(f"{request.param}.mjs", brief, provider.certificate, person, callback)

    return run


def test_a_server_logs_a_person_in_and_out(provider: Provider, shows: Shows) -> None:
    found = shows("code", "server")
    evidence.is_a_login(found, provider, "server")
    if "at_the_api" in found:  # oauth4webapi verifies access tokens, too
        assert found["at_the_api"]["sub"] == found["claims"]["sub"]
    assert found["goodbye"] == f"{provider.app}/goodbye?state=gone"
    assert found["silent"] == "login_required"
    assert found["refresh_after"] == "invalid_grant"
    assert found["userinfo_after"] == "invalid_token"


@pytest.mark.parametrize("shows", ["oauth4webapi"], indirect=True)  # openid-client verifies by its means
@pytest.mark.parametrize("tenant", [name for name, alg in TENANTS.items() if alg != "ES256"])
def test_signatures_of_other_algorithms_are_verified(provider: Provider, shows: Shows, tenant: str) -> None:
    evidence.is_a_login(shows("code", "server", tenant), provider, "server", tenant)


def test_a_request_is_pushed_and_its_answer_posted(provider: Provider, shows: Shows) -> None:
    found = shows("par_and_form_post", "partner")
    assert set(found["sent"]) == {"client_id", "request_uri"}
    assert found["query"] == ""
    evidence.is_a_login(found, provider, "partner")


def test_a_request_is_signed(provider: Provider, shows: Shows) -> None:
    evidence.is_a_login(shows("signed_request", "partner"), provider, "partner")


def test_tokens_are_bound_to_a_key(provider: Provider, shows: Shows) -> None:
    found = shows("dpop", "native")
    evidence.is_a_login(found, provider, "native")
    assert claims(found["tokens"]["access_token"])["cnf"] == claims(found["refreshed"]["access_token"])["cnf"]
    assert found["api"] == 200
    assert found["without_proof"] == "invalid_token"
    assert found["another_key"] == "invalid_dpop_proof"


def test_a_device_is_connected(provider: Provider, shows: Shows) -> None:
    found = shows("device", "native")
    assert found["heading"] == "Your device is connected"
    evidence.is_a_login(found, provider, "native")


@pytest.mark.parametrize(
    ("feature", "client_id"), [("client_credentials", "server"), ("private_key_jwt", "partner")], ids=["secret", "key"]
)
def test_a_service_gets_a_token_for_itself(provider: Provider, shows: Shows, feature: str, client_id: str) -> None:
    evidence.is_a_service_token(shows(feature, client_id)["tokens"], provider, client_id)


def test_a_token_is_looked_into_and_revoked(provider: Provider, shows: Shows) -> None:
    found = shows("introspection", "server")
    assert (found["before"]["active"], found["before"]["iss"]) == (True, provider.issuer())
    assert found["after"] == {"active": False}


def test_what_was_altered_on_the_way_is_refused(shows: Shows) -> None:
    """By the library where it can know, by the issuer where it cannot."""
    assert shows("tampering", "server") == {
        "state": "OAUTH_INVALID_RESPONSE",
        "iss": "OAUTH_INVALID_RESPONSE",
        "code": "invalid_grant",
        "verifier": "invalid_grant",
        "nonce": "OAUTH_JWT_CLAIM_COMPARISON_FAILED",
        "replay": "invalid_grant",
    }
