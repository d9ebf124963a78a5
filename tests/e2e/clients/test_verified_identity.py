"""The APIs of docs/verified-identity.md, as they stand there: each verifies who asks, and is fooled by nobody."""

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest

from tests.e2e.clients.program import FOLDER
from tests.e2e.command import environment
from tests.e2e.conftest import Copy
from tests.e2e.eventually import eventually
from tests.e2e.installation import API, Installation
from tests.e2e.ports import free_port
from tests.e2e.server_process import PASSWORD, ServerProcess

_PAGE = Path(__file__).resolve().parents[3] / "docs" / "verified-identity.md"
_PEOPLE = {"acme": "alice", "globex": "carol"}
_SECTION = re.compile(r"^## (.+?)\n.*?^```[a-z]+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SERVED = """
from wsgiref.simple_server import make_server
make_server("127.0.0.1", {port}, application).serve_forever()
"""


def _program(section: str, folder: Path, port: int, issuer: str) -> Sequence[str | Path]:
    """The command that starts this section's API."""
    code = dict(_SECTION.findall(_PAGE.read_text(encoding="utf-8")))[section]
    code = code.replace("https://auth.example.com/t/acme", issuer).replace("8000", str(port))
    match section:
        case "FastAPI":
            (folder / "orders.py").write_text(code, encoding="utf-8")
            return sys.executable, "-m", "uvicorn", "--app-dir", folder, "--port", str(port), "orders:app"
        case "Express":
            (folder / "orders.mjs").write_text(code, encoding="utf-8")
            (folder / "node_modules").symlink_to(FOLDER / "node_modules")
            return "node", folder / "orders.mjs"
        case _:
            (folder / "orders.py").write_text(code + _SERVED.format(port=port), encoding="utf-8")
            return sys.executable, folder / "orders.py"


@dataclass(frozen=True, slots=True)
class Running:
    """An API, and a gateway in front of it whose routes below /orders vouch for callers."""

    gateway: str
    api: str
    issuers: dict[str, str]

    def token(self, tenant: str) -> str:
        form = {"grant_type": "password", "username": _PEOPLE[tenant], "password": PASSWORD, "client_id": "demo-app"}
        answer = httpx.post(f"{self.issuers[tenant]}/token", data=form, trust_env=False)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def ask(self, token: str) -> httpx.Response:
        headers = {"Host": API, "Authorization": f"Bearer {token}"}
        return httpx.get(f"{self.gateway}/orders/7", headers=headers, trust_env=False)

    def ask_past_the_gateway(self, **headers: str) -> int:
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.get(f"{self.api}/orders/7", headers=headers, trust_env=False).status_code


def _configured(made: Installation, port: int, upstream: int) -> Installation:
    """Its issuers are at this computer's address, and what it passes on below /orders is vouched for."""
    made = replace(made, settings={**made.settings, "YETT_PUBLIC_URL": f"http://localhost:{port}"})
    made.serves(f"http://127.0.0.1:{upstream}")
    text = made.config.read_text(encoding="utf-8")
    vouched = text.replace("  - name: orders-read\n", "  - name: orders-read\n    identity: jwt\n")
    assert vouched != text
    made.config.write_text(vouched, encoding="utf-8")
    for tenant in ("acme", "globex"):
        made.does("tenant", "change-issuer", tenant, "--to", "default", "--overlap", "0s")
    return made


@pytest.fixture(params=["FastAPI", "Express", "Any Python, with PyJWT alone"])
def running(request: pytest.FixtureRequest, copy_of: Copy, tmp_path: Path) -> Iterator[Running]:
    port, management, upstream = free_port(), free_port(), free_port()
    installation = _configured(copy_of("sqlite"), port, upstream)
    issuers = {tenant: f"http://localhost:{port}/t/{tenant}" for tenant in ("acme", "globex")}
    listening = {"YETT_LISTEN": f"127.0.0.1:{port}", "YETT_MANAGEMENT_LISTEN": f"127.0.0.1:{management}"}
    server = ServerProcess(
        *("serve", "--config", installation.config),
        settings={**installation.settings, **listening},
        ports=(port, management),
        folder=installation.data.parent,
    )
    command = _program(request.param, tmp_path, upstream, issuers["acme"])
    nothing = subprocess.DEVNULL
    api = subprocess.Popen(command, env=environment({}), stdin=nothing, stdout=nothing, stderr=nothing)
    try:
        server.wait_until_ready()
        made = Running(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{upstream}", issuers)
        eventually(lambda: _answers(made), within=20, what="the API answers")
        yield made
        server.stop()
    finally:
        api.terminate()
        api.wait(10)
        server.discard()


def _answers(made: Running) -> bool:
    try:
        return made.ask_past_the_gateway() == 401
    except httpx.TransportError:
        return False


def test_an_api_knows_who_asks_and_believes_nobody_else(running: Running) -> None:
    token = running.token("acme")
    answer = running.ask(token)
    assert answer.status_code == 200, answer.text
    assert answer.json().items() >= {"number": 7, "tenant": "acme"}.items()
    assert answer.json()["subject"]
    assert running.ask_past_the_gateway() == 401
    assert running.ask_past_the_gateway(X_Yett_Subject="alice", X_Yett_Tenant="acme") == 401
    assert running.ask_past_the_gateway(X_Yett_Identity="nonsense") == 401
    assert running.ask_past_the_gateway(X_Yett_Identity=token) == 401  # of the right tenant and audience, another kind
    assert running.ask(running.token("globex")).status_code == 401  # an issuer that the API does not list
