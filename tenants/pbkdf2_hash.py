"""PBKDF2's stored form, and how it is verified (RFC 8018 section 5.2).

Owns its cap. ``matches`` takes as long as the hash says: it is called in the helper process only.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import Final, Self

from tenants.phc import decoded, encoded, lengths_fault

MAX_WORK: Final = 2_000_000
"""Iterations times blocks: a second of one core at most."""

_SALT_BYTES = 16
_HASH_BYTES = {"sha1": 20, "sha256": 32, "sha512": 64}
_NUMBER = "([1-9][0-9]{0,9})"
_TEXT = re.compile(rf"\$pbkdf2-(sha1|sha256|sha512)\$i={_NUMBER}\$([^$]+)\$([^$]+)")
_SCHEME = re.compile(rf"pbkdf2-(sha1|sha256|sha512):{_NUMBER}(?:x([1-9]))?")


@dataclass(frozen=True, slots=True)
class Pbkdf2:
    """PBKDF2 with HMAC; ``hash_name`` is ``sha1``, ``sha256`` or ``sha512``."""

    hash_name: str
    iterations: int
    salt: bytes
    digest: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """None where it is malformed or of another scheme."""
        match = _TEXT.fullmatch(text)
        if match is None:
            return None
        salt, digest = decoded(match[3]), decoded(match[4])
        return None if salt is None or digest is None else cls(match[1], int(match[2]), salt, digest)

    @classmethod
    def unmatchable_of(cls, scheme: str) -> Self | None:
        """A hash of nothing that costs what this scheme does; None for another kind's."""
        match = _SCHEME.fullmatch(scheme)
        if match is None:
            return None
        size = _HASH_BYTES[match[1]] * int(match[3] or 1)
        return cls(match[1], int(match[2]), secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(size))

    @property
    def text(self) -> str:
        """As it is stored."""
        return f"$pbkdf2-{self.hash_name}$i={self.iterations}${encoded(self.salt)}${encoded(self.digest)}"

    @property
    def blocks(self) -> int:
        """How often the iterations are gone through: a digest longer than the hash costs that much more."""
        return -(-len(self.digest) // _HASH_BYTES[self.hash_name])

    @property
    def scheme(self) -> str:
        """What it takes to verify."""
        return f"pbkdf2-{self.hash_name}:{self.iterations}{f'x{self.blocks}' if self.blocks > 1 else ''}"

    def fault(self) -> str | None:
        """Why it is not computed, in words; None where it is."""
        if self.iterations * self.blocks > MAX_WORK:
            more = f" for {self.blocks} blocks" if self.blocks > 1 else ""
            return f"PBKDF2 of {self.iterations} iterations{more} costs too much: at most {MAX_WORK // self.blocks}"
        return lengths_fault(self.salt, self.digest)

    def matches(self, password: bytes) -> bool:
        """Whether it is the hash of this password."""
        made = hashlib.pbkdf2_hmac(self.hash_name, password, self.salt, self.iterations, len(self.digest))
        return hmac.compare_digest(made, self.digest)
