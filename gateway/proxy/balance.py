"""Which of several endpoints gets the next request. Each way is a function over those that may be asked.

Turns are counted as stride scheduling does: whoever has come least far is next, and goes the further the less it
weighs. To choose changes nothing; who uses the choice adds ``stride`` to ``passed``.
"""

import math
from collections.abc import Callable, Mapping, Sequence

from gateway.proxy.endpoint import Endpoint, hash64
from gateway.proxy.upstream import Balance

Choose = Callable[[Sequence[Endpoint], str | None], Endpoint]
_BITS = 52  # of a hash, so that no share of one is 0 or 1 as a float
_64_BITS = (1 << 64) - 1


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
    hashed = hash64(subject)
    return max(among, key=lambda endpoint: _score(endpoint, hashed))


def _score(endpoint: Endpoint, hashed: int) -> float:
    # The subject is hashed once; splitmix64's last step tells its hash apart for each endpoint.
    mixed = hashed ^ endpoint.hashed
    mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 & _64_BITS
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & _64_BITS
    mixed ^= mixed >> 31
    share = ((mixed >> (64 - _BITS)) + 0.5) / (1 << _BITS)
    return -endpoint.weight / math.log(share)


BALANCES: Mapping[Balance, Choose] = {
    "least-in-flight": least_in_flight,
    "round-robin": round_robin,
    "hash-subject": hash_subject,
}
