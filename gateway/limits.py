"""Coarse limits per client address, in this process's memory (rule 11): slowapi in front of pages and administration.

Exact throttles of logins are counted in the database and are not here.
"""

import math
import time
from ipaddress import IPv6Address, ip_network
from typing import Any

from limits import RateLimitItem
from limits.storage import MemoryStorage
from slowapi import Limiter
from slowapi.errors import RateLimitExceeded
from starlette.requests import Request
from starlette.responses import Response

from gateway.middleware import context_of


class _OwnSettingsOnly(Limiter):
    """Without slowapi's own configuration: RATELIMIT_ENABLED in the environment, or in a file .env that happens to lie
    in the working directory, would switch the limit off."""

    def get_app_config(self, key: str, default_value: Any = None) -> Any:  # noqa: ARG002 - slowapi's signature
        return default_value


class AddressLimit:
    """``rate`` requests per client network, in slowapi's notation (``300/minute``).

    Memory is bounded: while more than ``max_networks`` networks ask at once, IPv6 clients are counted by their /48.
    IPv4 addresses are few and dear enough, and a wider network of theirs is many strangers.
    """

    def __init__(self, rate: str, *, max_networks: int = 10_000) -> None:
        self._max_networks = max_networks
        # key_style: by default slowapi counts each path apart, and a stranger has as many paths as he likes.
        self._limiter = _OwnSettingsOnly(key_func=self._network, key_style="endpoint", storage_uri="memory://")
        counts = self._limiter.limiter.storage
        if not isinstance(counts, MemoryStorage):
            raise TypeError("limits per address are kept in memory")
        self._counts = counts

        @self._limiter.limit(rate)
        async def admitted(request: Request) -> Response:  # noqa: ARG001 - slowapi finds the request by this name
            return Response()

        self._admitted = admitted

    async def refused_for(self, request: Request) -> int | None:
        """Count this request: None where it is admitted, else the seconds until the next one will be."""
        try:
            await self._admitted(request)
        except RateLimitExceeded:
            item, keys = _exceeded(request)
            reset_time, _ = self._limiter.limiter.get_window_stats(item, *keys)
            return max(1, math.ceil(reset_time - time.time()))
        return None

    def _network(self, request: Request) -> str:
        return client_network(request, wide=len(self._counts.storage) >= self._max_networks)


def client_network(request: Request, *, wide: bool = False) -> str:
    """An IPv4 address, or the /64 that an IPv6 client has all to itself; ``wide`` is the /48 around it.

    The address is vouched for by trusted proxies only.
    """
    address = context_of(request.scope).address
    prefix = (48 if wide else 64) if isinstance(address, IPv6Address) else 32
    return str(ip_network((address, prefix), strict=False))


def _exceeded(request: Request) -> tuple[RateLimitItem, list[str]]:
    found: tuple[RateLimitItem, list[str]] = request.state.view_rate_limit
    return found
