"""A gateway at a real ``https`` address, with the clients that other people's libraries are given.

Nothing here knows an endpoint: a library gets an issuer and what its client registered, and finds the rest.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from joserfc.jwk import ECKey

from tests.e2e.installation import AUDIENCE, Installation
from tests.e2e.ports import free_port
from tests.e2e.server_process import PASSWORD, ServerProcess
from tests.e2e.tls_front import TlsFront

TENANTS = {"birch": "ES256", "cedar": "EdDSA", "maple": "RS256"}
"""And what their keys sign with."""
USER = "alice"
_SCOPES = [part for scope in ("openid", "profile", "orders:read") for part in ("--scope", scope)]
_PEOPLE = (*_SCOPES, "--grant", "authorization_code", "--grant", "refresh_token", "--audience", AUDIENCE)
_SERVICE = ("--grant", "client_credentials")
_CLIENTS: Mapping[str, tuple[str, ...]] = {
    "native": (*_PEOPLE, "--grant", "device_code", "--redirect-uri", "http://127.0.0.1/callback"),
    "server": (*_PEOPLE, *_SERVICE, "--confidential", "--redirect-uri", "http://127.0.0.1/callback"),
    "partner": (
        *(*_PEOPLE, *_SERVICE, "--auth-method", "private_key_jwt", "--jwks", "-", "--require-par"),
        *("--redirect-uri", "http://127.0.0.1/callback"),
    ),
    "page": (*_PEOPLE, "--redirect-uri", "http://127.0.0.1/callback", "--origin", "http://127.0.0.1:*"),
}
"""As their developers register them in birch; the other tenants have the server only. None is the tenant's own: people
are asked for their consent.
"""


@dataclass(frozen=True, slots=True)
class Provider:
    """``origin`` is where the issuers are, by TLS; ``api`` an API behind the same gateway. ``app_port`` is kept free
    for the application under test, which may have people sent to its ``/goodbye``.
    """

    origin: str
    api: str
    certificate: Path
    app_port: int
    secrets: Mapping[str, str]
    key: ECKey

    def issuer(self, tenant: str = "birch") -> str:
        return f"{self.origin}/t/{tenant}"

    @property
    def app(self) -> str:
        """The address of the application under test."""
        return f"http://127.0.0.1:{self.app_port}"

    def registration(self, client_id: str, tenant: str = "birch") -> dict[str, Any]:
        """What a developer copies into a program's configuration."""
        return {
            "issuer": self.issuer(tenant),
            "client_id": client_id,
            "client_secret": self.secrets.get(f"{tenant} {client_id}"),
            "private_key": self.key.as_dict(private=True),
            "redirect_uri": f"{self.app}/callback",
            "post_logout_redirect_uri": f"{self.app}/goodbye",
            "resource": AUDIENCE,
            "api": self.api,
        }


@contextmanager
def provided(copy: Installation, folder: Path) -> Iterator[Provider]:
    """The provider, until the end of the block; then the gateway has to have ended in order."""
    ports = free_port(), free_port()
    with TlsFront(ports[0], folder) as front:
        origin = f"https://localhost:{front.port}"
        settings = {**copy.settings, "YETT_PUBLIC_URL": origin, "YETT_API_HOSTS": "127.0.0.1"}
        here = replace(copy, settings=settings)
        key = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)
        app_port = free_port()
        secrets = _register(here, key, f"http://127.0.0.1:{app_port}/goodbye")
        server = ServerProcess(
            *("serve", "--config", here.config),
            settings={
                **settings,
                "YETT_LISTEN": f"127.0.0.1:{ports[0]}",
                "YETT_MANAGEMENT_LISTEN": f"127.0.0.1:{ports[1]}",
                "YETT_LIMITS__TOKEN": "100000/minute",
                "YETT_LIMITS__PAGES": "100000/minute",
            },
            ports=ports,
            folder=folder,
        )
        try:
            server.wait_until_ready()
            api = f"http://127.0.0.1:{ports[0]}/orders/7"
            yield Provider(origin, api, folder / "certificate.pem", app_port, secrets, key)
            server.stop()
        finally:
            server.discard()


def _register(here: Installation, key: ECKey, goodbye: str) -> dict[str, str]:
    """Through the command line; returns the secrets that it shows once. An issuer is fixed when its tenant is made, so
    these tenants are new.
    """
    secrets = {}
    jwks = json.dumps({"keys": [key.as_dict(private=False)]})
    for tenant, alg in TENANTS.items():
        here.does("tenant", "create", tenant, "--alg", alg)
        here.does("role", "create", "--tenant", tenant, "reader", "orders:read")
        here.does(
            *("user", "create", "--tenant", tenant, USER, "--role", "reader", "--password-stdin"), stdin=PASSWORD + "\n"
        )
        for client_id in _CLIENTS if tenant == "birch" else ("server",):
            said = here.does(
                *("client", "create", "--tenant", tenant, client_id, *_CLIENTS[client_id]),
                *("--post-logout-redirect-uri", goodbye),
                stdin=jwks,
            )
            if said.get("secret"):
                secrets[f"{tenant} {client_id}"] = said["secret"]
    return secrets
