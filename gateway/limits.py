"""Coarse limits per client address, in this process's memory (rule 11): slowapi in front of pages and administration.

Exact throttles of logins are counted in the database and are not here.
"""

import math
import time
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_network

from limits import RateLimitItem, parse_many
from limits.strategies import RateLimiter
from slowapi import Limiter

from gateway.context import Address
from gateway.window_counts import WindowCounts


class AddressLimit:
    """``rate`` requests per client network, in slowapi's notation: ``300/minute``, or several, of which each has to
    admit a request: ``10/second;300/minute``.

    While more than ``max_networks`` networks ask at once, IPv6 clients are counted by their /48, of which an attacker
    has far fewer. IPv4 addresses are few and dear enough, and a wider network of theirs is many strangers.

    slowapi's counters without its decorator: that looks at the signature of what it decorates in each request, and at
    an environment that could switch the limit off.
    """

    def __init__(self, rate: str, *, max_networks: int = 10_000) -> None:
        self._max_networks = max_networks
        self._rate = rate
        self._windows = [_Window.of(each) for each in parse_many(rate)]

    def change(self, rate: str) -> None:
        """Another rate from here on; what was counted under the former one is forgotten."""
        if rate != self._rate:
            self._rate = rate
            self._windows = [_Window.of(each) for each in parse_many(rate)]

    def refused_for(self, address: Address) -> int | None:
        """Count a request: None where it is admitted, else the seconds until the next one will be.

        ``address`` is vouched for by trusted proxies only.
        """
        wide = False
        for window in self._windows:
            wide = wide or len(window.counts) >= self._max_networks
        network, refused_for = client_network(address, wide=wide), None
        for window in self._windows:
            if not window.limiter.hit(window.rate, network):
                refused_for = max(window.wait(network), refused_for or 0)
        return refused_for


@dataclass(frozen=True, slots=True)
class _Window:
    """One rate, with counters of its own: they are all of one length."""

    rate: RateLimitItem
    limiter: RateLimiter
    counts: WindowCounts

    @classmethod
    def of(cls, rate: RateLimitItem) -> "_Window":
        limiter = Limiter(key_func=client_network, storage_uri="yett+memory://").limiter
        counts = limiter.storage
        if not isinstance(counts, WindowCounts):
            raise TypeError("limits per address are kept in memory")
        return cls(rate, limiter, counts)

    def wait(self, network: str) -> int:
        """Seconds until the window ends."""
        return max(1, math.ceil(self.limiter.get_window_stats(self.rate, network).reset_time - time.time()))


def client_network(address: Address, *, wide: bool = False) -> str:
    """An IPv4 address, or the /64 that an IPv6 client has all to itself; ``wide`` is the /48 around it."""
    if isinstance(address, IPv4Address):
        return f"{address}/32"
    return str(ip_network((address, 48 if wide else 64), strict=False))
