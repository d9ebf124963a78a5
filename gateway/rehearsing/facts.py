"""A request as ``yett policy`` is told of it: a method and a URL, and who asks, as facts, claims or a token."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from gateway.authn.bearer import InvalidToken, principal_of
from gateway.context import UNKNOWN, Address, normalised
from gateway.proxy.rehearsal import Facts
from policies import claims as access
from policies.principal import Principal

_NOBODY: Final = UUID(int=0)
_YEAR: Final = 366 * 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A verified token, or an API key, by its facts. ``audiences`` None: it is for the API that is asked. ``auth_age``
    is in seconds.
    """

    tenant: str
    subject: str = "somebody"
    client: str = "some-client"
    scopes: tuple[str, ...] = ()
    audiences: tuple[str, ...] | None = None
    acr: str | None = None
    amr: tuple[str, ...] = ()
    auth_age: int | None = None
    claims: Mapping[str, Any] = field(default_factory=dict)
    api_key: bool = False

    def principal(self, at: float, audiences: Iterable[str]) -> Principal:
        """At this time. ``audiences`` are those of the configuration."""
        now = int(at)
        return Principal(
            tenant_id=_NOBODY,
            tenant=self.tenant,
            subject=self.subject,
            client_id=None if self.api_key else self.client,
            scopes=frozenset(self.scopes),
            audiences=frozenset(audiences if self.audiences is None else self.audiences),
            token_id="-",  # noqa: S106 - the name of no token
            issued_at=now,
            expires_at=now + 300,
            auth_time=None if self.auth_age is None else now - self.auth_age,
            acr=self.acr,
            amr=frozenset(self.amr),
            api_key_id="-" if self.api_key else None,
            claims=dict(self.claims),
        )


def request_facts(method: str, url: str, *, address: Address, at: float) -> Facts:
    """What the gateway sees of a request to this URL; of a sound handshake, where it is a WebSocket's. A query decides
    nothing.

    Raises:
        ValueError: it is no URL of http, https, ws or wss, with a sentence.
    """
    parts = urlsplit(url)
    if any(sign <= " " or sign == "\x7f" for sign in url):
        raise ValueError("must not hold white space or a control character, which nobody can send")
    if parts.scheme not in ("http", "https", "ws", "wss") or not parts.netloc or "@" in parts.netloc:
        raise ValueError("must be a whole URL, as https://api.example.com/orders/7")
    before_query = url.partition("#")[0].partition("?")[0]
    path = before_query[len(parts.scheme) + len("://") + len(parts.netloc) :] or "/"
    if not method.isascii() or not method.isalpha() or method != method.upper():
        raise ValueError("the method must be in capitals, as GET")
    upgrade = "websocket" if parts.scheme in ("ws", "wss") else None
    return Facts(method, _on_the_wire(parts.netloc), _on_the_wire(path), address, at, upgrade=upgrade)


def from_claims(facts: Facts, payload: Mapping[str, Any], tenant: str) -> Facts:
    """With a token of this tenant that says so, as if its signature had been verified."""
    checked = access.access_claims(payload, now=facts.at)
    if isinstance(checked, access.Refused):
        return replace(facts, token_refused=checked.reason)
    return with_principal(facts, principal_of(checked, _NOBODY, tenant))


def from_token(facts: Facts, outcome: Principal | InvalidToken) -> Facts:
    """With what was found out about a real one."""
    if isinstance(outcome, Principal):
        return with_principal(facts, outcome)
    return replace(facts, token_refused=outcome.reason)


def with_principal(facts: Facts, principal: Principal) -> Facts:
    """A token that is bound to a key is taken as coming with its proof, which cannot be shown here."""
    return replace(facts, principal=replace(principal, confirmation=None))


def source(text: str | None) -> Address:
    """An address, or none that is in any network. Raises ``ValueError``."""
    return UNKNOWN if text is None else normalised(ip_address(text))


def moment(text: str) -> float:
    """A time in ISO 8601, in UTC where it says nothing else, as epoch seconds. Raises ``ValueError``."""
    parsed = datetime.fromisoformat(text)
    at = (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    if not 0 < at < access.MAX_TIME - _YEAR:
        raise ValueError("must be a time of a calendar of four-digit years")
    return at


def payload(text: str) -> Mapping[str, Any]:
    """Claims as JSON. Raises ``ValueError`` with a sentence."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError("is not JSON") from error
    if not isinstance(found, dict):
        raise ValueError("must be an object of claims")
    return found


def _on_the_wire(text: str) -> str:
    """The bytes that a client sends, as the gateway writes them down."""
    return text.encode("utf-8", "surrogateescape").decode("latin-1")
