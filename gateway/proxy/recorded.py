"""Lines of the access log, read again: the facts of a decision, and what it was.

The other side of access_line.py. A log is a file that anybody may have written into, so a line is checked field by
field, and one that is none is told as such.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from typing import Any, Final
from uuid import UUID

from gateway.proxy.access_line import GAP
from gateway.proxy.access_log import LEAST_SHARE, LONGEST_HOST
from gateway.proxy.rehearsal import NO_API_HOST, Facts, KnownClaims
from gateway.settings import is_slug
from policies.principal import Principal

_REASON: Final = re.compile("[a-z_]{1,60}")
_MOST_DROPPED: Final = 2**53
# Decided before any configuration, by what is not written down.
_MALFORMED: Final = frozenset({"authorization_repeated", "dpop_repeated"})
# Not decided by facts that a line has: there was no key to vouch with; too many or too much came; a WebSocket's
# handshake was malformed, or came from a page; it was about the session of a browser, or is another proxy's to pass on;
# that proxy did not say which request it asked about.
_MISSED: Final = frozenset(
    {
        "identity_unsigned",
        "rate_limited",
        "rate_limit_full",
        "body_too_large",
        "websocket_handshake_invalid",
        "websocket_version_unsupported",
        "origin_refused",
        "browser_login",
        "browser_logout",
        "browser_session_unavailable",
        "origin_foreign",
        "origin_missing",
        "not_forwarded",
        "original_missing",
        "original_ambiguous",
        "original_method",
        "original_host",
        "original_scheme",
        "original_source",
        "misleading_field",
    }
)
_OTHER_WORDS: Final = {"host_unknown": NO_API_HOST}  # forward auth's
_OF_BROWSERS: Final = frozenset({"/.yett/callback", "/.yett/logout"})


@dataclass(frozen=True, slots=True)
class Recorded:
    """A request of the log. ``decided`` is its decision, reason and route as they were written; ``fixed``: it would be
    the same by any configuration. ``share`` is that of its kind which was logged; ``partial``: the log has not all
    requests of its time.
    """

    facts: Facts
    decided: tuple[str, str, str | None]
    config: str
    request_id: str
    share: float
    partial: bool
    fixed: bool


@dataclass(frozen=True, slots=True)
class Missing:
    """So many lines were dropped."""

    count: int


class Unreadable(Exception):
    """No line of an access log. Its text says why, and repeats nothing of it."""


def recorded(raw: bytes) -> Recorded | Missing:
    """One line.

    Raises:
        Unreadable: it is none.
    """
    try:
        said = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise Unreadable("is not JSON") from error
    if not isinstance(said, dict):
        raise Unreadable("is not an object")
    fields = _Fields(said)
    if said.get("event") == GAP:
        return Missing(_count(fields.integer("dropped")))
    reason, share = fields.text("reason"), _share(said.get("sample", 1.0))
    return Recorded(
        facts=_facts(fields, reason),
        decided=(fields.text("decision"), _OTHER_WORDS.get(reason, reason), fields.optional_text("route")),
        config=fields.text("config"),
        request_id=fields.text("request_id"),
        share=share,
        partial=share < 1 or fields.flag("partial"),
        fixed=(
            reason in _MALFORMED
            or reason in _MISSED
            or fields.text("path") in _OF_BROWSERS
            or (reason == "reserved_path" and fields.flag("forward_auth"))
        ),
    )


class _Fields:
    """A line's fields, each of the type that it has to be of."""

    def __init__(self, said: Mapping[str, Any]) -> None:
        self._said = said

    def text(self, name: str) -> str:
        found = self.optional_text(name)
        if found is None:
            raise Unreadable(f"lacks {name}")
        return found

    def optional_text(self, name: str) -> str | None:
        found = self._said.get(name)
        if found is None or isinstance(found, str):
            return found
        raise Unreadable(f"has a {name} that is no text")

    def bytes_text(self, name: str) -> str:
        """Text that is bytes, a character each."""
        found = self.text(name)
        if any(ord(sign) > 0xFF for sign in found):
            raise Unreadable(f"has a {name} that no client can send")
        return found

    def integer(self, name: str) -> int:
        found = self._said.get(name)
        if type(found) is not int:
            raise Unreadable(f"has a {name} that is no whole number")
        return found

    def texts(self, name: str) -> frozenset[str]:
        found = self._said.get(name, [])
        if isinstance(found, list) and all(isinstance(item, str) for item in found):
            return frozenset(found)
        raise Unreadable(f"has a {name} that is no list of text")

    def flag(self, name: str) -> bool:
        """Written where it is true."""
        return self._said.get(name) is True

    def mapping(self, name: str) -> Mapping[str, Any]:
        found = self._said.get(name, {})
        if isinstance(found, dict):
            return found
        raise Unreadable(f"has a {name} that is no object")

    def number(self, name: str) -> int | None:
        return None if self._said.get(name) is None else self.integer(name)


