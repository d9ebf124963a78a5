"""What protects an exported tenant on its way: a passphrase, from which two keys follow (scrypt, RFC 7914).

One seals each secret (AES-256-GCM), bound to the archive and to whose it is, so that none can be put in another's
place; the other proves that nothing of the archive was changed (HMAC-SHA-256). The cost is fixed by the archive's
version and never read from the archive: whoever wrote that must not decide what we spend.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
import unicodedata
from typing import Final, Self
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tenants.errors import InvalidValue

SALT_BYTES: Final = 16
SHORTEST_PASSPHRASE: Final = 12
_LONGEST_PASSPHRASE: Final = 1024
_COST, _BLOCK, _LANES, _MEMORY = 2**17, 8, 1, 160 * 1024 * 1024  # 128 MiB, as OWASP has it
_NONCE_BYTES: Final = 12
_CHECK: Final = "the passphrase"


class WrongPassphrase(InvalidValue):
    """Another one than the archive was written with; or somebody changed the archive."""

    def __init__(self) -> None:
        super().__init__("this is not the passphrase that the file was exported with")


class ArchiveSeal:
    """The keys of one archive."""

    __slots__ = ("_archive", "_cipher", "_proof")

    def __init__(self, keys: bytes, *, archive: UUID) -> None:
        """``keys`` are 64 bytes that nobody knows."""
        self._archive = archive
        self._cipher = AESGCM(keys[:32])
        self._proof = keys[32:64]

    @classmethod
    def under(cls, passphrase: str, *, archive: UUID, salt: bytes) -> Self:
        """Takes half a second and 128 MiB.

        Raises:
            InvalidValue: the passphrase is too short or too long.
        """
        if not SHORTEST_PASSPHRASE <= len(passphrase) <= _LONGEST_PASSPHRASE:
            raise InvalidValue(f"a passphrase has {SHORTEST_PASSPHRASE} to {_LONGEST_PASSPHRASE:,} characters")
        text = unicodedata.normalize("NFC", passphrase).encode("utf-8", "surrogatepass")
        keys = hashlib.scrypt(text, salt=salt, n=_COST, r=_BLOCK, p=_LANES, maxmem=_MEMORY, dklen=64)
        return cls(keys, archive=archive)

    def seal(self, secret: bytes, *, whose: str) -> str:
        """Base64 of nonce and ciphertext. ``whose`` names the one row and field that it belongs to."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return base64.b64encode(nonce + self._cipher.encrypt(nonce, secret, self._place(whose))).decode("ascii")

    def open(self, sealed: str, *, whose: str) -> bytes:
        """The secret.

        Raises:
            InvalidValue: it is none of this archive's, or belongs to somebody else.
        """
        try:
            raw = base64.b64decode(sealed, validate=True)
            return self._cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], self._place(whose))
        except (binascii.Error, ValueError, InvalidTag) as error:
            raise InvalidValue("a secret cannot be opened: it was changed, or belongs to another line") from error

    def check(self) -> str:
        """What ``confirm`` tells the right passphrase by."""
        return self.seal(b"", whose=_CHECK)

    def confirm(self, check: str) -> None:
        """Raises WrongPassphrase."""
        try:
            self.open(check, whose=_CHECK)
        except InvalidValue as error:
            raise WrongPassphrase from error

    def proof(self, digest: bytes) -> str:
        """Of an archive whose lines have this SHA-256."""
        return hmac.digest(self._proof, digest, "sha256").hex()

    def _place(self, whose: str) -> bytes:
        return b"yett tenant export 1\n" + self._archive.bytes + whose.encode()
