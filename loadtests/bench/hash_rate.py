"""What Argon2id alone does: one hash verified again and again, as the gateway's helper does, at normal priority."""

import time

from pwdlib.hashers.argon2 import Argon2Hasher


def stored_hash(password: str) -> str:
    """A hash at the gateway's default cost: 19 MiB, two passes, one lane."""
    return Argon2Hasher(time_cost=2, memory_cost=19 * 1024, parallelism=1).hash(password)


def verifications_per_second(stored: str, password: str, seconds: float) -> float:
    """Verify for so long. Raises ValueError where the password is not the one of the hash."""
    hasher = Argon2Hasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
    began = time.perf_counter()
    done = 0
    while (passed := time.perf_counter() - began) < seconds:
        if not hasher.verify(password.encode(), stored):
            raise ValueError("the hash is another password's")
        done += 1
    return done / passed
