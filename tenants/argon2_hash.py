"""Argon2's cost, and the stored form of a hash with its own cost in it (PHC string format; RFC 9106).

Owns which stored hashes are computed at all: a hash names its own price, and the price has a cap. Not the computing
(hashing.py), not other schemes (foreign_hash.py).
"""

import re
import secrets
from dataclasses import dataclass
from typing import Self

from tenants.phc import decoded, encoded

MAX_MEMORY_KIB = 128 * 1024
MAX_TIME_COST = 10
MAX_PARALLELISM = 8
"""Room for what other systems make by default (Django: 100 MiB, two passes, eight lanes). At all three caps a hash
takes about a second.
"""

_SALT_BYTES = 16
_DIGEST_BYTES = 32
_OLD_VERSION, _VERSION = 16, 19
_NUMBERS = r"m=([1-9][0-9]{0,9}),t=([1-9][0-9]{0,9}),p=([1-9][0-9]{0,9})"
_PHC = re.compile(
    rf"\$argon2(id|i)(?:\$v=(16|19))?\${_NUMBERS}\$([A-Za-z0-9+/]{{11,64}})\$([A-Za-z0-9+/]{{22,86}})", re.ASCII
)
_SCHEME = re.compile(rf"argon2(id|i):(v=16,)?{_NUMBERS}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one hash costs. The default is OWASP's: 19 MiB, two passes, one lane."""

    memory_kib: int = 19 * 1024
    time_cost: int = 2
    parallelism: int = 1


@dataclass(frozen=True, slots=True)
class StoredHash:
    """A hash that may be verified. ``weaker`` says that it is to be hashed anew at the next login: the setting has
    risen since, or it is of another scheme.
    """

    text: str
    weaker: bool


@dataclass(frozen=True, slots=True)
class Argon2Hash:
    """A hash of whatever cost. ``variant`` is ``id`` or ``i``; text without a version is of version 1.0 (16)."""

    text: str
    variant: str
    version: int
    cost: Cost
    salt_bytes: int = _SALT_BYTES
    digest_bytes: int = _DIGEST_BYTES

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """None where it is malformed or of another kind."""
        match = _PHC.fullmatch(text)
        if match is None:
            return None
        salt, digest = decoded(match[6]), decoded(match[7])
        cost = Cost(int(match[3]), int(match[4]), int(match[5]))
        if salt is None or digest is None or cost.memory_kib < 8 * cost.parallelism:
            return None
        return cls(text, match[1], int(match[2] or _OLD_VERSION), cost, len(salt), len(digest))

    @property
    def scheme(self) -> str:
        """What it takes to verify."""
        version = "v=16," if self.version == _OLD_VERSION else ""
        return f"argon2{self.variant}:{version}{_numbers(self.cost)}"

    def fault(self, cost: Cost | None = None) -> str | None:
        """Why it is not computed, in words; None where it is. The setting ``cost`` itself is never too dear."""
        allowed = Cost() if cost is None else cost
        found = self.cost
        for name, value, most in (
            ("m", found.memory_kib, max(MAX_MEMORY_KIB, allowed.memory_kib)),
            ("t", found.time_cost, max(MAX_TIME_COST, allowed.time_cost)),
            ("p", found.parallelism, max(MAX_PARALLELISM, allowed.parallelism)),
        ):
            if value > most:
                return f"Argon2 with {name}={value} costs too much: at most {name}={most}"
        return None

    def weaker_than(self, cost: Cost) -> bool:
        """Whether a hash of ``cost`` is to take its place."""
        return (
            (self.variant, self.version) != ("id", _VERSION)
            or self.cost.memory_kib < cost.memory_kib
            or self.cost.time_cost < cost.time_cost
            or self.salt_bytes < _SALT_BYTES
            or self.digest_bytes < _DIGEST_BYTES
        )


def stored_hash(text: str, cost: Cost) -> StoredHash | None:
    """The hash in ``text``, or None where it is malformed, of another kind, or dearer than the caps (and than ``cost``
    itself).
    """
    found = Argon2Hash.parse(text)
    return None if found is None or found.fault(cost) else StoredHash(text, found.weaker_than(cost))


def scheme_of(cost: Cost) -> str:
    """The scheme of the hashes that we make at this cost."""
    return f"argon2id:{_numbers(cost)}"


def unmatchable(cost: Cost) -> str:
    """A hash of nothing: it costs what a hash of ``cost`` does to verify, and no password is known to match it."""
    return _unmatchable("id", _VERSION, cost)


def unmatchable_of(scheme: str) -> str | None:
    """The same for what ``Argon2Hash.scheme`` says; None for another kind's scheme."""
    match = _SCHEME.fullmatch(scheme)
    if match is None:
        return None
    cost = Cost(int(match[3]), int(match[4]), int(match[5]))
    return _unmatchable(match[1], _OLD_VERSION if match[2] else _VERSION, cost)


def _unmatchable(variant: str, version: int, cost: Cost) -> str:
    salt, digest = encoded(secrets.token_bytes(_SALT_BYTES)), encoded(secrets.token_bytes(_DIGEST_BYTES))
    return f"$argon2{variant}$v={version}${_numbers(cost)}${salt}${digest}"


def _numbers(cost: Cost) -> str:
    return f"m={cost.memory_kib},t={cost.time_cost},p={cost.parallelism}"
