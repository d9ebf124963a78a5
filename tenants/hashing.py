"""Password hashing off the event loop: Argon2id in helper processes, every check at the cost of the hash that it is
given (OWASP Password Storage).

Processes, because threads starve beside a busy event loop. Owns what is hashed, and that no answer's time tells who
exists. Not the queue (hashing_queue.py), not which stored hashes there are and their caps (foreign_hash.py), not what
stands in for an unknown user (credentials.py), not what may be a password (policies/password.py).
"""

from dataclasses import dataclass, field
from typing import NoReturn

import structlog

from policies.password import MAX_BYTES, Password, normalise
from tenants import argon2_hash, cpu_quota, foreign_hash, hashing_worker
from tenants.argon2_hash import Cost, StoredHash
from tenants.hashing_queue import HashingQueue, HashingUnavailable, Log
from tenants.hashing_worker import Frame, verification

QUEUE = 128


@dataclass(frozen=True, slots=True)
class Verified:
    """The password matches. ``rehash`` is its hash at today's cost, to be stored, where the stored one is weaker or of
    another scheme, and was to be renewed.
    """

    rehash: str | None = field(default=None, repr=False)

    def __bool__(self) -> NoReturn:
        raise TypeError("a verification is matched, never truth-tested")


@dataclass(frozen=True, slots=True)
class Mismatch:
    """It does not match, or there is nothing that it could match."""

    def __bool__(self) -> NoReturn:
        raise TypeError("a verification is matched, never truth-tested")


class HashingPool:
    """Helper processes and their queue. One ``start()``, one ``stop()``.

    ``cost`` None is OWASP's; ``helpers`` None is one per core that this process may use; ``queue`` is how many may wait
    beside those that are being worked on.
    """

    def __init__(
        self, cost: Cost | None = None, *, helpers: int | None = None, queue: int = QUEUE, log: Log | None = None
    ) -> None:
        self._cost = Cost() if cost is None else cost
        self._log: Log = structlog.get_logger("tenants.hashing") if log is None else log
        self._nobody = argon2_hash.unmatchable(self._cost)
        self._queue = HashingQueue(
            self._cost, helpers=cpu_quota.cores() if helpers is None else helpers, limit=queue, log=self._log
        )

    @property
    def waiting(self) -> int:
        """Passwords in the queue."""
        return self._queue.waiting

    @property
    def has_room(self) -> bool:
        """Whether a password that is asked about now would not be refused with QueueFull."""
        return self._queue.has_room

    @property
    def pids(self) -> tuple[int, ...]:
        """The living helpers."""
        return self._queue.pids

    async def start(self) -> None:
        """Start the helpers; returns when they are ready. Raises OSError, HelperDied, TimeoutError; none is left."""
        await self._queue.start()

    async def stop(self) -> None:
        """End and reap the helpers. Who still waits gets HashingUnavailable."""
        await self._queue.stop()

    async def hash(self, password: str) -> str:
        """The hash to store. Raises ValueError for what may not be a password (ask policies.password first),
        HashingUnavailable.
        """
        accepted = normalise(password)
        if not isinstance(accepted, Password):
            raise ValueError(accepted.reason)
        frame = await self._queue.run(hashing_worker.HASH, accepted.encoded())
        if frame.kind != hashing_worker.HASHED:
            raise self._failed(frame)
        return frame.body.decode("ascii")

    async def verify(self, stored: str | None, password: str, *, renew: bool = True) -> Verified | Mismatch:
        """Whether ``password`` (as it was typed) is the one whose hash is ``stored``.

        For no user and no password, ``stored`` is what ``credentials.stand_in`` gave; None and ``*`` are a hash of
        today's cost. Whatever is asked costs one hash, so that time does not tell who exists: a malformed or too dear
        hash (logged), an empty password and one that may not be a password at all. It costs two where another
        system's hash meets a text that is not NFC, right or wrong. ``renew`` False makes no hash at today's cost.

        Raises HashingUnavailable.
        """
        absent = stored in (None, foreign_hash.NOBODY)
        known = None if stored is None or absent else foreign_hash.stored_hash(stored, self._cost)
        if known is None and not absent:
            self._log.warning("password_hash_unusable")
        accepted = normalise(password)
        secret = accepted.encoded() if isinstance(accepted, Password) else b""
        compared = StoredHash(self._nobody, weaker=False) if known is None else known
        foreign = foreign_hash.is_foreign(compared.text, self._cost)
        typed = _as_typed(password, accepted) if foreign and isinstance(accepted, Password) else b""
        # Where the stored hash says nothing of the password's end, none is made that does: the end may be mistyped.
        cut = foreign_hash.cuts(compared.text, max(len(secret), len(typed)))
        renew = renew and compared.weaker and not cut
        frame = await self._queue.run(
            hashing_worker.VERIFY_AND_HASH if renew else hashing_worker.VERIFY,
            verification(compared.text, secret, typed),
        )
        if frame.kind not in (hashing_worker.VERIFIED, hashing_worker.MISMATCH):
            raise self._failed(frame)
        if frame.kind == hashing_worker.MISMATCH or known is None or not isinstance(accepted, Password):
            return Mismatch()
        return Verified(frame.body.decode("ascii") or None)

    def _failed(self, frame: Frame) -> HashingUnavailable:
        self._log.warning("hashing_failed", error=frame.body.decode("ascii", "replace"))
        return HashingUnavailable("a helper could not hash")


def _as_typed(text: str, accepted: Password) -> bytes:
    """The bytes that a system hashed which does not normalise; empty where they are too many, or the normal form's."""
    typed = text.encode()
    return typed if len(typed) <= MAX_BYTES and typed != accepted.encoded() else b""
