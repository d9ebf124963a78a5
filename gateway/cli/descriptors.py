"""File descriptors: how many there are, and how many of them clients may take.

A proxied request takes two, its client's and its upstream's, and upstreams keep idle ones. Some are kept for the
management listener, the database and the log, so that a stranger who opens connections cannot silence the probes.
"""

import resource

_KEPT = 256
_MOST_CONNECTIONS = 10_000
_FEWEST_CONNECTIONS = 32


class TooFewDescriptors(Exception):
    """More connections are configured than there can be. Its text is a sentence for the operator."""


def claim(connections: int | None = None) -> int:
    """Raise this process's limit as far as it is of use for so many connections, and allowed, and say what it is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 3 * (connections or _MOST_CONNECTIONS) + _KEPT
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return wanted if soft == resource.RLIM_INFINITY else soft


def for_clients(descriptors: int, configured: int | None = None) -> int:
    """How many connections the public listener may have open: so many, or what the descriptors are surely enough for.

    Raises:
        TooFewDescriptors: there are not even enough for these connections and none to an upstream.
    """
    if configured is None:
        return max(_FEWEST_CONNECTIONS, min(_MOST_CONNECTIONS, (descriptors - _KEPT) // 3))
    if configured + _KEPT > descriptors:
        raise TooFewDescriptors(
            f"listen_limits.connections is {configured}, and this process may have {descriptors} files open: raise "
            f"that limit (ulimit -n, LimitNOFILE= of systemd) to {3 * configured + _KEPT}, or ask for fewer."
        )
    return configured
