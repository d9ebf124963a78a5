"""yett as a token endpoint: on SQLite, with one client and one user, whose logins give the refresh tokens."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlencode

from accounts import PASSWORD, ROLE, Account, write_import
from hash_rate import stored_hash
from keep_alive import Connection, request
from processes import free_port
from token_peer import CLIENT, SCOPE, Ledger, Peer
from yett_peer import TENANT, Command, yett

AUDIENCE = "https://api.example.com/orders"
_USER = "holder"
_SETTINGS = "limits: {token: 1000000/second}\n"
"""All requests come from one address, and how many of them there may be is not what is measured."""

# The sequencer brings events from the outbox into the log, each in one of the two at any time.
_COUNT = """\
SELECT (SELECT count(*) FROM audit_events WHERE type = :type)
     + (SELECT count(*) FROM audit_outbox WHERE json_extract(CAST(event AS TEXT), '$.type') = :type)
"""
_PENDING = "SELECT count(*) FROM audit_outbox"


@contextmanager
def yett_issuer(folder: Path, *, cpu: int) -> Iterator[Peer]:
    """Installed by its own commands, and served by one process."""
    secrets = []

    def prepare(command: Command, _audience: str) -> None:
        command("role", "create", "--tenant", TENANT, ROLE, SCOPE)
        users = folder / "user.jsonl"
        write_import(users, [Account(_USER, "", stored_hash(PASSWORD))])
        command("user", "import", str(users), "--tenant", TENANT)
        grants = [part for grant in ("client_credentials", "refresh_token", "password") for part in ("--grant", grant)]
        client = ["--auth-method", "client_secret_basic", *grants, "--scope", SCOPE, "--audience", AUDIENCE]
        secrets.append(command("client", "create", CLIENT, "--tenant", TENANT, *client)["secret"])

    # Nothing is proxied here, so nobody is upstream.
    with yett(folder, upstream=free_port(), cpu=cpu, settings=_SETTINGS, prepare=prepare) as gateway:
        running = gateway.running
        issuer = f"http://localhost:{running.port}/t/{TENANT}"

        def mint(count: int) -> list[str]:
            form = {"grant_type": "password", "username": _USER, "password": PASSWORD, "scope": SCOPE}
            asked = request("POST", peer.path, peer.fields(), urlencode(form))
            with closing(Connection(running.port)) as connection:
                return [_refresh_token(connection, asked) for _ in range(count)]

        ledger = Ledger(folder / "yett" / "yett.db", _COUNT, _PENDING)
        peer = Peer(running, issuer, AUDIENCE, secrets[0], mint, ledger)
        yield peer


def _refresh_token(connection: Connection, asked: bytes) -> str:
    answer = connection.exchange(asked)
    if answer.status != 200:
        raise RuntimeError(f"the password grant answered {answer.status}: {answer.body[:200]!r}")
    return str(json.loads(answer.body)["refresh_token"])
