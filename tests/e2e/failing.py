"""A gateway on a database that can fail: PostgreSQL on a server of its own, behind a relay, and people at work."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from tests.e2e import installation
from tests.e2e.backup import back_up, empty_database, restore
from tests.e2e.gateway import Gateway
from tests.e2e.installation import Installation
from tests.e2e.ledger import Ledger
from tests.e2e.own_postgresql import OwnPostgresql, Relay

SECONDS = 40
_PEOPLE = ("alice", "bob")


@dataclass
class House:
    """The gateway, its database's server, and what was answered."""

    server: OwnPostgresql
    relay: Relay
    of: Installation
    gateway: Gateway
    token: str = ""
    ledger: Ledger = field(default_factory=Ledger)

    @property
    def database(self) -> str:
        return str(make_url(self.of.admin_url or "").database)

    def sql(self, *statements: str) -> list[tuple[Any, ...]]:
        """As a superuser, in its database."""
        return self.server.sql(*statements, database=self.database)

    @contextmanager
    def busy(self) -> Iterator[Ledger]:
        """People who log in, refresh and revoke until the end of the block, and a machine that gets itself tokens."""
        until = threading.Event()
        secret = self.of.secrets["acme"]
        with ThreadPoolExecutor(3) as pool:
            people = [pool.submit(self.ledger.work, self.gateway, name, until) for name in _PEOPLE]
            people.append(pool.submit(self.ledger.issue, self.gateway, ("demo-service", secret), until))
            try:
                yield self.ledger
            finally:
                until.set()
            for person in people:
                person.result()


@contextmanager
def standing(
    server: OwnPostgresql, original: Installation, folder: Path, upstream: str, **settings: str
) -> Iterator[House]:
    """Its database is a backup of that installation, restored on that server. The gateway ends in order."""
    back_up(original, folder / "backup")
    relay = Relay(server.socket)
    url = empty_database(server.admin_url, "yett")
    made = restore(folder / "backup", original, folder, upstream, database_url=url)
    ours = {"YETT_DATABASE_URL", "YETT_DATABASE_SYSTEM_URL"}
    through = {name: _through(relay, url) if name in ours else url for name, url in made.settings.items()}
    of = installation.replace(made, settings=through)
    said = {"YETT_DATABASE_TIMEOUT": "2s", "YETT_HASHING__HELPERS": "1", **settings}
    gateway = Gateway(of, folder, installed="LD_PRELOAD" in settings, **said)
    try:
        gateway.wait_until_ready()
        found = House(server, relay, of, gateway)
        for name in _PEOPLE:  # from a network that an account does not know, only five may be under way
            found.token = gateway.login(name)["access_token"]
        yield found
        gateway.close()
        gateway.terminate()
        assert gateway.process.wait(SECONDS) == 0, gateway.log
    finally:
        gateway.discard()
        relay.close()


def _through(relay: Relay, url: str) -> str:
    parts = make_url(url).set(host="127.0.0.1", port=relay.port, query={})
    return parts.render_as_string(hide_password=False)
