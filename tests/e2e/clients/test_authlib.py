"""Authlib: a Flask application that logs people in, and its ``OAuth2Session`` for what needs no pages.

The application verifies the ID token (signature, ``iss``, ``aud``, ``exp``, ``nonce``, ``at_hash``) before it says
welcome, and renews an access token that is over by itself.
"""

from typing import Any

import pytest
import requests
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT, private_key_jwt_sign
from joserfc.errors import InvalidClaimError
from werkzeug.serving import make_server

from tests.e2e.clients import evidence
from tests.e2e.clients.authlib_app import SCOPE, Desk, application
from tests.e2e.clients.loopback import serving
from tests.e2e.clients.person import Person
from tests.e2e.clients.provider import TENANTS, Provider
from tests.e2e.eventually import eventually
from tests.e2e.installation import AUDIENCE

SHOWN = {
    "code with PKCE": "test_a_flask_application_logs_a_person_in_and_out",
    "refresh": "test_a_flask_application_logs_a_person_in_and_out",
    "userinfo": "test_a_flask_application_logs_a_person_in_and_out",
    "logout": "test_a_flask_application_logs_a_person_in_and_out",
    "device": "test_a_device_is_connected",
    "client credentials": "test_a_service_gets_a_token_for_itself",
    "private_key_jwt": "test_a_service_proves_itself_with_a_key",
    "form_post": "test_the_answer_is_posted",
    "introspection": "test_a_token_is_looked_into_and_revoked",
    "revocation": "test_a_token_is_looked_into_and_revoked",
}
MISSING = {
    "PAR": "Authlib's clients push no request",
    "signed request": "Authlib's clients sign no request",
    "DPoP": "Authlib's clients make no proof",
}

pytestmark = pytest.mark.usefixtures("private_authority")
_DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
_SERVICE = {"scope": "orders:read", "resource": AUDIENCE}


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated via RFC 9864")  # what joserfc says of one tenant's keys
@pytest.mark.parametrize("tenant", TENANTS)
def test_a_flask_application_logs_a_person_in_and_out(provider: Provider, person: Person, tenant: str) -> None:
    desk = Desk()
    app, oauth = application(provider.registration("server", tenant), desk)
    with serving(make_server("127.0.0.1", provider.app_port, app, threaded=True)):
        assert person.go(f"{provider.app}/login") == "Welcome"
        assert person.go(f"{provider.app}/profile") == "Profile"
        first = desk.token
        desk.token = {**first, "expires_at": 1}
        assert person.go(f"{provider.app}/profile") == "Profile"
        (renewed,) = desk.renewed
        found = {
            "tokens": first,
            "claims": desk.claims,
            "nonce": desk.claims["nonce"],
            "userinfo": desk.userinfo[0],
            "refreshed": renewed,
            "refreshed_claims": oauth.yett.parse_id_token(renewed, nonce=None),
            "refreshed_userinfo": desk.userinfo[1],
        }
        evidence.is_a_login(found, provider, "server", tenant)
        with pytest.raises(InvalidClaimError, match="nonce"):
            oauth.yett.parse_id_token(first, nonce="another")

        assert person.go(f"{provider.app}/logout") == "Goodbye"
        assert person.go(f"{provider.app}/silent") == "Refused: login_required"
        desk.token = {**renewed, "expires_at": 1}
        assert person.go(f"{provider.app}/profile") == "Refused: invalid_grant"


def test_the_answer_is_posted(provider: Provider, person: Person) -> None:
    desk = Desk()
    app, _ = application(provider.registration("server"), desk, response_mode="form_post")
    with serving(make_server("127.0.0.1", provider.app_port, app, threaded=True)):
        assert person.go(f"{provider.app}/login") == "Welcome"
    assert person.window.page.url == f"{provider.app}/callback"
    assert desk.claims["iss"] == provider.issuer()


def _metadata(provider: Provider) -> dict[str, str]:
    """Authlib's sessions look nothing up by themselves."""
    found: dict[str, str] = requests.get(f"{provider.issuer()}/.well-known/openid-configuration", timeout=20).json()
    assert found["issuer"] == provider.issuer()
    return found


def test_a_device_is_connected(provider: Provider, person: Person) -> None:
    metadata = _metadata(provider)
    with OAuth2Session("native", scope=SCOPE, token_endpoint=metadata["token_endpoint"]) as session:
        form = {"client_id": "native", "scope": SCOPE, "resource": AUDIENCE}
        device = session.post(metadata["device_authorization_endpoint"], data=form, withhold_token=True).json()
        assert person.go(device["verification_uri_complete"]) == "Your device is connected"
        token = session.fetch_token(grant_type=_DEVICE_CODE, device_code=device["device_code"])
        userinfo = session.get(metadata["userinfo_endpoint"]).json()
        assert userinfo["sub"]
        assert session.refresh_token()["refresh_token"] != token["refresh_token"]
        assert session.get(metadata["userinfo_endpoint"]).json() == userinfo


def test_a_service_gets_a_token_for_itself(provider: Provider) -> None:
    secret = provider.registration("server")["client_secret"]
    with OAuth2Session("server", secret, token_endpoint=_metadata(provider)["token_endpoint"]) as session:
        evidence.is_a_service_token(session.fetch_token(**_SERVICE), provider, "server")


class ShortLived(PrivateKeyJWT):
    """Assertions for the issuer that live for a minute. Authlib's own live for an hour and are for the token endpoint;
    with ``claims`` that say otherwise, all have the first one's ``jti``.
    """

    def sign(self, auth: Any, token_endpoint: str) -> str:
        key = auth.client_secret
        header = {"kid": key.kid}
        return str(private_key_jwt_sign(key, auth.client_id, token_endpoint, "ES256", header=header, expires_in=60))


def test_a_service_proves_itself_with_a_key(provider: Provider) -> None:
    metadata = _metadata(provider)
    with OAuth2Session(
        "partner", provider.key, "private_key_jwt", token_endpoint=metadata["token_endpoint"]
    ) as session:
        session.register_client_auth_method(ShortLived(metadata["issuer"]))
        tokens = [session.fetch_token(**_SERVICE) for _ in range(2)]
    for token in tokens:
        evidence.is_a_service_token(token, provider, "partner")


def test_a_token_is_looked_into_and_revoked(provider: Provider) -> None:
    metadata, secret = _metadata(provider), provider.registration("server")["client_secret"]
    with OAuth2Session("server", secret, token_endpoint=metadata["token_endpoint"]) as session:
        token = session.fetch_token(**_SERVICE)["access_token"]

        def introspected() -> dict[str, Any]:
            told: dict[str, Any] = session.introspect_token(metadata["introspection_endpoint"], token).json()
            return told

        assert (introspected()["active"], introspected()["client_id"]) == (True, "server")
        assert session.revoke_token(metadata["revocation_endpoint"], token).status_code == 200
        eventually(lambda: introspected() == {"active": False}, within=5, what="the token is revoked")
