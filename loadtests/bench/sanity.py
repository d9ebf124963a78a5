"""Proof that the peers do their job, before anybody counts how fast: a door that stands open is always the fastest."""

from dataclasses import dataclass
from http.client import HTTPConnection

from peers import BODY
from processes import Running


class NotTheSameJob(Exception):
    """A peer let somebody in whom it must refuse, or refused who is right."""


@dataclass(frozen=True, slots=True)
class Case:
    """One request and the status that it must get."""

    name: str
    authorization: str | None
    status: int


def cases(token: str) -> tuple[Case, ...]:
    """The right token passes; none, and one whose signature was altered, do not."""
    return (
        Case("the token", f"Bearer {token}", 200),
        Case("no token", None, 401),
        Case("a forged token", f"Bearer {forged(token)}", 401),
    )


def forged(token: str) -> str:
    """The same token with another signature, of the same length."""
    signed, _, signature = token.rpartition(".")
    return f"{signed}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"


def check(peer: Running, path: str, token: str) -> None:
    """Raises ``NotTheSameJob``."""
    for case in cases(token):
        status, body = _ask(peer.port, path, case.authorization)
        if status != case.status:
            raise NotTheSameJob(f"{peer.name} answered {status} to {case.name}, and {case.status} is right")
        if status == 200 and body != BODY.encode():
            raise NotTheSameJob(f"{peer.name} did not pass on what the upstream said")


def _ask(port: int, path: str, authorization: str | None) -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers={} if authorization is None else {"Authorization": authorization})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
