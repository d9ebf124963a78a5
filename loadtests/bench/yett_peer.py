"""yett as it is installed: a SQLite installation made by its own commands, one serving process, a real access token."""

import json
import os
import subprocess
import sys
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from processes import Running, free_port, running

TENANT = "bench"
PATH = "/orders/7"
_CLIENT = "loader"
_CONFIG = """\
public_url: http://localhost:{port}
listen: 127.0.0.1:{port}
management_listen: 127.0.0.1:{management}
data_dir: {folder}
api_hosts: ["127.0.0.1:{port}"]
listen_limits: {{connections: {connections}, connections_per_address: 1000000}}
hashing: {{helpers: 1}}
log: {{level: warning}}
access_log: {{file: "{folder}/access.log"}}
upstreams:
  orders: {{targets: ["http://127.0.0.1:{upstream}"], audience: "{audience}", max_connections: 4096}}
routes:
  - name: orders-read
    match: {{path: /orders/**, methods: [GET]}}
    require: {{scopes: ["orders:read"]}}
    upstream: orders
  - name: orders-write
    match: {{path: /orders/**, methods: [POST, PUT, DELETE]}}
    require: {{scopes: ["orders:write"]}}
    upstream: orders
  - {{name: public, match: {{path: /public/**}}, require: anonymous, upstream: orders}}
"""


@dataclass(frozen=True, slots=True)
class Yett:
    """The serving process, and what a client of the tenant needs."""

    running: Running
    secret: str
    data: Path

    def token(self) -> str:
        """A new access token, by the client credentials grant (RFC 6749 section 4.4)."""
        fields = {
            "grant_type": "client_credentials",
            "client_id": _CLIENT,
            "client_secret": self.secret,
            "scope": "orders:read",
        }
        answer = self._call("POST", f"/t/{TENANT}/token", urlencode(fields))
        return str(answer["access_token"])

    def public_key(self, token: str) -> str:
        """The key of the tenant's JWKS that the token names, as PEM."""
        kid = json.loads(_decoded(token.partition(".")[0]))["kid"]
        keys = self._call("GET", f"/t/{TENANT}/jwks")["keys"]
        key = next(key for key in keys if key["kid"] == kid)
        x, y = (int.from_bytes(_decoded(key[name])) for name in ("x", "y"))
        public = EllipticCurvePublicNumbers(x, y, SECP256R1()).public_key()
        return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")

    def _call(self, method: str, path: str, form: str | None = None) -> dict[str, Any]:
        connection = HTTPConnection("127.0.0.1", self.running.port, timeout=10)
        try:
            headers = {"Host": f"localhost:{self.running.port}"}
            if form is not None:
                headers["Content-Type"] = "application/x-www-form-urlencoded"
            connection.request(method, path, form, headers)
            response = connection.getresponse()
            answer: dict[str, Any] = json.load(response)
        finally:
            connection.close()
        if response.status != 200:
            raise RuntimeError(f"{method} {path} answered {response.status}: {answer}")
        return answer


Command = Callable[..., dict[str, Any]]
"""Runs ``yett`` with arguments on an installation, and gives what it says as JSON. Raises RuntimeError."""


Prepare = Callable[[Command, str], None]
"""What is done with the tenant there and nobody served yet. The text is the audience of the route's API."""


def _nothing_more(_command: Command, _audience: str) -> None:
    return None


@contextmanager
def yett(
    folder: Path,
    *,
    upstream: int,
    cpu: int,
    settings: str = "",
    routes: str = "",
    connections: int | str = "auto",
    prepare: Prepare = _nothing_more,
) -> Iterator[Yett]:
    """Install, migrate, create a tenant with a client, and serve.

    ``settings`` is YAML beside what is configured anyhow, ``routes`` are lines of it behind the routes there;
    ``connections`` is how many it takes.
    """
    port, management = free_port(), free_port()
    data = folder / "yett"
    audience = f"http://127.0.0.1:{port}"
    command = partial(_command, data)
    command("init")
    config = _CONFIG.format(
        port=port, management=management, folder=data, upstream=upstream, audience=audience, connections=connections
    )
    (data / "yett.yaml").write_text(config + routes + settings, encoding="utf-8")
    command("migrate")
    command("tenant", "create", TENANT, "--alg", "ES256")
    client = [
        "--confidential",
        "--auth-method",
        "client_secret_post",
        "--grant",
        "client_credentials",
        "--scope",
        "orders:read",
        "--audience",
        audience,
    ]
    made = command("client", "create", _CLIENT, "--tenant", TENANT, *client)
    prepare(command, audience)
    with running(
        "yett",
        [executable(), "serve", "--data", str(data)],
        cpu=cpu,
        port=port,
        log=folder / "yett.log",
        ready=(management, "/readyz"),
        environ=environ(),
    ) as process:
        yield Yett(process, made["secret"], data)


def _command(data: Path, *arguments: str) -> dict[str, Any]:
    called = [executable(), *arguments, "--data", str(data), "--json"]
    done = subprocess.run(called, env=environ(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"yett {' '.join(arguments)} failed: {done.stderr.strip()}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def executable() -> str:
    """The installed program."""
    return str(Path(sys.executable).with_name("yett"))


def environ() -> dict[str, str]:
    """Ours, without settings for another installation."""
    return {name: value for name, value in os.environ.items() if not name.startswith("YETT_")}


def _decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
