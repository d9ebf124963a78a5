"""scrypt's stored form, alone and as Firebase's, and how it is verified (RFC 7914).

Owns its caps. ``matches`` takes as long as the hash says: it is called in the helper process only.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import Final, Self

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tenants.phc import decoded, encoded, lengths_fault

MAX_MEMORY: Final = 128 * 1024 * 1024
MAX_WORK: Final = 2**21
"""N times r times p: less than a second of one core."""

_MAX_MARGIN: Final = MAX_MEMORY // 8
"""Of the memory that p and the two PBKDF2 around it take beside the N blocks."""

_SALT_BYTES, _DIGEST_BYTES = 16, 32
_SIGNER_KEY_BYTES = 64
_AES_KEY_BYTES = 32
_NUMBER = "([1-9][0-9]{0,9})"
_SCRYPT = re.compile(rf"\$scrypt\$ln={_NUMBER},r={_NUMBER},p={_NUMBER}\$([^$]+)\$([^$]+)")
_SCRYPT_SCHEME = re.compile(rf"scrypt:ln={_NUMBER},r={_NUMBER},p={_NUMBER}")
_FIREBASE = re.compile(rf"\$firebase-scrypt\$ln={_NUMBER},r={_NUMBER}\$([^$]+)\$([^$]+)\$([^$]+)")
_FIREBASE_SCHEME = re.compile(rf"firebase-scrypt:ln={_NUMBER},r={_NUMBER}")


@dataclass(frozen=True, slots=True)
class Scrypt:
    """scrypt with N = 2 to the power of ``ln``."""

    ln: int
    r: int
    p: int
    salt: bytes
    digest: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """None where it is malformed or of another scheme."""
        match = _SCRYPT.fullmatch(text)
        if match is None:
            return None
        salt, digest = decoded(match[4]), decoded(match[5])
        if salt is None or digest is None:
            return None
        return cls(int(match[1]), int(match[2]), int(match[3]), salt, digest)

    @classmethod
    def unmatchable_of(cls, scheme: str) -> Self | None:
        """A hash of nothing that costs what this scheme does; None for another kind's."""
        match = _SCRYPT_SCHEME.fullmatch(scheme)
        if match is None:
            return None
        salt, digest = secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_DIGEST_BYTES)
        return cls(int(match[1]), int(match[2]), int(match[3]), salt, digest)

    @property
    def text(self) -> str:
        """As it is stored."""
        return f"$scrypt$ln={self.ln},r={self.r},p={self.p}${encoded(self.salt)}${encoded(self.digest)}"

    @property
    def scheme(self) -> str:
        """What it takes to verify."""
        return f"scrypt:ln={self.ln},r={self.r},p={self.p}"

    def fault(self) -> str | None:
        """Why it is not computed, in words; None where it is."""
        return _scrypt_fault(self.ln, self.r, self.p) or lengths_fault(self.salt, self.digest)

    def matches(self, password: bytes) -> bool:
        """Whether it is the hash of this password."""
        made = _scrypt(password, self.salt, self.ln, self.r, self.p, len(self.digest))
        return hmac.compare_digest(made, self.digest)


@dataclass(frozen=True, slots=True)
class FirebaseScrypt:
    """Firebase's: the project's signer key, encrypted with AES-256-CTR under a key that scrypt makes of the password.

    ``salt`` is the user's salt and the project's separator after it.
    """

    ln: int
    r: int
    salt: bytes
    signer_key: bytes = field(repr=False)
    digest: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """None where it is malformed or of another scheme."""
        match = _FIREBASE.fullmatch(text)
        if match is None:
            return None
        salt, signer_key, digest = (decoded(part) for part in match.groups()[2:])
        if salt is None or signer_key is None or digest is None or len(signer_key) != len(digest):
            return None
        return cls(int(match[1]), int(match[2]), salt, signer_key, digest)

    @classmethod
    def unmatchable_of(cls, scheme: str) -> Self | None:
        """A hash of nothing that costs what this scheme does; None for another kind's."""
        match = _FIREBASE_SCHEME.fullmatch(scheme)
        if match is None:
            return None
        salt, key, digest = (secrets.token_bytes(size) for size in (_SALT_BYTES, *(_SIGNER_KEY_BYTES,) * 2))
        return cls(int(match[1]), int(match[2]), salt, key, digest)

    @property
    def text(self) -> str:
        """As it is stored."""
        parts = "$".join(map(encoded, (self.salt, self.signer_key, self.digest)))
        return f"$firebase-scrypt$ln={self.ln},r={self.r}${parts}"

    @property
    def scheme(self) -> str:
        """What it takes to verify."""
        return f"firebase-scrypt:ln={self.ln},r={self.r}"

    def fault(self) -> str | None:
        """Why it is not computed, in words; None where it is."""
        return _scrypt_fault(self.ln, self.r, 1) or lengths_fault(self.salt, self.digest)

    def matches(self, password: bytes) -> bool:
        """Whether it is the hash of this password."""
        key = _scrypt(password, self.salt, self.ln, self.r, 1, _AES_KEY_BYTES)
        made = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor().update(self.signer_key)
        return hmac.compare_digest(made, self.digest)


def _scrypt(password: bytes, salt: bytes, ln: int, r: int, p: int, size: int) -> bytes:
    room = 128 * r * (2**ln + p + 2) + 2**20  # OpenSSL refuses more than this, and by itself allows 32 MiB only
    return hashlib.scrypt(password, salt=salt, n=2**ln, r=r, p=p, maxmem=room, dklen=size)


def _scrypt_fault(ln: int, r: int, p: int) -> str | None:
    if not 1 <= ln < 16 * r:  # RFC 7914 section 2
        return f"scrypt has no ln={ln} with r={r}"
    if ln > 30 or 128 * r * 2**ln > MAX_MEMORY:
        return f"scrypt with ln={ln},r={r} takes too much memory: at most {MAX_MEMORY // 2**20} MiB"
    if 128 * r * (p + 2) > _MAX_MARGIN:
        return f"scrypt with r={r},p={p} takes too much memory: r times p + 2 is at most {_MAX_MARGIN // 128}"
    if 2**ln * r * p > MAX_WORK:
        return f"scrypt with ln={ln},r={r},p={p} costs too much: N times r times p is at most {MAX_WORK}"
    return None
