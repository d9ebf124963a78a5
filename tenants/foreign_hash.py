"""Stored password hashes of every scheme, ours and other systems': which they are, what they cost, whether they match.

A stored text is canonical: how others write the same is hash_spellings.py's. A foreign hash is verified as it is, and
replaced at the first login that succeeds. The *scheme* of a hash is a short label of all that decides how long its
verification takes, for ``passwords.scheme`` and for the stand-ins of users who do not exist.
"""

from typing import Final, Protocol

from tenants import argon2_hash
from tenants.argon2_hash import Argon2Hash, Cost, StoredHash
from tenants.bcrypt_hash import Bcrypt
from tenants.pbkdf2_hash import Pbkdf2
from tenants.scrypt_hash import FirebaseScrypt, Scrypt

NOBODY: Final = "*"
"""A stored hash that no password matches, verified at today's cost of our own."""

MAX_LENGTH: Final = 1024

_KINDS: Final = (Bcrypt, Pbkdf2, Scrypt, FirebaseScrypt)


class ForeignHash(Protocol):
    """A hash in a scheme other than Argon2."""

    @property
    def text(self) -> str:
        """As it is stored."""

    @property
    def scheme(self) -> str:
        """What it takes to verify."""

    def fault(self) -> str | None:
        """Why it is not computed, in words; None where it is."""

    def matches(self, password: bytes) -> bool:
        """Whether it is the hash of this password. Takes as long as the hash says."""


def parse(text: str) -> ForeignHash | None:
    """The hash in a canonical text; None where it is malformed, or Argon2."""
    for kind in _KINDS:
        found = kind.parse(text)
        if found is not None:
            return found
    return None


def scheme(text: str) -> str:
    """The label of a stored hash, at most 64 characters; empty for what is no hash, which costs what ours do today."""
    found = Argon2Hash.parse(text) or parse(text)
    return "" if found is None else found.scheme


def stored_hash(text: str, cost: Cost) -> StoredHash | None:
    """The hash in ``text``, or None where it is malformed or dearer than its caps."""
    ours = argon2_hash.stored_hash(text, cost)
    if ours is not None:
        return ours
    found = parse(text)
    return None if found is None or found.fault() else StoredHash(text, weaker=True)


def is_foreign(text: str, cost: Cost) -> bool:
    """Whether another system may have made it, of a password that is not in normal form: it is not of today's ``cost``.

    Ours from before the setting changed look the same. Decided by the scheme alone, as for who stands in.
    """
    return scheme(text) != argon2_hash.scheme_of(cost)


def cuts(text: str, size: int) -> bool:
    """Whether the hash is only of the beginning of a password of this many bytes."""
    found = parse(text)
    return isinstance(found, Bcrypt) and found.cuts(size)


def unmatchable(label: str) -> str:
    """A stored hash that costs what one of the scheme ``label`` does to verify, and no password is known to match."""
    argon2 = argon2_hash.unmatchable_of(label)
    if argon2 is not None:
        return argon2
    for kind in _KINDS:
        found = kind.unmatchable_of(label)
        if found is not None:
            return found.text
    return NOBODY


def matches(text: str, password: bytes) -> bool:
    """Whether a hash other than Argon2 is of this password. Raises ValueError for what is none."""
    found = parse(text)
    if found is None:
        raise ValueError("not a hash that is known here")
    return found.matches(password)
