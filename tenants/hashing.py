"""Password hashing off the event loop: Argon2id in helper processes, every check at equal cost (OWASP Password
Storage).

Processes, because threads starve beside a busy event loop. Owns what is hashed, and that no answer's time tells who
exists. Not the queue (hashing_queue.py), not the caps of a stored hash (argon2_hash.py), not what may be a password
(policies/password.py).
"""

from dataclasses import dataclass, field
from typing import NoReturn

import structlog

from policies.password import Password, normalise
from tenants import argon2_hash, cpu_quota, hashing_worker
from tenants.argon2_hash import Cost
from tenants.hashing_queue import HashingQueue, HashingUnavailable, Log
from tenants.hashing_worker import Frame, verification

QUEUE = 128


@dataclass(frozen=True, slots=True)
class Verified:
    """The password matches. ``rehash`` is its hash at today's cost, to be stored, where the stored one is weaker."""

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

    async def verify(self, stored: str | None, password: str) -> Verified | Mismatch:
        """Whether ``password`` is the one whose hash is ``stored``; None stands for no user or no password.

        Whatever is asked costs one hash, so that time does not tell who exists: no user, a malformed or too dear hash
        (logged), an empty password and one that may not be a password at all. Raises HashingUnavailable.
        """
        known = None if stored is None else argon2_hash.stored_hash(stored, self._cost)
        if stored is not None and known is None:
            self._log.warning("password_hash_unusable")
        accepted = normalise(password)
        secret = accepted.encoded() if isinstance(accepted, Password) else b""
        renew = known is not None and known.weaker
        frame = await self._queue.run(
            hashing_worker.VERIFY_AND_HASH if renew else hashing_worker.VERIFY,
            verification(self._nobody if known is None else known.text, secret),
        )
        if frame.kind not in (hashing_worker.VERIFIED, hashing_worker.MISMATCH):
            raise self._failed(frame)
        if frame.kind == hashing_worker.MISMATCH or known is None or not isinstance(accepted, Password):
            return Mismatch()
        return Verified(frame.body.decode("ascii") or None)

    def _failed(self, frame: Frame) -> HashingUnavailable:
        self._log.warning("hashing_failed", error=frame.body.decode("ascii", "replace"))
        return HashingUnavailable("a helper could not hash")
