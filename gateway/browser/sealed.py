"""What a browser carries for us, sealed under the master key ring: a session, and a login that is under way.

A seal is bound to the tenant, the host and the kind, so that one cannot be brought as the other or elsewhere. What was
sealed under an earlier key of the ring is opened for as long as that is in it. Owns the two values and their form.
"""

import base64
import binascii
import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal
from uuid import UUID

from tenants.sealing import MasterKeys, Unsealable

_TABLE = "browser"


@dataclass(frozen=True, slots=True)
class SessionCookie:
    """A session of the tenant's, and what was granted in it. Tokens are made of it, and none is in it.

    ``wanted`` is the digest of what the login was for, ``times`` how often in a row it was made for that, ``at`` the
    epoch second of the last time.
    """

    session_id: str
    client_id: str
    scopes: tuple[str, ...]
    audiences: tuple[str, ...]
    wanted: str
    times: int
    at: int


@dataclass(frozen=True, slots=True)
class LoginState:
    """The parameter ``state``: one login of one browser. ``binding`` is the digest of its cookie, ``at`` epoch
    seconds, ``issuer`` who was asked, ``wanted`` and ``times`` as in the cookie that comes of it.
    """

    issuer: str
    client_id: str
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    binding: str
    goes_to: str
    at: int
    wanted: str
    times: int


class Seals:
    """Seals and opens them."""

    def __init__(self, keys: MasterKeys) -> None:
        self._keys = keys

    def session(self, cookie: SessionCookie, *, tenant_id: UUID, host: str) -> bytes:
        """The cookie's value."""
        return self._seal("session", asdict(cookie), tenant_id, host)

    def opened_session(self, value: bytes, *, tenant_id: UUID, host: str) -> SessionCookie | None:
        """None for what is none of ours, or not for here."""
        found = self._open("session", value, tenant_id, host)
        if found is None:
            return None
        scopes, audiences = tuple(found.pop("scopes")), tuple(found.pop("audiences"))
        return SessionCookie(scopes=scopes, audiences=audiences, **found)

    def login(self, state: LoginState, *, tenant_id: UUID, host: str) -> bytes:
        """The parameter's value."""
        return self._seal("login", asdict(state), tenant_id, host)

    def opened_login(self, value: bytes, *, tenant_id: UUID, host: str) -> LoginState | None:
        """None for what is none of ours, or not for here."""
        found = self._open("login", value, tenant_id, host)
        return None if found is None else LoginState(**found)

    def _seal(self, kind: Literal["session", "login"], value: dict[str, Any], tenant_id: UUID, host: str) -> bytes:
        text = json.dumps(value, separators=(",", ":")).encode()
        sealed = self._keys.seal(text, tenant=tenant_id, table=_TABLE, row=host, column=kind)
        return base64.urlsafe_b64encode(sealed).rstrip(b"=")

    def _open(
        self, kind: Literal["session", "login"], value: bytes, tenant_id: UUID, host: str
    ) -> dict[str, Any] | None:
        try:
            sealed = base64.b64decode(value + b"=" * (-len(value) % 4), altchars=b"-_", validate=True)
            text = self._keys.open(sealed, tenant=tenant_id, table=_TABLE, row=host, column=kind)
        except (Unsealable, binascii.Error, ValueError):  # a stranger's, or of a key that is gone: the same to us
            return None
        found: dict[str, Any] = json.loads(text)
        return found
