"""Proof that a token endpoint does its job, before anybody counts how fast: the tokens are what they should be, and
each has its event.
"""

import json
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import jwt
from keep_alive import Answer, Connection, request
from sanity import NotTheSameJob
from token_peer import CLIENT, CLIENT_CREDENTIALS, GRANTS, REFRESH_TOKEN, SCOPE, Peer

_AT_ONCE = 8
_TURNS = 10
_LIFETIME = 300  # seconds


@dataclass(frozen=True, slots=True)
class Keys:
    """What a client of the issuer trusts."""

    issuer: str
    audience: str
    keys: jwt.PyJWKSet

    def claims(self, token: str) -> dict[str, Any]:
        """Of an ES256 access token of this issuer for this API and client. Raises ``NotTheSameJob``."""
        try:
            header = jwt.get_unverified_header(token)
            verified: dict[str, Any] = jwt.decode(
                token,
                self.keys[header["kid"]],
                algorithms=["ES256"],
                issuer=self.issuer,
                audience=self.audience,
                options={"require": ["iss", "sub", "aud", "exp", "iat", "jti", "client_id"]},
            )
        except (jwt.PyJWTError, KeyError) as error:
            raise NotTheSameJob(f"{self.issuer} gave a token that is no good: {error!r}") from error
        if header.get("typ") != "at+jwt" or verified["client_id"] != CLIENT or verified.get("scope") != SCOPE:
            raise NotTheSameJob(f"{self.issuer} gave another token than asked for: {header} {verified}")
        if verified["exp"] - verified["iat"] != _LIFETIME:
            raise NotTheSameJob(f"{self.issuer} gave a token for {verified['exp'] - verified['iat']} s")
        return verified


def check(peer: Peer) -> None:
    """Raises ``NotTheSameJob``."""
    keys = _discovered(peer)
    _refuses(peer, CLIENT_CREDENTIALS, "", 401, secret="not-the-secret-of-this-client-at-all")
    _refuses(peer, REFRESH_TOKEN, "no-token-of-anybody", 400)
    for grant in GRANTS:
        before = 0 if peer.ledger is None else peer.ledger.committed(grant)
        answers = _asked(peer, grant)
        distinct([keys.claims(answer["access_token"])["jti"] for answer in answers], "access tokens")
        if peer.ledger is not None and (events := peer.ledger.committed(grant) - before) != len(answers):
            raise NotTheSameJob(f"{peer.issuer} committed {events} events for {len(answers)} tokens")


def distinct(values: Sequence[str], what: str) -> None:
    """Raises ``NotTheSameJob`` where one is there twice."""
    if len(set(values)) != len(values):
        raise NotTheSameJob(f"{len(values) - len(set(values))} {what} were given twice")


def _discovered(peer: Peer) -> Keys:
    metadata = _get(peer, f"{urlsplit(peer.issuer).path}/.well-known/openid-configuration")
    if metadata["issuer"] != peer.issuer or urlsplit(metadata["token_endpoint"]).path != peer.path:
        raise NotTheSameJob(f"{peer.issuer} names another issuer or token endpoint than is measured")
    return Keys(peer.issuer, peer.audience, jwt.PyJWKSet.from_dict(_get(peer, urlsplit(metadata["jwks_uri"]).path)))


def _asked(peer: Peer, grant: str) -> list[dict[str, Any]]:
    """Several connections ask at once, again and again; each refresh token is the successor of the one before."""
    tokens = peer.mint(_AT_ONCE) if grant == REFRESH_TOKEN else [""] * _AT_ONCE
    seen, answers = list(tokens), []
    with ExitStack() as stack:
        connections = [stack.enter_context(closing(Connection(peer.running.port))) for _ in range(_AT_ONCE)]
        for _ in range(_TURNS):
            for connection, token in zip(connections, tokens, strict=True):
                connection.send(peer.request(grant, token))
            turn = [_granted(peer, _received(connection)) for connection in connections]
            answers += turn
            if grant == REFRESH_TOKEN:
                tokens = [answer["refresh_token"] for answer in turn]
                seen += tokens
    if grant == REFRESH_TOKEN:
        distinct(seen, "refresh tokens")
    return answers


def _granted(peer: Peer, answer: Answer) -> dict[str, Any]:
    if answer.status != 200:
        raise NotTheSameJob(f"{peer.issuer} answered {answer.status}: {answer.body[:200]!r}")
    body: dict[str, Any] = json.loads(answer.body)
    if body["token_type"].lower() != "bearer" or body["expires_in"] != _LIFETIME:
        raise NotTheSameJob(f"{peer.issuer} answered {body}")
    return body


def _refuses(peer: Peer, grant: str, refresh_token: str, status: int, *, secret: str | None = None) -> None:
    with closing(Connection(peer.running.port)) as connection:
        answer = connection.exchange(peer.request(grant, refresh_token, secret=secret))
    if answer.status != status:
        raise NotTheSameJob(f"{peer.issuer} answered {answer.status} where it has to refuse with {status}")


def _get(peer: Peer, path: str) -> dict[str, Any]:
    with closing(Connection(peer.running.port)) as connection:
        answer = connection.exchange(request("GET", path, {"Host": urlsplit(peer.issuer).netloc}))
    if answer.status != 200:
        raise NotTheSameJob(f"{peer.issuer} answered {answer.status} to GET {path}")
    found: dict[str, Any] = json.loads(answer.body)
    return found


def _received(connection: Connection) -> Answer:
    while (answer := connection.receive()) is None:
        continue
    return answer
