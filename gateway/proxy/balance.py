"""Which of several endpoints gets the next request. Each way is a function over those that may be asked.

Turns are counted as stride scheduling does: whoever has come least far is next, and goes the further the less it
weighs. To choose changes nothing; who uses the choice adds ``stride`` to ``passed``.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b

from gateway.proxy.endpoint import Endpoint
from gateway.proxy.upstream import Balance

Choose = Callable[[Sequence[Endpoint], str | None], Endpoint]
_BITS = 52  # of a hash, so that no share of one is 0 or 1 as a float


def least_in_flight(among: Sequence[Endpoint], _: str | None = None) -> Endpoint:
    """The one with the fewest requests for its weight; of equals, whose turn it is."""
    best = among[0]
    least, passed = (best.open - len(best.idle)) / best.weight, best.passed
    for endpoint in among[1:]:
        load = (endpoint.open - len(endpoint.idle)) / endpoint.weight
        if load < least or (load == least and endpoint.passed < passed):
            best, least, passed = endpoint, load, endpoint.passed
    return best


def round_robin(among: Sequence[Endpoint], _: str | None = None) -> Endpoint:
    """Whose turn it is."""
    return min(among, key=lambda endpoint: endpoint.passed)


def hash_subject(among: Sequence[Endpoint], subject: str | None) -> Endpoint:
    """The same one for a subject, in every process: weighted rendezvous hashing, so that one that is lost moves its own
    share to all others and nothing else. Without a subject, the least loaded.
    """
    if subject is None:
        return least_in_flight(among)
    return max(among, key=lambda endpoint: _score(endpoint, subject))


def _score(endpoint: Endpoint, subject: str) -> float:
    digest = blake2b(f"{endpoint.label}\n{subject}".encode(), digest_size=8).digest()
    share = ((int.from_bytes(digest) >> (64 - _BITS)) + 0.5) / (1 << _BITS)
    return -endpoint.weight / math.log(share)


BALANCES: Mapping[Balance, Choose] = {
    "least-in-flight": least_in_flight,
    "round-robin": round_robin,
    "hash-subject": hash_subject,
}
