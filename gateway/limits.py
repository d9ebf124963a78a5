"""Coarse limits per client address, in this process's memory (rule 11): slowapi in front of pages and administration.

Exact throttles of logins are counted in the database and are not here.
"""

import math
import time
from ipaddress import IPv4Address, ip_network

from limits import parse
from slowapi import Limiter

from gateway.context import Address
from gateway.window_counts import WindowCounts


class AddressLimit:
    """``rate`` requests per client network, in slowapi's notation (``300/minute``).

    Memory is bounded: while more than ``max_networks`` networks ask at once, IPv6 clients are counted by their /48.
    IPv4 addresses are few and dear enough, and a wider network of theirs is many strangers.

    slowapi's counters without its decorator: that looks at the signature of what it decorates in each request, and at
    an environment that could switch the limit off.
    """

    def __init__(self, rate: str, *, max_networks: int = 10_000) -> None:
        self._max_networks = max_networks
        self._rate = parse(rate)
        self._window = Limiter(key_func=client_network, storage_uri="yett+memory://").limiter
        counts = self._window.storage
        if not isinstance(counts, WindowCounts):
            raise TypeError("limits per address are kept in memory")
        self._counts = counts

    def refused_for(self, address: Address) -> int | None:
        """Count a request: None where it is admitted, else the seconds until the next one will be.

        ``address`` is vouched for by trusted proxies only.
        """
        network = client_network(address, wide=len(self._counts) >= self._max_networks)
        if self._window.hit(self._rate, network):
            return None
        return max(1, math.ceil(self._window.get_window_stats(self._rate, network).reset_time - time.time()))


def client_network(address: Address, *, wide: bool = False) -> str:
    """An IPv4 address, or the /64 that an IPv6 client has all to itself; ``wide`` is the /48 around it."""
    if isinstance(address, IPv4Address):
        return f"{address}/32"
    return str(ip_network((address, 48 if wide else 64), strict=False))
