"""What a client registers of itself beside its grants and addresses, by the names of RFC 7591 section 2 and its kin."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from policies import claim_mapping
from tenants.errors import InvalidValue, Unreadable
from tenants.names import checked_redirect_uri

AuthMethod = Literal["none", "client_secret_basic", "client_secret_post", "private_key_jwt", "client_secret"]
AUTH_METHODS: tuple[AuthMethod, ...] = get_args(AuthMethod)
SECRET_METHODS = frozenset({"client_secret_basic", "client_secret_post", "client_secret"})
"""``client_secret`` is either of the two others: what a client of version 0.1 could do, and nothing to register."""

_LONGEST_JWKS = 20_000
_LONGEST_URI = 2000
_MOST_URIS = 20
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """Everything optional; the defaults are what a client has that says nothing.

    ``first_party`` clients are the tenant's own: their users are not asked for consent. ``jwks`` is a JWK set with the
    client's public keys, ``jwks_uri`` where it publishes them. ``claim_mapping`` adds claims to ID tokens and userinfo:
    a claim's name, and where its value comes from (see ``policies.claim_mapping``).
    """

    first_party: bool = False
    jwks: Mapping[str, Any] | None = field(default=None, hash=False)
    jwks_uri: str | None = None
    require_pushed_authorization_requests: bool = False
    require_signed_request_object: bool = False
    dpop_bound_access_tokens: bool = False
    post_logout_redirect_uris: tuple[str, ...] = ()
    backchannel_logout_uri: str | None = None
    claim_mapping: tuple[tuple[str, str], ...] = ()
    introspection_signed: bool = False
    client_uri: str | None = None
    logo_uri: str | None = None
    policy_uri: str | None = None
    tos_uri: str | None = None

    def stored(self) -> dict[str, Any]:
        """Only what differs from the defaults, as JSON."""
        default = ClientOptions()
        return {
            entry.name: _plain(getattr(self, entry.name))
            for entry in fields(self)
            if getattr(self, entry.name) != getattr(default, entry.name)
        }

    @classmethod
    def from_stored(cls, stored: Mapping[str, Any]) -> "ClientOptions":
        """What ``stored`` wrote. Raises Unreadable for what it did not."""
        try:
            return cls._read(dict(stored))
        except (AttributeError, TypeError, ValueError, OverflowError) as error:
            raise Unreadable(f"options: {error}") from error

    @classmethod
    def _read(cls, values: dict[str, Any]) -> "ClientOptions":
        if "post_logout_redirect_uris" in values:
            values["post_logout_redirect_uris"] = tuple(values["post_logout_redirect_uris"])
        if "claim_mapping" in values:
            values["claim_mapping"] = tuple(sorted(values["claim_mapping"].items()))
        return cls(**values)

    def checked(self) -> "ClientOptions":
        """As it may be stored.

        Raises:
            InvalidValue: with the rule.
        """
        if self.jwks is not None and self.jwks_uri is not None:
            raise InvalidValue("a client has a jwks or a jwks_uri, not both (RFC 7591 section 2)")
        if self.jwks is not None:
            _check_jwks(self.jwks)
        for name in ("jwks_uri", "backchannel_logout_uri"):
            if (uri := getattr(self, name)) is not None:
                _check_called(name, uri)
        for name in ("client_uri", "logo_uri", "policy_uri", "tos_uri"):
            if (uri := getattr(self, name)) is not None:
                _check_shown(name, uri)
        if len(self.post_logout_redirect_uris) > _MOST_URIS:
            raise InvalidValue(f"a client has at most {_MOST_URIS} post_logout_redirect_uris")
        for uri in self.post_logout_redirect_uris:
            checked_redirect_uri(uri)
        if (problem := claim_mapping.problem(self.claim_mapping)) is not None:
            raise InvalidValue(problem)
        return replace(self, claim_mapping=tuple(sorted(dict(self.claim_mapping).items())))


def _check_jwks(jwks: Mapping[str, Any]) -> None:
    keys = jwks.get("keys")
    if not isinstance(keys, list) or not keys or not all(isinstance(key, dict) for key in keys):
        raise InvalidValue("a jwks is an object with a list of keys (RFC 7517 section 5)")
    text = json.dumps(jwks)
    if len(text) > _LONGEST_JWKS:
        raise InvalidValue(f"a jwks has at most {_LONGEST_JWKS} bytes")
    if "\\u0000" in text:
        raise InvalidValue("a jwks holds no NUL")  # which PostgreSQL cannot store
    if any(_PRIVATE_MEMBERS & key.keys() for key in keys):
        raise InvalidValue("a jwks holds public keys only: this one has a private part or a shared secret in it")


def _check_called(name: str, uri: str) -> None:
    """An address that we call: https, or http to a loopback host. Where it may lead is judged at each call."""
    parts = _split(name, uri)
    if parts[0] != "https" and not (parts[0] == "http" and parts[1] in _LOOPBACK):
        raise InvalidValue(f"{name} is an https address")


def _check_shown(name: str, uri: str) -> None:
    """An address that people are shown."""
    if _split(name, uri)[0] != "https":
        raise InvalidValue(f"{name} is an https address")


def _split(name: str, uri: str) -> tuple[str, str]:
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidValue(f"{name} is not a URI") from error
    plain = len(uri) <= _LONGEST_URI and uri.isascii() and uri.isprintable() and " " not in uri
    if not host or not plain or "#" in uri or "\\" in uri or parts.username is not None:
        raise InvalidValue(f"{name} is an absolute URI without user, password and fragment")
    return parts.scheme, host


def _plain(value: object) -> object:
    match value:
        case tuple(pairs) if pairs and isinstance(pairs[0], tuple):
            return dict(pairs)
        case tuple(items):
            return list(items)
        case Mapping():
            return dict(value)
    return value
