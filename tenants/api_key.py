"""An API key: the form of its text, and what the proxied path knows of it.

``yak_`` and 64 base64url characters: the 16 bytes of the tenant's id, then 32 random ones. So the text itself says in
whose keys it is to be looked for, and nobody's row can answer for another tenant's key. What is stored is the SHA-256
of the whole text. Owns no rows: those are api_keys.py's.
"""

import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final
from uuid import UUID

PREFIX: Final = "yak_"
_RANDOM_BYTES = 32
_ID_BYTES = 16
LENGTH: Final = len(PREFIX) + (_ID_BYTES + _RANDOM_BYTES) * 4 // 3


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key that there is, or was until not long ago. Times are seconds since the epoch; without ``expires_at`` it
    does not expire.
    """

    id: UUID
    scopes: frozenset[str]
    audiences: frozenset[str]
    created_at: float
    expires_at: float | None
    revoked_at: float | None

    def ended_before(self, moment: datetime) -> bool:
        """Whether it was revoked or had expired by then."""
        ends = [end for end in (self.expires_at, self.revoked_at) if end is not None]
        return bool(ends) and min(ends) < moment.timestamp()


def new_text(tenant_id: UUID) -> str:
    """A new key of this tenant, to be shown once."""
    return PREFIX + urlsafe_b64encode(tenant_id.bytes + secrets.token_bytes(_RANDOM_BYTES)).decode("ascii")


def digest(text: bytes) -> bytes:
    """The 32 bytes that are stored and looked up: of the whole text, so that any other spelling is another key's."""
    return sha256(text).digest()


def named_tenant(text: bytes) -> UUID | None:
    """The tenant that a text names, if it has the form of a key. That proves nothing yet."""
    if len(text) != LENGTH:
        return None
    try:
        body = urlsafe_b64decode(text[len(PREFIX) :])
    except Error:
        return None
    if len(body) != _ID_BYTES + _RANDOM_BYTES:  # signs that are not of the alphabet are passed over
        return None
    return UUID(bytes=body[:_ID_BYTES])
