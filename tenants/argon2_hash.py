"""Argon2id's cost, and the stored form of a hash with its own cost in it (PHC string format; RFC 9106).

Owns which stored hashes are computed at all: a hash names its own price, and the price has a cap. Not the computing
(hashing.py).
"""

import base64
import binascii
import re
import secrets
from dataclasses import dataclass

MAX_MEMORY_KIB = 64 * 1024
MAX_TIME_COST = 10
MAX_PARALLELISM = 4

_SALT_BYTES = 16
_DIGEST_BYTES = 32
_PHC = re.compile(
    r"\$argon2id\$v=19\$m=([1-9][0-9]{0,7}),t=([1-9][0-9]{0,3}),p=([1-9][0-9]{0,2})"
    r"\$([A-Za-z0-9+/]{11,64})\$([A-Za-z0-9+/]{22,86})"
)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one hash costs. The default is OWASP's: 19 MiB, two passes, one lane."""

    memory_kib: int = 19 * 1024
    time_cost: int = 2
    parallelism: int = 1


@dataclass(frozen=True, slots=True)
class StoredHash:
    """A hash that may be verified. ``weaker`` says that the setting has risen since: to be hashed anew at the next
    login.
    """

    text: str
    weaker: bool


def stored_hash(text: str, cost: Cost) -> StoredHash | None:
    """The hash in ``text``, or None where it is malformed, of another kind, or dearer than the caps (and than ``cost``
    itself).
    """
    match = _PHC.fullmatch(text)
    if match is None:
        return None
    memory_kib, time_cost, parallelism = int(match[1]), int(match[2]), int(match[3])
    salt, digest = _decoded(match[4]), _decoded(match[5])
    if salt is None or digest is None or memory_kib < 8 * parallelism:
        return None
    if (
        memory_kib > max(MAX_MEMORY_KIB, cost.memory_kib)
        or time_cost > max(MAX_TIME_COST, cost.time_cost)
        or parallelism > max(MAX_PARALLELISM, cost.parallelism)
    ):
        return None
    weaker = (
        memory_kib < cost.memory_kib
        or time_cost < cost.time_cost
        or len(salt) < _SALT_BYTES
        or len(digest) < _DIGEST_BYTES
    )
    return StoredHash(text, weaker)


def unmatchable(cost: Cost) -> str:
    """A hash of nothing: it costs what a hash of ``cost`` does to verify, and no password is known to match it."""
    salt, digest = _encoded(secrets.token_bytes(_SALT_BYTES)), _encoded(secrets.token_bytes(_DIGEST_BYTES))
    return f"$argon2id$v=19$m={cost.memory_kib},t={cost.time_cost},p={cost.parallelism}${salt}${digest}"


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes | None:
    """Base64 without padding in its one spelling: argon2 would refuse another at no cost, and an answer in no time
    tells something.
    """
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        return None
    return data if _encoded(data) == text else None
