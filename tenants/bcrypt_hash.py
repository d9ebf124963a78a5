"""bcrypt's stored form, alone and as Django's ``bcrypt_sha256``, and how it is verified (Provos and Mazières, 1999).

Owns its cap. ``matches`` takes as long as the hash says: it is called in the helper process only.
"""

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import Final, Self

import bcrypt

from tenants.phc import encoded

MAX_COST: Final = 14
"""About a second of one core."""

PASSWORD_BYTES: Final = 72
"""What bcrypt looks at of a password. Most libraries cut the rest off without a word, so a hash is of the cut."""

LEAST_COST = 4
_SALT_BYTES, _DIGEST_BYTES = 16, 23
_TEXT = re.compile(r"(bcrypt_sha256\$)?\$2b\$([0-9]{2})\$([./A-Za-z0-9]{22})([./A-Za-z0-9]{31})")
_SCHEME = re.compile(r"(bcrypt|bcrypt-sha256):([0-9]{1,2})")
_TO_BCRYPT = str.maketrans(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
)
_FROM_BCRYPT = {written: read for read, written in _TO_BCRYPT.items()}


def bcrypt_encoded(data: bytes) -> str:
    """bcrypt's own base64: another alphabet, no padding."""
    return encoded(data).translate(_TO_BCRYPT)


def bcrypt_decoded(text: str) -> bytes:
    """What ``bcrypt_encoded`` made, and the spellings of old libraries that left rubbish in the last bits."""
    return base64.b64decode(text.translate(_FROM_BCRYPT) + "=" * (-len(text) % 4))


@dataclass(frozen=True, slots=True)
class Bcrypt:
    """bcrypt; ``prehashed``: of the SHA-256 of the password in hex, as Django's ``bcrypt_sha256``."""

    cost: int
    salt: bytes
    digest: bytes = field(repr=False)
    prehashed: bool = False

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """None where it is malformed or of another scheme."""
        match = _TEXT.fullmatch(text)
        if match is None:
            return None
        found = cls(int(match[2]), bcrypt_decoded(match[3]), bcrypt_decoded(match[4]), match[1] is not None)
        return found if found.text == text and found.cost >= LEAST_COST else None

    @classmethod
    def unmatchable_of(cls, scheme: str) -> Self | None:
        """A hash of nothing that costs what this scheme does; None for another kind's."""
        match = _SCHEME.fullmatch(scheme)
        if match is None:
            return None
        salt, digest = secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_DIGEST_BYTES)
        return cls(int(match[2]), salt, digest, match[1] != "bcrypt")

    @property
    def text(self) -> str:
        """As it is stored."""
        before = "bcrypt_sha256$" if self.prehashed else ""
        return f"{before}$2b${self.cost:02}${bcrypt_encoded(self.salt)}{bcrypt_encoded(self.digest)}"

    @property
    def scheme(self) -> str:
        """What it takes to verify."""
        return f"{'bcrypt-sha256' if self.prehashed else 'bcrypt'}:{self.cost}"

    def fault(self) -> str | None:
        """Why it is not computed, in words; None where it is."""
        if self.cost > MAX_COST:
            return f"bcrypt of cost {self.cost} costs too much: at most {MAX_COST}"
        return None

    def cuts(self, size: int) -> bool:
        """Whether a password of this many bytes is compared by its beginning only."""
        return not self.prehashed and size > PASSWORD_BYTES

    def matches(self, password: bytes) -> bool:
        """Whether it is the hash of this password."""
        secret = hashlib.sha256(password).hexdigest().encode() if self.prehashed else password[:PASSWORD_BYTES]
        made = bcrypt.hashpw(secret, f"$2b${self.cost:02}${bcrypt_encoded(self.salt)}".encode())
        return hmac.compare_digest(made[-31:], bcrypt_encoded(self.digest).encode())
