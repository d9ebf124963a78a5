"""requests-oauthlib: a native application in Python. It has no OpenID Connect: PyJWT verifies the ID token beside it,
and addresses are taken from the metadata by hand.
"""

import secrets
import ssl
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
import pytest
import requests
from oauthlib.oauth2 import (
    BackendApplicationClient,
    DeviceClient,
    InvalidGrantError,
    MismatchingStateError,
    OAuth2Error,
)
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

from tests.e2e.clients import evidence
from tests.e2e.clients.callback import Callback
from tests.e2e.clients.person import Person
from tests.e2e.clients.provider import Provider
from tests.e2e.installation import AUDIENCE

SHOWN = {
    "code with PKCE": "test_an_application_logs_a_person_in_and_out",
    "refresh": "test_an_application_logs_a_person_in_and_out",
    "userinfo": "test_an_application_logs_a_person_in_and_out",
    "logout": "test_an_application_logs_a_person_in_and_out",
    "device": "test_a_device_is_connected",
    "client credentials": "test_a_service_gets_a_token_for_itself",
}
MISSING = {
    "PAR": "it pushes no request",
    "signed request": "it signs no request",
    "DPoP": "it makes no proof",
    "private_key_jwt": "its clients prove themselves with a secret only",
    "form_post": "it reads answers from an address only",
    "introspection": "it does not introspect",
    "revocation": "it prepares a revocation and sends none",
}

_SCOPES = sorted(evidence.SCOPES)


@pytest.fixture(autouse=True)
def _on_loopback(private_authority: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The application's own address is ``http://127.0.0.1``, which oauthlib takes for a mistake."""
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")


def _metadata(provider: Provider) -> dict[str, Any]:
    address = f"{provider.issuer()}/.well-known/openid-configuration"
    found: dict[str, Any] = requests.get(address, timeout=20).json()
    assert found["issuer"] == provider.issuer()
    return found


def _verified(id_token: str, provider: Provider, metadata: dict[str, Any], client_id: str) -> dict[str, Any]:
    trust = ssl.create_default_context(cafile=str(provider.certificate))
    key = jwt.PyJWKClient(metadata["jwks_uri"], ssl_context=trust).get_signing_key_from_jwt(id_token)
    algorithms = metadata["id_token_signing_alg_values_supported"]
    return jwt.decode(id_token, key, algorithms, audience=client_id, issuer=metadata["issuer"])


def test_an_application_logs_a_person_in_and_out(provider: Provider, person: Person, callback: Callback) -> None:
    metadata, redirect_uri = _metadata(provider), f"{provider.app}/callback"
    with OAuth2Session("native", scope=_SCOPES, redirect_uri=redirect_uri, pkce="S256") as session:

        def answer(**parameters: str) -> str:
            url, _ = session.authorization_url(metadata["authorization_endpoint"], resource=AUDIENCE, **parameters)
            person.go(url)
            return callback.take().url

        def redeem(arrived: str) -> dict[str, Any]:
            return dict(session.fetch_token(metadata["token_endpoint"], authorization_response=arrived))

        def userinfo() -> dict[str, Any]:
            told: dict[str, Any] = session.get(metadata["userinfo_endpoint"]).json()
            return told

        nonce = secrets.token_urlsafe()
        arrived = answer(nonce=nonce)
        assert parse_qs(urlsplit(arrived).query)["iss"] == [metadata["issuer"]]
        with pytest.raises(MismatchingStateError):
            redeem(arrived.replace("state=", "state=x"))
        found: dict[str, Any] = {"nonce": nonce, "tokens": redeem(arrived), "userinfo": userinfo()}
        refresh = dict(session.refresh_token(metadata["token_endpoint"], client_id="native"))
        found |= {"refreshed": refresh, "refreshed_userinfo": userinfo()}
        for name, tokens in (("claims", found["tokens"]), ("refreshed_claims", refresh)):
            found[name] = _verified(tokens["id_token"], provider, metadata, "native")
        evidence.is_a_login(found, provider, "native")

        goodbye = {"id_token_hint": refresh["id_token"], "post_logout_redirect_uri": f"{provider.app}/goodbye"}
        person.go(f"{metadata['end_session_endpoint']}?{urlencode(goodbye)}")
        assert callback.take().url == goodbye["post_logout_redirect_uri"]
        with pytest.raises(OAuth2Error, match="login_required"):
            redeem(answer(prompt="none"))
        with pytest.raises(InvalidGrantError):
            session.refresh_token(metadata["token_endpoint"], refresh["refresh_token"], client_id="native")


def test_a_device_is_connected(provider: Provider, person: Person) -> None:
    metadata, client = _metadata(provider), DeviceClient("native", scope=_SCOPES)
    with OAuth2Session(client=client) as session:
        form = urlsplit(client.prepare_request_uri(metadata["device_authorization_endpoint"], resource=AUDIENCE)).query
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        device = session.post(metadata["device_authorization_endpoint"], data=form, headers=headers).json()
        assert person.go(device["verification_uri_complete"]) == "Your device is connected"
        session.fetch_token(metadata["token_endpoint"], device_code=device["device_code"])
        assert session.get(metadata["userinfo_endpoint"]).json()["sub"]


def test_a_service_gets_a_token_for_itself(provider: Provider) -> None:
    proof = HTTPBasicAuth("server", provider.registration("server")["client_secret"])
    with OAuth2Session(client=BackendApplicationClient("server")) as session:
        tokens = session.fetch_token(
            _metadata(provider)["token_endpoint"], auth=proof, scope="orders:read", resource=AUDIENCE
        )
    evidence.is_a_service_token(tokens, provider, "server")
