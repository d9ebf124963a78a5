"""File descriptors: how many there are, and how many of them clients may take.

A proxied request takes two, its client's and its upstream's, and upstreams keep idle ones. Some are kept for the
management listener, the database and the log, so that a stranger who opens connections cannot silence the probes.
"""

import resource

_KEPT = 256
_MOST_CONNECTIONS = 10_000
_FEWEST_CONNECTIONS = 32


def claim() -> int:
    """Raise this process's limit as far as it is of use and allowed, and say what it is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 3 * _MOST_CONNECTIONS + _KEPT
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return wanted if soft == resource.RLIM_INFINITY else soft


def for_clients(descriptors: int) -> int:
    """How many connections the public listener may have open."""
    return max(_FEWEST_CONNECTIONS, min(_MOST_CONNECTIONS, (descriptors - _KEPT) // 3))
