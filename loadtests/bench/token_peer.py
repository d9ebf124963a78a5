"""A token endpoint that is measured: how a client asks it, and how many events of tokens it has committed."""

import sqlite3
from base64 import b64encode
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from urllib.parse import urlencode, urlsplit

from keep_alive import request
from processes import Running

CLIENT = "service"
SCOPE = "orders:read"
CLIENT_CREDENTIALS, REFRESH_TOKEN = "client_credentials", "refresh_token"
GRANTS = (CLIENT_CREDENTIALS, REFRESH_TOKEN)
FORMS = {
    CLIENT_CREDENTIALS: urlencode({"grant_type": CLIENT_CREDENTIALS, "scope": SCOPE}),
    REFRESH_TOKEN: urlencode({"grant_type": REFRESH_TOKEN}),
}
"""What is asked, but for the refresh token."""

_EVENTS = {CLIENT_CREDENTIALS: "token.issued", REFRESH_TOKEN: "token.refreshed"}
_PATIENCE = 120.0


@dataclass(frozen=True, slots=True)
class Ledger:
    """A SQLite file with an event for each token. ``count`` is a query for the number of those of one type, ``pending``
    one for those that are committed and have still to be brought into the log, where there is such a step.
    """

    file: Path
    count: str
    pending: str | None = None

    def committed(self, grant: str) -> int:
        """Events of this grant so far."""
        return self._number(self.count, {"type": _EVENTS[grant]})

    def backlog(self) -> int:
        """Events that have still to be brought into the log."""
        return 0 if self.pending is None else self._number(self.pending, {})

    def settle(self) -> None:
        """Wait until there is no backlog, so that no work of one peer falls into the time of the next. Raises
        TimeoutError.
        """
        give_up = monotonic() + _PATIENCE
        while self.backlog():
            if monotonic() > give_up:
                raise TimeoutError(f"{self.backlog()} events were not in the log after {_PATIENCE:.0f} s")
            sleep(0.1)

    def _number(self, query: str, values: dict[str, str]) -> int:
        with closing(sqlite3.connect(f"{self.file.as_uri()}?mode=ro", uri=True, timeout=10)) as connection:
            (number,) = connection.execute(query, values).fetchone()
            return int(number)


@dataclass(frozen=True, slots=True)
class Peer:
    """A server with a confidential client (``client_secret_basic``). ``mint`` gives so many refresh tokens, each of a
    family of its own; ``ledger`` is None where nothing is kept.
    """

    running: Running
    issuer: str
    audience: str
    secret: str
    mint: Callable[[int], list[str]]
    ledger: Ledger | None

    @property
    def path(self) -> str:
        """Of the token endpoint. That discovery names it is for the sanity check to find out."""
        return f"{urlsplit(self.issuer).path}/token"

    def fields(self, secret: str | None = None) -> dict[str, str]:
        """A client's, with its ``secret`` or another (RFC 6749 section 2.3.1)."""
        basic = b64encode(f"{CLIENT}:{secret or self.secret}".encode()).decode("ascii")
        return {"Host": urlsplit(self.issuer).netloc, "Authorization": f"Basic {basic}"}

    def request(self, grant: str, refresh_token: str = "", *, secret: str | None = None) -> bytes:
        """One request of this grant."""
        token = f"&refresh_token={refresh_token}" if grant == REFRESH_TOKEN else ""
        return request("POST", self.path, self.fields(secret), FORMS[grant] + token)
