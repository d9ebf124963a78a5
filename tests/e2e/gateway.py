"""``yett serve`` of an installation, and the two clients that talk to it: one to identity, one to the APIs."""

import base64
import json
import time
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.installation import API, IDENTITY, Installation
from tests.e2e.ports import free_port
from tests.e2e.server_process import PASSWORD, ServerProcess


class Gateway(ServerProcess):
    """TLS ends in front of it, as far as its configuration knows: clients say the public names in ``Host``."""

    def __init__(
        self,
        installation: Installation,
        folder: Path,
        *,
        installed: bool = False,
        ports: tuple[int, int] | None = None,
        **settings: str,
    ) -> None:
        ports = ports or (free_port(), free_port())
        super().__init__(
            "serve",
            "--config",
            installation.config,
            settings={
                **installation.settings,
                "YETT_LISTEN": f"127.0.0.1:{ports[0]}",
                "YETT_MANAGEMENT_LISTEN": f"127.0.0.1:{ports[1]}",
                "YETT_LIMITS__TOKEN": "100000/minute",
                **settings,
            },
            ports=ports,
            folder=folder,
            installed=installed,
        )
        self.installation = installation
        self.identity = self._client(IDENTITY)
        self.api = self._client(API)
        self._tokens: dict[tuple[str, str], str] = {}

    def _client(self, host: str) -> httpx.Client:
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}", headers={"Host": host}, trust_env=False, timeout=30
        )

    def ask_token(self, tenant: str = "acme", **form: str) -> httpx.Response:
        """POST this form to the tenant's token endpoint."""
        return self.identity.post(f"/t/{tenant}/token", data=form)

    def login(self, user: str, tenant: str = "acme", **form: str) -> dict[str, Any]:
        """A new login's answer."""
        answer = self.ask_token(tenant, grant_type="password", username=user, password=PASSWORD, **form)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def token(self, user: str, tenant: str = "acme") -> str:
        """An access token of that user's; the same one for the whole run of tests, which is shorter than it lives."""
        key = (user, tenant)
        if key not in self._tokens or claims(self._tokens[key])["exp"] - time.time() < 60:
            self._tokens[key] = self.login(user, tenant)["access_token"]
        return self._tokens[key]

    def call(self, path: str, token: str | None = None, *, method: str = "GET", **more: Any) -> httpx.Response:
        """One request to the API."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return self.api.request(method, path, headers=headers, **more)

    def close(self) -> None:
        """Close the clients."""
        self.identity.close()
        self.api.close()


def claims(token: str) -> dict[str, Any]:
    """What the token says; nothing of it is verified."""
    part = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found