def _facts(fields: _Fields, reason: str) -> Facts:
    try:
        address = ip_address(fields.text("address"))
        at = datetime.fromisoformat(fields.text("time")).timestamp()
    except (ValueError, OverflowError) as error:
        raise Unreadable("has an address or a time that is none") from error
    token = fields.text("token")
    if token not in ("none", "valid", "refused", "unread"):
        raise Unreadable("has a token that is not known")
    would = fields.mapping("would").get("reason")
    preflight, upgrade = fields.optional_text("preflight"), fields.optional_text("upgrade")
    return Facts(
        method=fields.text("method"),
        host=_host(fields.bytes_text("host")),
        path=fields.bytes_text("path"),
        address=address,
        at=at,
        principal=_principal(fields, int(at)) if token == "valid" else None,  # noqa: S105 - a word for what it was
        token_refused=_reason(fields.text("token_reason")) if token == "refused" else None,  # noqa: S105
        unread=token == "unread",  # noqa: S105
        fresh="revocations_stale" not in (reason, would),
        upgrade=None if upgrade is None else fields.bytes_text("upgrade"),
        preflight=None if preflight is None else fields.bytes_text("preflight"),
        masked=fields.flag("masked"),
    )


def _principal(fields: _Fields, at: int) -> Principal:
    try:
        tenant_id = UUID(fields.text("tenant_id"))
    except ValueError as error:
        raise Unreadable("has a tenant_id that is none") from error
    return Principal(
        tenant_id=tenant_id,
        tenant=_slug(fields.text("tenant")),
        subject=fields.text("subject"),
        client_id=fields.optional_text("client_id"),
        scopes=fields.texts("scopes"),
        audiences=fields.texts("audiences"),
        token_id="-",  # noqa: S106 - the name of no token
        issued_at=at,
        expires_at=at + 1,
        auth_time=fields.number("auth_time"),
        acr=fields.optional_text("acr"),
        amr=fields.texts("amr"),
        api_key_id=fields.optional_text("api_key"),
        claims=KnownClaims(fields.mapping("claims"), fields.texts("claims_read")),
    )


def _reason(text: str) -> str:
    if _REASON.fullmatch(text) is None:
        raise Unreadable("has a token_reason that is none")
    return text


def _host(text: str) -> str:
    """As long as the log writes one: what is decided is remembered by it, and by the tenant."""
    if len(text) > LONGEST_HOST:
        raise Unreadable("has a host that is too long")
    return text


def _slug(text: str) -> str:
    if not is_slug(text):
        raise Unreadable("has a tenant that is none")
    return text


def _count(said: int) -> int:
    if 0 < said <= _MOST_DROPPED:
        return said
    raise Unreadable("has a dropped that is no count")


def _share(said: object) -> float:
    if isinstance(said, int | float) and not isinstance(said, bool) and LEAST_SHARE <= said <= 1:
        return float(said)
    raise Unreadable("has a sample that is no share")
