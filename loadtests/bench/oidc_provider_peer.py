"""npm's oidc-provider as a token endpoint: what it is started with, and how refresh tokens are had from it."""

import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from keep_alive import Connection, request
from processes import free_port, running
from token_peer import CLIENT, SCOPE, Ledger, Peer
from yett_issuer import AUDIENCE

_FOLDER = Path(__file__).with_name("oidc_provider")
_MODULES = _FOLDER / "node_modules"
_PACKAGES = ("oidc-provider", "@photostructure/sqlite")
_COUNT = "SELECT count(*) FROM events WHERE type = :type"


@dataclass(frozen=True, slots=True)
class Kept:
    """How its state is kept in SQLite. ``shared``: writes of one turn of the event loop are committed together;
    ``events``: an event for each token is committed before the answer.
    """

    shared: bool = True
    events: bool = True


def lacking(node: str) -> str | None:
    """A sentence about what is not here."""
    if shutil.which(node) is None or not _MODULES.is_dir():
        return "Node.js and the packages in loadtests/bench/oidc_provider are needed: make bench-token brings them."
    return None


def versions(node: str) -> Mapping[str, str]:
    """Node.js and the packages, as conditions of a figure."""
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    packages = [f"{name} {_version(name)}" for name in _PACKAGES]
    return {"Node.js": f"{said.removeprefix('v')}, {', '.join(packages)}"}


@contextmanager
def oidc_provider(folder: Path, name: str, kept: Kept | None, *, node: str, cpu: int) -> Iterator[Peer]:
    """One process of this ``node``. Without ``kept`` it has oidc-provider's own store, in memory."""
    port, secret = free_port(), secrets.token_urlsafe(32)
    place = folder / name.replace(" ", "-").replace(",", "")
    place.mkdir()
    database = place / "state.db"
    settings = {
        "port": port,
        "resource": AUDIENCE,
        "scope": SCOPE,
        "account": "holder",
        "client": {"id": CLIENT, "secret": secret},
        "store": None if kept is None else {"file": str(database), **asdict(kept)},
    }
    file = place / "settings.json"
    file.write_text(json.dumps(settings), encoding="utf-8")
    environ = {**os.environ, "NODE_ENV": "production"}
    command = [node, str(_FOLDER / "server.mjs"), str(file)]
    with running(name, command, cpu=cpu, port=port, log=place / "node.log", environ=environ) as process:

        def mint(count: int) -> list[str]:
            asked = request("POST", f"/bench/refresh-tokens?count={count}", {"Host": f"127.0.0.1:{port}"}, "")
            with closing(Connection(port)) as connection:
                answer = connection.exchange(asked)
            tokens: list[str] = json.loads(answer.body)["refresh_tokens"]
            return tokens

        ledger = Ledger(database, _COUNT) if kept is not None and kept.events else None
        yield Peer(process, f"http://127.0.0.1:{port}", AUDIENCE, secret, mint, ledger)


def _version(package: str) -> str:
    return str(json.loads((_MODULES / package / "package.json").read_text(encoding="utf-8"))["version"])
